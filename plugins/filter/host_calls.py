# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter host_calls."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_calls
short_description: Say what a step of a deployment does on a host
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes the names of the hooks that are defined, and returns what is done on a host in one step of the flow, in its order. What
    does not apply is not in it.
positional: _input
options:
  _input:
    description:
      - Names of the hooks that are defined, or a dictionary with them as keys.
    type: raw
    required: true
  step:
    description:
      - The step, as V(stop), V(start), V(undrain), V(exchange) or V(exchange_workload). Another step is one call with its own name.
    type: str
    required: true
  balanced:
    description:
      - Whether traffic is taken away from the host and given back to it.
    type: bool
    default: false
  released:
    description:
      - Whether the host has a release to go to.
    type: bool
    default: true
  alone:
    description:
      - What takes a call of its own, of V(init_container) and V(activate).
    type: list
    elements: str
    default: []
  drained:
    description:
      - Whether the traffic was taken away before, and nobody has given it back.
    type: bool
    default: false
    version_added: 0.2.0
  returns:
    description:
      - Whether a host on which the start fails goes back. What failed there is stopped at once, where nobody is served by it and
        no task of the operator belongs around a stop.
    type: bool
    default: false
    version_added: 0.2.0
  took:
    description:
      - What is said of the host when all is done.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Show what is done to stop a host
  ansible.builtin.debug:
    msg: "{{ ['before_stop'] | dbops.alembic.host_calls(step='stop', balanced=true) }}"
"""

RETURN = r"""
_value:
  description:
    - What is to be done one after the other.
  type: list
  elements: dict
  contains:
    kind:
      description: What is done, or V(hook).
      type: str
      sample: drain
    hook:
      description: Name of the hook.
      type: str
      sample: before_stop
    note:
      description: What the call says of the host, for O(took). Where none can, the last call has RV(_value[].kind=took).
      returned: where it is so
      type: list
      elements: str
      sample: [first stop]
    stops:
      description: That a start which fails stops what it has started.
      returned: where it is so
      type: bool
      sample: true
"""

from typing import Any, Callable, Iterable

from ansible_collections.dbops.alembic.plugins.module_utils._core import calls as core


def host_calls(
    hooks: Iterable[str],
    step: str,
    balanced: bool = False,
    released: bool = True,
    alone: Iterable[str] = (),
    drained: bool = False,
    returns: bool = False,
    took: Iterable[str] = (),
) -> list[dict[str, Any]]:
    names, apart = {str(name) for name in hooks}, {str(name) for name in alone}
    return core.host_calls(step, names, bool(balanced), bool(released), apart, bool(drained), bool(returns), list(map(str, took)))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_calls": host_calls}
