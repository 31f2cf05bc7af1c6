# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter fleet_url."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_url
short_description: Return the URL of one of many databases
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes many targets, and returns the URL of the database that holds one of them.
extends_documentation_fragment:
  - dbops.alembic.targets_of
positional: _input, name, base
options:
  name:
    description: The name of the target.
    type: str
    required: true
  base:
    description: The URL of the server where they were found, or of the database that holds all schemas.
    type: str
    default: ""
notes:
  - The result holds the password. Use C(no_log) on tasks that would print it.
seealso:
  - plugin: dbops.alembic.fleet_places
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Count the rows of one of the databases that were found
  dbops.alembic.database_rows:
    url: "{{ shop_fleet.found | dbops.alembic.fleet_url('acme', shop_server_url) }}"
    virtualenv: /srv/shop/current/.venv
"""

RETURN = r"""
_value:
  description: The URL; empty where there is none.
  type: str
  sample: postgresql+psycopg://app:s%23cret@db.example.com/acme
"""

from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._fleet.query import url_of


def fleet_url(targets: Sequence[Mapping[str, Any]], name: str, base: str = "") -> str:
    target = next((target for target in targets if target["name"] == name), None)
    if target is None:
        raise AnsibleFilterError(f"fleet_url: there is no target {name!r}")
    try:
        return str(target.get("url") or url_of(base or None, target) or "")
    except MigrationError as exc:
        raise AnsibleFilterError(f"fleet_url: {exc.msg}") from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"fleet_url": fleet_url}
