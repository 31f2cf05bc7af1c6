# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter next_steps."""

from __future__ import annotations

DOCUMENTATION = r"""
name: next_steps
short_description: Say how a deployment goes on that is not closed
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes the decision about a deployment, as M(dbops.alembic.deployment_record_info) returns it, and gives the commands that go
    on, each with what it will do.
positional: _input
options:
  _input:
    description:
      - The decision.
    type: dict
    required: true
  record:
    description:
      - The record of the deployment.
    type: dict
    required: true
  inventories:
    description:
      - The inventories that the commands are given.
    type: list
    elements: str
    default: []
  variables:
    description:
      - Extra variables that the commands are given, such as the names of the groups.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Say how it goes on
  ansible.builtin.debug:
    msg: "{{ found.decision | dbops.alembic.next_steps(found.record, inventories=['hosts.yml']) }}"
"""

RETURN = r"""
_value:
  description: What can be done, in the order in which it is told. What is no command has an empty one.
  type: list
  elements: dict
  sample:
    - command: ansible-playbook -i hosts.yml dbops.alembic.recover -e deployment_rows_given_up=3
      does: gives up 3 rows, puts the backup back and starts release 2.3.0.
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core import next_steps as core


def next_steps(decision: Any, record: Any, inventories: Any = (), variables: Any = None) -> list[dict[str, str]]:
    for what, given in (("the input", decision), ("record", record), ("variables", variables or {})):
        if not isinstance(given, Mapping):
            raise AnsibleFilterError(f"next_steps: {what} is of type {type(given).__name__}, not a dictionary")
    given = {str(name): str(value) for name, value in (variables or {}).items()}
    return core.next_steps(decision, record, core.program([str(path) for path in inventories], given))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"next_steps": next_steps}
