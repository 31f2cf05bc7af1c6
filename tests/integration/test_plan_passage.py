# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many revisions rehearsed together: on how many copies, what each is told of, and what env.py does when they have run."""

from __future__ import annotations

import re
from typing import Any, Iterator

import pytest

from support.application import Application, ok
from support.planned import rules, scratches, sql, written
from support.quick import some

GATING = ("fails", "unknown", "blocks", "breaks")
BASE = sql(
    "CREATE TABLE t (id int PRIMARY KEY, old text, n int)", "CREATE TABLE seeds (id int PRIMARY KEY)", "CREATE INDEX t_n ON t (n)"
)
CLEAN = {
    "column": ("op.add_column('t', sa.Column('a', sa.Text))", "op.drop_column('t', 'a')"),
    "table": ("op.create_table('more', sa.Column('id', sa.Integer))", "op.drop_table('more')"),
    "index": (sql("DROP INDEX t_n"), sql("CREATE INDEX t_n ON t (n)")),
    "outside": (
        "with op.get_context().autocommit_block():\n    op.execute('CREATE INDEX CONCURRENTLY t_old ON t (old)')",
        "with op.get_context().autocommit_block():\n    op.execute('DROP INDEX CONCURRENTLY t_old')",
    ),
    "view": (sql("CREATE VIEW v AS SELECT id, a FROM t"), sql("DROP VIEW v")),
}
LEAVES = {
    "leaves": (sql("CREATE TABLE left_over (id int)"), ""),
    "raises": (sql("CREATE TABLE stays (id int)"), "raise NotImplementedError"),
    "seeds": (sql("INSERT INTO seeds VALUES (1)"), ""),
}


@pytest.fixture
def own(postgres: Any) -> Iterator[Any]:
    made = postgres.database(attributes="createdb")
    yield made
    made.drop()


def planned(app: Application, database: Any, bodies: Any, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the plan, and the statements that made databases meanwhile."""
    project = written(app, database, {"root": (BASE, ""), **bodies}, **options)
    ok(app.upgrade(project, "root"))
    database.server.fetch(f"alter role {database.role} set log_statement = 'ddl'")
    begun = database.server.log.stat().st_size
    plan = ok(app.start("plan", project).result(600))
    assert plan["mode"] == "rehearsal" and scratches(database.server) == []
    logged = database.server.log.read_bytes()[begun:].decode(errors="replace")
    return plan, re.findall(r"statement: (create database .*)", logged)


def back(plan: dict[str, Any]) -> dict[str, Any]:
    return {item["revision"]: item["reversible"] for item in plan["revisions"]}


def test_ways_back_that_are_clean_take_one_copy(newest: Application, own: Any) -> None:
    plan, made = planned(newest, own, CLEAN)
    assert len(made) == 1, made
    found = back(plan)
    assert set(found) == set(CLEAN) and all(item["proved"] for item in found.values()), found
    assert rules(plan, "column") == ["R05:public.t.a"] and rules(plan, "table") == ["R05:public.more"]
    assert "T01:public.t" in rules(plan, "outside")


def test_a_way_back_that_is_not_clean_is_told_of_its_own_revision_only(newest: Application, own: Any) -> None:
    order = ["column", "leaves", "table", "raises", "index", "seeds", "view"]
    plan, made = planned(newest, own, {name: {**CLEAN, **LEAVES}[name] for name in order})
    found = back(plan)
    assert {name for name, item in found.items() if not item["proved"]} == set(LEAVES), found
    assert rules(plan, "leaves", "irreversible") == ["R02:leaves", "R03:leaves"]
    assert rules(plan, "raises", "irreversible") == ["R01:raises"]
    # the rows of a table that had none are no loss; that they can not be written a second time is
    assert "R03:seeds" in rules(plan, "seeds") and found["seeds"]["schema_restored"]
    for name in ("column", "table", "index", "view"):
        assert not [rule for rule in rules(plan, name) if rule[:3] in ("R01", "R02", "R03")], rules(plan, name)
    assert len(made) <= 2 + 2 * len(LEAVES), made


def test_ways_back_below_a_revision_that_fails_are_known(newest: Application, own: Any) -> None:
    plan, _made = planned(newest, own, {"column": CLEAN["column"], "fails": (sql("SELECT 1 FROM nowhere"), ""), "never": ("", "")})
    assert back(plan)["column"]["proved"] and rules(plan, "fails", "fails") == ["X01:fails"]
    assert rules(plan, "never", "unknown") == ["U05:never"]


@pytest.mark.parametrize("fixture", some(["external_transaction", "per_migration"], "per_migration"))
def test_env_files_that_keep_the_transaction_or_give_each_its_own(newest: Application, own: Any, fixture: str) -> None:
    order = ["column", "leaves", "table", "view"]
    plan, _made = planned(newest, own, {name: {**CLEAN, **LEAVES}[name] for name in order}, fixture=fixture)
    assert [name for name, item in back(plan).items() if not item["proved"]] == ["leaves"], back(plan)
    assert all(not rules(plan, name, *GATING) for name in order), plan["revisions"]


def test_what_env_py_does_in_the_end_is_done_after_each_revision(newest: Application, own: Any, pg: Any) -> None:
    """A table that is made anew has no grants until env.py gives them, which is nobody's loss."""
    own.server.fetch(f"grant connect on database {own.name} to {pg.role}; grant usage on schema public to {pg.role}", name=own.name)
    bodies = {"anew": (sql("DROP VIEW w", "CREATE VIEW w AS SELECT id, old FROM t"), ""), "column": CLEAN["column"]}
    project = written(newest, own, {"root": (BASE + "\n" + sql("CREATE VIEW w AS SELECT id, old FROM t"), ""), **bodies})
    ok(newest.upgrade(project, "root"))
    own.fetch(f"grant select on w to {pg.role}")
    told = ok(newest.run("plan", project, application_roles=[pg.role]))
    assert rules(told, "anew", "breaks") == ["C13:public.w"]
    env = project.folder / "env.py" if (project.folder / "env.py").exists() else next(project.folder.rglob("env.py"))
    grant = (
        "\nif not context.is_offline_mode():\n    import sqlalchemy as _sa\n"
        f"    with _sa.create_engine({own.url()!r}).begin() as _c:\n"
        "        if not _c.execute(_sa.text('show default_transaction_read_only')).scalar() == 'on':\n"
        f"            _c.execute(_sa.text('GRANT SELECT ON w TO {pg.role}'))\n"
    )
    env.write_text(env.read_text() + grant)
    plan = ok(newest.run("plan", project, application_roles=[pg.role]))
    assert rules(plan, "anew", *GATING) == [] and rules(plan, "column", *GATING) == [], plan["revisions"]
    own.server.fetch(f"drop owned by {pg.role}", name=own.name)


def test_tenants_whose_ways_back_are_not_clean(newest: Application, own: Any) -> None:
    own.fetch(f"create schema acme authorization {own.role}; create schema beta authorization {own.role}")
    bodies = {
        "root": (sql("CREATE TABLE t (id int, old text, n int)"), sql("DROP TABLE t")),
        "leaves": (sql("CREATE TABLE left_over (id int)"), ""),
        "column": CLEAN["column"],
    }
    project = written(newest, own, bodies, fixture="tenants")
    plan = ok(newest.run("plan", project, environment={"TENANTS": "acme,beta"}))
    assert plan["mode"] == "rehearsal" and len(plan["databases"]) == 2 and scratches(own.server) == []
    for entry in plan["databases"]:
        proved = {item["revision"]: item["reversible"]["proved"] for item in entry["revisions"]}
        assert proved == {"root": True, "leaves": False, "column": True}, entry["revisions"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP COLUMN old", "C02:public.t.old"),
        ("ADD COLUMN a text NOT NULL", "C11:public.t.a"),
        ("DROP CONSTRAINT t_pkey, ADD CONSTRAINT t_pkey UNIQUE (n)", "C07:public.t.t_pkey"),
    ],
)
def test_what_others_write_on_this_server_meanwhile_hides_nothing(newest: Application, own: Any, change: str, told: str) -> None:
    """One transaction was there before the revision; another has begun since, and is not at its end when the copy is looked at."""
    other = own.server.database()
    try:
        body = (
            "global AWAY\nimport psycopg2\n"
            f"AWAY = psycopg2.connect({other.url('')!r})\nAWAY.set_session(readonly=False)\ncursor = AWAY.cursor()\n"
            "cursor.execute('create table if not exists a ()')\nAWAY.commit()\n"
            f"op.execute('ALTER TABLE t {change}')\n"
            "for number in range(5):\n    cursor.execute('savepoint s')\n    cursor.execute('create table a%d ()' % number)\n"
        )
        plan, _made = planned(newest, own, {"changes": (body, "")})
        assert told in rules(plan, "changes", "breaks"), [item["message"] for item in plan["revisions"][0]["findings"]]
    finally:
        other.drop()
