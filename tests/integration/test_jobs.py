# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A migration that outlives the call that started it: called again with the same job, the module attaches to it."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, journal, ok, revisions
from support.waiting import PATIENCE, Gate

SLEEPING = "query like '%%pg_sleep%%' and state = 'active'"


class Follower:
    """Calls the module like its action plugin does."""

    def __init__(self, app: Application, project: Any, home: Path, **parameters: Any):
        self.app, self.project, self.parameters = app, project, {"job": os.urandom(16).hex(), "wait": 1, **parameters}
        self.variables = {"XDG_STATE_HOME": str(home), "HOME": str(home)}
        self.cursor, self.events = 0, []  # type: int, list[dict[str, Any]]

    def start(self, **more: Any) -> Any:
        given = {**self.parameters, "cursor": self.cursor, **more}
        return self.app.start("upgrade", self.project, revision="head", variables=self.variables, **given)

    def call(self, **more: Any) -> dict[str, Any]:
        result = self.start(**more).result()
        if result.get("finished") is False:
            self.cursor = result["cursor"]
            self.events += result["progress"]
        return result

    def follow(self, seconds: float = PATIENCE) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while (result := self.call()).get("finished") is False:
            assert time.monotonic() < until
        return result

    def names(self, kind: str) -> list[str]:
        return [event["revision"] for event in self.events if event["event"] == kind]


@pytest.fixture
def slow(app: Application, pg: Any, tmp_path: Path) -> Follower:
    return Follower(app, app.project("slow", pg), tmp_path / "home", environment={"SLOW_SECONDS": "6"})


@pytest.mark.core
def test_events_come_as_they_happen(slow: Follower, pg: Any) -> None:
    result = ok(slow.follow())
    assert result["after"] == ["n003"] and revisions(result["applied"]) == ["n001", "n002", "n003"]
    assert slow.names("revision_start")[:2] == ["n001", "n002"] and slow.names("revision_end")[:1] == ["n001"]
    starts = [event for event in slow.events if event["event"] == "revision_start"]
    assert starts[0]["number"] == 1 and starts[0]["total"] == 3 and starts[0]["message"] == "create items"
    assert len(starts) == len({event["revision"] for event in starts}), "an event was told twice"


def end_session(run: Any) -> None:
    """What the end of an SSH session does to what it started."""
    with contextlib.suppress(ProcessLookupError):  # it has told something, and nothing of it is left
        os.killpg(run.process.pid, signal.SIGKILL)
    run.process.wait()


def test_calls_that_are_killed_lose_nothing(slow: Follower, pg: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "open")
    slow.parameters["environment"] = gate.environment
    first = slow.start(wait=30)
    pg.wait_for_session(SLEEPING)
    end_session(first)
    pg.wait_for_session(SLEEPING)  # the migration has not died with the call
    slow.call()  # it answers at once, with what the first has not told; the next one waits for more
    second = slow.start(wait=30)
    time.sleep(1)
    assert second.process.poll() is None
    end_session(second)
    pg.wait_for_session(SLEEPING)
    gate.open()
    result = ok(slow.follow())
    assert (
        result["after"] == ["n003"]
        and len(result["applied"]) == 3
        and pg.tables() == ["alembic_version", "half", "items", "others"]
    )


def test_an_attached_call_can_be_the_last(slow: Follower) -> None:
    """After the end each further call tells the same result, and starts nothing."""
    result = ok(slow.follow())
    again = ok(slow.call())
    assert again["applied"] == result["applied"] and again["changed"] is True


def test_a_job_that_fails(app: Application, pg: Any, tmp_path: Path) -> None:
    follower = Follower(app, app.project("raises_midway", pg), tmp_path)
    result = failed(follower.follow(), "migration_failed")
    assert result["state"] == "between" and result["after"] == ["m001"]


def test_the_worker_of_a_job_is_killed(slow: Follower, pg: Any) -> None:
    slow.call()
    pg.wait_for_session(SLEEPING)
    prefix = str(slow.app.python.parent)
    pids = [
        int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and in_job(entry, prefix, slow.project.folder)
    ]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    result = failed(slow.follow(), "worker_died")
    assert result["after"] == ["n001"] and result["state"] == "between" and pg.sessions(SLEEPING) == []


def in_job(entry: Path, prefix: str, folder: Path) -> bool:
    """Ours by its working folder, since other tests run the same Python at the same time."""
    try:
        return (entry / "cmdline").read_text().startswith(prefix) and str(folder.parent) in os.readlink(entry / "cwd") + "/"
    except OSError:
        return False


def test_an_unknown_job_is_not_started_again(slow: Follower, pg: Any) -> None:
    """With a cursor it was started before; if its file is gone, nobody knows how far it came."""
    slow.cursor = 4711
    failed(slow.call(), "job_unknown")
    assert pg.tables() == []


def test_the_files_are_private_and_hold_no_secret(app: Application, pg: Any, tmp_path: Path) -> None:
    follower = Follower(app, app.project("linear"), tmp_path, url=pg.url())
    ok(follower.follow())
    files = [path for path in tmp_path.rglob("*") if follower.parameters["job"] in path.name]
    assert files and all(
        stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700 for path in files
    )
    assert all(pg.password not in path.read_text() for path in files) and len(journal(pg)) == 5


def test_two_calls_at_once_start_one_migration(slow: Follower, pg: Any) -> None:
    runs = [slow.start(wait=30) for _ in range(4)]
    results = [run.result() for run in runs]
    assert all(result.get("finished") is False or result["after"] == ["n003"] for result in results)
    ok(slow.follow())
    assert pg.tables() == ["alembic_version", "half", "items", "others"]
