# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two lanes of a test run: each command once, both of them busy to the end."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import run
from outcome import Outcome
from steps import Command
from support.waiting import PATIENCE

WIDE = Command("integration", ("pytest", "tests/integration", "--numprocesses=3"))
NARROW = [Command(name, ("python", name)) for name in ("scenarios", "lint", "types")]


class Lanes(run.Runner):
    """Its commands do nothing, but that the first of those that take one process lasts until all others have run."""

    def __init__(self, folder: Path, others: int):
        super().__init__(False, [], folder)
        self.ran, self.live, self.rest = list[str](), dict[str, bool](), threading.Semaphore(0)
        self.others = others

    def _run(self, step: str, command: Command, live: bool) -> Outcome:
        if command.name == "scenarios":
            for _ in range(self.others):
                assert self.rest.acquire(timeout=PATIENCE), f"nobody took the others: {self.ran}"
        self.ran.append(command.name)
        self.live[command.name] = live
        self.rest.release()
        return Outcome(step, command.name)


@pytest.mark.parametrize("at", range(4))
def test_who_has_none_left_takes_from_the_other(tmp_path: Path, at: int) -> None:
    commands = [("step", command) for command in NARROW]
    commands.insert(at, ("step", WIDE))
    lanes = Lanes(tmp_path, others=3)
    outcomes = lanes.all(commands)
    assert [outcome.name for outcome in outcomes] == [command.name for _, command in commands]
    assert sorted(lanes.ran) == sorted(outcome.name for outcome in outcomes) and lanes.ran[-1] == "scenarios"
    assert [name for name, live in lanes.live.items() if live] == ["integration"]


def test_without_one_that_takes_several_cores_they_run_one_by_one(tmp_path: Path) -> None:
    lanes = Lanes(tmp_path, others=0)
    lanes.all([("step", command) for command in NARROW])
    assert lanes.ran == [command.name for command in NARROW] and all(lanes.live.values())
