# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter failure_text."""

from __future__ import annotations

DOCUMENTATION = r"""
name: failure_text
short_description: Tell why a task failed, and what to do
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes the result of a task that failed and tells which command it was, how it ended, the last lines of both of its outputs,
    and for the usual causes what to do. Of a loop each item that failed is told.
  - Passwords that a URL, C(password=) or a statement announces are masked, and control characters are written out.
positional: _input
options:
  _input:
    description:
      - The result, as C(ansible_failed_result) in a C(rescue), or a registered one.
    type: dict
    required: true
  task:
    description:
      - What the task was to achieve. It is put before the command.
    type: str
    default: ""
  brief:
    description:
      - Whether a module of this collection that says why it failed is to be given with its message alone.
    type: bool
    default: false
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Build
  block:
    - name: Install the packages
      ansible.builtin.command: /srv/shop/venv/bin/pip install -r requirements.txt
  rescue:
    - name: Say why it failed
      ansible.builtin.debug:
        msg: "{{ (ansible_failed_result | dbops.alembic.failure_text(ansible_failed_task.name)).splitlines() }}"
"""

RETURN = r"""
_value:
  description: The lines, in one text.
  type: str
  sample: |-
    Install the packages: /srv/shop/venv/bin/pip install -r requirements.txt ended with exit status 1.
    Its errors, at the end:
      ERROR: No matching distribution found for shop==9
    What to do: the package index of that host has no such version. …
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.plugin_utils._failure_text import text


def failure_text(result: Any, task: str = "", brief: bool = False) -> str:
    if not isinstance(result, Mapping):
        raise AnsibleFilterError(f"failure_text: the input is of type {type(result).__name__}, not the result of a task")
    return text(result, str(task), brief)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"failure_text": failure_text}
