# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter pending_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pending_plan
short_description: Say where databases stand and where an upgrade brings them
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes a result of M(dbops.alembic.alembic_info), and returns what the role P(dbops.alembic.schema#role) keeps as C(schema_plan).
positional: _input
options:
  _input:
    description: The result of M(dbops.alembic.alembic_info).
    type: dict
    required: true
  revision:
    description: The target that was asked for.
    type: str
    default: head
seealso:
  - module: dbops.alembic.database_preflight
"""

EXAMPLES = r"""
- name: Show what is pending
  ansible.builtin.debug:
    msg: "{{ (schema | dbops.alembic.pending_plan).pending | map(attribute='revision') | join(', ') }}"
"""

RETURN = r"""
_value:
  description:
    - From which revisions to which, what is pending, whether the databases have a version table, and the first database.
  type: dict
  sample: {from_revision: [a3f07d5e1c92], to_revision: [c64b2e98d075], initialised: true, pending: [], database: {}}
"""

from typing import Any, Callable, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core import preflight


def pending_plan(info: Mapping[str, Any], revision: str = "head") -> dict[str, Any]:
    return preflight.pending_plan(info["databases"], info["heads"], str(revision))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"pending_plan": pending_plan}
