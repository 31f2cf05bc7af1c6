# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter database_calls."""

from __future__ import annotations

DOCUMENTATION = r"""
name: database_calls
short_description: Say which steps on the database a maintenance window takes in one call
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes the names of the hooks that are defined, and returns the steps of the database in their order, as few calls of
    M(dbops.alembic.database_steps) as the hooks between them allow.
positional: _input
options:
  _input:
    description:
      - Names of the hooks that are defined, or a dictionary with them as keys.
    type: raw
    required: true
  pending:
    description:
      - Whether any revision is pending.
    type: bool
    required: true
  way_back:
    description:
      - How the database would be put back. V(snapshot) makes one, V(archive) writes one, anything else takes no step.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show what is done in one call
  ansible.builtin.debug:
    msg: "{{ ['before_upgrade'] | dbops.alembic.database_calls(pending=true, way_back='snapshot') }}"
"""

RETURN = r"""
_value:
  description:
    - What is to be done one after the other.
  type: list
  elements: dict
  contains:
    kind:
      description: Whether it is a call, a hook, or the archive.
      type: str
      choices: [steps, hook, archive]
      sample: steps
    steps:
      description: What the call does.
      type: list
      elements: str
      sample: [prove, copy, upgrading, upgrade, verify, count, starting]
    hook:
      description: Name of the hook.
      type: str
      sample: before_upgrade
"""

from typing import Any, Callable, Iterable

from ansible_collections.dbops.alembic.plugins.module_utils._core import calls as core


def database_calls(hooks: Iterable[str], pending: bool, way_back: str) -> list[dict[str, Any]]:
    return core.database_calls(pending, way_back, {str(name) for name in hooks})


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"database_calls": database_calls}
