# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rolling_state."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rolling_state
short_description: Say how far a rolling deployment is, and what keeps its next batch from beginning
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Reads what each host has said of itself, which the role P(dbops.alembic.deployment#role) keeps as facts of the run.
positional: _input, hosts, run, record, turn
options:
  run:
    description:
      - The pass, V(rolling) or V(returning).
    type: str
    required: true
  record:
    description:
      - The record of the deployment.
    type: dict
    required: true
  turn:
    description:
      - Number of the batch that is to begin.
    type: int
    default: 0
extends_documentation_fragment:
  - dbops.alembic.hosts_of
"""

EXAMPLES = r"""
- name: Say which hosts have still to get the release
  ansible.builtin.debug:
    msg: "{{ (hostvars | dbops.alembic.rolling_state(groups.application, 'rolling', orders_record)).unrolled }}"
"""

RETURN = r"""
_value:
  description: How far it is.
  type: dict
  contains:
    turns:
      description: The batches in the order of this pass, each with its C(number) and C(hosts).
      type: list
      elements: dict
      sample: [{number: 1, hosts: [shop1]}, {number: 2, hosts: [shop2, shop3]}]
    touched:
      description: The hosts of the batches that were begun.
      type: list
      elements: str
      sample: [shop1]
    unrolled:
      description: The hosts that have to be brought to the release in this pass, and have not said that they are there.
      type: list
      elements: str
      sample: [shop2, shop3]
    held_by:
      description: The hosts that keep the batch O(turn) from its beginning.
      type: list
      elements: str
      sample: []
    unproved:
      description: Host and what it runs, where that is not the release that it was to get.
      type: dict
      sample: {shop2: it could not be asked}
"""

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._core import passes
from ansible_collections.dbops.alembic.plugins.plugin_utils._said import said


def rolling_state(
    hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str], run: str, record: Mapping[str, Any], turn: int = 0
) -> dict[str, Any]:
    found = said(hostvars, hosts)
    return {**passes.rolling(found, run, record, int(turn)), "unproved": passes.unproved(found, run, record)}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rolling_state": rolling_state}
