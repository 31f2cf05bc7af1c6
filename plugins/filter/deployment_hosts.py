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
positional: _input, migrator_group, application_group, hostvars, run, step
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
  hostvars:
    description:
      - The variables of all hosts, for a play that belongs to one pass of a deployment. Needs O(run). Where there are none, as when
        a playbook is only listed, all hosts are returned.
    type: dict
  run:
    description:
      - The pass that the play belongs to, as V(first) or V(second). Where the migrator's facts say that another one runs, or none,
        a pattern that no host matches is returned, so that the play prints and does nothing.
    type: str
    default: ''
  step:
    description:
      - A step of the pass. Only the hosts of the application that take it are returned. Where every one has taken it already, as
        one does that gives its traffic back by being started, nobody is.
    type: str
    choices: ['', stop, start, undrain]
    default: ''
    version_added: 0.2.0
notes:
  - Each task of a run is a process of its own, forked from the one that reads the playbook. A filter in the C(hosts) of a play
    is loaded by that one, so that not every task has to load the filters again.
"""

EXAMPLES = r"""
- name: Look at the hosts of the application and the migrator
  hosts: "{{ groups | dbops.alembic.deployment_hosts }}"

- name: Go back, where that is what runs
  hosts: "{{ groups | dbops.alembic.deployment_hosts(hostvars=hostvars, run='second') }}"
"""

RETURN = r"""
_value:
  description: Names of hosts, the migrator first. A migrator that is a host of the application too is in it once.
  type: list
  elements: str
  sample: [db1, shop1, shop2]
"""

from typing import Any, Callable, Mapping, Sequence

from ansible import context
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core import calls, passes, settings
from ansible_collections.dbops.alembic.plugins.plugin_utils._said import said

NOBODY = "all:!all"


def deployment_hosts(
    groups: Mapping[str, Sequence[str]],
    migrator_group: str = "migrator",
    application_group: str = "application",
    hostvars: Mapping[str, Mapping[str, Any]] | None = None,
    run: str = "",
    step: str = "",
) -> list[str]:
    if context.CLIARGS.get("start_at_task"):
        raise AnsibleFilterError(
            "--start-at-task leaves out what the later steps are told by the earlier ones. Run the playbook whole; what was cut off"
            " goes on with dbops.alembic.recover. No host was touched."
        )
    hosts = settings.taking_part(groups, migrator_group, application_group)
    if not run or hostvars is None:  # none where a playbook is only listed
        return hosts
    state = _fact(hostvars, hosts[0], "_deployment_state") if hosts else {}
    if state.get("run") != run:
        return [NOBODY]
    serving = [str(host) for host in groups.get(application_group) or ()]
    return (_taking(hostvars, hosts[0], serving, state.get("decision") or {}, run, step) or [NOBODY]) if step else hosts


def _taking(
    hostvars: Mapping[str, Mapping[str, Any]], migrator: str, serving: list[str], decision: Mapping[str, Any], run: str, step: str
) -> list[str]:
    found = said(hostvars, serving)
    if all(one.took(run, step) for one in found.values()):
        return []
    ready = f"{run} database" in _fact(hostvars, migrator, "_deployment_reached")
    reached = {host: one.reached for host, one in found.items()}
    return calls.hosts_of_step(step, run, decision, ready, reached, passes.serving(found, run))


def _fact(hostvars: Mapping[str, Mapping[str, Any]], host: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = hostvars[host].get(name) or {} if host in hostvars else {}
    return found


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deployment_hosts": deployment_hosts}
