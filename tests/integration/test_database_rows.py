# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts and checksums of rows, and what changed between two of them: PostgreSQL, MariaDB, SQLite."""

from __future__ import annotations

import signal
import sqlite3
from typing import Any

import pytest

from support.application import failed, ok
from support.postgres import Postgres, PostgresDatabase
from support.quick import some
from support.services import on_each
from support.whole_database import Caller, made


def table(database: Any, name: str) -> str:
    return f"public.{name}" if database.dialect == "postgresql" else name


def write(database: Any, *statements: str) -> None:
    for statement in statements:
        database.fetch(statement)
    if database.dialect == "postgresql":
        for name in database.tables():
            database.fetch(f"alter table {name} owner to {database.role}")


@pytest.fixture
def filled(database: Any) -> Any:
    write(
        database,
        "create table orders (id int primary key, note varchar(20), price double precision)",
        "create table empty_one (id int)",
        "insert into orders values (1, 'one', 0.1), (2, null, 1e300), (3, 'three', 3)",
    )
    return database


@on_each
@pytest.mark.parametrize("environment", some(["alembic18", "alembic120"], "alembic120"))
def test_counts_and_what_changed(filled: Any, environment: str) -> None:
    call, orders, empty = Caller(filled, environment=environment), table(filled, "orders"), table(filled, "empty_one")
    first = ok(call("rows", checksum=True))
    assert {name: entry["rows"] for name, entry in first["tables"].items()} == {orders: 3, empty: 0}
    assert first["rows"] == 3 and first["exact"] and first["tables"][orders]["checksum"] not in (None, "0") and not first["changed"]
    same = ok(call("rows", checksum=True, since=first["tables"]))
    assert same["same"] and same["gained"] == same["lost"] == {} and same["different"] == same["unknown"] == []
    write(
        filled,
        "insert into orders values (4, 'four', 4), (5, 'five', 5)",
        "create table fresh (id int)",
        "insert into fresh values (1)",
    )
    more = ok(call("rows", checksum=True, since=first["tables"]))
    assert more["gained"] == {orders: 2, table(filled, "fresh"): 1} and more["rows_gained"] == 3 and more["rows_lost"] == 0
    assert not more["same"] and more["different"] == [orders]
    write(filled, "delete from orders where id < 5", "drop table fresh", "update empty_one set id = 1")
    less = ok(call("rows", checksum=True, since=more["tables"]))
    assert less["lost"] == {orders: 4, table(filled, "fresh"): 1} and less["rows_lost"] == 5


@on_each
def test_a_checksum_sees_what_a_count_does_not_and_no_order(filled: Any) -> None:
    call, orders = Caller(filled), table(filled, "orders")
    first = ok(call("rows", checksum=True))["tables"]
    write(filled, "delete from orders where id = 1", "insert into orders values (1, 'one', 0.1)")
    assert ok(call("rows", checksum=True, since=first))["same"], "the same rows in another order"
    for change in ("update orders set note = '' where note is null", "update orders set price = 0.10000000000000002 where id = 1"):
        write(filled, change)
        seen = ok(call("rows", checksum=True, since=first))
        assert seen["different"] == [orders] and not seen["same"] and seen["rows_gained"] == 0
        first = ok(call("rows", checksum=True))["tables"]
    counted = ok(call("rows", since=first))
    assert not counted["same"] and counted["different"] == [], "without checksums nothing is proved"


def test_swapped_values_and_doubled_rows_are_seen(filled: Any) -> None:
    call = Caller(filled)
    write(filled, "create table pairs (a varchar(5), b varchar(5))", "insert into pairs values ('x', 'y'), ('x', 'y'), ('p', 'q')")
    first = ok(call("rows", checksum=True))["tables"]
    write(filled, "update pairs set a = 'p', b = 'q' where a = 'x'")
    assert ok(call("rows", checksum=True, since=first))["different"] == [table(filled, "pairs")]
    write(filled, "delete from pairs", "insert into pairs values ('x', 'y'), ('x', 'y'), ('q', 'p')")
    assert ok(call("rows", checksum=True, since=first))["different"] == [table(filled, "pairs")]


def test_choosing_tables(filled: Any) -> None:
    call, orders, empty = Caller(filled), table(filled, "orders"), table(filled, "empty_one")
    for options, expected in (
        ({"tables": ["orders"]}, [orders]),
        ({"tables": [table(filled, "ord*")]}, [orders]),
        ({"exclude": ["ord*"]}, [empty]),
        ({"tables": ["*"], "exclude": ["*"]}, []),
    ):
        assert list(ok(call("rows", **options))["tables"]) == expected


def test_since_that_is_no_result(filled: Any) -> None:
    failed(Caller(filled)("rows", since={"orders": 3}), "options_invalid")


@on_each
def test_a_limit_on_time_gives_estimates_and_says_so(database: Any) -> None:
    big = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000) select i, 'x' as t from n"
    if database.dialect == "mysql":
        big = "select seq as i, 'x' as t from seq_1_to_1000000"
    write(database, f"create table big as {big}", "create table small (id int)")
    slow = {"postgresql": 0.02, "mysql": 0.1, "sqlite": 0.02}[database.dialect]
    found = ok(Caller(database)("rows", checksum=True, statement_timeout=slow))
    entry = found["tables"][table(database, "big")]
    assert not entry["exact"] and entry["checksum"] is None and not found["exact"] and "big" in found["warnings"][0]
    assert found["tables"][table(database, "small")] == {"rows": 0, "exact": True, "checksum": "0"}
    assert ok(Caller(database)("rows", since=found["tables"]))["unknown"] == [table(database, "big")]


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_other_drivers_find_the_same(pg: PostgresDatabase, driver: str) -> None:
    write(
        pg,
        "create table things (a timestamptz, b interval, c bytea, d float4, e jsonb, f numeric, g text[])",
        "insert into things values ('2026-11-21 06:39+02', '1 day 2 h', '\\x00ff', 0.1, '{\"b\": 1}', 1.10, '{a,\"b c\"}')",
    )
    first = ok(Caller(pg)("rows", checksum=True))["tables"]
    pg.server.fetch(f"alter database {pg.name} set timezone = 'Asia/Tokyo'")
    pg.server.fetch(f"alter role {pg.role} set datestyle = 'German'")
    pg.server.fetch(f"alter role {pg.role} set bytea_output = 'escape'")
    pg.server.fetch(f"alter role {pg.role} set extra_float_digits = -5")
    assert ok(Caller(pg, driver)("rows", checksum=True, since=first))["same"], "whoever asks and how"


def test_postgresql_estimates_partitions_schemas_and_temporary_tables(pg: PostgresDatabase) -> None:
    pg.fetch('create schema "Sales %"')
    pg.fetch(f'grant usage on schema "Sales %" to {pg.role}')
    pg.fetch('create table "Sales %"."Or""ders" (id int) partition by range (id)')
    pg.fetch('create table "Sales %".low partition of "Sales %"."Or""ders" for values from (0) to (10)')
    pg.fetch("create table parent (id int)")
    pg.fetch("create table child () inherits (parent)")
    pg.fetch('insert into "Sales %"."Or""ders" select generate_series(0, 9)')
    pg.fetch("insert into child values (1), (2)")
    pg.fetch("create view v as select 1 as one")
    pg.server.fetch(f"grant pg_read_all_data to {pg.role}")
    found = ok(Caller(pg)("rows"))
    assert {name: entry["rows"] for name, entry in found["tables"].items()} == {
        "Sales %.low": 10,
        "public.child": 2,
        "public.parent": 0,
    }
    guessed = ok(Caller(pg)("rows", count="estimate"))
    assert guessed["tables"]["public.child"] == {"rows": None, "exact": False, "checksum": None}, "never analysed, so not known"
    pg.fetch("analyze")
    guessed = ok(Caller(pg)("rows", count="estimate"))
    assert guessed["rows"] == 12 and not guessed["exact"] and not guessed["warnings"]


def test_what_may_not_be_read_is_named_and_row_security_hides_nothing(pg: PostgresDatabase) -> None:
    pg.fetch("create table private (id int)")
    pg.fetch("create table filtered (id int)")
    pg.fetch("insert into filtered values (1)")
    pg.fetch("alter table filtered enable row level security")
    pg.fetch(f"grant select on filtered to {pg.role}")
    assert "public.private" in failed(Caller(pg)("rows"), "insufficient_privilege")["msg"]
    assert "row-level security" in failed(Caller(pg)("rows", exclude=["private"]), "insufficient_privilege")["msg"]
    assert ok(Caller(pg)("rows", exclude=["private", "public.filtered"]))["tables"] == {}


def test_rows_that_going_back_would_lose(postgres: Any) -> None:
    with made(postgres) as shop:
        call = Caller(shop)
        write(shop, "create table orders (id int)", "insert into orders select generate_series(1, 10)")
        name = ok(call("snapshot"))["snapshot"]["name"]
        write(
            shop,
            "insert into orders select generate_series(11, 17)",
            "create table refunds (id int)",
            "insert into refunds values (1)",
        )
        then = ok(call("rows", database=name, checksum=True))
        now = ok(call("rows", since=then["tables"], checksum=True))
        assert now["rows_gained"] == 8 and now["gained"] == {"public.orders": 7, "public.refunds": 1} and then["database"] == name
        ok(call("snapshot", state="restored", name=name, terminate=True))
        assert ok(call("rows", since=then["tables"], checksum=True))["same"]


def test_mariadb_copies_have_the_same_checksums(maria: Any, mariadb: Any) -> None:
    write(
        maria,
        "create table t (id int primary key, note text, made datetime(6), raw blob, price decimal(10, 2))",
        "insert into t values (1, 'ä', now(6), x'00ff', 1.10), (2, null, null, null, null)",
    )
    other = mariadb.database()
    try:
        other.fetch(f"create table t like {maria.name}.t")
        other.fetch(f"insert into t select * from {maria.name}.t order by id desc")
        first = ok(Caller(maria)("rows", checksum=True))["tables"]
        assert ok(Caller(other)("rows", checksum=True, since=first))["same"]
    finally:
        other.drop()


def test_sqlite_with_a_running_writer_views_and_odd_values(sqlite: Any) -> None:
    sqlite.fetch("pragma journal_mode = wal")
    sqlite.fetch('create table "odd ""one" (a, b)')
    sqlite.fetch("create view v as select 1")
    sqlite.fetch("create virtual table words using fts5(t)")
    sqlite.fetch("create table auto (id integer primary key autoincrement)")
    connection = sqlite3.connect(sqlite.path)
    connection.execute("insert into \"odd \"\"one\" values (?, ?), (cast(x'ff' as text), x'ff')", (1.5, None))
    connection.commit()
    with sqlite.holding("insert into auto values (null)"):
        first = ok(Caller(sqlite)("rows", checksum=True))["tables"]
    assert first['odd "one']["rows"] == 2 and first["auto"]["rows"] == 0 and "v" not in first and "words" not in first
    connection.execute('update "odd ""one" set b = cast(b as text) where typeof(b) = \'blob\'')
    connection.commit()
    connection.close()
    assert ok(Caller(sqlite)("rows", checksum=True, since=first))["different"] == ['odd "one'], "text is not a blob"
    failed(Caller(sqlite, url="sqlite:///:memory:")("rows"), "unsupported_database")


def test_rows_written_are_counted_without_reading_the_tables(pg: PostgresDatabase) -> None:
    call = Caller(pg)
    write(
        pg,
        "create table orders (id int primary key, note text)",
        "insert into orders select i, 'x' from generate_series(1, 100) i",
        "create table quiet (id int)",
    )
    first = ok(call("rows", count="written"))
    assert first["tables"]["public.orders"]["written"] == 100 and not first["exact"] and not first["warnings"]
    assert ok(call("rows", count="written", since=first["tables"]))["rows_written"] == 0
    write(
        pg,
        "insert into orders values (101, 'y')",
        "update orders set note = 'z' where id < 4",
        "delete from orders where id = 5",
        "create table fresh as select 1 as id",
    )
    later = ok(call("rows", count="written", since=first["tables"]))
    assert later["written"] == {"public.orders": 5, "public.fresh": 1} and later["rows_written"] == 6 and later["unknown"] == []
    assert ok(call("rows", count="written", since=first["tables"], tables=["quiet"]))["unknown"] == ["public.orders"]


LOST = ["truncate quiet", "vacuum full quiet", "drop table quiet", "select pg_stat_reset()"]


@pytest.mark.parametrize("lost", some(LOST, LOST[0], LOST[-1]))
def test_what_makes_the_counters_useless_is_noticed(pg: PostgresDatabase, lost: str) -> None:
    call = Caller(pg)
    write(pg, "create table quiet (id int)", "insert into quiet values (1)")
    first = ok(call("rows", count="written"))
    pg.fetch(lost)
    later = ok(call("rows", count="written", since=first["tables"]))
    assert later["rows_written"] is None and later["unknown"] == ["public.quiet"]


def test_counters_that_a_crash_reset_are_not_believed() -> None:
    """They begin again at zero, and may be larger than before when somebody looks again."""
    server = Postgres().create().start()
    try:
        with made(server) as database:
            call = Caller(database)
            write(database, "create table orders (id int)", "insert into orders select generate_series(1, 3)")
            first = ok(call("rows", count="written"))
            server.restart(signal.SIGINT)
            assert ok(call("rows", count="written", since=first["tables"]))["rows_written"] == 0, "a shutdown keeps them"
            server.restart(signal.SIGQUIT)
            write(database, "insert into orders select generate_series(1, 7)")
            assert ok(call("rows", count="written", since=first["tables"]))["rows_written"] is None
    finally:
        server.remove()


def test_where_nothing_counts_writes_the_content_tells(maria: Any, sqlite: Any) -> None:
    for database in (maria, sqlite):
        write(database, "create table orders (id int, note varchar(9))", "insert into orders values (1, 'a'), (2, 'b')")
        first = ok(Caller(database)("rows", count="written"))
        assert ok(Caller(database)("rows", count="written", since=first["tables"]))["rows_written"] == 0
        write(database, "insert into orders values (3, 'c')", "update orders set note = 'd' where id = 1")
        assert ok(Caller(database)("rows", count="written", since=first["tables"]))["rows_written"] == 1
