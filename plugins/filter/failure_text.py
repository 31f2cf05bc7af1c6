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

import re
from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core import failure
from ansible_collections.dbops.alembic.plugins.module_utils._worker.redaction import Redactor, cut

#: All that is read of a result; of an output its end is enough.
_READ = ("cmd", "rc", "msg", "error_kind", "failed")
_OUTPUTS = ("stdout", "stderr", "module_stdout", "module_stderr")
_KEPT = 20_000
#: A token that stands where a URL of git has its user; it is no password to anybody else.
_TOKEN = re.compile(r"(https?://)[^\s/@:]{16,}@")


def failure_text(result: Any, task: str = "") -> str:
    if not isinstance(result, Mapping):
        raise AnsibleFilterError(f"failure_text: the input is of type {type(result).__name__}, not the result of a task")
    return _TOKEN.sub(r"\1***@", failure.told(Redactor().clean(_read(result)), str(task)))


def _read(result: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: result[key] for key in _READ if key in result}
    found |= {key: cut(str(result[key]), -_KEPT) for key in _OUTPUTS if result.get(key)}
    if isinstance(result.get("extract_results"), Mapping):
        found["extract_results"] = dict(result["extract_results"])
    if isinstance(result.get("results"), list):
        found["results"] = [_read(item) for item in result["results"] if isinstance(item, Mapping)]
    return found


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"failure_text": failure_text}
