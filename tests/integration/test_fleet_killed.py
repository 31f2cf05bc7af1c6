# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many databases in one call, and one of its processes is killed while two of them wait in the middle of a revision."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, ok
from support.fleet import Fleet, databases, entry, outcomes
from support.postgres import Postgres, PostgresDatabase
from support.runner import Run, process_tree
from support.waiting import PATIENCE, Gate, until

SLEEPING = "query like '%%pg_sleep%%' and state = 'active'"
JOB = "0123456789abcdef"
TO, FROM = ["n003"], ["n001"]


class Waiting:
    """Four databases at the first revision, of which two are worked on and wait until the gate is open."""

    def __init__(self, app: Application, made: list[PostgresDatabase], folder: Path):
        self.made, self.gate, self.folder = made, Gate(folder / "open"), folder
        targets = [{"name": chr(97 + number), "url": database.url()} for number, database in enumerate(made)]
        self.fleet = Fleet(app, app.project("slow"), targets, folder, parallel=2, environment=self.gate.environment)
        ok(self.fleet.run(revision="n001", environment={}))

    def start(self, **more: Any) -> Run:
        run = self.fleet.start(**more)
        for database in self.made[:2]:
            database.wait_for_session(SLEEPING)
        return run

    def heads(self) -> list[list[str]]:
        return [[row[0] for row in database.fetch("select version_num from alembic_version")] for database in self.made]

    @property
    def hub(self) -> int:
        """The process that all others of the application's Python are children of; by its folder it is none of other tests."""
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_ours(pid)]
        return next(pid for pid in found if parent(pid) not in found)

    def _is_ours(self, pid: int) -> bool:
        try:
            told = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ")]
        except OSError:
            return False
        return b"dbops.alembic:fleet" in told[0] and str(self.folder).encode() in told[1]

    def settle(self) -> None:
        """Wait until nothing of the run is left on the server."""
        until(lambda: not any(database.sessions() for database in self.made), "the end of the sessions")


def killed(pid: int) -> None:
    """Kill it, and wait for the end of all that it had begun: that ends with it, but not in the same moment."""
    below = process_tree(pid)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{one}").exists() for one in below), "the end of what it had begun")


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


@pytest.fixture
def waiting(newest: Application, postgres: Postgres, tmp_path: Path) -> Iterator[Waiting]:
    with databases(postgres, 4) as made:
        yield Waiting(newest, made, tmp_path)


def rest_is_done(waiting: Waiting, expected: str) -> None:
    """A second run does what is left, and nothing twice: a table would be made that is there."""
    result = ok(waiting.fleet.run())
    assert "".join(outcome[0] for outcome in outcomes(result).values()) == expected and waiting.heads() == [TO] * 4


def test_what_works_on_the_targets(waiting: Waiting) -> None:
    """What it had begun is brought to its end, nothing else is begun, and the call that follows tells both."""
    run = waiting.start(job=JOB, wait=PATIENCE)
    os.kill(parent(waiting.hub), signal.SIGKILL)
    time.sleep(1)
    waiting.gate.open()
    result = failed(run.result(), "targets_failed")
    assert waiting.heads() == [TO, TO, FROM, FROM] and result["stopped"] == "worker_died"
    assert "".join(outcome[0] for outcome in outcomes(result).values()) == "ccnn" and result["not_begun"] == ["c", "d"]
    assert entry(result, "a")["after"] == TO and "cut off" in result["msg"]
    rest_is_done(waiting, "uucc")


def test_the_process_that_all_are_forked_from(waiting: Waiting) -> None:
    """What it had begun ends with it and is undone; then a new one goes on, as many may fail as may."""
    run = waiting.start(job=JOB, wait=PATIENCE, max_failures="2")
    killed(waiting.hub)
    waiting.gate.open()
    result = failed(run.result(), "targets_failed")
    assert "".join(outcome[0] for outcome in outcomes(result).values()) == "ffcc" and waiting.heads() == [FROM, FROM, TO, TO]
    for name in "ab":
        one = entry(result, name)
        assert (one["failure"]["kind"], one["after"], one["state"]) == ("worker_died", FROM, "from_revision")
    rest_is_done(waiting, "ccuu")


def test_the_process_of_one_target(waiting: Waiting) -> None:
    run = waiting.start(max_failures="1")
    killed(min(pid for pid in process_tree(waiting.hub) if parent(pid) == waiting.hub))
    waiting.gate.open()
    result = failed(run.result(), "targets_failed")
    lost = [name for name, outcome in outcomes(result).items() if outcome == "failed"]
    assert len(lost) == 1 and result["counts"]["changed"] == 3 and entry(result, lost[0])["failure"]["kind"] == "worker_died"
    assert entry(result, lost[0])["after"] == FROM
    assert [heads for heads, name in zip(waiting.heads(), "abcd") if name != lost[0]] == [TO] * 3
    assert ok(waiting.fleet.run())["counts"]["changed"] == 1 and waiting.heads() == [TO] * 4


@pytest.mark.slow
def test_the_module_itself(waiting: Waiting) -> None:
    """Without a job nobody hears what becomes of it; what it had begun is not left halfway all the same."""
    run = waiting.start()
    run.process.kill()
    run.process.wait()
    time.sleep(1)
    waiting.gate.open()
    waiting.settle()
    assert waiting.heads() == [TO, TO, FROM, FROM]
    rest_is_done(waiting, "uucc")


@pytest.mark.slow  # test_fleet_ledger kills all of it at some moments
def test_all_of_it(waiting: Waiting) -> None:
    """As when the machine goes down: each target is at the one revision or at the other."""
    run = waiting.start(job=JOB, wait=PATIENCE)
    everything = process_tree(parent(waiting.hub))
    for pid in everything:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in everything), "the end of all of it")
    waiting.gate.open()
    result = failed(run.result(), "targets_failed")
    assert "".join(outcome[0] for outcome in outcomes(result).values()) == "ffnn" and result["stopped"] == "worker_died"
    assert entry(result, "a")["after"] == FROM and entry(result, "a")["state"] == "behind" and waiting.heads() == [FROM] * 4
    rest_is_done(waiting, "cccc")
