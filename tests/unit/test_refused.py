# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statements open a session to writing, which only read, and what is told of one that is refused."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker import readonly, refused


@pytest.mark.parametrize(
    "statement",
    [
        "SET default_transaction_read_only = off",
        "set session default_transaction_read_only to 'off'",
        "SET LOCAL transaction_read_only=0",
        "select set_config('default_transaction_read_only', 'false', false)",
        "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE",
        "SET TRANSACTION READ WRITE",
        "/* now */ set session transaction read write",
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        "start transaction\n  read write",
        "set @@session.tx_read_only = 0",
        "RESET default_transaction_read_only",
        "PRAGMA query_only = OFF",
        "pragma query_only(0)",
    ],
)
def test_what_opens_a_session_to_writing(statement: str) -> None:
    assert refused.opens(refused.bare(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "SET default_transaction_read_only = on",
        "SET search_path = off",
        "SET TRANSACTION READ ONLY",
        "select current_setting('transaction_read_only')",
        "begin",
        "set transaction isolation level read committed",
        "-- set transaction read write\nselect 1",
        "RESET ALL",
        "pragma query_only",
        "select 'may read and write'",
    ],
)
def test_what_does_not(statement: str) -> None:
    assert not refused.opens(refused.bare(statement))


@pytest.mark.parametrize(
    ("statement", "reads"),
    [("  select 1", True), ("WITH a AS (select 1) select 1", True), ("show all", True), ("selection", False), ("CALL p()", False)]
    + [(f"{verb} x", False) for verb in ("insert into", "update", "delete from", "merge into", "create table", "do", "vacuum", "")],
)
def test_what_seems_to_read(statement: str, reads: bool) -> None:
    assert refused.reads(statement) == reads


STACK = """Traceback (most recent call last):
  File "/srv/app/migrations/env.py", line 31, in run_migrations_online
    widen(connection)
  File "/srv/app/migrations/helper.py", line 4, in widen
    c.execute(text("ALTER TABLE alembic_version …"))
  File "/srv/app/venv/lib/python3.11/site-packages/sqlalchemy/engine/base.py", line 1418, in execute
    return meth(
psycopg2.errors.ReadOnlySqlTransaction: cannot execute ALTER TABLE in a read-only transaction
"""


def test_the_place_is_the_last_of_the_project() -> None:
    assert refused.place(STACK)["file"] == "/srv/app/migrations/helper.py" and refused.place(STACK)["line"] == 4
    assert refused.place("nothing") == {}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"kind": "environment_failed", "message": "cannot execute", "sqlstate": "25006"}, "environment_writes"),
        ({"kind": "migration_failed", "message": "read only", "sqlstate": "1792"}, "environment_writes"),
        ({"kind": "environment_failed", "message": "OperationalError: attempt to write a readonly database"}, "environment_writes"),
        ({"kind": "environment_failed", "message": "KeyError: 'X'"}, "environment_failed"),
        ({"kind": "connection_failed", "message": "refused", "sqlstate": None}, "connection_failed"),
    ],
)
def test_an_error_is_told_as_what_it_is(error: dict, kind: str) -> None:
    told = readonly.Keeper().explained(dict(error, traceback=STACK, statement="ALTER TABLE alembic_version"))
    assert told["kind"] == kind
    if kind == "environment_writes":
        assert "ALTER TABLE alembic_version" in told["message"] and refused.VARIABLE in told["hint"] and told["line"] == 4


def test_what_came_of_a_refusal_is_told_with_it() -> None:
    keeper = readonly.Keeper()
    keeper.note("insert into t values (1)")
    told = keeper.explained({"kind": "environment_failed", "message": "the project called sys.exit(1)"})
    assert told["kind"] == "environment_writes" and "insert into t" in told["message"] and "sys.exit(1)" in told["message"]
    assert keeper.explained({"kind": "authentication_failed", "message": "no"})["kind"] == "authentication_failed"


@pytest.mark.parametrize(
    ("operation", "given", "reads"),
    [
        ("database_rows", {}, True),
        ("database_snapshot_info", {}, True),
        ("database_sessions_info", {}, True),
        ("database_restore_info", {}, True),
        ("database_snapshot", {}, False),
        ("database_snapshot", {"check": True}, True),
        ("database_sessions", {"check": True}, True),
        ("database_sessions", {}, False),
    ],
)
def test_which_operations_on_a_database_only_read(operation: str, given: dict, reads: bool) -> None:
    assert readonly.only_reads(dict(given, operation=operation)) == reads
