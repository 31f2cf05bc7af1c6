# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter deployment_hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_hosts
short_description: Find the hosts that take part in a deployment
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Returns the migrator, which is the first host of its group or else of the application's, and then the hosts of the application.
positional: _input, migrator_group, application_group
options:
  _input:
    description:
      - The groups of the inventory, that is the variable C(groups).
    type: dict
    required: true
  migrator_group:
    description:
      - The group of the migrator. It may be empty or missing.
    type: str
    default: migrator
  application_group:
    description:
      - The group of the application's hosts. It may be empty or missing, as where the application is in a cluster alone.
    type: str
    default: application
notes:
  - Each task of a run is a process of its own, forked from the one that reads the playbook. A filter in the C(hosts) of a play
    is loaded by that one, so that not every task has to load the filters again.
"""

EXAMPLES = r"""
- name: Look at the hosts of the application and the migrator
  hosts: "{{ groups | dbops.alembic.deployment_hosts }}"
"""

RETURN = r"""
_value:
  description: Names of hosts, the migrator first. A migrator that is a host of the application too is in it once.
  type: list
  elements: str
  sample: [db1, shop1, shop2]
"""

from typing import Any, Callable, Mapping, Sequence


def deployment_hosts(
    groups: Mapping[str, Sequence[str]], migrator_group: str = "migrator", application_group: str = "application"
) -> list[str]:
    migrators = [str(host) for host in groups.get(migrator_group) or ()]
    return list(dict.fromkeys([*migrators[:1], *map(str, groups.get(application_group) or ())]))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deployment_hosts": deployment_hosts}
