# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter way_back."""

from __future__ import annotations

DOCUMENTATION = r"""
name: way_back
short_description: Say how a finished deployment is undone, or a backup restored, and what is refused of it
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - What the role P(dbops.alembic.deployment#role) decides when an operator asks it to go back.
positional: _input
options:
  _input:
    description:
      - The record of the deployment to undo. For a restore C(path) and C(sha256) of the archive, or nothing for a snapshot.
    type: dict
    required: true
  kind:
    description:
      - What was done, or V(restore).
    type: str
    choices: [maintenance_window, rolling, restore]
    required: true
  there:
    description:
      - What is there to go back from. C(hosts), C(missing), C(revisions), C(problem), C(read_only), C(rows), C(rows_given_up),
        C(snapshot), C(archive), C(unread), C(downgrade_trusted) and C(stays). Revisions or rows that are null or an empty text are
        not known.
    type: dict
    required: true
  name:
    description:
      - What is restored, as the operator gave it.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Say what keeps the last deployment from being undone
  ansible.builtin.debug:
    msg: "{{ (orders_last | dbops.alembic.way_back('rolling', {'hosts': groups.application, 'revisions': ['b2']})).refused }}"
"""

RETURN = r"""
_value:
  description: What is done.
  type: dict
  contains:
    refused:
      description: Why it is not to be done; empty where it may be.
      type: list
      elements: str
      sample: []
    database:
      description: How the database goes back. Of a window.
      type: str
      choices: [keep, downgrade, restore]
      sample: restore
    source:
      description: What it is restored from. Of a window.
      type: str
      choices: ['', snapshot, archive, fleet, none]
      sample: snapshot
    rows:
      description: How many rows are lost by that; null where it is not known.
      type: int
      sample: 0
    hosts:
      description: Each host with the release that it has, and the one that it gets. Not of a restore.
      type: dict
      sample: {shop1: {from_release: 1.4.0, to_release: 1.3.2}}
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core import undoing
from ansible_collections.dbops.alembic.plugins.plugin_utils._given import known


def way_back(given: Mapping[str, Any], kind: str, there: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    values = known(there)
    # Before ansible-core 2.19 a number is a text.
    numbers: dict[str, Any] = {key: int(values[key]) for key in ("rows", "rows_given_up") if key in values}
    found = undoing.There(**{**values, **numbers})
    if kind == "restore":
        return {"refused": undoing.restore(found, given, name), "rows": found.rows}
    ways = {"maintenance_window": undoing.rollback, "rolling": undoing.rolling_rollback}
    if kind not in ways:
        raise AnsibleFilterError(f"way_back: {kind!r} is none of maintenance_window, rolling, restore")
    return ways[kind](given, found)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"way_back": way_back}
