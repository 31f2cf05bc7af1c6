# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other sessions hold what a migration needs: short ones are outlasted, long ones are named, and nothing is done twice."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

import pytest

from support.application import Application, failed, journal, ok
from support.quick import some

READER = "select count(*) from accounts"


#: Driver, and the project that takes it.
DRIVERS = [("psycopg2", "blocked"), ("psycopg", "blocked"), ("asyncpg", "async_env")]


def at_first(app: Application, database: Any, **options: Any) -> Any:
    project = app.project("blocked", database, **options)
    ok(app.upgrade(project, "a001"))
    return project


def release_later(connection: Any, seconds: float) -> threading.Thread:
    def release() -> None:
        time.sleep(seconds)
        connection.rollback()

    thread = threading.Thread(target=release)
    thread.start()
    return thread


@pytest.mark.core
def test_retries_that_end_well(app: Application, pg: Any) -> None:
    project = at_first(app, pg)
    with pg.holding(READER, application_name="report") as reader:
        run = app.start("upgrade", project, revision="a002", lock_timeout=0.3, retries=20, retry_delay=0.2)
        pid = pg.wait_for_session("wait_event_type = 'Lock' and query like 'ALTER%%'")
        assert pid
        release_later(reader, 1)
        result = ok(run.result())
    assert result["after"] == ["a002"] and journal(pg) == ["a002"], "the row before the blocked ALTER is there once"
    tries = result["attempts"]
    assert (
        len(tries) > 1
        and tries[0]["error_kind"] == "lock_timeout"
        and tries[0]["sqlstate"] == "55P03"
        and tries[0]["revision"] == "a002"
    )
    assert tries[-1]["error_kind"] is None and [entry["number"] for entry in tries] == list(range(1, len(tries) + 1))
    assert tries[0]["blockers"][0]["application"] == "report"


@pytest.mark.parametrize(("driver", "name"), some(DRIVERS, *DRIVERS[::2]))
def test_retries_that_end_badly(app: Application, pg: Any, driver: str, name: str) -> None:
    project = app.project(name, pg, driver=driver, versions="blocked")
    ok(app.upgrade(project, "a001"))
    before = pg.dump()
    with pg.holding(READER, application_name="report") as reader:
        blocker = reader.info.backend_pid
        result = failed(app.upgrade(project, "a002", lock_timeout=0.3, retries=2, retry_delay=0.1), "lock_timeout")
    assert len(result["attempts"]) == 3 and result["state"] == "from_revision" and not result["changed"] and pg.dump() == before
    for attempt in result["attempts"]:
        found = attempt["blockers"][0]
        assert (found["pid"], found["application"], found["user"], found["state"]) == (
            blocker,
            "report",
            pg.role,
            "idle in transaction",
        )
        assert "accounts" in found["locks"] and found["query"] == READER and found["since"]
    assert str(blocker) in result["msg"] and "report" in result["msg"] and "accounts" in result["failed_revision"]["statement"]


def test_no_retries(app: Application, pg: Any) -> None:
    project = at_first(app, pg)
    with pg.holding(READER):
        result = failed(app.upgrade(project, "a002", lock_timeout=0.5, retries=0), "lock_timeout")
    assert len(result["attempts"]) == 1


def test_other_readers_hardly_wait(app: Application, pg: Any) -> None:
    """A waiting ALTER queues every reader behind it; lock_timeout bounds that wait."""
    project = at_first(app, pg)
    worst = 0.0
    with pg.holding(READER) as reader, contextlib.closing(pg.connect()) as client, client.cursor() as cursor:
        run = app.start("upgrade", project, revision="a002", lock_timeout=0.3, retries=20, retry_delay=0.3)
        pg.wait_for_session("wait_event_type = 'Lock' and query like 'ALTER%%'")
        release_later(reader, 6)
        while run.process.poll() is None:
            started = time.monotonic()
            cursor.execute(READER)
            worst = max(worst, time.monotonic() - started)
            time.sleep(0.01)
        result = ok(run.result())
    assert len(result["attempts"]) > 1 and 0.1 < worst < 4


def test_a_timeout_of_the_projects_own(app: Application, pg: Any) -> None:
    """env.py sets lock_timeout itself; with ours switched off its own counts, and its error is retried too."""
    project = at_first(app, pg)
    own = app.project("own_timeouts", pg, versions="blocked")
    with pg.holding(READER):
        result = failed(app.upgrade(own, "a002", lock_timeout=0, retries=1, retry_delay=0.1), "lock_timeout")
    assert len(result["attempts"]) == 2 and ok(app.info(project))["current"] == ["a001"]


@pytest.mark.parametrize(("driver", "name"), some(DRIVERS, DRIVERS[0]))
def test_no_timeout_inside_an_autocommit_block(app: Application, pg: Any, driver: str, name: str) -> None:
    """CREATE INDEX CONCURRENTLY waits for old snapshots; a lock timeout there would leave an invalid index."""
    project = app.project(name, pg, driver=driver, versions="blocked")
    ok(app.upgrade(project, "a002"))
    with pg.holding("set transaction isolation level repeatable read", "select 1 from journal") as reader:
        run = app.start("upgrade", project, revision="a003", lock_timeout=0.3)
        pg.wait_for_session("query like 'CREATE INDEX CONCURRENTLY%%' and wait_event_type = 'Lock'")
        release_later(reader, 2)
        result = ok(run.result())
    assert result["after"] == ["a003"] and len(result["attempts"]) == 1 and result["invalid_indexes"] == []
    assert pg.fetch("select indisvalid from pg_index where indexrelid = 'accounts_visits'::regclass") == [(True,)]


def test_no_retry_once_something_is_committed(app: Application, pg: Any) -> None:
    """A statement in an autocommit block that fails with a lock timeout of its own: the revision is half there."""
    project = at_first(app, pg)
    script = project.versions() / "a003_index_while_others_hold_a_snapshot.py"
    text = script.read_text().replace(
        "        op.create_index", "        op.execute(\"SET lock_timeout = '200ms'\")\n        op.create_index"
    )
    script.write_text(text)
    ok(app.upgrade(project, "a002"))
    with pg.holding("set transaction isolation level repeatable read", "select 1 from journal"):
        result = failed(app.upgrade(project, "a003", retries=5), "lock_timeout")
    assert len(result["attempts"]) == 1 and result["state"] == "dirty" and result["invalid_indexes"] == ["public.accounts_visits"]


def test_a_deadlock_is_tried_again(app: Application, pg: Any) -> None:
    project = at_first(app, pg)
    with contextlib.closing(pg.server.connect(pg.name)) as other:
        other.autocommit = False
        cursor = other.cursor()
        cursor.execute("set deadlock_timeout = '60s'")  # so that the migration is the one that gives way
        cursor.execute(READER)
        run = app.start("upgrade", project, revision="a002", lock_timeout=20, retry_delay=0.2)
        pg.wait_for_session("wait_event_type = 'Lock' and query like 'ALTER%%'")
        cursor.execute("lock table journal in exclusive mode")
        other.rollback()
        result = ok(run.result())
    assert [entry["error_kind"] for entry in result["attempts"]] == ["deadlock", None] and journal(pg) == ["a002"]


def test_mariadb_first_statement_blocked(app: Application, maria: Any) -> None:
    """Nothing is committed yet, so a metadata lock that is held is outlasted."""
    project = app.project("linear", maria)
    ok(app.upgrade(project, "r001"))
    with maria.holding("select * from users") as reader:
        run = app.start("upgrade", project, revision="r002", lock_timeout=1, retries=10, retry_delay=0.2)
        maria.wait_for_session("state like 'Waiting for table metadata lock%%'")
        release_later(reader, 3)
        result = ok(run.result())
    assert (
        len(result["attempts"]) > 1 and result["attempts"][0]["error_kind"] == "lock_timeout" and journal(maria) == ["r001", "r002"]
    )


@pytest.mark.slow
def test_mariadb_later_statement_blocked(app: Application, maria: Any) -> None:
    """The row before the blocked ALTER is committed by it: trying again would write it twice."""
    project = app.project("blocked", maria)
    ok(app.upgrade(project, "a001"))
    with maria.holding("select * from accounts"):
        result = failed(app.upgrade(project, "a002", lock_timeout=1, retries=5, retry_delay=0.1), "lock_timeout")
    assert (
        len(result["attempts"]) == 1 and result["state"] == "dirty" and journal(maria) == ["a002"] and result["after"] == ["a001"]
    )


def test_sqlite_blocked(app: Application, sqlite: Any) -> None:
    project = app.project("linear", sqlite)
    ok(app.upgrade(project, "r001"))
    with sqlite.holding("insert into users (id) values (99)"):
        result = failed(app.upgrade(project, "r002", lock_timeout=0.3, retries=1, retry_delay=0.1), "lock_timeout")
    assert len(result["attempts"]) == 2 and result["state"] == "from_revision"
    assert ok(app.upgrade(project, "r002"))["after"] == ["r002"]


def test_a_downgrade_is_retried_too(app: Application, pg: Any) -> None:
    project = at_first(app, pg)
    ok(app.upgrade(project, "a002"))
    with pg.holding(READER) as reader:
        run = app.start("downgrade", project, revision="a001", lock_timeout=0.3, retries=20, retry_delay=0.2)
        pg.wait_for_session("wait_event_type = 'Lock' and query like 'ALTER%%'")
        release_later(reader, 1)
        result = ok(run.result())
    assert result["after"] == ["a001"] and len(result["attempts"]) > 1 and journal(pg) == []
