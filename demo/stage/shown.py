# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a playbook's output is shown: plays that change something, the progress of revisions, failures, and the report."""

from __future__ import annotations

import json
import re

from . import terminal

WIDTH = 160
PLAY = re.compile(r"^PLAY \[(.+?)\] \**$")
PROGRESS = re.compile(r"^\[\d+/\d+\] .* \d+(\.\d+)? (s|min)\b")
WAITING = re.compile(r"^(waiting for the migration lock|attempt \d+ ended)")
FAILED = re.compile(r"^(?:fatal|failed): \[(.+?)\]: (?:FAILED|UNREACHABLE)! => (\{.*\})$")
BROKEN = re.compile(r"^(?:ERROR!|\[ERROR\]): (?!Task failed)(.+)$")
REPORT = re.compile(r"^TASK \[.*Show the report\]")
#: How many lines without a title of their own are shown below one; more are the logs of the application.
BELOW = 2


class Shown:
    def __init__(self) -> None:
        self._failures: set[str] = set()
        self._play = ""
        self._in_report = self._told = False
        self._below = 0

    def line(self, text: str) -> None:
        if self._told:
            return
        if self._in_report:
            self._report(text)
        elif found := PLAY.match(text):
            self._play = found[1]
        elif text.startswith("changed: ") and self._play:
            terminal.quiet(f"· {self._play}")
            self._play = ""
        elif PROGRESS.match(text) or WAITING.match(text):
            terminal.note(f"  {text}")
        elif found := FAILED.match(text):
            self._failure(*found.groups())
        elif found := BROKEN.match(text):
            terminal.bad(_first_line(found[1]))
        elif REPORT.match(text):
            self._in_report = True

    def _failure(self, host: str, result: str) -> None:
        try:
            message = str(json.loads(result).get("msg", result))
        except ValueError:
            message = result
        first = _first_line(message)
        if first not in self._failures:
            terminal.bad(f"{host}: {first}")
        self._failures.add(first)

    def _report(self, text: str) -> None:
        """The report goes on until the task that shows it is over."""
        if text.startswith("ok: ["):
            self._told = True
            return
        self._below = self._below + 1 if text.startswith(" ") else 0
        if text.strip() and self._below <= BELOW:
            terminal.note(f"| {_first_line(text)}")


def _first_line(text: str) -> str:
    first = next(iter(text.rstrip().splitlines()), "(no message)")
    return first if len(first) <= WIDTH else first[: WIDTH - 2] + " …"
