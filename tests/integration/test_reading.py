# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading is reading: what only looks at a project leaves its database as it is, whatever env.py and the application do."""

from __future__ import annotations

import contextlib
import shutil
from typing import Any

import psycopg2
import pytest

from support import by_hand
from support.application import Application, failed, ok
from support.by_hand import WRITE
from support.projects import Project
from support.quick import some
from support.services import on_each
from support.whole_database import Caller, made

CREATE = "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(128) NOT NULL)"
FIRST = "        context.configure(connection=connection"
#: What looks at a project: the module and its options.
LOOKS: dict[str, dict[str, Any]] = {
    "info": {},
    "check": {},
    "plan": {},
    "upgrade": {"revision": "head", "check": True},
    "downgrade": {"revision": "base", "check": True},
    "stamp": {"revision": "head", "check": True},
    "revision": {"method": "autogenerate", "title": "new"},
}
#: An application's factory that migrates by itself, as many do.
FACTORY = """
from alembic import command
from alembic.config import Config
def create_app():
    command.upgrade(Config("alembic.ini"), "head")
create_app()
"""


def with_first(project: Project, code: str) -> Project:
    """Let env.py run this before it configures its context."""
    script = project.folder / "migrations" / "env.py"
    text = script.read_text()
    assert FIRST in text
    lines = "".join(f"        {line}\n" for line in code.splitlines())
    script.write_text("import os\nfrom sqlalchemy import text\n" + text.replace(FIRST, lines + FIRST))
    return project


def writes(result: dict[str, Any], statement: str) -> dict[str, Any]:
    failed(result, "environment_writes")
    assert statement in result["msg"] and "DBOPS_ALEMBIC_READ_ONLY" in result["hint"] and not result.get("changed")
    return result


@pytest.mark.parametrize("name", some(LOOKS, "info", "plan", "upgrade"))
def test_an_environment_that_writes_is_refused(newest: Application, pg: Any, name: str) -> None:
    project = with_first(newest.project("linear", pg), f"connection.execute(text({CREATE!r}))\nconnection.commit()")
    result = writes(newest.run(name, project, **LOOKS[name]), CREATE)
    assert result["statement"] == CREATE and result["file"].endswith("env.py") and result["line"] and pg.tables() == []


@on_each
@pytest.mark.core
def test_on_each_kind_of_database(app: Application, database: Any) -> None:
    code = f"with connection.begin():\n    connection.execute(text({CREATE!r}))"
    project = with_first(app.project("linear", database), code)
    for check in (False, True):
        result = app.upgrade(project, check=True) if check else app.info(project)
        writes(result, CREATE)
        assert database.tables() == []


@pytest.mark.parametrize("name", ["info", "upgrade"])
def test_an_application_that_migrates_by_itself_is_refused(newest: Application, database: Any, name: str) -> None:
    project = newest.project("linear", database)
    result = writes(newest.run(name, project, prelude=FACTORY, **LOOKS[name]), "CREATE TABLE alembic_version")
    assert database.tables() == [] and "<prelude>" not in str(result.get("file"))


STARTS = {
    "list": "subprocess.run([sys.executable, '-m', 'alembic', 'upgrade', 'head'], check=True)",
    "system": "assert os.system(sys.executable + ' -m alembic -x a=b upgrade head') == 0",
    "async": "asyncio.run(main())",
}
ASYNC = """async def main():
    process = await asyncio.create_subprocess_shell(sys.executable + " -m alembic upgrade head")
    assert await process.wait() == 0
"""


@pytest.mark.parametrize("name", ["list", pytest.param("system", marks=pytest.mark.slow), "async"])
def test_a_program_that_migrates_is_not_started(newest: Application, sqlite: Any, name: str) -> None:
    """It would have connections of its own, which nobody keeps from writing."""
    prelude = f"import asyncio, os, subprocess, sys\n{ASYNC}{STARTS[name]}\n"
    result = writes(newest.info(newest.project("linear", sqlite), prelude=prelude), "alembic")
    assert "We stopped it" in result["msg"] and sqlite.tables() == []


def test_a_move_that_nobody_can_keep_back_is_told(newest: Application, maria: Any) -> None:
    """By a program that does not look like one that migrates."""
    code = "from alembic.config import main; main(['upgrade', 'head'])"
    prelude = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}], check=True)\n"
    project = newest.project("linear", maria)
    said = ok(newest.info(project, prelude=prelude, url=maria.url()))["warnings"]
    assert any("moved from base to r005 while the project was looked at" in text for text in said), said
    assert ok(newest.info(project, prelude=prelude, url=maria.url()))["warnings"] == []


QUICK = ("psycopg2", "asyncpg", "psql", "pymysql", "sqlite3", "sqlite3 attached")


@pytest.fixture
def drivers(tmp_path: Any) -> Application:
    """An application environment with every driver."""
    return Application("drivers", tmp_path)


@pytest.mark.parametrize("how", some(by_hand.SCRIPTS, *QUICK))
def test_drivers_used_by_hand(drivers: Application, request: pytest.FixtureRequest, how: str) -> None:
    database = request.getfixturevalue(by_hand.FIXTURES[how.split()[0]])
    database.fetch("create table kept (id int)")
    project = drivers.project("linear", database)
    if how == "psql" and not shutil.which("psql"):
        pytest.skip("no psql on this machine")
    result = drivers.info(project, prelude=by_hand.prelude(database, how))
    if how == "psql":
        failed(result, "environment_failed")  # all that is known of it is that it ended badly
        assert "read-only transaction" in result["output"]
    else:
        failed(result, "environment_writes")
    assert database.tables() == ["kept"] and database.fetch("select count(*) from kept") == [(0,)]


@pytest.mark.parametrize("driver", some(["psycopg2", "asyncpg", "psycopg", "pg8000"], "psycopg2", "asyncpg"))
def test_behind_a_pooler(drivers: Application, pg: Any, pgbouncer: Any, driver: str) -> None:
    """No session may be set there, since others get it next; each transaction is."""
    name = "async_env" if driver == "asyncpg" else "linear"
    url = pg.url(driver, port=pgbouncer.port) + ("?prepared_statement_cache_size=0" if driver == "asyncpg" else "")
    project = drivers.project(name, url)
    info = ok(drivers.info(project))
    assert info["status"] == "uninitialised"
    assert info["database"]["transaction_per"] is None  # each transaction was told already that it only reads, so none is untouched
    result = failed(drivers.info(project, prelude=FACTORY), "environment_writes")
    assert "CREATE TABLE alembic_version" in result["msg"] and pg.tables() == []
    assert seen_by_others(pg, pgbouncer.port) == {"off"}, "a session of the pooler was left closed to writing"


ENGINES = ("psycopg2", "psycopg", "asyncpg", "pg8000", "pymysql", "aiomysql", "asyncmy", "mysqlconnector", "pysqlite", "aiosqlite")


@pytest.mark.parametrize("driver", some(ENGINES, "asyncpg"))
def test_engines_of_each_driver(drivers: Application, request: pytest.FixtureRequest, driver: str) -> None:
    """The statement is named whatever the driver is."""
    name = "maria" if "my" in driver else "sqlite" if "sqlite" in driver else "pg"
    database = request.getfixturevalue(name)
    asynchronous = driver in ("asyncpg", "aiomysql", "asyncmy", "aiosqlite")
    project = drivers.project("async_env" if asynchronous else "linear", database, driver=driver)
    assert ok(drivers.info(project))["database"]["driver"] == driver
    writes(drivers.info(project, prelude=FACTORY), "CREATE TABLE alembic_version")
    assert database.tables() == []


POOLED = (
    *("psycopg2", "psycopg", "asyncpg", "asyncpg fetch", "asyncpg pooled transaction", "asyncpg pool"),
    *("pg8000", "pg8000 autocommit", "pg8000 native"),
)


@pytest.mark.parametrize("how", some(POOLED, "psycopg2", "asyncpg pooled transaction", "pg8000 autocommit"))
def test_behind_a_pooler_by_hand(drivers: Application, pg: Any, pgbouncer: Any, how: str) -> None:
    pg.fetch("create table kept (id int)")
    pg.fetch(f"alter table kept owner to {pg.role}")
    project = drivers.project("linear", pg.url(port=pgbouncer.port))
    result = failed(drivers.info(project, prelude=by_hand.prelude(pg, how, pgbouncer.port)), "environment_writes")
    assert "read-only transaction" in str(result), result
    assert pg.tables() == ["kept"] and pg.fetch("select * from kept") == [] and seen_by_others(pg, pgbouncer.port) == {"off"}


def seen_by_others(database: Any, port: int) -> set[str]:
    """Whether other clients of the pooler may write."""
    with contextlib.ExitStack() as stack:
        found = set()
        for _ in range(8):
            connection = psycopg2.connect(database.url(port=port).replace("+psycopg2", ""))
            stack.callback(connection.close)
            cursor = connection.cursor()
            cursor.execute("show default_transaction_read_only")
            found.add(cursor.fetchone()[0])
    return found


def test_autocommit_behind_a_pooler(newest: Application, pg: Any, pgbouncer: Any) -> None:
    project = newest.project("linear", pg.url(port=pgbouncer.port))
    code = "with connection.engine.connect().execution_options(isolation_level='AUTOCOMMIT') as c:\n"
    with_first(project, code + f"    c.execute(text('select 1'))\n    c.execute(text({WRITE!r}))")
    writes(newest.info(project), WRITE)
    assert pg.tables() == []


@pytest.mark.parametrize(
    "opens",
    [
        "SET default_transaction_read_only = off",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET TRANSACTION READ WRITE",
        "select set_config('transaction_read_only', 'off', true)",
        "select lo_create(0)",
    ],
)
def test_who_opens_it_to_writing_is_stopped(newest: Application, pg: Any, opens: str) -> None:
    project = with_first(newest.project("linear", pg), f"connection.execute(text({opens!r}))\nconnection.execute(text({WRITE!r}))")
    writes(newest.info(project), opens)
    assert pg.tables() == [] and pg.fetch("select count(*) from pg_largeobject_metadata") == [(0,)]


@pytest.mark.parametrize("driver", some(["psycopg2", "psycopg"], "psycopg2"))
def test_an_option_that_opens_it_is_stopped(newest: Application, pg: Any, driver: str) -> None:
    code = "with connection.engine.connect().execution_options(postgresql_readonly=False) as c, c.begin():\n"
    project = with_first(newest.project("linear", pg, driver=driver), code + f"    c.execute(text({WRITE!r}))")
    writes(newest.info(project), WRITE)
    assert pg.tables() == []


@pytest.mark.parametrize("opens", ["set session transaction read write", "start transaction read write"])
def test_who_opens_mariadb_is_stopped(newest: Application, maria: Any, opens: str) -> None:
    project = with_first(
        newest.project("linear", maria), f"connection.execute(text({opens!r}))\nconnection.execute(text({WRITE!r}))"
    )
    writes(newest.info(project), opens)
    assert maria.tables() == []


def test_what_is_there_is_not_made(newest: Application, pg: Any) -> None:
    """IF NOT EXISTS of what exists writes nothing, and PostgreSQL refuses it in a transaction that only reads."""
    made = [
        "CREATE SCHEMA IF NOT EXISTS app",
        CREATE,
        "create extension if not exists plpgsql",
        'create table if not exists app."T" (id int)',
    ]
    project = with_first(
        newest.project("linear", pg), f"for made in {made!r}:\n    connection.execute(text(made))\nconnection.commit()"
    )
    writes(newest.info(project), made[0])
    assert ok(newest.upgrade(project))["after"] == ["r005"]
    before = pg.dump()
    assert ok(newest.info(project))["status"] == "at_target" and not ok(newest.upgrade(project, check=True))["changed"]
    assert pg.dump() == before


def test_what_harms_nobody_is_let_through(newest: Application, pg: Any) -> None:
    pg.fetch(f"grant pg_monitor to {pg.role}")
    code = [
        "SET search_path = public",
        "SET LOCAL lock_timeout = '3s'",
        "SET ROLE pg_monitor",
        "RESET ROLE",
        "select pg_advisory_lock(7)",
        "select pg_advisory_unlock(7)",
        "select pg_try_advisory_xact_lock(8)",
        "NOTIFY migrations",
    ]
    project = with_first(
        newest.project("linear", pg), f"for sql in {code!r}:\n    connection.execute(text(sql))\nconnection.commit()"
    )
    assert ok(newest.info(project))["status"] == "uninitialised" and pg.tables() == []


def test_a_project_knows_that_it_is_looked_at(newest: Application, pg: Any) -> None:
    code = f"if 'DBOPS_ALEMBIC_READ_ONLY' not in os.environ:\n    connection.execute(text({CREATE!r}))\n    connection.commit()"
    project = with_first(newest.project("linear", pg), code)
    variables = {"DBOPS_ALEMBIC_READ_ONLY": "1"}  # of whoever calls the module: that is not what an upgrade is
    assert ok(newest.info(project))["status"] == "uninitialised" and ok(newest.upgrade(project, check=True))["changed"]
    assert pg.tables() == [] and ok(newest.upgrade(project, variables=variables))["after"] == ["r005"]
    assert pg.fetch("select character_maximum_length from information_schema.columns where column_name = 'version_num'") == [(128,)]


def test_a_write_that_the_project_passes_over_is_told(newest: Application, pg: Any) -> None:
    prelude = FACTORY.replace("\ncreate_app()\n", "\ntry:\n    create_app()\nexcept Exception:\n    pass\n")
    result = ok(newest.info(newest.project("linear", pg), prelude=prelude))
    assert result["status"] == "uninitialised" and any("CREATE TABLE alembic_version" in text for text in result["warnings"])
    assert pg.tables() == []


def test_another_error_after_a_refusal_names_it(newest: Application, pg: Any) -> None:
    prelude = FACTORY.replace(
        "\ncreate_app()\n", "\ntry:\n    create_app()\nexcept Exception:\n    raise SystemExit('no migrations') from None\n"
    )
    writes(newest.info(newest.project("linear", pg), prelude=prelude), "CREATE TABLE alembic_version")


@pytest.mark.parametrize("driver", ["pysqlite", pytest.param("aiosqlite", marks=pytest.mark.slow)])
def test_a_file_of_sqlite_is_neither_made_nor_touched(newest: Application, sqlite: Any, driver: str) -> None:
    name = "async_env" if driver == "aiosqlite" else "linear"
    project = newest.project(name, sqlite.url(driver))
    wal = "connection.execute(text('pragma journal_mode=wal'))\nconnection.commit()"
    if name == "linear":
        with_first(project, wal)
    for look in ("info", "upgrade", "plan"):
        ok(newest.run(look, project, **LOOKS[look]))
        assert list(sqlite.path.parent.glob("data.sqlite*")) == []
    sqlite.fetch("create table kept (id)")
    before = sqlite.path.read_bytes()
    assert ok(newest.info(project))["status"] == "uninitialised" and sqlite.path.read_bytes() == before
    assert ok(newest.upgrade(project))["after"] == ["r005"]


def test_a_first_autogenerated_revision_makes_no_version_table(newest: Application, pg: Any) -> None:
    project = newest.project("models", pg)
    for script in project.versions().glob("*.py"):
        script.unlink()
    made = ok(newest.run("revision", project, method="autogenerate", title="first"))
    assert made["changed"] and pg.tables() == []


@pytest.mark.parametrize(
    ("module", "given"),
    [
        ("rows", {}),
        ("sessions_info", {}),
        ("snapshot_info", {}),
        ("restore_info", {}),
        ("snapshot", {"state": "present", "check": True}),
        ("sessions", {"check": True}),
    ],
)
def test_what_looks_at_a_whole_database(postgres: Any, module: str, given: dict[str, Any]) -> None:
    """Asked of the server's own log: what its session was, and that no statement was refused."""
    with made(postgres) as database:
        postgres.fetch(f"alter role {database.role} set log_statement = 'all'")
        start = len(postgres.log.read_text())
        ok(Caller(database)(module, **given))
        said = postgres.log.read_text()[start:]
        assert "set default_transaction_read_only = on" in said and "read-only transaction" not in said


def test_rows_of_mariadb(mariadb: Any, maria: Any) -> None:
    maria.fetch("create table kept (id int)")
    mariadb.fetch("set global log_output = 'TABLE', general_log = 1")
    try:
        assert ok(Caller(maria)("rows"))["tables"]["kept"]["rows"] == 0
    finally:
        mariadb.fetch("set global general_log = 0")
    said = [row[0] for row in mariadb.fetch("select argument from mysql.general_log where user_host like %s", [f"{maria.role}%"])]
    assert any("set session transaction read only" in str(text).lower() for text in said)


def test_a_file_whose_rows_are_counted_is_not_made(tmp_path: Any) -> None:
    path = tmp_path / "nothing.sqlite"
    failed(Caller(None, url=f"sqlite:///{path}")("rows"), "database_missing")
    assert not path.exists()
