# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions that nobody rehearses: read by PostgreSQL's own parser where it is installed, with the real database's catalogue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from support import venvs
from support.application import Application, ok
from support.paths import TREE
from support.planned import rules, sql, written

GATING = ("fails", "unknown", "blocks", "breaks")
BASE = (
    "CREATE TABLE big (id int PRIMARY KEY, name varchar(20), code text NOT NULL DEFAULT 'c')",
    "CREATE TABLE small (id int PRIMARY KEY, big_id int CONSTRAINT small_big REFERENCES big (id))",
    "INSERT INTO big SELECT n, 'n' || n FROM generate_series(1, 2000) n",
    "ANALYZE",
)
#: Revision → its body, what our reader says, and what PostgreSQL's says.
BODIES: dict[str, tuple[str, list[str], list[str]]] = {
    "several": (sql("ALTER TABLE big ADD a int, DROP COLUMN name"), ["U06:several"], ["C02:big.name"]),
    "block": (sql("DO $$ BEGIN UPDATE big SET code = 'x'; END $$"), ["U06:block"], ["B02:big"]),
    "hidden": (sql("DO $$ BEGIN EXECUTE 'DROP TABLE big'; END $$"), ["U06:hidden"], ["U06:hidden"]),
    "comment": (sql("ALTER /* x */ TABLE big /* y */ DROP /* z */ COLUMN code"), ["C02:big.code"], ["C02:big.code"]),
    "wider": ("op.alter_column('big', 'name', existing_type=sa.String(20), type_=sa.String(40))", [], []),
    "foreign": ("op.drop_constraint('small_big', 'small')", [], []),
    "few": (sql("UPDATE big SET name = 'x' WHERE id = 7"), [], []),
    "bound": ("op.get_bind().execute(sa.text('UPDATE big SET code = :v').bindparams(v='x'))", ["B02:big"], ["B02:big"]),
    "offline": (
        "from alembic import context\nif not context.is_offline_mode():\n    op.drop_table('small')",
        ["U05:offline"],
        ["U05:offline"],
    ),
    "mode": ("if not op.get_context().as_sql:\n    op.drop_table('small')", ["U05:mode"], ["U05:mode"]),
}


def based(app: Application, database: Any) -> Any:
    project = written(app, database, {"root": (sql(*BASE), ""), **{name: (body, "") for name, (body, _own, _pg) in BODIES.items()}})
    ok(app.upgrade(project, "root"))
    return project


def test_our_own_reader_with_the_catalogue(newest: Application, pg: Any) -> None:
    plan = ok(newest.run("plan", based(newest, pg), mode="static", large_rows=1000))
    assert {name: rules(plan, name, *GATING) for name in BODIES} == {name: own for name, (_body, own, _pg) in BODIES.items()}
    assert plan["databases"][0]["parser"] is None
    assert [warning for warning in plan["warnings"] if "as our own reader reads it" in warning]
    assert pg.fetch("select count(*) from big where code <> 'c'") == [(0,)] and "small" in pg.tables()


@pytest.mark.parametrize("place", ["application", "module"])
def test_the_parser_of_postgresql_is_used_where_it_is(newest: Application, pg: Any, tmp_path: Path, place: str) -> None:
    reading = Application("pglast", tmp_path)
    app, variables = reading, {}
    if place == "module":  # the Python that Ansible runs the module in
        app = newest
        if venvs.interpreter().resolve() != Path(sys.executable).resolve():
            pytest.skip("the parser is built for another Python than this one")
        (packages,) = (reading.python.parent.parent / "lib").glob("python3*/site-packages")
        variables = {"PYTHONPATH": f"{TREE}:{packages}"}
    plan = ok(app.run("plan", based(app, pg), mode="static", large_rows=1000, variables=variables))
    assert {name: rules(plan, name, *GATING) for name in BODIES} == {name: theirs for name, (_body, _own, theirs) in BODIES.items()}
    assert plan["databases"][0]["parser"].startswith("pglast ")
    assert [warning for warning in plan["warnings"] if "the parser of PostgreSQL 1" in warning]
