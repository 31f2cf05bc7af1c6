# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rolling_plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rolling_plan
short_description: Say which hosts and which revisions a rolling deployment takes in which order
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes the result of M(dbops.alembic.alembic_plan) and the hosts, and returns the batches, and the revisions before and after the
    rollout.
positional: _input
options:
  _input:
    description:
      - The plan, with the keys C(route), C(reason), C(before), C(after) and C(revisions).
    type: dict
    required: true
  hosts:
    description:
      - The hosts that get another release, in the order in which they get it.
    type: list
    elements: str
    required: true
  batch:
    description:
      - How many hosts at a time, as C(serial) of a play has it. A number, a percentage, or a list of both, of which the last one
        goes on.
    type: raw
    default: 1
  current:
    description:
      - Where the database is.
    type: list
    elements: str
    default: []
  override:
    description:
      - Revision and the reason for which it runs before the rollout, whatever the plan says of it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Say which hosts would be taken together
  ansible.builtin.debug:
    msg: "{{ (planned | dbops.alembic.rolling_plan(hosts=groups.application, batch=['10%', '50%'])).batches }}"
"""

RETURN = r"""
_value:
  description:
    - What is done in which order.
  type: dict
  contains:
    refused:
      description: Why there can be no rolling deployment; empty where there can.
      type: str
      sample: ""
    batches:
      description: The hosts, batch by batch.
      type: list
      elements: list
      sample: [[app1], [app2, app3]]
    before:
      description: Revisions that run while the old code serves.
      type: list
      elements: str
      sample: [e17d5a40b3c6]
    after:
      description: Revisions that run when the last process of the old code is gone.
      type: list
      elements: str
      sample: []
    before_targets:
      description: The ends of RV(_value.before). Upgrading to each runs them all.
      type: list
      elements: str
      sample: [e17d5a40b3c6]
    after_targets:
      description: The ends of RV(_value.after).
      type: list
      elements: str
      sample: []
    expand_revision:
      description: Where the database is between the two.
      type: list
      elements: str
      sample: [e17d5a40b3c6]
    to_revision:
      description: Where the database is after both.
      type: list
      elements: str
      sample: [e17d5a40b3c6]
    accepted:
      description: What was overridden, with the reasons.
      type: list
      elements: str
      sample: []
    downgrade_proved:
      description: Whether RV(_value.before) can be undone as long as no new code has run, as the rehearsal proved.
      type: bool
      sample: true
"""

from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core import rolling
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError


def rolling_plan(
    plan: Mapping[str, Any],
    hosts: Sequence[str],
    batch: Any = 1,
    current: Sequence[str] = (),
    override: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    try:
        return rolling.way(plan, list(hosts), batch, current, override or {})
    except MigrationError as exc:
        raise AnsibleFilterError(f"rolling_batch: {exc.msg} {exc.hint}") from None


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"rolling_plan": rolling_plan}
