# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a project that knows nothing of it: living and dead holders, its loss, its scope."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, journal, ok
from support.quick import some
from support.runner import Run
from support.services import on_each
from support.waiting import Gate, until

LOCK_SESSION = "application_name like 'dbops.alembic%%'"
SLEEPING = "query like '%%pg_sleep%%' and state = 'active'"


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """What holds the lock goes on when it is opened, or when the test has ended."""
    made = Gate(tmp_path / "open")
    yield made
    made.open()


def start_slow(app: Application, database: Any, slow: float | Gate, **parameters: Any) -> tuple[Any, Run]:
    project = app.project("slow", database)
    environment = slow.environment if isinstance(slow, Gate) else {"SLOW_SECONDS": str(slow)}
    run = app.start("upgrade", project, revision="head", environment=environment, **parameters)
    if database.dialect == "postgresql":
        database.wait_for_session(SLEEPING)
    else:
        until(lambda: "half" in database.tables(), "the table half")
    return project, run


def found_it_taken(database: Any) -> bool:
    """Whether a second upgrade is asking for the lock. Where its question leaves no trace, it gets a while."""
    if database.dialect == "postgresql":
        return len(database.sessions(LOCK_SESSION)) == 2
    if database.dialect == "mysql":  # the first has two sessions
        ((count,),) = database.server.fetch("select count(*) from information_schema.processlist where user = %s", [database.role])
        if count <= 2:
            return False
    time.sleep(6)
    return True


@pytest.mark.core
def test_a_living_holder_is_waited_for(app: Application, database: Any, gate: Gate) -> None:
    project, first = start_slow(app, database, gate)
    waiting = app.start("upgrade", project, revision="head", environment=gate.environment)
    until(lambda: found_it_taken(database), "a run that waits for the lock")
    gate.open()
    second = ok(waiting.result())
    assert not second["changed"] and second["applied"] == [] and second["after"] == ["n003"]
    done = ok(first.result())
    assert done["after"] == ["n003"] and done["lock"]["kept"] is True
    assert second["lock"]["waited_seconds"] > done["lock"]["waited_seconds"] and second["lock"]["kept"] is True


@on_each
def test_a_living_holder_is_named(app: Application, database: Any, gate: Gate) -> None:
    project, first = start_slow(app, database, gate)
    result = failed(app.upgrade(project, lock_wait=1), "lock_unavailable")
    assert first.process.poll() is None and not result["changed"], "it waited for the holder to end"
    holder = result["lock"]["holder"]
    assert str(holder["pid"]) in result["msg"] and holder["since"].startswith(time.strftime("%Y-", time.gmtime()))
    if database.dialect == "postgresql":
        assert holder["pid"] == database.sessions(LOCK_SESSION)[0][0] and holder["user"] == database.role
        assert holder["client"] == "127.0.0.1" and "dbops.alembic" in holder["application"]
    elif database.dialect == "sqlite":
        assert holder["pid"] in first.descendants()
    gate.open()
    assert ok(first.result())["after"] == ["n003"]


@on_each
def test_a_dead_holder_holds_nothing(app: Application, database: Any) -> None:
    project, first = start_slow(app, database, 60)
    for pid in first.descendants():
        os.kill(pid, signal.SIGKILL)
    if database.dialect == "postgresql":  # the server notices a dead client when its statement ends, so end it
        database.terminate(SLEEPING)
    elif database.dialect == "mysql":
        for row in database.server.fetch(
            "select id from information_schema.processlist where db = %s and user <> 'root'", [database.name]
        ):
            database.server.fetch(f"kill {row[0]}")
    result = app.upgrade(project, environment={"SLOW_SECONDS": "0"}, lock_wait=10)
    if database.dialect == "postgresql":
        assert ok(result)["after"] == ["n003"]
    else:  # half a revision is committed there
        assert failed(result, "migration_failed")["after"] == ["n001"] and "half" in result["msg"]


@pytest.mark.core
@pytest.mark.parametrize("server", some(["pg", "maria"], "pg"))
def test_what_a_dead_holder_left_running_is_waited_for(app: Application, request: pytest.FixtureRequest, server: str) -> None:
    """The server goes on with the statement of a process that was killed, and whoever comes next would migrate beside it."""
    database = request.getfixturevalue(server)
    project, first = start_slow(app, database, 60)
    if database.dialect == "mysql":
        asked = "select 1 from information_schema.processlist where db = %s and info like '%%SLEEP(60%%'"
        until(lambda: database.server.fetch(asked, [database.name]), "the statement that takes its time")
    for pid in first.descendants():
        os.kill(pid, signal.SIGKILL)
    first.process.kill()
    result = failed(app.upgrade(project, environment={"SLOW_SECONDS": "0"}, lock_wait=1), "lock_unavailable")
    holder = result["lock"]["holder"]["pid"]
    assert f"pid {holder}" in result["msg"] and not result["changed"]
    if database.dialect == "postgresql":
        assert [holder] == [pid for pid, _state, _query in database.sessions(SLEEPING)]
        database.terminate(SLEEPING)
    else:
        ((query,),) = database.server.fetch("select info from information_schema.processlist where id = %s", [holder])
        assert "SLEEP" in query
        database.server.fetch(f"kill {holder}")
    again = app.upgrade(project, environment={"SLOW_SECONDS": "0"}, lock_wait=20)
    if database.dialect == "postgresql":
        assert ok(again)["after"] == ["n003"] and not database.fetch("select 1 from pg_locks where locktype = 'advisory'")
    else:  # half a revision is committed there
        assert failed(again, "migration_failed")["after"] == ["n001"]


def test_a_lost_lock_is_told(app: Application, pg: Any) -> None:
    project, run = start_slow(app, pg, 3)
    assert pg.terminate(LOCK_SESSION) == 1
    result = ok(run.result())
    assert result["after"] == ["n003"] and result["lock"]["kept"] is False and any("lock" in text for text in result["warnings"])
    assert ok(app.upgrade(project))["after"] == ["n003"]


def test_a_lost_lock_is_told_mariadb(app: Application, maria: Any) -> None:
    _project, run = start_slow(app, maria, 4)
    sessions = "select id from information_schema.processlist where db = %s and user <> 'root' and command = 'Sleep'"
    for row in maria.server.fetch(sessions, [maria.name]):
        maria.server.fetch(f"kill {row[0]}")
    assert ok(run.result())["lock"]["kept"] is False


def test_without_a_lock(app: Application, database: Any) -> None:
    result = ok(app.upgrade(app.project("linear", database), lock=False))
    assert result["lock"]["mode"] == "none" and result["after"] == ["r005"]


def test_no_lock_when_there_is_nothing_to_do(app: Application, pg: Any) -> None:
    """A run with nothing pending neither waits for a running upgrade of another project's kind nor writes anything."""
    project = app.project("linear", pg)
    ok(app.upgrade(project))
    result = ok(app.upgrade(project))
    assert not result["changed"] and result["lock"] is None


def test_the_lock_is_of_one_database(app: Application, pg: Any, maria: Any, postgres: Any, mariadb: Any, tmp_path: Path) -> None:
    """MariaDB's GET_LOCK is of the server: the database's name has to be in the key."""
    for database, server in ((pg, postgres), (maria, mariadb)):
        other = server.database()
        gate = Gate(tmp_path / f"open-{database.dialect}")
        _project, first = start_slow(app, database, gate)
        assert ok(app.upgrade(app.project("linear", other), lock_wait=1))["after"] == ["r005"]
        assert first.process.poll() is None, "it waited for the upgrade of the other database"
        gate.open()
        ok(first.result())
        other.drop()


def test_the_lock_is_of_one_version_table(app: Application, pg: Any, gate: Gate) -> None:
    """Two projects in one database with a version table each do not wait for each other."""
    pg.fetch(f"create schema bookkeeping authorization {pg.role}")
    _project, first = start_slow(app, pg, gate)
    assert ok(app.upgrade(app.project("version_table", pg), lock_wait=1))["after"] == ["r005"]
    assert first.process.poll() is None, "it waited for the upgrade of the other project"
    gate.open()
    ok(first.result())


def test_an_engine_with_one_connection(app: Application, pg: Any) -> None:
    """The lock has a connection of its own: the pool's only one stays the migration's."""
    assert ok(app.upgrade(app.project("pool_of_one", pg)))["lock"]["kept"] is True and len(journal(pg)) == 5


def test_no_connections_left(app: Application, pg: Any) -> None:
    """The role may have one connection only: the lock can't be had, and that is what is said."""
    pg.fetch(f"alter role {pg.role} connection limit 1")
    failed(app.upgrade(app.project("linear", pg)), "connection_failed")
    assert pg.tables() == []
