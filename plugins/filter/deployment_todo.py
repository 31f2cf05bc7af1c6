# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter deployment_todo."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_todo
short_description: Say what a deployment has to do, and what is refused of it
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - What the role P(dbops.alembic.deployment#role) decides before it begins a maintenance window or a rolling deployment.
    Of the variables of the hosts C(release_status) and C(application_manager) count.
positional: _input, hosts, kind
options:
  kind:
    description:
      - What is to begin.
    type: str
    choices: [maintenance_window, rolling]
    required: true
  asked:
    description:
      - What is asked for and what was found. C(application), C(controller), C(migrator), C(stamp), C(owner), C(release), C(source),
        C(forced), C(plan), C(services), C(doubted), C(trusted) and C(fleet).
    type: dict
    required: true
  more:
    description:
      - What one kind needs besides. C(database), C(way_back) and C(proved) of a window; C(rehearsal), C(batch), C(override),
        C(contract), C(gaps_allowed), C(backfill) and C(runner) of a rolling deployment.
    type: dict
    required: true
extends_documentation_fragment:
  - dbops.alembic.hosts_of
"""

EXAMPLES = r"""
- name: Say whether there is anything to do
  ansible.builtin.debug:
    msg: "{{ (hostvars | dbops.alembic.deployment_todo(groups.application, 'maintenance_window', asked, {})).needed }}"
  vars:
    asked: {application: orders, stamp: 20260301T220000Z, release: 1.4.0, source: git, plan: "{{ orders_pending }}"}
"""

RETURN = r"""
_value:
  description: What it has to do.
  type: dict
  contains:
    needed:
      description: Whether there is anything to do.
      type: bool
      sample: true
    refused:
      description: Why a rolling deployment would not go without failed requests; empty where it would.
      type: list
      elements: str
      sample: []
    id:
      description: The id of the deployment.
      type: str
      sample: 20260301T220000Z-1.4.0
    owner:
      description: Who may write to its record.
      type: str
      sample: 5f1f6c1e-5f6b-5d0b-8d0a-0d3f1f4f7c11
    decision:
      description: With what it begins, as the record of a deployment that was cut off would be decided.
      type: dict
      sample: {action: finish, database: upgrade, source: "", code: to, stop: true, reason: "", remedies: []}
    facts:
      description: What its record begins with.
      type: dict
      sample: {application: orders, from_release: 1.3.2, to_release: 1.4.0}
"""

from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core import todo
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.plugin_utils._given import made


def deployment_todo(
    hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str], kind: str, asked: Mapping[str, Any], more: Mapping[str, Any]
) -> dict[str, Any]:
    if kind not in ("maintenance_window", "rolling"):
        raise AnsibleFilterError(f"deployment_todo: {kind!r} is none of maintenance_window, rolling")
    wanted, found = _asked(asked), {str(host): _host(hostvars[host]) for host in hosts}
    if kind == "maintenance_window":
        return todo.window(wanted, found, made("deployment_todo", todo.Window, more))
    try:
        return todo.rolling(wanted, found, made("deployment_todo", todo.Rolling, more))
    except MigrationError as exc:
        raise AnsibleFilterError(f"rolling_batch: {exc.msg} {exc.hint}") from None


def _asked(given: Mapping[str, Any]) -> todo.Asked:
    fleet = given.get("fleet") or {}
    counted = {**fleet, "targets": int(fleet["targets"])} if fleet else {}  # before ansible-core 2.19 a text
    found: todo.Asked = made("deployment_todo", todo.Asked, {**given, "fleet": counted})
    return found


def _host(variables: Mapping[str, Any]) -> todo.Host:
    status = variables["release_status"]
    return todo.Host(
        active=str(status["active_version"]),
        version=str(status["version"]),
        scale=status.get("scale"),
        gaps=status.get("rollout_gaps") or [],
        workload=variables.get("application_manager") == "kubernetes",
    )


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deployment_todo": deployment_todo}
