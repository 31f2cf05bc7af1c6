# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Through a real PgBouncer: it is noticed, the lock holds all the same, and no setting is left on its connections."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from support.application import Application, failed, journal, ok
from support.quick import some
from support.waiting import Gate


def settings(database: Any, port: int, count: int = 8) -> set[str]:
    """lock_timeout and statement_timeout as other clients of the pooler see them."""
    found = set()
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            connection = psycopg2.connect(database.url("psycopg2", port=port).replace("+psycopg2", ""))
            stack.callback(connection.close)
            cursor = connection.cursor()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
                cursor.execute(f"show {name}")
                found.add(cursor.fetchone()[0])
    return found


@pytest.mark.core
@pytest.mark.parametrize("name", ["linear", "autocommit_ok"])
def test_transaction_pooling_is_noticed(app: Application, pg: Any, pgbouncer: Any, name: str) -> None:
    project = app.project(name, pg.url(port=pgbouncer.port))
    result = ok(app.upgrade(project, statement_timeout=20))
    assert result["database"]["pooler"] is True and result["lock"]["mode"] == "transaction" and result["lock"]["kept"] is True
    assert any("direct connection" in text for text in result["warnings"])
    assert journal(pg) == (["r001", "r002", "r003", "r004", "r005"] if name == "linear" else ["k001", "k002", "k003"])
    assert settings(pg, pgbouncer.port) == {"0"}, "a setting leaked to other clients of the pooler"
    assert pg.fetch("select count(*) from pg_locks where locktype = 'advisory'") == [(0,)]


@pytest.mark.parametrize(
    ("driver", "name"), some([("psycopg2", "linear"), ("psycopg", "linear"), ("asyncpg", "async_env")], ("asyncpg", "async_env"))
)
def test_a_direct_connection_is_not_called_pooled(app: Application, pg: Any, driver: str, name: str) -> None:
    info = ok(app.info(app.project(name, pg, driver=driver)))
    assert info["database"]["pooler"] is False and info["database"]["driver"] == driver


def test_session_pooling(app: Application, pg: Any, pgbouncer_session: Any) -> None:
    project = app.project("linear", pg.url(port=pgbouncer_session.port))
    result = ok(app.upgrade(project))
    assert result["after"] == ["r005"] and result["lock"]["kept"] is True
    assert settings(pg, pgbouncer_session.port) == {"0"}


def test_the_holder_is_named(app: Application, pg: Any, pgbouncer: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "open")
    project = app.project("slow", pg.url(port=pgbouncer.port))
    run = app.start("upgrade", project, revision="head", environment=gate.environment)
    pg.wait_for_session("query like '%%pg_sleep%%' and state = 'active'")
    result = failed(app.upgrade(project, lock_wait=1), "lock_unavailable")
    gate.open()
    assert "dbops.alembic" in result["lock"]["holder"]["application"] and str(result["lock"]["holder"]["pid"]) in result["msg"]
    assert ok(run.result())["after"] == ["n003"]


def test_timeouts_and_retries(app: Application, pg: Any, pgbouncer: Any) -> None:
    project = app.project("blocked", pg.url(port=pgbouncer.port))
    ok(app.upgrade(project, "a001"))
    with pg.holding("select * from accounts", application_name="report"):
        result = failed(app.upgrade(project, "a002", lock_timeout=0.3, retries=1, retry_delay=0.1), "lock_timeout")
    assert len(result["attempts"]) == 2 and result["attempts"][0]["blockers"][0]["application"] == "report"
    assert settings(pg, pgbouncer.port) == {"0"} and journal(pg) == []
    assert ok(app.upgrade(project))["after"] == ["a003"]


def test_a_lost_lock_is_told(app: Application, pg: Any, pgbouncer: Any) -> None:
    project = app.project("slow", pg.url(port=pgbouncer.port))
    run = app.start("upgrade", project, revision="head", environment={"SLOW_SECONDS": "4"})
    pg.wait_for_session("query like '%%pg_sleep%%' and state = 'active'")
    assert pg.terminate("pid in (select pid from pg_locks where locktype = 'advisory')") == 1
    assert ok(run.result())["lock"]["kept"] is False
