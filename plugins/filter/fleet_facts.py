# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter fleet_facts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_facts
short_description: Say what the record of a deployment is told of many databases
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes the record of a deployment, and returns the facts for it once M(dbops.alembic.alembic_fleet) has upgraded the databases
    or put them back. These are how many there are and which are behind, with a warning that names them.
positional: _input, found
options:
  _input:
    description: The record.
    type: dict
    required: true
  found:
    description: The result of M(dbops.alembic.alembic_fleet). Empty where nothing was to be done.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Write down which databases are behind
  dbops.alembic.deployment_record:
    id: "{{ shop_record.id }}"
    directory: /var/lib/dbops/shop
    owner: "{{ shop_record.owner }}"
    step: starting
    facts: "{{ shop_record | dbops.alembic.fleet_facts(shop_upgrade) }}"
"""

RETURN = r"""
_value:
  description: C(fleet), C(warnings) and C(applied).
  type: dict
  sample: {fleet: {targets: 3, behind: []}, warnings: [], applied: []}
"""

from typing import Any, Callable, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet_plan


def fleet_facts(record: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    return fleet_plan.facts(record, found)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"fleet_facts": fleet_facts}
