# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter deployment_outcome."""

from __future__ import annotations

DOCUMENTATION = r"""
name: deployment_outcome
short_description: Say what serves after a deployment, and what was lost
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Completes the fact C(deployment_result) of the role P(dbops.alembic.deployment#role), which uses it.
positional: _input
options:
  _input:
    description:
      - What the record and the plan say of the deployment.
    type: dict
    required: true
  known:
    description:
      - What the run knows besides, such as which steps each host took, and when.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Put the result together
  ansible.builtin.set_fact:
    deployment_result: "{{ orders_recorded | dbops.alembic.deployment_outcome(known=orders_known) }}"
"""

RETURN = r"""
_value:
  description:
    - The input, with more keys.
    - C(verdict) has a C(text), what C(serves) on which hosts, and a C(colour), one of V(good), V(back), V(halted).
    - C(host_states) has for each host its C(state), C(release), C(steps) and a C(message).
    - C(database_revision) is a list, or null where it is not known.
    - C(data) says whether data was C(lost) (V(no), V(yes), V(unknown)), how many C(rows), and why, in a C(text).
    - C(downtime) has C(from), C(to) and C(seconds); no C(to) while it lasts. Where it is empty, C(downtime_measured) says
      whether there was none or nobody has measured it. C(timeline) has the steps, C(started_at) and
      C(ended_at) the times of the whole.
    - C(revisions) has each with its C(state), C(statements) and C(locks), C(rows) each table with its rows C(before) and C(after).
  type: dict
"""

import getpass
import os
from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.plugin_utils._outcome import complete


def deployment_outcome(result: Any, known: Any) -> dict[str, Any]:
    for what, given in (("the input", result), ("known", known)):
        if not isinstance(given, Mapping):
            raise AnsibleFilterError(f"deployment_outcome: {what} is of type {type(given).__name__}, not a dictionary")
    by = {**(result.get("by") or {})}
    return complete({**result, "by": {**by, "user": by.get("user") or _user()}}, known)


def _user() -> str:
    """Who runs this; a number where a container gives it no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid())


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"deployment_outcome": deployment_outcome}
