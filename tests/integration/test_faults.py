# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Things that break in the middle of a revision: the worker, the module, the connection, the server."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, ok
from support.postgres import Postgres
from support.quick import some
from support.runner import Run
from support.waiting import until

SLEEPING = "query like '%%pg_sleep%%' and state = 'active'"


def heads(database: Any) -> list[str]:
    return sorted(row[0] for row in database.fetch("select version_num from alembic_version"))


@pytest.fixture
def own(tmp_path: Path) -> Any:
    """A server that a test may break, with a database."""
    server = Postgres().create().start()
    yield server.database()
    server.remove()


def workers(app: Application, run: Run) -> list[int]:
    """The processes of the application's Python below a module, the outer one first."""
    prefix = str(app.python.parent)
    return [pid for pid in run.descendants() if Path(f"/proc/{pid}/cmdline").read_text().startswith(prefix)]


def start_slow(app: Application, database: Any, seconds: float = 30, name: str = "slow", **parameters: Any) -> tuple[Any, Run]:
    project = app.project(name, database)
    run = app.start("upgrade", project, revision="head", environment={"SLOW_SECONDS": str(seconds)}, **parameters)
    database.wait_for_session(SLEEPING)
    return project, run


def finish(app: Application, project: Any, **parameters: Any) -> dict[str, Any]:
    """After whatever happened, the next upgrade ends well."""
    return ok(app.upgrade(project, environment={"SLOW_SECONDS": "0"}, lock_wait=20, **parameters))


@pytest.mark.core
def test_the_migrating_process_is_killed(app: Application, pg: Any) -> None:
    project, run = start_slow(app, pg)
    os.kill(workers(app, run)[-1], signal.SIGKILL)
    result = failed(run.result(), "worker_died")
    assert "signal 9" in result["msg"] and result["after"] == heads(pg) == ["n001"] and result["state"] == "between"
    assert result["failed_revision"]["revision"] == "n002" and result["changed"]
    assert pg.sessions(SLEEPING) == [], "the statement of the dead process still runs, without the lock"
    assert finish(app, project)["after"] == ["n003"]


@pytest.mark.parametrize(
    "number", [pytest.param(0, id="supervisor first"), pytest.param(-1, id="migrating process first", marks=pytest.mark.slow)]
)
def test_every_process_of_the_worker_is_killed(app: Application, pg: Any, number: int) -> None:
    project, run = start_slow(app, pg)
    pids = workers(app, run)
    for pid in [pids[number], *pids]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    result = failed(run.result(), "worker_died")
    assert result["after"] == heads(pg) == ["n001"] and result["state"] == "between"
    assert result["failed_revision"]["revision"] == "n002" and pg.sessions(SLEEPING) == []
    assert finish(app, project)["after"] == ["n003"]


def test_only_the_supervisor_is_killed(app: Application, pg: Any) -> None:
    """Its child must not go on unwatched, or else it must be waited for: what is reported is what is there."""
    project, run = start_slow(app, pg, seconds=4)
    os.kill(workers(app, run)[0], signal.SIGKILL)
    result = run.result()
    now = heads(pg)
    time.sleep(6)
    assert heads(pg) == now == result["after"], "the migration went on after the report"
    assert finish(app, project)["after"] == ["n003"]


def test_the_module_is_killed(app: Application, pg: Any) -> None:
    """As when an SSH connection breaks without a job: whatever comes of it, the next run ends well and nothing is done twice."""
    project, run = start_slow(app, pg, seconds=3)
    run.process.kill()
    run.process.wait()
    result = finish(app, project)
    assert result["after"] == heads(pg) == ["n003"] and pg.tables() == ["alembic_version", "half", "items", "others"]


@pytest.mark.parametrize(("name", "state"), [("slow", "between"), ("slow_autocommit", "dirty")])
def test_the_connection_is_cut(app: Application, pg: Any, name: str, state: str) -> None:
    project, run = start_slow(app, pg, name=name)
    assert pg.terminate(SLEEPING) == 1
    result = failed(run.result(), "connection_lost")
    first = "n001" if name == "slow" else "b001"
    assert result["after"] == heads(pg) == [first] and result["state"] == state and len(result["attempts"]) == 1
    if name == "slow":
        assert finish(app, project)["after"] == ["n003"]


@pytest.mark.parametrize("driver", some(["psycopg", "asyncpg"], "asyncpg"))
def test_the_connection_is_cut_with_other_drivers(app: Application, pg: Any, driver: str) -> None:
    project = app.project("async_env" if driver == "asyncpg" else "slow", pg, driver=driver, versions="slow")
    run = app.start("upgrade", project, environment={"SLOW_SECONDS": "30"})
    pg.wait_for_session(SLEEPING)
    pg.terminate(SLEEPING)
    result = failed(run.result(), "connection_lost")
    assert result["after"] == heads(pg) == ["n001"] and result["state"] == "between"


def test_mariadb_connection_is_cut(app: Application, maria: Any) -> None:
    project = app.project("slow", maria)
    run = app.start("upgrade", project, environment={"SLOW_SECONDS": "30"})
    query = "select id from information_schema.processlist where db = %s and info like '%%SLEEP%%' and command = 'Query'"
    until(lambda: maria.server.fetch(query + " and user <> 'root'", [maria.name]), "the statement")
    for (number,) in maria.server.fetch(query + " and user <> 'root'", [maria.name]):
        maria.server.fetch(f"kill {number}")
    result = failed(run.result(), "connection_lost")
    assert result["after"] == heads(maria) == ["n001"] and result["state"] == "dirty" and "half" in maria.tables()


@pytest.mark.parametrize(
    "how", [pytest.param(signal.SIGINT, id="restart", marks=pytest.mark.slow), pytest.param(signal.SIGQUIT, id="crash")]
)
def test_the_server_restarts(app: Application, own: Any, how: int) -> None:
    project, run = start_slow(app, own)
    own.server.restart(how)
    result = failed(run.result(), "connection_lost")
    assert result["after"] == heads(own) == ["n001"] and result["state"] == "between"
    assert finish(app, project)["after"] == ["n003"]


@pytest.mark.slow
def test_the_server_goes_and_comes_back_later(app: Application, own: Any) -> None:
    """The worker waits a while for a server that restarts, to say where the database stands."""
    _project, run = start_slow(app, own)
    own.server.stop()
    time.sleep(4)
    own.server.start()
    result = failed(run.result(), "connection_lost")
    assert result["after"] == ["n001"] and result["state"] == "between"


def test_the_server_goes_for_good(app: Application, own: Any) -> None:
    _project, run = start_slow(app, own)
    own.server.stop()
    result = failed(run.result(), "connection_lost")
    assert result["state"] == "unknown" and result["after"] is None
