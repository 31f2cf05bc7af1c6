# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets a scenario act at a moment of a playbook's run.

LAB_AT is a JSON object: task (its name), moment (`before` it is handed to the hosts, or `after` the first of them is done with
it), number (which time, default 1), command (an argument list, waited for), kill (after that the controller dies: this process and
all below it get SIGKILL), delay (seconds until the kill, while the playbook goes on). LAB_AT_DONE: a file for when it happened.
LAB_TRACE is a file that gets a line for each task that changed something.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: at_task
type: aggregate
short_description: Acts at a moment of a playbook's run
description: For scenarios only.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "at_task"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.wanted = json.loads(os.environ.get("LAB_AT") or "{}")
        self.trace = os.environ.get("LAB_TRACE")
        self.began: Counter[str] = Counter()
        self.ended: set[str] = set()
        self.changed: set[str] = set()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        name = _name(task)
        self.began[name] += 1
        self._at(name, "before")

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result: Any) -> None:
        name = _name(result.task)
        if result.result.get("changed") and self.trace and result.task._uuid not in self.changed:
            self.changed.add(result.task._uuid)
            with open(self.trace, "a") as trace:
                trace.write(json.dumps({"task": name, "number": self.began[name]}) + "\n")
        if result.task._uuid not in self.ended:
            self.ended.add(result.task._uuid)
            self._at(name, "after")

    def _at(self, name: str, moment: str) -> None:
        wanted = self.wanted
        if (name, self.began[name], moment) != (wanted.get("task"), wanted.get("number", 1), wanted.get("moment", "before")):
            return
        self.wanted = {}
        Path(os.environ["LAB_AT_DONE"]).touch()
        if wanted.get("command"):
            subprocess.run(wanted["command"], check=True, stdout=subprocess.DEVNULL)
        if wanted.get("kill"):
            threading.Timer(wanted.get("delay", 0), _kill).start() if wanted.get("delay") else _kill()


def _name(task: Any) -> str:
    return str(task.get_name()).rpartition(" : ")[2]


def _kill() -> None:
    for pid in [*_descendants(os.getpid()), os.getpid()]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _descendants(parent: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, queue = [], [parent]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found
