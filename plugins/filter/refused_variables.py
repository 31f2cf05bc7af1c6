# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter refused_variables."""

from __future__ import annotations

DOCUMENTATION = r"""
name: refused_variables
short_description: Say which variables of the roles are misspelt or of the wrong type
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Holds the variables of hosts against the argument specs of all roles of this collection. It returns a message for each that
    no role knows, is of the wrong type or is none of the choices.
  - A variable counts as one of the roles where its name begins as theirs do, C(release_), C(schema_), C(backup_), C(health_),
    C(traffic_), C(fleet_), C(application_) or C(deployment_).
  - What a host's C(deployment_own_variables) lists, names or patterns, is the user's own and left alone.
  - The playbooks use it before they touch a host.
positional: _input
options:
  _input:
    description: The variables of every host, C(hostvars).
    type: dict
    required: true
  hosts:
    description: The hosts to look at.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Refuse variables that can not be used
  ansible.builtin.fail:
    msg: "{{ refused | join('\n') }}"
  when: refused | length > 0
  run_once: true
  vars:
    refused: "{{ hostvars | dbops.alembic.refused_variables(groups.application) }}"
"""

RETURN = r"""
_value:
  description: What can not be used and why, with the hosts that have it unless all do. Empty when all is well.
  type: list
  elements: str
  sample:
    - schema_databse_url is no variable of these roles. Did you mean schema_database_url? …
"""

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.plugin_utils import _variables


def refused_variables(given: Mapping[str, Any], hosts: Sequence[str]) -> list[str]:
    return _variables.refusals({host: given[host] for host in hosts})


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"refused_variables": refused_variables}
