# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter fleet_places."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_places
short_description: Tell the databases that hold many targets
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Several schemas may be in one database. Takes many targets and returns the databases that hold them, in order, so that each is
    archived once.
  - Nothing of the result is secret.
extends_documentation_fragment:
  - dbops.alembic.targets_of
positional: _input, base
options:
  base:
    description: The URL of the server where they were found, or of the database that holds all schemas.
    type: str
    default: ""
seealso:
  - plugin: dbops.alembic.fleet_url
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say which databases there are
  ansible.builtin.debug:
    msg: "{{ item.name }} holds {{ item.targets | join(', ') }}"
  loop: "{{ shop_fleet.found | dbops.alembic.fleet_places }}"
"""

RETURN = r"""
_value:
  description:
    - An entry for each database, with C(name), the name of its first target, C(targets), the names of all, and C(known), whether
      its URL can be told. That of a target which only has C(environment) or C(x_arguments) can not.
    - Where its URL is one, C(database) is its name on the server, and C(server) what tells that from others, as in
      P(dbops.alembic.database_url#filter); both are empty otherwise.
  type: list
  elements: dict
  sample:
    - {name: acme, targets: [acme, globex], known: true, database: shop_acme, server: "db.example.com:5432"}
"""

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._fleet.query import url_of
from ansible_collections.dbops.alembic.plugins.plugin_utils._database_url import UrlError, parse


def fleet_places(targets: Sequence[Mapping[str, Any]], base: str = "") -> list[dict[str, Any]]:
    named = {target["name"]: target for target in targets}
    return [{**place, **where(named[place["name"]], base if place["known"] else "")} for place in fleet.places(targets)]


def where(target: Mapping[str, Any], base: str) -> dict[str, str]:
    try:
        url = parse(str(target.get("url") or url_of(base or None, target) or ""))
    except (UrlError, MigrationError):  # whoever uses the URL says what is wrong with it
        return {"database": "", "server": ""}
    return {"database": url.name or "", "server": url.server or ""}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"fleet_places": fleet_places}
