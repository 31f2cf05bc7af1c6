# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter pass_state."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pass_state
short_description: Say which hosts have not taken a step of a deployment, and why
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Reads what each host has said of itself, which the role P(dbops.alembic.deployment#role) keeps as facts of the run.
positional: _input, hosts, run, step, earlier
options:
  run:
    description:
      - The pass, such as V(first).
    type: str
    required: true
  step:
    description:
      - The step. The one that is judged at the end of the pass unless told.
    type: str
    default: ''
  earlier:
    description:
      - The RV(_value.reached) at the end of an earlier pass, for hosts that can't say it again.
    type: dict
    default: {}
    version_added: 0.2.0
extends_documentation_fragment:
  - dbops.alembic.hosts_of
"""

EXAMPLES = r"""
- name: Say who is not stopped
  ansible.builtin.debug:
    msg: "{{ (hostvars | dbops.alembic.pass_state(groups.application, 'first', 'stop')).told }}"
"""

RETURN = r"""
_value:
  description: What they have said.
  type: dict
  contains:
    step:
      description: The step.
      type: str
      sample: stop
    missing:
      description: The hosts that have not taken it.
      type: list
      elements: str
      sample: [shop1, shop2]
    refusing:
      description: Those of them that say why.
      type: list
      elements: str
      sample: [shop1]
    lost:
      description: Those of them that say nothing.
      type: list
      elements: str
      sample: [shop2]
    reasons:
      description: Host and reason.
      type: dict
      sample: {shop1: The service orders can not be stopped., shop2: it could not be reached}
    told:
      description: The reasons as lines; what several hosts say alike is told once.
      type: list
      elements: str
      sample: ["shop1: The service orders can not be stopped.", "shop2: it could not be reached"]
    brief:
      description: The reasons in one line.
      type: str
      sample: "shop1: The service orders can not be stopped. shop2: it could not be reached"
    stopped_nothing:
      description: Whether no host was stopped, so that what was there serves on.
      type: bool
      sample: false
    reached:
      description: Host and the steps that it has taken in any pass, each with when that was.
      type: dict
      sample: {shop1: {first stop: 1790000000.5}, shop2: {}}
    stop_ended:
      description: When the last host was stopped or had said why not, in seconds since 1970; null where none was to be.
      type: float
      sample: 1790000000.5
    start_ended:
      description: When the last host was started or had said why not, in seconds since 1970; null where none was.
      type: float
      sample: 1790000000.5
"""

from dataclasses import replace
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._core import passes
from ansible_collections.dbops.alembic.plugins.plugin_utils._said import said


def pass_state(
    hostvars: Mapping[str, Mapping[str, Any]],
    hosts: Sequence[str],
    run: str,
    step: str = "",
    earlier: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    found = {
        host: replace(one, reached={**(earlier or {}).get(host, {}), **one.reached}) for host, one in said(hostvars, hosts).items()
    }
    step = step or passes.judged_step(found, run)
    times = {f"{name}_ended": passes.ended(found, run, name) for name in ("stop", "start")}
    return {
        "step": step,
        "reached": {host: dict(one.reached) for host, one in found.items()},
        **passes.state(found, run, step),
        **times,
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"pass_state": pass_state}
