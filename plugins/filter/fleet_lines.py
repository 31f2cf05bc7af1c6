# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter fleet_lines."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_lines
short_description: Say in few lines where many databases stand
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes what M(dbops.alembic.alembic_fleet) returns with O(dbops.alembic.alembic_fleet#module:state) V(current) or V(planned).
  - Returns an entry for all databases that are equal, and one for each that is not as the others or could not be read.
positional: _input
options:
  _input:
    description: The result of M(dbops.alembic.alembic_fleet).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show where the databases stand
  ansible.builtin.debug:
    msg: "{{ item.count }} at {{ item.at }}: {{ item.targets | join(', ') }} {{ item.remark }}"
  loop: "{{ shop_where | dbops.alembic.fleet_lines }}"
"""

RETURN = r"""
_value:
  description:
    - The entries, those of many databases first, with C(count), C(at) (the revisions; nothing where they could not be read),
      C(state), C(pending), C(targets) (the names) and C(remark), which says what is special.
  type: list
  elements: dict
  sample: []
"""

from typing import Any, Callable, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet_plan


def fleet_lines(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    return fleet_plan.lines(found)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"fleet_lines": fleet_lines}
