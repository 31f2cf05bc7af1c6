# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SQL that nobody has run does, with the catalogue of the real database, and as PostgreSQL's own parser reads it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.judged import calls, spelled
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.known import Known
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.rendered import Rendered
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.seen import Large
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.static import findings

LARGE, SMALL = {"rows": 1000000, "bytes": 1000000000}, {"rows": 3, "bytes": 8192}
SIZES = {"public.big": LARGE, "public.small": SMALL, "public.part": LARGE, "public.sums": SMALL}


def relation(name: str, kind: str = "r", **facts: Any) -> dict[str, Any]:
    told = {"relkind": kind, "acl": None, "query": None, "owned": False, "bound": None, "parent": None, **facts}
    return {"kind": "relation", "oid": name, "name": f"public.{name}", **told}


def column(name: str, kind: str = "integer", **facts: Any) -> dict[str, Any]:
    table, _dot, short = name.partition(".")
    told = {"type": kind, "not_null": False, "default": None, "identity": "", "generated": "", **facts}
    return {"kind": "column", "name": f"public.{name}", "table": f"public.{table}", "column": short, **told}


KEPT = {"definition": "CHECK ((shown IS NOT NULL))"}
ENTRIES = [
    *(relation("big", acl="{owner=arwd/owner,web=arwd/owner}"), relation("small"), relation("part"), relation("free_seq", "S")),
    *(relation("big_id_seq", "S", owned=True), relation("totals", "v", query=" SELECT big.shown FROM big"), relation("few", "v")),
    relation("sums", "m", query=" SELECT sum(big.x) FROM big"),
    *(column("big.n"), column("big.shown"), column("big.name", "character varying(50)"), column("big.addr", "public.mail")),
    column("big.state", "text", not_null=True, default="'new'::text"),
    column("big.note", "text", default="''::text"),
    column("small.n"),
    {"kind": "constraint", "name": "public.big.fk", "table": "public.big", "type": "f"},
    {"kind": "constraint", "name": "public.big.uq", "table": "public.big", "type": "u"},
    {"kind": "constraint", "name": "public.big.there", "table": "public.big", "type": "c", "valid": True, **KEPT},
    {"kind": "function", "name": "public.audit()", "raises": False, "acl": None},
    {"kind": "function", "name": "public.guard()", "raises": True, "acl": None},
    {"kind": "type", "name": "public.mail", "typtype": "d"},
    {"kind": "type", "name": "public.mood", "typtype": "e"},
    {"kind": "trigger", "name": "public.small.fill", "table": "public.small", "definition": "CREATE TRIGGER f BEFORE INSERT ON s"},
]
KNOWN = {
    "entries": ENTRIES,
    "roles": ["web"],
    "rights": [["web", "relation", "public.big", ["INSERT", "SELECT"]], ["web", "function", "public.audit()", ["EXECUTE"]]],
}
PLANS = {
    "UPDATE big SET n = 1 WHERE n = 5": {"rows": 12, "scans": []},
    "UPDATE big SET n = 1 WHERE n < 8000": {"rows": 8000, "scans": []},
    "UPDATE big SET n = 1 WHERE n > 9": {"rows": 8000, "scans": []},
    "UPDATE big SET n = 2": {"rows": 1000000, "scans": ["public.big"]},
    "INSERT INTO small SELECT n FROM big WHERE n = 3": {"rows": None, "scans": []},
}
FILLS = ["M04:may_break", "B01:blocks"]
FUNCTION = "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {}; END$$"
TRIGGER = "CREATE TRIGGER t BEFORE INSERT ON big FOR EACH ROW EXECUTE FUNCTION"


def read(sql: str, known: Any = KNOWN, **more: Any) -> list[str]:
    rendered = Rendered("r", sql, None, SIZES, ("alembic_version",), Large(), known=Known(known), plans=PLANS, **more)
    return [f"{item.rule}:{item.kind}" for item in findings(rendered)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        # types: what is kept as it is, what is rewritten, what old code trips over
        ("ALTER TABLE big ALTER COLUMN name TYPE VARCHAR(100)", []),
        ("ALTER TABLE big ALTER COLUMN name TYPE text", []),
        ("ALTER TABLE big ALTER COLUMN name TYPE varchar(10)", ["B01:blocks", "M01:may_break"]),
        ("ALTER TABLE big ALTER COLUMN n TYPE BIGINT", ["B01:blocks"]),
        ("ALTER TABLE small ALTER COLUMN n TYPE BIGINT", []),
        ("ALTER TABLE big ALTER COLUMN note TYPE jsonb USING to_jsonb(note)", ["B01:blocks", "C05:breaks"]),
        ("ALTER TABLE big ALTER COLUMN n TYPE odd", ["U06:unknown"]),
        ("ALTER TABLE big ALTER COLUMN shown TYPE bigint", ["U06:unknown", "B01:blocks"]),  # a view shows it
        ("ANALYZE; ANALYZE big", []),
        ("ALTER TABLE small ADD COLUMN more int; ANALYZE (VERBOSE) big (n)", ["B01:blocks"]),
        ("ALTER TABLE small ADD COLUMN more int; ANALYZE VERBOSE small", []),
        ("ALTER TABLE small ADD COLUMN more int; ANALYZE", ["B01:blocks"]),
        # defaults and constraints
        ("ALTER TABLE big ALTER COLUMN state DROP DEFAULT", ["C09:breaks"]),
        ("ALTER TABLE big ALTER COLUMN note DROP DEFAULT", ["M02:may_break"]),
        ("ALTER TABLE big ALTER COLUMN n DROP DEFAULT", []),
        ("ALTER TABLE big ALTER state DROP DEFAULT; ALTER TABLE big ALTER state ADD GENERATED BY DEFAULT AS IDENTITY", []),
        ("ALTER TABLE big DROP CONSTRAINT fk", []),
        ("ALTER TABLE big DROP CONSTRAINT uq", ["C07:breaks"]),
        ("ALTER TABLE big DROP CONSTRAINT unheard_of", ["C07:breaks"]),
        ("ALTER TABLE small ALTER n SET NOT NULL", ["M01:may_break"]),  # a trigger may fill it
        ("ALTER TABLE small ADD CONSTRAINT c CHECK (n IS NOT NULL) NOT VALID", ["M01:may_break"]),
        ("ALTER TABLE big ADD CONSTRAINT c CHECK (n IS NOT NULL) NOT VALID", ["C15:breaks"]),
        ("ALTER TABLE big ALTER shown SET NOT NULL", []),  # which a check says already
        # domains, enums
        ("ALTER TABLE big ADD COLUMN m mood", []),
        ("ALTER TABLE big ADD COLUMN m mail", ["U06:unknown"]),
        ("ALTER TABLE big ADD COLUMN price NUMERIC(10, 2) DEFAULT 0 NOT NULL", []),
        ("ALTER DOMAIN mail ADD CONSTRAINT c CHECK (length(value) < 9)", ["B01:blocks"]),
        ("ALTER DOMAIN mail ADD CONSTRAINT c CHECK (length(value) < 9) NOT VALID", ["M01:may_break"]),
        ("ALTER TYPE mood ADD VALUE 'odd'; UPDATE small SET n = 1 WHERE m = 'odd'", ["M03:may_break", "U06:unknown"]),
        ("COMMIT; ALTER TYPE mood ADD VALUE 'odd'; UPDATE small SET n = 1 WHERE m = 'odd'", ["M03:may_break"]),
        # rows
        ("UPDATE big SET n = 1 WHERE n = 5", []),
        ("UPDATE big SET n = 2", ["B02:blocks"]),
        ("UPDATE big SET n = 1 WHERE n < 8000; UPDATE big SET n = 1 WHERE n > 9", ["B02:blocks"]),  # in one transaction
        ("COMMIT; UPDATE big SET n = 1 WHERE n < 8000; UPDATE big SET n = 1 WHERE n > 9", []),
        ("BEGIN; UPDATE big SET n = 1 WHERE n < 8000; COMMIT; BEGIN; UPDATE big SET n = 1 WHERE n > 9; COMMIT", []),
        ("UPDATE small SET n = guard()", ["U06:unknown"]),
        ("INSERT INTO small (n) SELECT n FROM big", []),
        ("ALTER TABLE small ADD a int; INSERT INTO small (n) SELECT n FROM big", ["B01:blocks"]),  # small is locked meanwhile
        ("ALTER TABLE small ADD a int; INSERT INTO small SELECT n FROM big WHERE n = 3", []),
        ("TRUNCATE small; CREATE TABLE x AS SELECT n FROM big", ["M04:may_break", "B01:blocks"]),
        ("BEGIN; ALTER TABLE small ADD a int; COMMIT; INSERT INTO small (n) SELECT n FROM big", []),
        ("SELECT setval('free_seq', (SELECT max(n) FROM big))", []),
        ("SELECT pg_sleep(100)", ["U06:unknown"]),
        # privileges
        ("REVOKE INSERT ON big FROM web", ["C13:breaks"]),
        ("REVOKE DELETE ON big FROM web", []),
        ("REVOKE INSERT ON big FROM somebody", ["U06:unknown"]),
        ("REVOKE ALL ON big FROM PUBLIC", []),
        ("REVOKE EXECUTE ON FUNCTION audit() FROM PUBLIC", ["C13:breaks"]),
        ("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM web", ["U06:unknown"]),
        ("GRANT SELECT ON big TO web", []),
        # sequences, views, functions, triggers
        ("DROP SEQUENCE big_id_seq", []),
        ("DROP SEQUENCE free_seq", ["C01:breaks"]),
        ("ALTER SEQUENCE free_seq RENAME TO other", ["C03:breaks"]),
        ("ALTER SEQUENCE free_seq RESTART WITH 9; ALTER SEQUENCE free_seq AS bigint", ["M02:may_break"]),
        ("DROP TABLE IF EXISTS nowhere", []),
        ("CREATE OR REPLACE VIEW few AS SELECT 1", ["M04:may_break"]),
        ("CREATE VIEW fresh AS SELECT 1", []),
        (f"{TRIGGER} audit()", ["M04:may_break"]),
        (f"{TRIGGER} guard()", ["U08:unknown"]),
        (f"{TRIGGER} elsewhere()", ["U08:unknown"]),
        (f"{FUNCTION.format('RAISE EXCEPTION $a$no$a$')}; {TRIGGER} f()", ["U08:unknown"]),
        (f"{FUNCTION.format('RETURN NEW')}; {TRIGGER} f()", ["M04:may_break"]),
        (f"{FUNCTION.format('RETURN NEW')}; {TRIGGER} f(); CREATE TABLE x (n int); INSERT INTO x SELECT n FROM big", FILLS),
        # partitions, materialized views, what takes no time
        ("ALTER TABLE log ATTACH PARTITION part FOR VALUES IN (1)", ["B01:blocks"]),
        ("ALTER TABLE log ATTACH PARTITION small FOR VALUES IN (1)", []),
        ("ALTER TABLE log DETACH PARTITION part CONCURRENTLY", ["C14:breaks"]),
        ("REFRESH MATERIALIZED VIEW sums", ["B01:blocks"]),  # it reads the large table
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY sums", []),
        ("VACUUM (ANALYZE) big", ["T01:not_transactional"]),
        ("ALTER TABLE big DISABLE TRIGGER t", ["M04:may_break"]),
        ("ALTER TABLE big REPLICA IDENTITY FULL; ALTER TABLE big ALTER CONSTRAINT fk DEFERRABLE", []),
        ("ALTER TABLE big ENABLE ROW LEVEL SECURITY", ["U06:unknown"]),
    ],
)
def test_what_the_catalogue_decides(sql: str, expected: list[str]) -> None:
    assert read(sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE big ALTER COLUMN name TYPE text", ["U06:unknown"]),
        ("REVOKE INSERT ON big FROM web", ["U06:unknown"]),
        ("ALTER TABLE big DROP CONSTRAINT fk", ["C07:breaks"]),
        ("CREATE VIEW fresh AS SELECT 1", ["M04:may_break"]),
        (f"{TRIGGER} audit()", ["U08:unknown"]),
        ("ALTER DOMAIN mail ADD CHECK (value > 1)", ["U06:unknown"]),
        ("INSERT INTO small SELECT audit()", ["U06:unknown"]),
        ("REFRESH MATERIALIZED VIEW sums", []),
    ],
)
def test_without_a_catalogue_it_is_said_aloud(sql: str, expected: list[str]) -> None:
    assert read(sql, None) == expected


def test_the_statements_of_the_parser_are_judged_instead_of_the_text() -> None:
    text = "ALTER TABLE big ADD a int, DROP COLUMN n; DO $$ BEGIN UPDATE big SET n = 2; END $$"
    assert read(text) == ["U06:unknown", "U06:unknown"]
    parsed = [
        {"sql": "ALTER TABLE big ADD COLUMN a integer", "end": 41},
        {"sql": "ALTER TABLE big DROP COLUMN n", "end": 41},
        {"sql": "UPDATE big SET n = 2", "end": len(text)},
    ]
    assert read(text, parsed=parsed) == ["C02:breaks", "B02:blocks", "B01:blocks"]


def test_squawk_speaks_of_a_statement_that_the_parser_took_apart_once() -> None:
    text = "ALTER TABLE big ADD a int, DROP COLUMN n"
    parsed = [{"sql": "ALTER TABLE big ADD COLUMN a integer", "end": 40}, {"sql": "ALTER TABLE big SET (x = 1)", "end": 40}]
    squawk = [{"rule": "ban-drop-column", "line": 0, "column": 27, "message": "it"}]
    assert read(text, parsed=parsed, squawk=squawk) == ["C02:breaks"]


def test_types_are_spelled_as_the_catalogue_does() -> None:
    names = ("VARCHAR(20)", "int8", "TIMESTAMP WITH TIME ZONE", "timestamp", "numeric(10, 2)", "text[]", "timestamptz", "mail")
    kept = ["character varying(20)", "bigint", "timestamp with time zone", "timestamp without time zone", "numeric(10,2)", "text[]"]
    assert [spelled(name) for name in names] == [*kept, "timestamp with time zone", None]


def test_calls_are_told_from_lists_in_parentheses() -> None:
    assert calls("INSERT INTO t (a, b) SELECT f(x), 'g(y)' FROM (VALUES (1)) AS v (x) WHERE x IN (1) AND s.h(2) > 1") == {"f", "h"}
