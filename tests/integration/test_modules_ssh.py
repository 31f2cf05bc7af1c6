# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade over a real SSH connection that is cut in the middle: it goes on, and its result is not lost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from support.application import Application, revisions
from support.plays import Play, task
from support.services import serve
from support.sqlite import SqliteDatabase
from support.sshd import Sshd
from support.waiting import Gate, until

HALF = "[2/3] n002 takes its time …"
ENDS = ["[1/3] n001 create items", "[2/3] n002 takes its time", "[3/3] n003 create others"]


@pytest.fixture
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    yield from serve(lambda: Sshd(tmp_path_factory.mktemp("s")).start())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where jobs are kept, for the far side of the connection."""
    return tmp_path / "state"


@pytest.fixture
def far_tmp(tmp_path: Path) -> Path:
    """Where Ansible puts modules on the far side."""
    return tmp_path / "far-tmp"


Start = Callable[..., Play]


@pytest.fixture
def start(newest: Application, sqlite: SqliteDatabase, sshd: Sshd, home: Path, far_tmp: Path) -> Start:
    def run(seconds: float = 6, pipelining: bool = False, **parameters: Any) -> Play:
        project = newest.project("slow", sqlite)
        given = {
            "chdir": str(project.folder),
            "python": str(newest.python),
            "environment": {"SLOW_SECONDS": str(seconds)},
            **parameters,
        }
        host = {**sshd.variables(), "ansible_pipelining": pipelining, "ansible_remote_tmp": str(far_tmp)}
        upgrade = task("alembic_upgrade", **given) | {"environment": {"XDG_STATE_HOME": str(home)}}
        return Play(newest.folder, [upgrade], hosts={"far": host})

    return run


def lose(running: Play, sshd: Sshd) -> None:
    """Cut the connection until it is noticed: between two commands nobody is connected, and a new connection is made."""
    count = running.shown().count("connection lost")

    def noticed() -> bool:
        sshd.cut()
        time.sleep(0.3)
        return running.shown().count("connection lost") > count

    until(noticed)


@pytest.mark.parametrize("pipelining", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_cut_connection_neither_ends_nor_loses_the_upgrade(
    start: Start, sshd: Sshd, sqlite: SqliteDatabase, pipelining: bool
) -> None:
    running = start(pipelining=pipelining)
    running.wait_for(HALF)
    lose(running, sshd)
    running.wait_for("connected again")
    done = running.outcome().ok()
    result = done.result()
    assert result["changed"] and result["after"] == ["n003"]
    assert revisions(result["applied"]) == ["n001", "n002", "n003"] and len(result["attempts"]) == 1
    assert [line.rpartition(" … ")[0] for line in done.stderr.splitlines() if line.endswith(" s")] == ENDS


@pytest.mark.slow
def test_a_connection_that_is_cut_again_and_again(start: Start, sshd: Sshd, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "open")
    running = start(environment=gate.environment)
    running.wait_for(HALF)
    for round_ in range(1, 3):
        lose(running, sshd)
        until(lambda count=round_: running.shown().count("connected again") == count)  # type: ignore[misc]
    gate.open()
    result = running.outcome().ok().result()
    assert revisions(result["applied"]) == ["n001", "n002", "n003"]


def test_a_host_that_stays_away_is_unreachable_and_says_what_to_do(
    start: Start, sshd: Sshd, sqlite: SqliteDatabase, home: Path
) -> None:
    running = start(reconnect=3)
    running.wait_for(HALF)
    sshd.remove()
    done = running.outcome()
    assert done.status == 4 and done.results[-1]["status"] == "unreachable"
    message = done.result()["msg"]
    job = done.result()["job"]
    for part in ("far was lost", "may still be running", "alembic_info", "running this task again is safe", job):
        assert part in message
    until(lambda: "others" in sqlite.tables())  # it went on by itself

    sshd.start()
    attached = start(job=job).outcome().ok().result()
    assert attached["changed"] and attached["after"] == ["n003"]
    assert revisions(attached["applied"]) == ["n001", "n002", "n003"]


def test_the_task_that_is_run_again_waits_for_the_one_that_still_runs(start: Start, sshd: Sshd, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "open")
    running = start(reconnect=0, environment=gate.environment)
    running.wait_for(HALF)
    lose(running, sshd)
    assert running.outcome().status == 4
    again = start()
    again.wait_for("waiting for the migration lock, for 300 s at most; it is held by pid")
    gate.open()
    result = again.outcome().ok().result()
    assert not result["changed"] and result["after"] == ["n003"] and result["lock"]["waited_seconds"] > 0


def test_a_host_that_was_never_there_is_unreachable_at_once(start: Start, sshd: Sshd, home: Path) -> None:
    sshd.remove()
    done = start().outcome()
    assert done.status == 4 and done.results[-1]["status"] == "unreachable"
    assert "may still be running" not in done.printed and "connection lost" not in done.printed
    assert not home.exists()


def test_nothing_is_left_on_the_host_but_the_job(start: Start, sshd: Sshd, home: Path, far_tmp: Path) -> None:
    running = start()
    running.wait_for(HALF)
    assert list(far_tmp.iterdir())
    lose(running, sshd)
    running.outcome().ok()
    assert list(far_tmp.iterdir()) == []
    jobs = list((home / "dbops_alembic" / "jobs").iterdir())
    assert jobs and all(path.stat().st_mode & 0o077 == 0 for path in [home / "dbops_alembic" / "jobs", *jobs])
