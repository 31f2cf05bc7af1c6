# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter schema_target_refusal."""

from __future__ import annotations

DOCUMENTATION = r"""
name: schema_target_refusal
short_description: Say why one of many targets can not be restored by itself
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes many targets, and says why the one that is named is no schema of a PostgreSQL database that could be restored while the
    others go on. With a name that no target has, it returns the nearest ones.
  - Nothing of the result is secret.
extends_documentation_fragment:
  - dbops.alembic.targets_of
positional: _input, name, base
options:
  name:
    description: The name of the target.
    type: str
    required: true
  base:
    description: The URL of the database that holds all schemas, for targets without one.
    type: str
    default: ""
seealso:
  - module: dbops.alembic.database_schema
"""

EXAMPLES = r"""
- name: Refuse what can not be restored by itself
  ansible.builtin.fail:
    msg: "{{ refused }}"
  when: refused | length > 0
  vars:
    refused: "{{ shop_targets | dbops.alembic.schema_target_refusal('acme', shop_database_url) }}"
"""

RETURN = r"""
_value:
  description: Why it can not be, and what to do. Empty where it can.
  type: str
  sample: "There is no target acne. There are acme; set deployment_restore_target to one of them."
"""

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._core.schema_restore import target_refusal
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._fleet.query import url_of
from ansible_collections.dbops.alembic.plugins.plugin_utils._database_url import UrlError, parse


def schema_target_refusal(targets: Sequence[Mapping[str, Any]], name: str, base: str = "") -> str:
    target = next((target for target in targets if target["name"] == name), {})
    try:
        url = str(target.get("url") or url_of(base or None, target) or "")
        dialect = parse(url).dialect if url else None
    except (UrlError, MigrationError):
        dialect = None
    return target_refusal(targets, name, dialect)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., str]]:
        return {"schema_target_refusal": schema_target_refusal}
