# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter fleet_refusals."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_refusals
short_description: Say why the upgrade of many databases is not to be begun
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes what M(dbops.alembic.alembic_fleet) returns with O(dbops.alembic.alembic_fleet#module:state=planned), and returns what
    forbids to begin.
positional: _input
options:
  _input:
    description: The result of M(dbops.alembic.alembic_fleet).
    type: dict
    required: true
  binding:
    description: Whether the route V(refuse) forbids it.
    type: bool
    default: false
  drift:
    description: Whether databases that are not as the others forbid it.
    type: str
    choices: [warn, refuse]
    default: warn
  on_failure:
    description: As O(dbops.alembic.alembic_fleet#module:on_failure). Only with V(one) may databases be there that can not be read.
    type: str
    choices: [one, all, halt]
    default: all
  most:
    description: How many these may be, as O(dbops.alembic.alembic_fleet#module:max_failures).
    type: str
    default: "0"
"""

EXAMPLES = r"""
- name: Refuse to upgrade where it would not go well
  ansible.builtin.fail:
    msg: "{{ refused | join(' ') }}"
  when: refused | length > 0
  vars:
    refused: "{{ shop_plan | dbops.alembic.fleet_refusals(drift='refuse') }}"
"""

RETURN = r"""
_value:
  description: What forbids it, and what to do. Empty when nothing does.
  type: list
  elements: str
  sample: []
"""

from typing import Any, Callable, Mapping

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet_plan


def fleet_refusals(
    plan: Mapping[str, Any], binding: Any = False, drift: str = "warn", on_failure: str = "all", most: str = "0"
) -> list[str]:
    return fleet_plan.refusals(plan, boolean(binding), str(drift), str(on_failure), str(most))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., list[str]]]:
        return {"fleet_refusals": fleet_refusals}
