# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage whose controller can be killed at a task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flows.stage import Run
from support.paths import ROOT


class Mortal:
    """What a stage with a folder, a `play` and an environment that takes `watched` in needs to lose its controller."""

    folder: Path
    watched: dict[str, str]

    def play(self, playbook: str, *arguments: str, **extra: Any) -> Run:
        raise NotImplementedError

    def killed_at(self, playbook: str, task: str, moment: str = "before", number: int = 1, **extra: Any) -> Run:
        """Run a playbook whose controller gets SIGKILL at that task."""
        at, killed = {"task": task, "moment": moment, "number": number, "kill": True}, self.folder / "killed"
        killed.unlink(missing_ok=True)
        run = self._watch({"LAB_AT": json.dumps(at), "LAB_AT_DONE": str(killed)}, playbook, **extra)
        assert killed.exists(), f"{at} never came:\n{run.output}"
        return run

    def changes(self, playbook: str, **extra: Any) -> tuple[Run, list[tuple[str, int]]]:
        """Run a playbook, and list the tasks that changed something, each with which time it was its turn."""
        trace = self.folder / "trace"
        trace.write_text("")
        run = self._watch({"LAB_TRACE": str(trace)}, playbook, **extra)
        return run, [(line["task"], line["number"]) for line in map(json.loads, trace.read_text().splitlines())]

    def _watch(self, told: dict[str, str], playbook: str, **extra: Any) -> Run:
        self.watched = {"ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "molecule" / "shared" / "callbacks"), **told}
        try:
            return self.play(playbook, **extra)
        finally:
            self.watched = {}
