# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What findings come to: phases, allowances, the route and its split, the way back; and rules that need no database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.plan import (
    Declared,
    Finding,
    Policy,
    Reversal,
    Step,
    allowed,
    rollback,
    route,
)
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.columns import verdict
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.rendered import Rendered
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.seen import Large
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.static import findings, statements
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal import catalog, declared, mysql_catalog
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal.access import endpoint, redirected
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal.mysql_copy import Elsewhere
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal.named import Identities

SAFE = Reversal(schema_restored=True, reapplies=True, blocks=False)


def finding(kind: str, rule: str = "Z01", target: str = "public.users.legacy") -> Finding:
    return Finding(rule, kind, target, f"It {kind}.", "Do it otherwise.")


def step(name: str, *kinds: str, phase: str | None = None, **more: Any) -> Step:
    return Step(name, name, tuple(finding(kind) for kind in kinds), Declared(phase), **more)


@pytest.mark.parametrize(
    ("kinds", "declared_phase", "may_break", "phase"),
    [
        ((), None, "warn", "expand"),
        (("irreversible", "not_transactional"), None, "warn", "expand"),
        (("may_break",), None, "warn", "expand"),
        (("may_break",), None, "contract", "contract"),
        (("breaks",), None, "warn", "contract"),
        ((), "contract", "warn", "contract"),
        (("breaks", "blocks"), None, "warn", "blocking"),
        (("blocks", "unknown"), None, "warn", "unknown"),
        (("fails",), "contract", "warn", "unknown"),
    ],
)
def test_the_phase(kinds: tuple[str, ...], declared_phase: str | None, may_break: str, phase: str) -> None:
    assert step("a", *kinds, phase=declared_phase).phase(Policy(may_break=may_break)) == phase


@pytest.mark.parametrize(
    ("steps", "name", "before", "after"),
    [
        ([], "rolling", (), ()),
        ([step("a"), step("b")], "rolling", ("a", "b"), ()),
        ([step("a"), step("b", "breaks"), step("c", "breaks")], "rolling", ("a",), ("b", "c")),
        ([step("a", "breaks")], "rolling", (), ("a",)),
        ([step("a", phase="contract")], "rolling", (), ("a",)),
        ([step("a", "breaks"), step("b")], "maintenance_window", (), ()),
        ([step("a"), step("b", "blocks")], "maintenance_window", (), ()),
        ([step("a"), step("b", "unknown")], "maintenance_window", (), ()),
        ([step("a", "unknown"), step("b", "fails")], "refuse", (), ()),
        ([step("a", "breaks", phase="expand")], "refuse", (), ()),
        ([Step("a", "", (), Declared(problems=("it is wrong",)))], "refuse", (), ()),
    ],
)
def test_the_route(steps: list[Step], name: str, before: tuple[str, ...], after: tuple[str, ...]) -> None:
    found = route(steps, Policy())
    assert (found.name, found.before, found.after) == (name, before, after)
    assert found.reason.endswith(".")


def test_what_is_unknown_can_be_refused() -> None:
    assert route([step("a", "unknown")], Policy(unknown="refuse")).name == "refuse"


def test_an_expansion_behind_a_contraction_is_named() -> None:
    reason = route([step("a"), step("b", "breaks"), step("c")], Policy()).reason
    assert reason.startswith("Revision c, which has to run before the new code, follows b")


@pytest.mark.parametrize(
    ("allowance", "reason"),
    [("C02:public.users.legacy", "why"), ("C02:users.legacy", "why"), ("C02", "why"), ("C02:users.other", None), ("C01", None)],
)
def test_allowances(allowance: str, reason: str | None) -> None:
    found, unused = allowed([finding("breaks", "C02")], Declared(allow={allowance: "why"}))
    assert found[0].allowed == reason
    assert unused == (() if reason else (allowance,))
    assert Step("a", "", found).phase(Policy()) == ("expand" if reason else "contract")


def test_the_way_back_is_proved_only_as_a_whole() -> None:
    drops = Reversal(True, True, False, discards=({"object": "public.users.bio"},))
    assert rollback([step("a", reversal=SAFE)]) == {"proved": True, "proved_after_traffic": True, "reason": None}
    told = rollback([step("a", reversal=SAFE), step("b", reversal=drops)])
    assert told["proved"] and not told["proved_after_traffic"] and "public.users.bio" in told["reason"]
    for bad in (
        Reversal(),
        Reversal(False, True, False),
        Reversal(True, False, False),
        Reversal(True, True, True),
        Reversal(True, True, False, loses=({"object": "x"},)),
    ):
        told = rollback([step("a", reversal=SAFE), step("b", "irreversible", reversal=bad)])
        assert not told["proved"] and not told["proved_after_traffic"] and told["reason"] == "Revision b: It irreversible."


@pytest.mark.parametrize(
    ("old", "new", "how"),
    [
        ("integer", "integer", "same"),
        ("character varying(50)", "character varying(80)", "wider"),
        ("character varying(50)", "character varying(20)", "narrower"),
        ("character varying(50)", "text", "wider"),
        ("character varying", "character varying(20)", "narrower"),
        ("text", "character varying(20)", "narrower"),
        ("text", "citext", "related"),
        ("integer", "bigint", "wider"),
        ("bigint", "integer", "narrower"),
        ("integer", "numeric", "related"),
        ("numeric(8,2)", "numeric(10,2)", "wider"),
        ("numeric(8,2)", "numeric(10,4)", "wider"),
        ("numeric(8,2)", "numeric(8,4)", "narrower"),
        ("numeric", "numeric(8,2)", "narrower"),
        ("numeric(8,2)", "numeric", "wider"),
        ("timestamp without time zone", "timestamp with time zone", "related"),
        ("timestamp(3) without time zone", "timestamp without time zone", "wider"),
        ("json", "jsonb", "related"),
        ("text", "integer", "other"),
        ("integer[]", "integer", "other"),
        ("tinyint", "mediumint", "wider"),
        ("integer unsigned", "bigint unsigned", "wider"),
        ("integer unsigned", "bigint", "wider"),
        ("integer unsigned", "integer", "narrower"),
        ("integer", "bigint unsigned", "narrower"),
        ("character varying(65535)", "character varying(255)", "narrower"),
    ],
)
def test_how_a_change_of_type_looks_to_old_code(old: str, new: str, how: str) -> None:
    assert verdict(old, new) == how


@pytest.mark.parametrize(
    ("declared", "standard"),
    [
        ("int(11)", "integer"),
        ("bigint(20) unsigned", "bigint unsigned"),
        ("varchar(20)", "character varying(20)"),
        ("tinytext", "character varying(255)"),
        ("decimal(8,2)", "numeric(8,2)"),
        ("enum('a','b')", "enum"),
        ("double", "double precision"),
    ],
)
def test_types_of_mysql_in_the_words_of_the_rules(declared: str, standard: str) -> None:
    assert mysql_catalog.standard(declared) == standard


def steps_of(*statements: str) -> tuple[Identities, dict[str, Any]]:
    """The identities of big (1: columns 2 id, 3 a) and small (4) after these statements."""
    before = dict([entry("relation", "1", "big"), entry("relation", "4", "small")])
    for number, name in (("2", "id"), ("3", "a")):
        before[("column", f"1/{number}")] = {"kind": "column", "oid": f"1/{number}", "relation": "1", "column": name, "name": name}
    identities = Identities(before)
    for statement in statements:
        identities.see(statement)
    return identities, identities.columns.get("1", {})


@pytest.mark.parametrize(
    ("statements", "tables", "columns"),
    [
        (["ALTER TABLE big RENAME TO large"], {"large": "1", "small": "4"}, {"id": "2", "a": "3"}),
        (["RENAME TABLE big TO x, small TO big, x TO small"], {"small": "1", "big": "4"}, {"id": "2", "a": "3"}),
        (["ALTER TABLE `big` RENAME COLUMN `a` TO b"], {"big": "1", "small": "4"}, {"id": "2", "b": "3"}),
        (["ALTER TABLE big CHANGE a b INTEGER NULL"], {"big": "1", "small": "4"}, {"id": "2", "b": "3"}),
        (["ALTER TABLE big ADD c INT, DROP COLUMN a"], {"big": "1", "small": "4"}, {"id": "2"}),
        (["ALTER TABLE big DROP FOREIGN KEY a"], {"big": "1", "small": "4"}, {"id": "2", "a": "3"}),
        (["DROP TABLE big", "CREATE TABLE big (id int)"], {"small": "4"}, {"id": "2", "a": "3"}),
        (
            [
                "CREATE TABLE _alembic_tmp_big (id INTEGER, b TEXT)",
                'INSERT INTO _alembic_tmp_big (id, b) SELECT big.id, CAST(big."a" AS TEXT) AS anon_1 \nFROM big',
                "DROP TABLE big",
                "ALTER TABLE _alembic_tmp_big RENAME TO big",
            ],
            {"big": "1", "small": "4"},
            {"id": "2", "b": "3"},
        ),
    ],
)
def test_what_names_mean_after_statements(statements: list[str], tables: dict[str, str], columns: dict[str, str]) -> None:
    identities, found = steps_of(*statements)
    assert (identities.tables, found) == (tables, columns)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE other.t SET a = 1", "other"),
        ("INSERT INTO `other` . `t` VALUES (1)", "other"),
        ("USE `other`;", "other"),
        ("SELECT t.other FROM t", None),
        ("SELECT 'other.t', \"other.t\" /* other.t */ FROM t -- other.t", None),
        ("SELECT my_other.t FROM my_other", None),
        ("SELECT * FROM information_schema.tables", None),
    ],
)
def test_a_statement_that_names_another_database(statement: str, named: str | None) -> None:
    assert Elsewhere(["other", "information_schema"]).named(statement) == named


def test_what_is_large() -> None:
    large = Large(rows=1000, bytes=5000)
    assert (
        large.has({"rows": 1000, "bytes": 0}) and large.has({"rows": None, "bytes": 5000}) and large.has({"rows": 1, "bytes": 5000})
    )
    assert not large.has({"rows": 999, "bytes": 4999}) and not large.has({"rows": None, "bytes": 0})


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("x = 1", [], (None, {}, 0)),
        ("deploy = {'phase': 'expand', 'allow': {'C01': ' a reason '}}", [], ("expand", {"C01": "a reason"}, 0)),
        ("deploy: dict = {'phase': 'contract'}", ["contract"], ("contract", {}, 0)),
        ("", ["expand", "billing"], ("expand", {}, 0)),
        ("deploy = {'phase': 'expand'}", ["contract"], ("expand", {}, 1)),
        ("deploy = {'phase': 'later', 'allow': {'C01': None}, 'alow': {}}", [], (None, {}, 3)),
        ("deploy = make()", [], (None, {}, 1)),
        ("deploy = ['expand']", ["expand", "contract"], (None, {}, 2)),
        ("raise SystemExit\ndeploy = {'phase': 'contract'}", [], ("contract", {}, 0)),
    ],
)
def test_a_revision_is_read_and_not_run(tmp_path: Path, text: str, labels: list[str], expected: tuple[Any, ...]) -> None:
    path = tmp_path / "r.py"
    path.write_text(text)
    found = declared.read(str(path), labels)
    assert (found["phase"], found["allow"], len(found["problems"])) == expected


def test_a_connection_is_known_by_where_it_goes_and_led_elsewhere() -> None:
    one = {"host": "localhost", "port": 5432, "dbname": "shop", "user": "a", "password": "x"}
    assert endpoint([], one) == endpoint([], dict(one, host="127.0.0.1", user="b"))
    assert endpoint([], one) != endpoint([], dict(one, dbname="other")) != endpoint([], dict(one, host="db2"))
    assert redirected(one, "copy") == dict(one, dbname="copy")
    assert redirected({"database": "shop", "ssl": "require"}, "copy") == {"database": "copy", "ssl": "require"}


def entry(kind: str, oid: str, name: str, **facts: Any) -> tuple[tuple[str, str], dict[str, Any]]:
    return (kind, oid), {"kind": kind, "oid": oid, "name": name, **facts}


def test_an_object_made_again_under_its_name_is_one_change() -> None:
    before = dict([entry("function", "1", "public.f()", source="a"), entry("function", "2", "public.g()", source="b")])
    after = dict([entry("function", "8", "public.f()", source="a"), entry("function", "9", "public.g()", source="c")])
    found = catalog.changes(before, before, after)
    assert [(change["before"]["oid"], change["after"]["oid"], change["remade"]) for change in found] == [("2", "9", True)]
    assert catalog.residue(before, after) == [{"what": "different", "kind": "function", "name": "public.g()", "facts": "source"}]


def test_what_takes_an_old_name_is_told() -> None:
    before = dict([entry("relation", "1", "public.users")])
    after = dict([entry("relation", "1", "public.people"), entry("relation", "2", "public.users")])
    renamed, new = catalog.changes({}, before, after)
    assert renamed["named"]["oid"] == "2" and renamed["pending"] and new["before"] is None


SIZES = {"public.big": {"rows": 1000000, "bytes": 1000000000}, "public.small": {"rows": 3, "bytes": 8192}}

SET_NOT_NULL = "ALTER TABLE big ALTER n SET NOT NULL"
NOT_NULL = "ALTER TABLE big ADD CONSTRAINT c CHECK (n IS NOT NULL)"


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE big ADD COLUMN bio TEXT", []),
        ("ALTER TABLE big ADD COLUMN lvl INTEGER DEFAULT '0' NOT NULL", []),
        ("ALTER TABLE big ADD COLUMN t TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL", []),
        ("ALTER TABLE big ADD COLUMN u UUID DEFAULT gen_random_uuid() NOT NULL", ["B01"]),
        ("ALTER TABLE big ADD COLUMN u SERIAL NOT NULL", ["B01"]),
        ("ALTER TABLE big ADD COLUMN req TEXT NOT NULL", ["C11"]),
        ("ALTER TABLE big ADD COLUMN t positive", ["U06"]),  # a domain, as far as anybody knows
        ("CREATE TYPE mood AS ENUM ('good'); ALTER TABLE big ADD COLUMN m mood", []),
        ("ALTER TABLE big ADD COLUMN w INTEGER CHECK (w > 0)", ["B01"]),
        ("ALTER TABLE big ADD COLUMN team_id INTEGER REFERENCES teams (id)", []),
        ("ALTER TABLE big ADD COLUMN team_id INTEGER DEFAULT 1 REFERENCES teams (id)", ["B01"]),
        ("ALTER TABLE big DROP COLUMN legacy", ["C02"]),
        ("ALTER TABLE big RENAME name TO full_name", ["C04"]),
        ("ALTER TABLE big RENAME TO large", ["C03"]),
        ("ALTER TABLE big ALTER COLUMN n TYPE BIGINT", ["U06"]),
        ("ALTER TABLE big ALTER COLUMN n SET NOT NULL", ["B01", "C15"]),
        ("ALTER TABLE small ALTER COLUMN n SET NOT NULL", ["C15"]),
        ("ALTER TABLE small ALTER n SET DEFAULT 1; ALTER TABLE small ALTER COLUMN n SET NOT NULL", ["M02"]),
        ("ALTER TABLE big ADD CONSTRAINT f FOREIGN KEY(a) REFERENCES b (id) NOT VALID", ["M01"]),
        ("ALTER TABLE big ADD CONSTRAINT f FOREIGN KEY(a) REFERENCES b (id)", ["B01"]),
        ("ALTER TABLE nowhere ADD CONSTRAINT f CHECK (a > 1)", ["B01"]),
        ("ALTER TABLE big ADD a int, DROP b", ["U06"]),
        ("ALTER TABLE big DROP CONSTRAINT c", ["C07"]),
        ("ALTER TABLE big ADD CONSTRAINT c CHECK (a > 1) NOT VALID; ALTER TABLE big DROP CONSTRAINT c", ["M01"]),
        ("CREATE INDEX ix ON big (a)", ["B01"]),
        ("CREATE INDEX ix ON small (a)", []),
        ("CREATE INDEX CONCURRENTLY ix ON big (a)", ["T01"]),
        ("CREATE TABLE n (id INT); CREATE INDEX q ON n (id)", []),
        ("ALTER TABLE big VALIDATE CONSTRAINT c", []),
        ("ALTER TABLE big ADD a int; ALTER TABLE big VALIDATE CONSTRAINT c", ["B01"]),
        ("BEGIN; ALTER TABLE big ADD a int; COMMIT; ALTER TABLE big VALIDATE CONSTRAINT c", []),
        (
            f"COMMIT; {NOT_NULL} NOT VALID; ALTER TABLE big VALIDATE CONSTRAINT c; ALTER TABLE big ALTER n SET NOT NULL",
            ["C15", "C15"],
        ),
        (f"{NOT_NULL} NOT VALID; ALTER TABLE big ALTER n SET NOT NULL", ["C15", "B01", "C15"]),
        (
            f"COMMIT; {NOT_NULL}; ALTER TABLE big DROP CONSTRAINT c; ALTER TABLE big ALTER n SET NOT NULL",
            ["B01", "C15", "B01", "C15"],
        ),
        ("ALTER TABLE small ADD a int; ALTER TABLE big VALIDATE CONSTRAINT c", ["B01"]),
        ("REINDEX TABLE big", ["B01"]),
        ("REINDEX TABLE CONCURRENTLY big", ["T01"]),
        ("VACUUM (FULL, ANALYZE) big", ["B01"]),
        ("VACUUM FULL small", []),
        ("CLUSTER big USING big_pkey", ["B01"]),
        ("ALTER TABLE big SET UNLOGGED", ["B01"]),
        ("ALTER TABLE big SET (fillfactor = 80); ALTER TABLE big ALTER COLUMN n SET STATISTICS 500; ANALYZE big", []),
        ("ALTER TABLE big SET SCHEMA other", ["C03"]),
        ("ALTER TYPE mood RENAME TO temper", ["C03"]),
        ("ALTER INDEX ix RENAME TO ix2", []),
        ("CREATE TABLE n AS SELECT * FROM big", []),
        ("DO $$ BEGIN; DROP TABLE big; END $$", ["U06"]),
        ("UPDATE big SET a = 1", ["B02"]),
        ("SELECT backfill()", ["U06"]),
        ("-- one; two\nINSERT INTO big VALUES ('a;b'); BEGIN; UPDATE alembic_version SET version_num='x'; COMMIT", []),
    ],
)
def test_what_sql_shows_by_itself(sql: str, expected: list[str]) -> None:
    found = findings(Rendered("r", sql, None, SIZES, ("alembic_version",), Large()))
    assert [item.rule for item in found] == expected
    assert all(item.source == "sql" for item in found)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("ALTER TABLE big ADD COLUMN bio TEXT", []),
        ("ALTER TABLE `big` ADD COLUMN `level` INTEGER NOT NULL DEFAULT '0'", []),
        ("ALTER TABLE big ADD COLUMN req TEXT NOT NULL", ["C11"]),
        ("ALTER TABLE big ADD COLUMN t INTEGER GENERATED ALWAYS AS (a + 1) STORED", ["U06"]),
        ("ALTER TABLE big DROP COLUMN legacy", ["C02"]),
        ("ALTER TABLE big DROP FOREIGN KEY f", []),
        ("ALTER TABLE big DROP INDEX i", ["M07"]),
        ("ALTER TABLE big DROP PRIMARY KEY", ["U06"]),
        ("ALTER TABLE big MODIFY n BIGINT NULL", ["U06"]),
        ("ALTER TABLE big CHANGE a b INTEGER NULL", ["U06"]),
        ("ALTER TABLE big RENAME COLUMN a TO b", ["C04"]),
        ("ALTER TABLE big RENAME TO large", ["C03"]),
        ("ALTER TABLE big RENAME INDEX a TO b", ["U06"]),
        ("RENAME TABLE big TO large", ["C03"]),
        ("ALTER TABLE big ADD a INTEGER, DROP COLUMN b", ["U06"]),
        ("ALTER TABLE big ADD CONSTRAINT f FOREIGN KEY(a) REFERENCES small (id)", ["B01"]),
        ("ALTER TABLE small ADD CONSTRAINT f FOREIGN KEY(a) REFERENCES big (id)", []),
        ("ALTER TABLE big ADD CONSTRAINT u UNIQUE (a)", ["M01"]),
        ("CREATE INDEX ix ON big (a)", []),
        ("CREATE FULLTEXT INDEX ix ON big (a)", ["B01"]),
        ("DROP INDEX ix ON big", ["M07"]),
        ("UPDATE big SET a = 'x;`y' WHERE b = `c;d`", ["B02"]),
        ("CREATE TABLE n AS SELECT * FROM big", ["U06"]),
        ("CALL fill()", ["U06"]),
    ],
)
def test_what_sql_shows_on_mysql(sql: str, expected: list[str]) -> None:
    sizes = {name.partition(".")[2]: size for name, size in SIZES.items()}
    found = findings(Rendered("r", sql, None, sizes, ("alembic_version",), Large(), "mysql"))
    assert [item.rule for item in found] == expected


def test_a_second_opinion_adds_what_was_not_found_in_that_statement() -> None:
    sql = "-- one; two\nALTER TABLE big ADD a int,\n  DROP b;\nALTER TABLE big DROP c;\nALTER TABLE small ADD d int"

    def said(rule: str, line: int, column: int) -> dict[str, Any]:
        return {"rule": rule, "line": line, "column": column, "message": "Dropping it may break clients."}

    squawk = [
        said("ban-drop-column", 2, 2),
        said("prefer-robust-stmts", 2, 2),
        said("ban-drop-column", 3, 16),
        said("ban-set-default", 3, 16),
        said("ban-drop-column", 4, 0),
    ]
    found = findings(Rendered("r", sql, None, SIZES, ("alembic_version",), Large(), squawk=squawk))
    assert [(item.rule, item.target, item.source) for item in found] == [
        ("U06", "r", "sql"),
        ("C02", "big", "squawk"),  # what is unknown stays unknown
        ("C02", "big.c", "sql"),  # it is said once
        ("M02", "big", "squawk"),
        ("C02", "small", "squawk"),
    ]
    assert "ban-drop-column" in found[1].message and found[1].kind == "breaks" and found[3].kind == "may_break"


def test_sql_that_could_not_be_rendered_is_unknown() -> None:
    (found,) = findings(Rendered("r", None, "it reads rows", {}, (), Large()))
    assert (found.rule, found.kind, found.message) == ("U05", "unknown", "r was not rehearsed: it reads rows.")


def test_semicolons_that_end_no_statement() -> None:
    assert len(statements("SELECT ';'; SELECT $a$;$$;$a$; SELECT \";\" /* ; */; -- ;\nSELECT 'it''s;'")) == 4
