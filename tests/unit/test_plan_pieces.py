# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements of a text, and what the numbers of transactions say of those that nobody saw."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal import blocking
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.seen import Seen
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal import chosen, pieces
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal.rights import lost
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal.unseen import Account, Ledger


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SET a = 1; SELECT 2;", ["SET a = 1", "SELECT 2"]),
        ("SELECT ';', \"a;b\", E'it\\';s', $q$;$$;$q$, $$;$$; SELECT 2", 2),
        ("-- one; two\nSELECT 1; /* a; /* b; */ c; */ SELECT 2", 2),
        ("CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b); SELECT 2", 2),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END", 1),
        ("CREATE FUNCTION f() BEGIN ATOMIC SELECT CASE WHEN a THEN ';' END; SELECT 2; end; SELECT 3", 2),
        ("CREATE FUNCTION f() BEGIN ATOMIC SELECT 1; SELECT 2", 1),
        ("SELECT E'BEGIN ATOMIC'; SELECT 'BEGIN ATOMIC'; SELECT 3 -- BEGIN ATOMIC\n; SELECT 4", 4),
        ("SELECT 1; -- and nothing more", ["SELECT 1"]),
        ("SELECT (1; SELECT 2", 1),
        ("SELECT note; DELETE FROM e", 2),
    ],
)
def test_a_text_is_taken_apart_where_that_is_certain(text: str, expected: Any) -> None:
    found = pieces.split(text)
    assert (len(found) if isinstance(expected, int) else [piece.strip() for piece in found]) == expected
    assert isinstance(expected, list) or len(found) > 1 or found == [text]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE t SET a = 'x FROM y', b = extract(epoch FROM c) WHERE id < 5 RETURNING id;", "select 1 from t WHERE id < 5"),
        ('update only "S"."T" as u set a = %(a)s from v where u.id = v.id', 'select 1 from only "S"."T" as u, v WHERE u.id = v.id'),
        ("-- all\nUPDATE t SET a = 1", "select 1 from t"),
        (
            "DELETE FROM t USING u WHERE t.id = u.id AND t.a IS DISTINCT FROM u.a",
            "select 1 from t, u WHERE t.id = u.id AND t.a IS DISTINCT FROM u.a",
        ),
        ("DELETE FROM `t` WHERE a = 1 ORDER BY id LIMIT 5", "select 1 from `t` WHERE a = 1 ORDER BY id LIMIT 5"),
        ("WITH x AS (SELECT 1) UPDATE t SET a = 1", None),
        ("UPDATE t JOIN u USING (id) SET t.a = 1", None),
        ("INSERT INTO t SELECT 1", None),
    ],
)
def test_the_rows_that_a_statement_changes(statement: str, expected: str | None) -> None:
    found = chosen.of(statement)
    assert (found and found.query({})) == expected


def test_a_column_that_is_not_there_yet_is_null() -> None:
    found = chosen.of("UPDATE t SET new = %s, b = %s WHERE id > %s AND new IS NULL")
    assert found is not None and found.parameters((1, 2, 3)) == (3,) and found.parameters({"a": 1}) == {"a": 1}
    assert found.query({"new": "int"}) == (
        'select 1 from (select t.*, null::int as "new" from t t) t WHERE id > %s AND new IS NULL'
    )
    assert found.query({"id": "int"}) is None  # which values it has then, nobody knows


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("ALTER ROLE web SET search_path = other", True),
        ("/* a */ create user web", True),
        ("ALTER DATABASE app SET statement_timeout = 0", True),
        ("ALTER SYSTEM SET work_mem = '1GB'", True),
        ("COMMENT ON DATABASE app IS 'ours'", True),
        ("REVOKE CONNECT ON DATABASE app FROM PUBLIC", True),
        ("GRANT readers TO web", True),
        ("DROP OWNED BY web", True),
        ("GRANT SELECT ON t TO web", False),
        ("COMMENT ON TABLE t IS 'on database x'", False),
        ("CREATE USER MAPPING FOR web SERVER s", False),
        ("ALTER TABLE role ADD a int", False),
        ("SELECT 'DROP ROLE web'", False),
    ],
)
def test_what_is_of_the_whole_server(statement: str, expected: bool) -> None:
    assert pieces.is_of_the_server(statement) is expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT pg_terminate_backend(7)", True),
        ("/* a */ do $$ begin perform pg_reload_conf(); end $$", True),
        ("WITH s AS (SELECT 1) SELECT dblink_exec('dbname=other', 'DROP TABLE t')", True),
        ("COPY t TO '/srv/export.csv'", True),
        ("COPY t FROM PROGRAM 'true'", True),
        ("COPY t FROM STDIN", False),
        ("COPY t TO STDOUT", False),
        ("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ SELECT pg_terminate_backend(7) $$", False),
        ("SELECT 'pg_terminate_backend(7)'", False),
        ("INSERT INTO notes VALUES ('call pg_terminate_backend(7)')", False),
        ("SELECT pg_advisory_xact_lock(7)", False),
    ],
)
def test_what_acts_outside_of_the_database(statement: str, expected: bool) -> None:
    assert pieces.acts_outside(statement) is expected


@pytest.mark.parametrize(
    ("statement", "control", "ends"),
    [
        ("SET LOCAL x = 1", True, False),
        ("/* now */ COMMIT", True, True),
        ("ROLLBACK TO SAVEPOINT a", True, False),
        ("ROLLBACK", True, True),
        ("BEGIN", True, False),
        ("CREATE INDEX i ON t (a)", False, False),
        ("PREPARE x AS DELETE FROM t", False, False),
    ],
)
def test_what_only_controls_a_transaction(statement: str, control: bool, ends: bool) -> None:
    assert (pieces.is_control(statement), pieces.ends_transaction(statement)) == (control, ends)


class Server:
    """Answers as the connection to the copy does."""

    def __init__(self, following: int, written: list[tuple[str, int]], scans: dict[str, int]) -> None:
        self.following, self.written, self.scans = following, written, scans

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return list(self.written)

    def again(self, sql: str, oids: list[str]) -> list[tuple[Any, ...]]:
        return [(self.following, self.following, "{" + ",".join(str(self.scans.get(oid, 0)) for oid in oids) + "}")]


@pytest.mark.parametrize(
    ("spans", "nested", "written", "strange"),
    [
        ([(10, 11)], False, [("a", 10)], []),
        ([(10, 11)], False, [("a", 10), ("b", 11)], ["b"]),
        ([(10, 11), (13, 14)], True, [("a", 12), ("b", 13)], []),
        ([], False, [("a", 9), ("b", 4_294_967_295)], []),
        ([], False, [("a", 10)], ["a"]),
    ],
)
def test_a_transaction_that_nobody_saw(spans: Any, nested: bool, written: Any, strange: list[str]) -> None:
    server = Server(10, written, {})
    ledger = Ledger(server, Account(), [])  # type: ignore[arg-type]
    server.following = 20
    for number, after in spans:
        ledger.note(str(number), number, after, {})
    ledger.nested = nested
    assert ledger.rest() == (strange, [])


def test_a_scan_that_nobody_saw() -> None:
    server = Server(10, [], {"1": 5, "2": 5, "3": 5})
    ledger = Ledger(server, Account(), {"3", "2", "1"})  # type: ignore[arg-type]
    ledger.note("t", None, 10, {"1": 1})
    ledger.note("t", None, 10, {"1": 2})
    server.scans = {"1": 7, "2": 6, "3": 6, "4": 9}
    ledger.uncounted = {"3"}
    assert ledger.rest() == ([], ["2"])  # one that is new is none of the old code's
    later, wider = (Ledger(server, Account(), each, ledger) for each in ("123", "1234"))  # type: ignore[arg-type]
    assert later.rest() == wider.rest() == ([], [])
    server.scans = {**server.scans, "2": 7, "4": 10}
    assert (later.rest(), wider.rest()) == (([], ["2"]), ([], ["2", "4"]))
    ledger.uncounted = None
    assert ledger.rest() == ([], [])


def test_what_is_lost_goes_by_names() -> None:
    key = ("web", "relation", "public.t")
    before = {key: {"SELECT": ["a", "b", "c"], "DELETE": []}, ("web", "S", "public.s"): {"USAGE": []}}
    columns = {"public.t.a", "public.t.b"}

    def told(after: Any) -> list[tuple[str, str, list[str]]]:
        return [(item["object"], item["privilege"], item["columns"]) for item in lost(before, after, columns.__contains__)]

    assert told({key: {"SELECT": ["a", "b"], "DELETE": []}}) == []  # c is gone, which is another rule's
    assert told({key: {"SELECT": ["a"], "DELETE": []}}) == [("public.t", "SELECT", ["b"])]
    assert told({key: {}, ("web", "S", "public.s"): {}}) == [
        ("public.t", "SELECT", []),
        ("public.t", "DELETE", []),
        ("public.s", "USAGE", []),
    ]


@pytest.mark.parametrize(
    ("transactions", "rows", "expected"),
    [
        (["t", "t", "t"], 5000, ["B02"]),
        (["t", "u", "v"], 5000, []),
        ([None, None, None], 5000, []),  # each by itself
        (["t", "t", "t"], 3000, []),  # few even together
        (["t"], 9000, []),
    ],
)
def test_batches_of_one_transaction_are_added_up(transactions: list[str | None], rows: int, expected: list[str]) -> None:
    lists: dict[str, Any] = {name: [] for name in ("rewritten", "written", "procedural_writes", "read", "scanned")}
    facts = {
        "sql": "UPDATE big …",
        "locks": {},
        "truncated": False,
        "writes": "update",
        "affected": rows,
        "touched": ["2"],
        "times": 1,
        "ran": 0.0,
        "idle": 0.0,
    }
    statements = [{**lists, **facts, "transaction": each, "transactional": True, "autocommit": not each} for each in transactions]
    seen = Seen({"statements": statements, "tables": {"2": {"name": "big", "rows": 1000000, "bytes": 1}}, "changes": []})
    assert [item.rule for item in blocking.check(seen)] == expected


def test_a_lock_is_held_on_where_revisions_share_a_transaction() -> None:
    def one(locks: dict[str, str], scanned: list[str], autocommit: bool = False, idle: float = 0.0) -> dict[str, Any]:
        facts = {name: [] for name in ("rewritten", "written", "touched", "procedural_writes", "read")}
        none = {name: None for name in ("writes", "affected", "transaction")}
        statement = {**facts, **none, "sql": "…", "locks": locks, "scanned": scanned, "truncated": False}
        statement.update(ran=0.0, idle=idle)
        tables = {"1": {"name": "small", "rows": 1, "bytes": 1}, "2": {"name": "big", "rows": 1000000, "bytes": 1}}
        return {"statements": [dict(statement, transactional=True, autocommit=autocommit)], "tables": tables, "changes": []}

    first = Seen(one({"1": "AccessExclusive"}, []))
    assert first.left_held() == {"small": "AccessExclusive"}
    assert [item.rule for item in blocking.check(Seen(one({}, ["2"])))] == []
    assert [item.rule for item in blocking.check(Seen(one({}, ["2"]), held=first.left_held()))] == ["B01"]
    assert [item.rule for item in blocking.check(Seen(one({}, ["2"], autocommit=True), held=first.left_held()))] == []
    assert Seen(one({}, [], autocommit=True), held=first.left_held()).left_held() == {}
    for seen, found in (
        (Seen(one({"1": "AccessExclusive"}, [], idle=2.0)), ["B01"]),
        (Seen(one({}, [], idle=2.0), held=first.left_held()), ["B01"]),
        (Seen(one({"1": "RowExclusive"}, [], idle=2.0)), []),
        (Seen(one({"1": "AccessExclusive"}, [], autocommit=True, idle=2.0)), []),
        (Seen(one({"1": "AccessExclusive"}, [], idle=0.5)), []),
    ):
        assert [item.rule for item in blocking.check(seen)] == found


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE t SET a = 'it''s', b1 = 2.5 WHERE id = 17", "UPDATE t SET a = …, b1 = … WHERE id = …"),
        ("-- one of many\nDELETE FROM t2 WHERE id = 3", "-- one of many\nDELETE FROM t2 WHERE id = …"),
        ("INSERT INTO t VALUES ($1, E'a\\'b', 4)", "INSERT INTO t VALUES ($1, …, …)"),
        ("SELECT f('t1')", "SELECT f('t1')"),
        ("ALTER TABLE t ALTER a SET DEFAULT 5", "ALTER TABLE t ALTER a SET DEFAULT 5"),
    ],
)
def test_changes_that_differ_in_their_values_only_are_one_loop(statement: str, expected: str) -> None:
    assert pieces.shape(statement) == expected
