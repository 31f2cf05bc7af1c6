# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter fleet_plan_text."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_plan_text
short_description: Say as text what is pending in many databases
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes what M(dbops.alembic.alembic_fleet) returns with O(dbops.alembic.alembic_fleet#module:state=planned), and returns lines.
  - They are the route, each kind of databases with its revisions and what was found in them, and those that are not as the others.
positional: _input
options:
  _input:
    description: The result of M(dbops.alembic.alembic_fleet).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the plan
  ansible.builtin.debug:
    msg: "{{ shop_plan | dbops.alembic.fleet_plan_text }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample: ["rolling: Nothing is pending."]
"""

from typing import Any, Callable, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet_plan


def fleet_plan_text(found: Mapping[str, Any]) -> list[str]:
    return fleet_plan.text(found)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"fleet_plan_text": fleet_plan_text}
