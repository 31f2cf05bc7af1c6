# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter plan_refusals."""

from __future__ import annotations

DOCUMENTATION = r"""
name: plan_refusals
short_description: Say why the revisions that are pending can not be applied as they are
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes a result of M(dbops.alembic.alembic_info), and returns what forbids to upgrade, which is a database ahead of the code,
    several heads where one was asked for, more revisions than were expected, a database that is elsewhere
    than was expected, or one without a version table.
  - A result of M(dbops.alembic.alembic_plan) will do as well; a database ahead of the code and several heads have failed it before.
positional: _input
options:
  _input:
    description: The result of M(dbops.alembic.alembic_info) or of M(dbops.alembic.alembic_plan).
    type: dict
    required: true
  revision:
    description: The target that was asked for.
    type: str
    default: head
  most:
    description: How many revisions may be pending; V(0) for any number.
    type: int
    default: 0
  scripts:
    description: Where the scripts are, for the message.
    type: str
    default: ''
  initialise:
    description: What is done with a database that has no version table; V(refuse) forbids it.
    type: str
    default: upgrade
  expected:
    description: Revisions at which the database has to be where something is pending, V(base) for none. Empty for any.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse to upgrade where it would not go well
  ansible.builtin.fail:
    msg: "{{ refused | first }}"
  when: refused | length > 0
  vars:
    refused: "{{ schema | dbops.alembic.plan_refusals(most=3) }}"
"""

RETURN = r"""
_value:
  description: What forbids it, and what to do. Empty when nothing does.
  type: list
  elements: str
  sample: []
"""

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._core import preflight


def plan_refusals(
    info: Mapping[str, Any],
    revision: str = "head",
    most: int = 0,
    scripts: str = "",
    initialise: str = "upgrade",
    expected: Sequence[str] = (),
) -> list[str]:
    asked = (str(revision), int(most), str(scripts), str(initialise), [str(name) for name in expected])
    databases = [{"unknown": [], "pending": entry.get("revisions", ()), **entry} for entry in info["databases"]]
    return preflight.plan_refusals(databases, info.get("heads", ()), *asked)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"plan_refusals": plan_refusals}
