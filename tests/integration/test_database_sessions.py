# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is connected, and making sure that nobody is: PostgreSQL, MariaDB, SQLite."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Iterator

import pytest

from support.application import failed, ok
from support.plays import Play, play, task
from support.postgres import PostgresDatabase
from support.quick import some
from support.waiting import PATIENCE
from support.whole_database import Caller

HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("select 1 from t").fetchone()
print(1, flush=True)
time.sleep(300)
"""


def later(seconds: float, what: Any) -> None:
    threading.Timer(seconds, what).start()


def applications(result: dict[str, Any]) -> list[str]:
    return sorted(session["application"] for session in result["sessions"])


@pytest.fixture
def clients(pg: PostgresDatabase) -> Iterator[list[Any]]:
    """Two application servers and a monitoring, which is another role."""
    pg.server.fetch(f"create role {pg.role}_mon login password '{pg.password}'")
    made = [pg.connect(application_name=name) for name in ("web-1", "worker-1")]
    made.append(pg.server.connect(pg.name, f"{pg.role}_mon", pg.password, application_name="exporter"))
    yield made
    for client in made:
        client.close()
    pg.server.fetch(f"drop role {pg.role}_mon")


@pytest.mark.parametrize("driver", some(["psycopg2", "psycopg", "asyncpg", ""], "psycopg2", "asyncpg"))
def test_they_are_seen(pg: PostgresDatabase, clients: list[Any], driver: str) -> None:
    with clients[0].cursor() as cursor:
        cursor.execute("begin; select 'Jane', 4711, $x$secret$x$, E'a\\'b' from pg_class where relname = 'personal'")
    seen = ok(Caller(pg, driver)("sessions_info"))
    assert seen["count"] == 3 and seen["complete"] and not seen["pooler"] and not seen["changed"]
    web = seen["sessions"][0]
    assert (web["application"], web["user"], web["state"], web["client"]) == ("web-1", pg.role, "idle in transaction", "127.0.0.1")
    assert web["since"].endswith("Z") and web["query"].startswith("begin; select ?, ?, ?")
    assert not any(word in str(seen) for word in ("Jane", "4711", "secret", "personal", pg.password))
    hidden = seen["sessions"][2]
    assert hidden["application"] == "exporter" and hidden["state"] is None and hidden["query"] is None, "another role's details"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"users": ["app_*"], "exclude_users": ["*_mon"]}, ["web-1", "worker-1"]),
        ({"applications": ["w*-1"]}, ["web-1", "worker-1"]),
        ({"applications": ["w*"], "exclude_applications": ["worker-?"]}, ["web-1"]),
        ({"exclude_applications": ["exporter"]}, ["web-1", "worker-1"]),
        ({"users": ["nobody"]}, []),
    ],
)
def test_filters(pg: PostgresDatabase, clients: list[Any], filters: dict[str, Any], expected: list[str]) -> None:
    assert applications(ok(Caller(pg)("sessions_info", **filters))) == expected


def test_other_databases_do_not_count(pg: PostgresDatabase) -> None:
    with contextlib.closing(pg.server.connect()):
        assert ok(Caller(pg)("sessions_info"))["count"] == 0
    assert ok(Caller(pg)("sessions_info", database="no_such"))["count"] == 0


def test_it_waits_until_they_are_gone(pg: PostgresDatabase) -> None:
    client = pg.connect()
    later(10, client.close)
    done = ok(Caller(pg)("sessions", wait=100))
    assert done["sessions"] == [] and done["terminated"] == [] and not done["changed"] and 0 < done["waited_seconds"] < 100


def test_who_does_not_go_is_named(pg: PostgresDatabase, clients: list[Any]) -> None:
    told = failed(Caller(pg)("sessions", wait=0.5, exclude_users=["*_mon"]), "database_busy")
    assert applications(told) == ["web-1", "worker-1"] and told["count"] == 2 and told["waited_seconds"] >= 0.5
    assert "web-1" in told["msg"] and pg.role in told["msg"] and told["hint"] in told["msg"]
    for client in clients:
        client.cursor().execute("select 1")


def test_terminate(pg: PostgresDatabase, clients: list[Any]) -> None:
    call = Caller(pg)
    mine = {"exclude_users": ["*_mon"], "wait": 0, "terminate": True}
    dry = ok(call("sessions", check=True, **mine))
    assert dry["changed"] and len(dry["terminated"]) == 2 and dry["count"] == 2
    clients[0].cursor().execute("select 1")
    done = ok(call("sessions", **mine))
    assert done["changed"] and applications({"sessions": done["terminated"]}) == ["web-1", "worker-1"] and done["sessions"] == []
    assert not ok(call("sessions", **mine))["changed"]
    assert "exporter" not in str(done)
    clients[2].cursor().execute("select 1")
    assert "pg_signal_backend" in failed(call("sessions", wait=0, terminate=True), "insufficient_privilege")["hint"]


def test_check_mode_does_not_fail_or_wait(pg: PostgresDatabase, clients: list[Any]) -> None:
    dry = ok(Caller(pg)("sessions", check=True, wait=600))  # the module's process would time out before
    assert not dry["changed"] and dry["count"] == 3


def test_through_a_pooler_it_says_so(pg: PostgresDatabase, pgbouncer: Any) -> None:
    seen = ok(Caller(pg, url=pg.url(port=pgbouncer.port))("sessions_info"))
    assert seen["pooler"] and "pooler" in seen["warnings"][0]


def test_a_server_that_is_not_there(pg: PostgresDatabase) -> None:
    failed(Caller(pg, url=pg.url(port=1))("sessions_info"), "connection_failed")
    failed(Caller(pg, url=pg.url(password="no"))("sessions_info"), "authentication_failed")
    failed(Caller(pg, url="oracle://u:no-such-secret@h/d")("sessions_info"), "unsupported_database")
    failed(Caller(pg, environment="bare")("sessions_info"), "alembic_missing")
    failed(Caller(pg, "", environment="nodriver")("sessions_info"), "driver_missing")


@pytest.mark.parametrize("environment", some(["alembic18", "alembic120"], "alembic120"))
def test_mariadb(maria: Any, environment: str) -> None:
    import pymysql

    call = Caller(maria, environment=environment)
    client = pymysql.connect(
        host=maria.server.host, port=maria.server.port, user=maria.role, password=maria.password, database=maria.name
    )
    client.cursor().execute("select 'Jane' as who")
    seen = ok(call("sessions_info"))
    assert seen["count"] == 1 and not seen["complete"], "without the privilege PROCESS others are not seen"
    told = seen["sessions"][0]
    assert (told["user"], told["state"], told["application"]) == (maria.role, "idle", None) and told["client"].startswith(
        "127.0.0.1"
    )
    maria.server.fetch(f"grant process on *.* to {maria.role}@'%'")
    with contextlib.closing(maria.server._open(maria.server.password, maria.name)):
        seen = ok(call("sessions_info", exclude_users=["nobody*"]))
        assert seen["complete"] and sorted(session["user"] for session in seen["sessions"]) == [maria.role, "root"]
    failed(call("sessions", wait=0.5), "database_busy")
    done = ok(call("sessions", wait=0.5, terminate=True))
    assert done["changed"] and len(done["terminated"]) == 1
    with pytest.raises(pymysql.err.OperationalError):
        client.cursor().execute("select 1")


def test_sqlite_knows_the_processes_that_hold_the_file(sqlite: Any) -> None:
    sqlite.fetch("create table t (i int)")
    call = Caller(sqlite)
    assert ok(call("sessions"))["count"] == 0
    with subprocess.Popen([sys.executable, "-c", HOLD, str(sqlite.path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        seen = ok(call("sessions_info"))
        assert [session["pid"] for session in seen["sessions"]] == [holder.pid] and seen["sessions"][0]["application"].startswith(
            "python"
        )
        failed(call("sessions", wait=0.3), "database_busy")
        assert "service manager" in failed(call("sessions", wait=0.3, terminate=True), "options_invalid")["hint"]
        assert ok(call("sessions", wait=0, applications=["gunicorn*"]))["count"] == 0
        assert holder.poll() is None
        holder.kill()
    assert ok(call("sessions"))["count"] == 0
    sqlite.drop()
    failed(call("sessions"), "database_missing")


def test_as_a_task(pg: PostgresDatabase, tmp_path: Path) -> None:
    """The files of the worker travel with the module, and passwords stay out of the play's output."""
    parameters = {"url": pg.url(), "python": Caller(pg).python}
    tasks = [task("database_sessions", **parameters), task("database_snapshot_info", **parameters)]
    done = play(tmp_path, tasks, "-vvv", "--diff").ok()
    assert done.result()["possible"] is False and done.result()["refused"][0]["id"] == "insufficient_privilege"
    assert pg.password not in done.stdout


def test_a_wait_is_told_while_it_lasts(pg: PostgresDatabase, tmp_path: Path) -> None:
    """By a task of its own, and by the step that proves it in a longer call: who has to go, and until when."""
    common = {"url": pg.url(), "python": Caller(pg).python}
    alone = [task("database_sessions", **common, wait=PATIENCE)]
    within = [task("database_steps", **common, chdir=str(tmp_path), steps=[{"prove": {"wait": PATIENCE}}])]
    for tasks, said in (
        (alone, "waiting for the sessions of the application to go: "),
        (within, "waiting for 1 session to go, for "),
    ):
        with contextlib.closing(pg.connect(application_name="web-1")):
            running = Play(tmp_path, tasks)
            running.wait_for(said)
        done = running.outcome().ok()
        assert re.search(r"until \d\d:\d\d:\d\d at most|at most: pid \d+ \(.*web-1", done.stderr), done.stderr
        assert pg.password not in done.printed
