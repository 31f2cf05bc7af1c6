# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter database_calls."""

from __future__ import annotations

DOCUMENTATION = r"""
name: database_calls
short_description: Say which steps on the database a maintenance window, or its way back, takes in one call
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
  move:
    description:
      - What is done with the database.
    type: str
    choices: [upgrade, restore, downgrade]
    default: upgrade
  pending:
    description:
      - For an upgrade, whether any revision is pending.
    type: bool
    default: true
  way_back:
    description:
      - For an upgrade, how the database would be put back. V(snapshot) makes one, V(archive) writes one, anything else takes no
        step.
    type: str
    default: ''
  counted:
    description:
      - For a restore, whether the rows that would be lost are counted once more, now that nobody writes.
    type: bool
    default: false
  stays:
    description:
      - On the way back, whether it is the new release that starts.
    type: bool
    default: false
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
    there:
      description: That the database is where it has to be when the call has gone through.
      returned: where it is so
      type: bool
      sample: true
    hook:
      description: Name of the hook.
      type: str
      sample: before_upgrade
"""

from typing import Any, Callable, Iterable

from ansible_collections.dbops.alembic.plugins.module_utils._core import calls as core


def database_calls(
    hooks: Iterable[str],
    move: str = "upgrade",
    pending: bool = True,
    way_back: str = "",
    counted: bool = False,
    stays: bool = False,
) -> list[dict[str, Any]]:
    return core.database_calls(move, {str(name) for name in hooks}, bool(pending), way_back, bool(counted), bool(stays))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"database_calls": database_calls}
