# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan on MariaDB: what the server says of each ALTER, on an empty copy that is dropped afterwards."""

from __future__ import annotations

import json
import os
import signal
import textwrap
import time
from typing import Any, Iterator

import pytest

from support.application import Application, failed, ok
from support.planned import rules, sql, written
from support.runner import process_tree
from support.waiting import PATIENCE

GATING = ("fails", "unknown", "blocks", "breaks")
ROWS = 2000
BASE = (
    sql(
        "CREATE TABLE small (id int PRIMARY KEY, name varchar(20), old text, UNIQUE KEY small_name (name))",
        "CREATE TABLE big (id int PRIMARY KEY AUTO_INCREMENT, name varchar(20), code int, kind int NOT NULL DEFAULT 1, "
        "mood enum('good', 'bad'), parent int, note text, KEY big_code (code))",
        "CREATE TABLE filled (id int PRIMARY KEY, n int, m int)",
        "CREATE VIEW names AS SELECT id, name FROM small",
        "CREATE VIEW a_names AS SELECT id FROM names",
        "CREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC RETURN 2 * x",
        "CREATE TRIGGER noted AFTER INSERT ON filled FOR EACH ROW INSERT INTO small (id, name) VALUES (NEW.id + 1000, NULL)",
    ),
    "",
)
_LOOP = "for n in range(300):\n    op.get_bind().execute(sa.text('UPDATE big SET kind = 2 WHERE id = :i'), {'i': n})"
_MANY = "op.get_bind().execute(sa.text('UPDATE big SET kind = 3 WHERE id = :i'), [{{'i': n}} for n in range({})])"
_TEXTS = "for n in range(0, {0}, 40):\n    op.execute(f'UPDATE big SET {1} = 4 WHERE id BETWEEN {{n}} AND {{n + 39}}')"
#: Name → upgrade, downgrade, what gates, phase, algorithm of the first statement.
CASES: dict[str, tuple[str, str, list[str], str, str | None]] = {
    "nullable": ("op.add_column('big', sa.Column('bio', sa.Text))", "op.drop_column('big', 'bio')", [], "expand", "instant"),
    "texts_of_a_new_column": (
        "op.add_column('big', sa.Column('fresh', sa.Integer))\n" + _TEXTS.format(600, "fresh"),
        "op.drop_column('big', 'fresh')",
        ["B02:big"],
        "blocking",
        "instant",
    ),
    "widened": (
        sql("ALTER TABLE big MODIFY name varchar(40)"),
        sql("ALTER TABLE big MODIFY name varchar(20)"),
        [],
        "expand",
        "instant",
    ),
    "widened_far": (
        sql("ALTER TABLE big MODIFY name varchar(80)"),
        sql("ALTER TABLE big MODIFY name varchar(40)"),
        ["B01:big"],
        "blocking",
        "copy",
    ),
    "type": (sql("ALTER TABLE big MODIFY code bigint"), sql("ALTER TABLE big MODIFY code int"), ["B01:big"], "blocking", "copy"),
    "type_small": (sql("ALTER TABLE filled MODIFY m bigint"), sql("ALTER TABLE filled MODIFY m int"), [], "expand", "copy"),
    "index": ("op.create_index('ix_n', 'big', ['kind'])", "op.drop_index('ix_n', 'big')", [], "expand", "inplace"),
    "fulltext": (
        sql("CREATE FULLTEXT INDEX ix_f ON big (note)"),
        sql("DROP INDEX ix_f ON big"),
        ["B01:big"],
        "blocking",
        "inplace",
    ),
    "foreign_key": (
        "op.create_foreign_key('fk_p', 'big', 'small', ['parent'], ['id'])",
        "op.drop_constraint('fk_p', 'big', type_='foreignkey')\nop.drop_index('fk_p', 'big')",
        ["B01:big"],
        "blocking",
        "copy",
    ),
    "unchecked_key": (
        sql("SET foreign_key_checks = 0", "ALTER TABLE big ADD CONSTRAINT fk_u FOREIGN KEY (parent) REFERENCES small (id)"),
        "op.drop_constraint('fk_u', 'big', type_='foreignkey')",
        [],
        "expand",
        "instant",  # there is an index that it can use
    ),
    "check": (sql("ALTER TABLE big ADD CONSTRAINT c CHECK (kind > 0)"), "", ["B01:big"], "blocking", "copy"),
    "label": (
        sql("ALTER TABLE big MODIFY mood enum('good', 'bad', 'odd')"),
        sql("ALTER TABLE big MODIFY mood enum('good', 'bad')"),
        [],
        "expand",
        "instant",
    ),
    "label_gone": (
        sql("ALTER TABLE filled ADD k enum('a', 'b')", "ALTER TABLE big MODIFY mood enum('good', 'odd')"),
        "",
        ["B01:big", "C10:big.mood"],
        "blocking",
        "instant",
    ),
    "renamed": (
        "op.alter_column('filled', 'n', new_column_name='number', existing_type=sa.Integer)",
        "op.alter_column('filled', 'number', new_column_name='n', existing_type=sa.Integer)",
        ["C04:filled.n"],
        "contract",
        "instant",
    ),
    "by_key": (sql("UPDATE big SET kind = 2 WHERE id IN (7, 8)"), "", [], "expand", None),
    "limited": (sql("UPDATE big SET kind = 2 WHERE note = 'x' LIMIT 50"), "", [], "expand", None),
    "everything": (sql("UPDATE big SET kind = 2 WHERE note = 'x'"), "", ["B02:big"], "blocking", None),
    "loop": (_LOOP, "", ["B02:big"], "blocking", None),
    "loop_alone": ("with op.get_context().autocommit_block():\n" + textwrap.indent(_LOOP, "    "), "", [], "expand", None),
    "parameters_many": (_MANY.format(300), "", ["B02:big"], "blocking", None),
    "parameters_few": (_MANY.format(30), "", [], "expand", None),
    "texts": (_TEXTS.format(600, "kind"), "", ["B02:big"], "blocking", None),
    "texts_of_few": (_TEXTS.format(80, "kind"), "", [], "expand", None),
    "texts_alone": (
        "with op.get_context().autocommit_block():\n" + textwrap.indent(_TEXTS.format(600, "kind"), "    "),
        "",
        [],
        "expand",
        None,
    ),
    "range": (sql("UPDATE big SET kind = 2 WHERE id < 1500"), "", ["B02:big"], "blocking", None),
    "aliased": (sql("UPDATE big AS b SET b.kind = 2"), "", ["B02:big"], "blocking", None),
    "locked": (sql("SELECT id FROM big WHERE note = 'x' FOR UPDATE"), "", ["B02:big"], "blocking", None),
    "copied": (sql("CREATE TABLE counted AS SELECT kind, count(*) FROM big GROUP BY kind"), "", ["B01:big"], "blocking", None),
    "fired": (sql("INSERT INTO filled (id) VALUES (77)"), "", ["U02:fired"], "unknown", None),
    "called": (sql("UPDATE filled SET m = twice(m) WHERE id = 1"), "", ["U02:called"], "unknown", None),
    "reads": ("op.get_bind().execute(sa.text('SELECT id FROM big')).fetchall()", "", ["U01:big"], "unknown", None),
    "inspects": ("sa.inspect(op.get_bind()).get_columns('big')", "", [], "expand", None),
    "raises": (
        sql("CREATE TRIGGER no_more BEFORE INSERT ON filled FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no more'"),
        sql("DROP TRIGGER no_more"),
        ["C16:filled.no_more"],
        "contract",
        None,
    ),
    "parameters": (
        sql("DROP FUNCTION twice", "CREATE FUNCTION twice(x int, y int) RETURNS int DETERMINISTIC RETURN 2 * x + y"),
        sql("DROP FUNCTION twice", "CREATE FUNCTION twice(x int) RETURNS int DETERMINISTIC RETURN 2 * x"),
        ["C08:twice()"],
        "contract",
        None,
    ),
    "index_gone": (sql("DROP INDEX small_name ON small"), "", ["C07:small.small_name"], "contract", "inplace"),
    "dropped": (
        "op.drop_column('small', 'old')",
        "op.add_column('small', sa.Column('old', sa.Text))",
        ["C02:small.old"],
        "contract",
        "instant",
    ),
    "table_renamed": (
        "op.rename_table('filled', 'full')",
        "op.rename_table('full', 'filled')",
        ["C03:filled"],
        "contract",
        "instant",
    ),
    "fails": (sql("SELECT nothing FROM nowhere"), "", ["X01:fails"], "unknown", None),
    "never_ran": (sql("SELECT 1"), "", ["U05:never_ran"], "unknown", None),
}


def copies(server: Any) -> list[str]:
    return [row[0] for row in server.fetch(r"show databases like 'dbops\_rehearsal\_%'")]


@pytest.fixture
def own(maria: Any) -> Iterator[Any]:
    """A database whose role may make copies, by the grant that the plan itself recommends."""
    maria.server.fetch(rf"grant all on `dbops\_rehearsal\_%`.* to {maria.role}@'%'")
    yield maria


def based(app: Application, database: Any, bodies: dict[str, Any], **options: Any) -> Any:
    project = written(app, database, {"root": BASE, **bodies}, **options)
    ok(app.upgrade(project, "root"))
    database.fetch(f"insert into big (name, code, note) select concat('n', seq), null, 'y' from seq_1_to_{ROWS}")
    database.fetch("insert into filled values (1, null, 1), (2, 5, 1)")
    database.fetch("insert into small values (1, 'a', 'b'), (2, 'b', null)")
    database.fetch("analyze table big, small, filled")
    return project


@pytest.mark.core
def test_each_kind_of_change_is_judged_and_nothing_is_touched(app: Application, own: Any) -> None:
    project = based(app, own, {name: case[:2] for name, case in CASES.items()})
    before = own.dump()
    plan = ok(app.start("plan", project, check=True, large_rows=ROWS // 2).result(600))
    found = {
        item["revision"]: (
            rules(plan, item["revision"], *GATING),
            item["phase"],
            next((statement["algorithm"] for statement in item["statements"]), None),
        )
        for item in plan["revisions"]
    }
    assert found == {name: case[2:] for name, case in CASES.items()}
    assert plan["mode"] == "rehearsal" and plan["route"] == "refuse" and "nowhere" in plan["reason"] and plan["warnings"] == []
    assert own.dump() == before and copies(own.server) == []
    assert own.password not in json.dumps(plan)
    assert ok(app.run("plan", project, revision="type_small"))["route"] == "rolling"  # nothing is large


def test_the_way_back_and_what_commits_by_itself(newest: Application, own: Any) -> None:
    bodies = {
        "clean": CASES["nullable"][:2],
        "seeds": (
            sql("CREATE TABLE kinds (id int PRIMARY KEY, twice int AS (id * 2))", "INSERT INTO kinds (id) VALUES (1)"),
            "assert op.get_bind().execute(sa.text('SELECT twice FROM kinds')).scalar() == 2\n" + sql("DROP TABLE kinds"),
        ),
        "leaves": CASES["unchecked_key"][:2],
        "blocks": (sql("ALTER TABLE big MODIFY code int unsigned"), sql("ALTER TABLE big MODIFY code int")),
        "remade": (sql("DROP TABLE filled", "CREATE TABLE filled (id int PRIMARY KEY, n int, m int)"), ""),
        "raises": (sql("CREATE TABLE t (id int)"), "raise NotImplementedError('no way back')"),
    }
    plan = ok(newest.run("plan", based(newest, own, bodies), large_rows=ROWS // 2))
    steps = {item["revision"]: item for item in plan["revisions"]}
    assert steps["clean"]["reversible"]["proved"] and not steps["clean"]["reversible"]["proved_after_traffic"]
    assert steps["clean"]["transactional"] is False and "T01:clean" in rules(plan, "clean")
    assert steps["seeds"]["reversible"]["schema_restored"] and steps["seeds"]["reversible"]["reapplies"]
    assert "R02:leaves" in rules(plan, "leaves")  # the index that the server made for the key
    assert "R04:big" in rules(plan, "blocks") and "M01:big.code" in rules(plan, "blocks")
    assert steps["remade"]["reversible"]["loses"][0] == {"object": "filled", "how": "the table is dropped", "rows": 2}
    assert "R01:raises" in rules(plan, "raises") and copies(own.server) == []


def test_the_real_rows_are_asked(newest: Application, own: Any) -> None:
    bodies = {
        "null": (sql("ALTER TABLE filled MODIFY n int NOT NULL"), sql("ALTER TABLE filled MODIFY n int")),
        "duplicate": (sql("CREATE UNIQUE INDEX u ON filled (m)"), sql("DROP INDEX u ON filled")),
        "orphan": (sql("ALTER TABLE filled ADD CONSTRAINT o FOREIGN KEY (n) REFERENCES small (id)"), ""),
        "violation": (sql("ALTER TABLE filled ADD CONSTRAINT v CHECK (n > 9)"), ""),
        "fine": (sql("ALTER TABLE filled MODIFY m int NOT NULL"), sql("ALTER TABLE filled MODIFY m int")),
    }
    plan = ok(newest.run("plan", based(newest, own, bodies)))
    found = {item["revision"]: rules(plan, item["revision"], "fails", "unknown") for item in plan["revisions"]}
    assert found == {
        "null": ["X03:filled.n"],
        "duplicate": ["X03:filled.u"],
        "orphan": ["X03:filled.o"],
        "violation": ["X03:filled.v"],
        "fine": [],
    }


@pytest.mark.slow
def test_no_other_database_is_reached(newest: Application, own: Any, mariadb: Any) -> None:
    other = mariadb.database()
    mariadb.fetch(f"grant all on {other.name}.* to {own.role}@'%'")
    write = "with engine.begin() as c:\n    c.execute(sa.text('CREATE TABLE leaked (id int)'))"
    bodies = [
        f"engine = sa.create_engine({other.url()!r})\n{write}",
        sql(f"CREATE TABLE {other.name}.leaked (id int)"),
        sql(f"INSERT INTO `{own.name}` . filled (id) VALUES (9)"),
        sql(f"USE {other.name}", "CREATE TABLE leaked (id int)"),
    ]
    based(newest, own, {"one": (bodies[0], "")})
    before = own.dump()
    for body in bodies:
        plan = ok(newest.run("plan", written(newest, own, {"root": BASE, "one": (body, "")})))
        assert rules(plan, "one", *GATING) == ["U03:one"] and plan["route"] == "maintenance_window"
        assert other.tables() == [] and own.dump() == before
    own.fetch(f"create trigger spy after insert on big for each row insert into {other.name}.log values (1)")
    plan = ok(newest.run("plan", written(newest, own, {"root": BASE, "one": (sql("SELECT 1"), "")})))
    assert any(f"trigger spy names the database {other.name}" in warning for warning in plan["warnings"])
    other.drop()


def test_by_the_name_of_mariadb_with_what_only_mariadb_has(newest: Application, own: Any) -> None:
    root = sql(
        "CREATE SEQUENCE numbers",
        "CREATE TABLE q (id bigint DEFAULT nextval(numbers), n int, CHECK (n > 0), e int AS (n + 1) PERSISTENT)",
        "CREATE TABLE v (id int, n int) WITH SYSTEM VERSIONING",
        "CREATE TABLE p (id int, at date) PARTITION BY RANGE (year(at)) (PARTITION a VALUES LESS THAN (2020))",
    )
    bodies = {
        "root": (root, ""),
        "more": (sql("ALTER TABLE q ADD m int"), sql("ALTER TABLE q DROP m")),
        "part": (sql("ALTER TABLE p ADD PARTITION (PARTITION b VALUES LESS THAN (2021))"), sql("ALTER TABLE p DROP PARTITION b")),
    }
    project = written(newest, own.url().replace("mysql+", "mariadb+"), bodies)
    ok(newest.upgrade(project, "root"))
    before = own.dump()
    plan = ok(newest.run("plan", project))
    assert (plan["mode"], plan["route"], plan["warnings"]) == ("rehearsal", "rolling", []), plan["reason"]
    assert [rules(plan, name, "irreversible") for name in ("more", "part")] == [["R05:q.m"], []], plan["rollback"]
    assert own.dump() == before and copies(own.server) == []


def test_without_the_right_to_make_a_copy_it_says_so(newest: Application, maria: Any) -> None:
    names = ("nullable", "type", "index", "foreign_key", "dropped", "everything", "reads", "renamed")
    project = based(newest, maria, {name: CASES[name][:2] for name in names})
    plan = ok(newest.run("plan", project, large_rows=ROWS // 2))
    found = {item["revision"]: rules(plan, item["revision"], *GATING) for item in plan["revisions"]}
    assert found == {
        "nullable": [],
        "type": ["U06:type"],
        "index": [],
        "foreign_key": ["B01:big"],
        "dropped": ["C02:small.old"],
        "everything": ["B02:big"],
        "reads": ["U05:reads"],
        "renamed": ["U06:renamed"],
    }
    assert plan["mode"] == "static" and plan["route"] == "maintenance_window"
    assert any(r"GRANT ALL ON `dbops\_rehearsal\_%`.*" in warning for warning in plan["warnings"])
    failed(newest.run("plan", project, mode="rehearse"), "rehearsal_impossible")


def test_what_a_killed_run_leaves_is_dropped_by_the_next(newest: Application, own: Any) -> None:
    run = newest.start("plan", based(newest, own, {"one": (sql("SELECT sleep(60)"), "")}))
    until = time.monotonic() + PATIENCE
    while not own.server.fetch("select 1 from information_schema.processlist where info like 'SELECT sleep(60)%'"):
        assert time.monotonic() < until
        time.sleep(0.05)
    for pid in process_tree(run.process.pid)[1:]:
        os.kill(pid, signal.SIGKILL)
    run.process.wait()
    assert len(copies(own.server)) == 1
    again = written(newest, own, {"root": BASE, "two": CASES["nullable"][:2]})
    assert ok(newest.run("plan", again))["route"] == "rolling" and copies(own.server) == []
    died = failed(newest.run("plan", written(newest, own, {"root": BASE, "one": ("os.kill(os.getpid(), 9)", "")})), "worker_died")
    assert "while revision one was running" in died["msg"] and copies(own.server) == []
