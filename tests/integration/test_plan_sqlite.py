# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan on SQLite: rehearsed on a whole copy of the file, which is gone afterwards, and the file as it was."""

from __future__ import annotations

import os
import signal
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, ok
from support.planned import rules, sql, written
from support.runner import process_tree
from support.waiting import PATIENCE

GATING = ("fails", "unknown", "blocks", "breaks")
ROWS = 2000
BASE = (
    sql(
        "CREATE TABLE big (id INTEGER NOT NULL, name VARCHAR(50), code INTEGER, kind INTEGER DEFAULT 1 NOT NULL, note TEXT, "
        "PRIMARY KEY (id), CONSTRAINT positive CHECK (kind > 0))",
        "CREATE TABLE small (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(20), old TEXT, big_id INTEGER REFERENCES big (id))",
        "CREATE UNIQUE INDEX small_name ON small (name)",
        "CREATE INDEX big_code ON big (code)",
        "CREATE VIEW names AS SELECT id, name FROM small",
        "CREATE TABLE filled (id INTEGER PRIMARY KEY, n INTEGER)",
    ),
    "",
)


def batch(table: str, *actions: str) -> str:
    return f"with op.batch_alter_table({table!r}) as batch:\n" + "\n".join(f"    batch.{action}" for action in actions)


#: One text again and again; what it changes is little each time, and much until the transaction ends.
_LOOP = """
bind, table, number = op.get_bind(), "big", 1
for n in range(600):
    {}bind.execute(sa.text(f"UPDATE {{table}} SET name = 'x' WHERE id = :i"), {{"i": number}})
"""
#: Name → upgrade, downgrade, what gates, phase.
CASES: dict[str, tuple[str, str, list[str], str]] = {
    "nullable": ("op.add_column('big', sa.Column('bio', sa.Text))", sql("ALTER TABLE big DROP COLUMN bio"), [], "expand"),
    "default": (sql("ALTER TABLE big ADD COLUMN level INTEGER NOT NULL DEFAULT 0"), "", [], "expand"),
    "checked": (sql("ALTER TABLE big ADD COLUMN age INTEGER CHECK (age > 0)"), "", ["B01:big"], "blocking"),
    "index": ("op.create_index('ix_n', 'big', ['note'])", "op.drop_index('ix_n')", ["B01:big"], "blocking"),
    "index_small": ("op.create_index('ix_o', 'small', ['old'])", "op.drop_index('ix_o')", [], "expand"),
    "batch": (
        batch("big", "alter_column('note', nullable=False)"),
        batch("big", "alter_column('note')"),
        ["B01:big", "C15:big.note"],
        "blocking",
    ),
    "batch_small": (
        batch("filled", "create_unique_constraint('u_n', ['n'])"),
        batch("filled", "drop_constraint('u_n', type_='unique')"),
        [],
        "expand",
    ),
    "renamed": (
        sql("ALTER TABLE filled RENAME COLUMN n TO number"),
        sql("ALTER TABLE filled RENAME COLUMN number TO n"),
        ["C04:filled.n"],
        "contract",
    ),
    "by_key": (sql("UPDATE big SET code = 1 WHERE id = 7"), "", [], "expand"),
    "by_index": (sql("UPDATE big SET kind = 2 WHERE code = 7"), "", [], "expand"),
    "limited": (sql("UPDATE big SET code = 1 WHERE id IN (SELECT id FROM big WHERE name = 'x' LIMIT 10)"), "", [], "expand"),
    "everything": (sql("UPDATE big SET code = 1 WHERE kind = 1"), "", ["B01:big"], "blocking"),
    "loop": (_LOOP.format("for table, number in (('big', n), ('small', 1)):\n        "), "", ["B02:loop"], "blocking"),
    "loop_over_few": (_LOOP.replace("600", "60").format(""), "", [], "expand"),
    "loop_that_commits": (
        "with op.get_context().autocommit_block():\n" + textwrap.indent(_LOOP.format(""), "    "),
        "",
        [],
        "expand",
    ),
    "vacuum": ("with op.get_context().autocommit_block():\n    op.execute('VACUUM')", "", ["B01:big"], "blocking"),
    "copied": (sql("INSERT INTO filled SELECT id + 100, code FROM big WHERE id < 0"), "", [], "expand"),
    "seeded": (sql("INSERT INTO small (id, name) VALUES (9, 'nine')"), sql("DELETE FROM small WHERE id = 9"), [], "expand"),
    "reads": ("assert len(op.get_bind().execute(sa.text('SELECT id FROM small')).fetchall()) == 3", "", [], "expand"),
    "table_renamed": ("op.rename_table('filled', 'full')", "op.rename_table('full', 'filled')", ["C03:filled"], "contract"),
    "view_wider": (
        sql("DROP VIEW names", "CREATE VIEW names AS SELECT id, name, big_id FROM small"),
        sql("DROP VIEW names", "CREATE VIEW names AS SELECT id, name FROM small"),
        [],
        "expand",
    ),
    "view_narrower": (
        sql("DROP VIEW names", "CREATE VIEW names AS SELECT id, big_id FROM small"),
        sql("DROP VIEW names", "CREATE VIEW names AS SELECT id, name, big_id FROM small"),
        ["C02:names.name"],
        "contract",
    ),
    "stand_in": (
        sql("ALTER TABLE small RENAME TO little", "DROP VIEW names", "CREATE VIEW small AS SELECT * FROM little"),
        sql("DROP VIEW small", "ALTER TABLE little RENAME TO small", "CREATE VIEW names AS SELECT id, name FROM small"),
        ["C01:names"],
        "contract",
    ),
    "fails": (sql("SELECT nothing FROM nowhere"), "", ["X01:fails"], "unknown"),
    "never_ran": (sql("SELECT 1"), "", ["U05:never_ran"], "unknown"),
}


def based(app: Application, database: Any, bodies: dict[str, Any], **options: Any) -> Any:
    project = written(app, database, {"root": BASE, **bodies}, **options)
    ok(app.upgrade(project, "root"))
    database.fetch(
        "insert into big (name, code, note) with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) "
        "select 'name ' || i, i % 50, 'x' from n",
        [ROWS],
    )
    database.fetch("insert into small values (1, 'a', 'b', 1), (2, 'b', null, 2)")
    database.fetch("insert into filled values (1, null), (2, 5)")
    return project


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the copies are made."""
    (folder := tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.mark.core
def test_each_kind_of_change_is_judged_and_the_file_is_as_it_was(app: Application, sqlite: Any, temporary: Path) -> None:
    project = based(app, sqlite, {name: case[:2] for name, case in CASES.items()})
    before = sqlite.dump()
    plan = ok(app.run("plan", project, check=True, large_rows=ROWS))
    found = {item["revision"]: (rules(plan, item["revision"], *GATING), item["phase"]) for item in plan["revisions"]}
    assert found == {name: (case[2], case[3]) for name, case in CASES.items()}
    assert plan["mode"] == "rehearsal" and plan["route"] == "refuse" and "on a copy of the file" in plan["reason"]
    assert sqlite.dump() == before and list(temporary.iterdir()) == [] and plan["warnings"] == []
    small = ok(app.run("plan", project, revision="batch"))
    assert small["route"] == "rolling", small["reason"]  # nothing is large


def test_locks_transactions_and_the_way_back(newest: Application, sqlite: Any, temporary: Path) -> None:
    bodies = {
        "index": CASES["index"][:2],
        "batch": CASES["batch"][:2],
        "leaves": (sql("CREATE TABLE a (id INTEGER)", "CREATE TABLE b (id INTEGER)"), sql("DROP TABLE a")),
        "destroys": (sql("ALTER TABLE small DROP COLUMN old"), sql("ALTER TABLE small ADD COLUMN old TEXT")),
        "remade": (
            sql("DROP TABLE filled", "CREATE TABLE filled (id INTEGER PRIMARY KEY, n INTEGER)"),
            sql("DROP TABLE filled", "CREATE TABLE filled (id INTEGER PRIMARY KEY, n INTEGER)"),
        ),
        "raises": (sql("CREATE TABLE t (id INTEGER)"), "raise NotImplementedError('no way back')"),
    }
    plan = ok(newest.run("plan", based(newest, sqlite, bodies), large_rows=ROWS))
    steps = {item["revision"]: item for item in plan["revisions"]}
    (index,) = steps["index"]["statements"]
    assert index["locks"] == {"big": "Reserved"} and index["scanned"] == ["big"] and not index["transactional"]
    blocks = next(item for item in steps["batch"]["findings"] if item["rule"] == "B01")
    assert blocks["rows"] == ROWS and blocks["section"] == "SQLite" and "writes to the whole file" in blocks["message"]
    assert steps["index"]["reversible"]["proved"] and not steps["batch"]["reversible"]["proved"]  # note stays NOT NULL
    assert "R02:batch" in rules(plan, "batch")
    assert {"R02:leaves", "R03:leaves", "T01:leaves"} <= set(rules(plan, "leaves"))
    assert steps["destroys"]["reversible"]["loses"][0] == {"object": "small.old", "how": "the column is dropped", "rows": 2}
    assert steps["remade"]["reversible"]["loses"][0] == {"object": "filled", "how": "the table is dropped", "rows": 2}
    assert "R01:raises" in rules(plan, "raises") and list(temporary.iterdir()) == []


def test_it_fails_on_the_rows_that_are_there(newest: Application, sqlite: Any) -> None:
    project = based(newest, sqlite, {"required": (batch("filled", "alter_column('n', nullable=False)"), "")})
    plan = ok(newest.run("plan", project))
    assert rules(plan, "required", "fails") == ["X01:required"] and "NOT NULL" in plan["reason"]
    sqlite.fetch("update filled set n = 1")
    assert ok(newest.run("plan", project))["route"] == "rolling"


def test_no_other_file_is_reached(newest: Application, sqlite: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    write = "with engine.begin() as c:\n    c.execute(sa.text('CREATE TABLE {} (i int)'))"
    body = f"engine = sa.create_engine('sqlite:///{other}')\n" + write.format("t")
    attached = sql(f"ATTACH DATABASE '{tmp_path / 'third.sqlite'}' AS third", "CREATE TABLE third.t (i int)")
    listened = (
        "from sqlalchemy import event\nfrom sqlalchemy.engine import Engine\n"
        f"event.listen(Engine, 'connect', lambda c, r: c.execute(\"attach database '{tmp_path / 'fourth.sqlite'}' as x\"))\n"
        f"engine = sa.create_engine({sqlite.url()!r})\n" + write.format("x.t")
    )
    for up in (body, attached, listened):
        plan = ok(newest.run("plan", based(newest, sqlite, {"one": (up, "")})))
        assert rules(plan, "one", *GATING) == ["U03:one"] and plan["route"] == "maintenance_window"
        sqlite.drop()
    assert not other.exists() and not (tmp_path / "third.sqlite").exists()
    assert not (tmp_path / "fourth.sqlite").exists() or not (tmp_path / "fourth.sqlite").stat().st_size


def test_a_wal_and_a_file_that_is_not_there(newest: Application, sqlite: Any, temporary: Path) -> None:
    project = newest.project("linear", sqlite)
    plan = ok(newest.run("plan", project))
    assert plan["mode"] == "rehearsal" and plan["route"] == "rolling" and sqlite.tables() == []
    sqlite.drop()
    bodies = {"one": CASES["nullable"][:2], "two": CASES["everything"][:2]}
    project = based(newest, sqlite, bodies)
    sqlite.fetch("pragma journal_mode = wal")
    with sqlite.holding("select * from big"):
        sqlite.fetch("insert into filled values (3, 3)")  # is in the WAL only
        plan = ok(newest.run("plan", project, large_rows=ROWS))
    assert [item["phase"] for item in plan["revisions"]] == ["expand", "blocking"] and list(temporary.iterdir()) == []


def test_an_async_driver(newest: Application, sqlite: Any, temporary: Path) -> None:
    bodies = {"one": CASES["nullable"][:2], "two": CASES["everything"][:2], "three": CASES["index"][:2]}
    plan = ok(newest.run("plan", based(newest, sqlite, bodies, fixture="async_env", driver="aiosqlite"), large_rows=ROWS))
    assert [rules(plan, name, *GATING) for name in bodies] == [[], ["B01:big"], ["B01:big"]]
    assert plan["mode"] == "rehearsal" and list(temporary.iterdir()) == []


def test_what_a_killed_run_leaves_is_removed_by_the_next(newest: Application, sqlite: Any, temporary: Path) -> None:
    slow = "import time\ntime.sleep(60)"
    project = based(newest, sqlite, {"one": (slow, "")})
    run = newest.start("plan", project)
    until = time.monotonic() + PATIENCE
    while not list(temporary.glob("dbops_rehearsal_*/copy.sqlite")):
        assert time.monotonic() < until
        time.sleep(0.05)
    for pid in process_tree(run.process.pid)[1:]:
        os.kill(pid, signal.SIGKILL)
    run.process.wait()
    (left,) = temporary.glob("dbops_rehearsal_*")
    assert left.stat().st_mode & 0o077 == 0  # it holds rows
    again = written(newest, sqlite, {"root": BASE, "two": CASES["nullable"][:2]})
    assert ok(newest.run("plan", again))["route"] == "rolling" and list(temporary.iterdir()) == []
    died = failed(
        newest.run("plan", written(newest, sqlite, {"root": BASE, "one": ("os.kill(os.getpid(), 9)", "")})), "worker_died"
    )
    assert "while revision one was running" in died["msg"] and list(temporary.iterdir()) == []


def test_what_can_not_be_copied_is_said(newest: Application, sqlite: Any) -> None:
    project = newest.project("linear", "sqlite://")
    plan = ok(newest.run("plan", project))
    assert plan["mode"] == "static" and plan["route"] == "maintenance_window"
    assert any("in memory" in warning for warning in plan["warnings"])
    failed(newest.run("plan", project, mode="rehearse"), "rehearsal_impossible")
