# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories that are no line, two databases of one env.py, a table that the role may not read, and looks at the catalogue."""

from __future__ import annotations

import ast
import re
from typing import Any, Iterator

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal import fixes
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal import catalog, changed, programs
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal.access import access_to

from support.application import Application, failed, ok
from support.planned import rules, scratches, sql, written

GATING = ("fails", "unknown", "blocks", "breaks")
BASE = sql("CREATE TABLE t (id int PRIMARY KEY, old text)")


@pytest.fixture
def own(postgres: Any) -> Iterator[Any]:
    made = postgres.database(attributes="createdb")
    yield made
    made.drop()


def forked(app: Application, database: Any, *more: tuple[str, tuple[str, ...]]) -> Any:
    """A project at its root, from which a left and a right branch go."""
    bodies: dict[str, tuple[str, ...]] = {
        "root": (BASE, ""),
        "left": ("op.add_column('t', sa.Column('l', sa.Text))", "op.drop_column('t', 'l')"),
        "right": ("op.create_table('r', sa.Column('id', sa.Integer))", "op.drop_table('r')", 'down_revision = "root"'),
        **dict(more),
    }
    project = written(app, database, bodies)
    ok(app.upgrade(project, "root"))
    return project


def phases(plan: dict[str, Any]) -> dict[str, str]:
    return {item["revision"]: item["phase"] for item in plan["revisions"]}


def test_two_heads_are_planned_when_both_are_asked_for(newest: Application, own: Any) -> None:
    project = forked(newest, own)
    told = failed(newest.run("plan", project), "multiple_heads")
    assert "left" in told["msg"] and "right" in told["msg"]
    plan = ok(newest.run("plan", project, revision="heads"))
    assert phases(plan) == {"left": "expand", "right": "expand"} and plan["route"] == "rolling"
    assert all(item["reversible"]["proved"] for item in plan["revisions"]), plan["revisions"]
    assert own.tables() == ["alembic_version", "t"] and scratches(own.server) == []


def test_what_follows_a_merge_is_planned_after_both_branches(newest: Application, own: Any) -> None:
    merged = "op.drop_column('t', 'old')", "op.add_column('t', sa.Column('old', sa.Text))", 'down_revision = ("left", "right")'
    plan = ok(newest.run("plan", forked(newest, own, ("merged", merged))))
    assert list(phases(plan).items())[-1] == ("merged", "contract") and set(phases(plan)) == {"left", "right", "merged"}
    assert rules(plan, "merged", *GATING) == ["C02:public.t.old"]
    assert plan["route"] == "rolling" and set(plan["before"]) == {"left", "right"} and plan["after"] == ["merged"]
    steps = {item["revision"]: item for item in plan["revisions"]}
    assert steps["merged"]["down_revision"] == ["left", "right"] and steps["merged"]["reversible"]["schema_restored"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("core@head", ["5a1c0e7d2b31", "5a1c9f20c4d8"]),
        ("plugin@head", ["5a1c0e7d2b31", "c77e41a09d12", "5a1c9f20c4d8", "c77e86b3f05e"]),
    ],
)
def test_a_branch_is_planned_with_what_it_depends_on(newest: Application, own: Any, target: str, expected: list[str]) -> None:
    project = newest.project("branches", own)
    plan = ok(newest.run("plan", project, revision=target))
    order = [item["revision"] for item in plan["revisions"]]
    assert sorted(order) == sorted(expected) and plan["mode"] == "rehearsal"
    if target.startswith("plugin"):
        assert order.index("5a1c0e7d2b31") < order.index("c77e41a09d12") and order[-1] == "c77e86b3f05e"
    assert set(phases(plan).values()) == {"expand"} and own.tables() == []
    ok(newest.upgrade(project, target))
    assert ok(newest.run("plan", project, revision=target))["mode"] == "none"


def test_two_databases_of_one_env_file_are_planned_each_on_its_copy(newest: Application, postgres: Any, own: Any) -> None:
    second = postgres.database(attributes="createdb")
    project = newest.project("multidb", own, second_url=second.url())
    plan = ok(newest.run("plan", project))
    assert [entry["database"]["name"] for entry in plan["databases"]] == ["engine1", "engine2"]
    assert [(entry["mode"], entry["copy"]) for entry in plan["databases"]] == [("rehearsal", "database")] * 2
    told = [(item["database"], item["revision"]) for item in plan["revisions"]]
    assert told == [(name, revision) for name in ("engine1", "engine2") for revision in ("w001", "w002")]
    assert not [item for item in plan["revisions"] if item["phase"] != "expand"], plan["revisions"]
    made = {statement["sql"] for item in plan["revisions"] for statement in item["statements"]}
    assert len(made) >= 3  # each revision has a part of its own for each
    assert own.tables() == second.tables() == [] and scratches(postgres) == []
    second.drop()


def test_a_table_that_may_not_be_read_leaves_the_rest_to_be_rehearsed(newest: Application, own: Any) -> None:
    bodies = {
        "root": (BASE, ""),
        "one": (sql("ALTER TABLE t DROP COLUMN old"), ""),
        "two": (sql("ALTER TABLE secret ADD a int"), ""),
    }
    project = written(newest, own, bodies)
    ok(newest.upgrade(project, "root"))
    own.server.fetch('create table "Se cret" (id int); create table secret (id int)', name=own.name)
    plan = ok(newest.run("plan", project, throwaway_cluster=False))
    (told,) = [warning for warning in plan["warnings"] if "not complete" in warning]
    assert "permission denied for table secret" in told and "permission denied for table Se cret" in told
    assert plan["mode"] == "rehearsal" and rules(plan, "one", *GATING) == ["C02:public.t.old"]
    assert rules(plan, "two", *GATING) == ["X01:two"] and plan["route"] == "refuse"
    own.server.fetch('drop table "Se cret", secret', name=own.name)


_REWRITTEN = (
    "CREATE INDEX ix_v ON t (lower(v)) WHERE a > 1",
    'CREATE UNIQUE INDEX "Ix" ON t (a);',
    "CREATE INDEX ix_m ON m USING btree (v)",
    "CREATE UNIQUE INDEX ix_m ON m (s, v)",
    "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY(p) REFERENCES p (id) ON DELETE CASCADE",
    "ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0 AND v <> ';')",
    "ALTER TABLE t ADD CONSTRAINT u UNIQUE (a, v)",
    "ALTER TABLE k ADD CONSTRAINT k_pkey PRIMARY KEY (id)",
    "ALTER TABLE t ALTER COLUMN a SET NOT NULL",
    "ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0)",
    "ALTER DOMAIN d SET NOT NULL",
    "ALTER TABLE t ADD COLUMN r UUID DEFAULT gen_random_uuid()",
    "ALTER TABLE app.s ADD n numeric(8, 2) DEFAULT random() NOT NULL",
    "ALTER TABLE t ALTER COLUMN v TYPE varchar(90)[] USING ARRAY[v]",
)


_ADVISED = re.compile(r"""op\.execute\(('[^']*(?:\\'[^']*)*'|"[^"]*")\)|in batches (UPDATE .+? IS NULL)""")


def _statements(fix: str) -> list[str]:
    """Return the statements that a fix has, in their order; batches stand there as they are, without the part for each."""
    return [batches or ast.literal_eval(text) for text, batches in _ADVISED.findall(fix.partition(" Here: ")[2])]


@pytest.mark.parametrize("statement", _REWRITTEN)
def test_what_is_advised_runs_and_does_the_same(own: Any, statement: str) -> None:
    partitions = ("m_1", "m_rest") if " ON m " in statement else ()
    advised, _section = fixes.for_statement("postgresql", statement, partitions)
    pieces = _statements(advised)
    for text in (
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE DOMAIN d AS int",
        "CREATE TABLE k (id int NOT NULL)",
        "CREATE TABLE t (a int, v text, p int, of d)",
        "CREATE SCHEMA app CREATE TABLE s (id int)",
        "INSERT INTO app.s VALUES (1)",
        "CREATE TABLE m (s int, v int) PARTITION BY LIST (s)",
        "CREATE TABLE m_1 PARTITION OF m FOR VALUES IN (1)",
        "CREATE TABLE m_rest PARTITION OF m DEFAULT",
    ):
        own.fetch(text)
    own.server.fetch(f"create database {own.name}_t template {own.name} owner {own.role}")
    own.server.fetch(statement, name=own.name + "_t")
    for piece in pieces:
        own.fetch(piece)
    access, looks = access_to(own.url()), []
    for name in (own.name, own.name + "_t"):
        with access.connect(name, "test").closing() as session:
            looks.append(catalog.look(session, []))
    left = {(item["what"], item["kind"], item["name"].rpartition(".")[2]) for item in catalog.residue(*reversed(looks))}
    # a check says what NOT NULL of a domain would; the partitions' indexes have names of their own
    allowed = {("different", "type", "d")} if "DOMAIN d SET" in statement else set()
    if " TYPE " in statement:
        allowed = {("missing", "column", "v"), ("left over", "column", "v_new")}
    if partitions:
        assert len([each for each in left if each[0] == "missing"]) == len(partitions) and pieces[-1].startswith("ALTER INDEX")
        assert own.fetch("select indisvalid from pg_index where indexrelid = 'ix_m'::regclass") == [(True,)]
    else:
        assert {each for each in left if not each[2].endswith("_there")} == allowed, (pieces, left)


_LACKING = (
    "CREATE TABLE made (id serial PRIMARY KEY, v text CHECK (v <> ''), t int REFERENCES t)",
    "ALTER TABLE t ADD COLUMN n int UNIQUE",
    "CREATE FUNCTION f(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN n; END'",
    "CREATE TYPE mood AS ENUM ('good'); CREATE DOMAIN few AS int; CREATE VIEW v AS SELECT id FROM t; CREATE SEQUENCE q",
    "CREATE SCHEMA app; CREATE TABLE app.made (id int); CREATE INDEX ix_made ON app.made (id)",
    "ALTER TABLE t DROP COLUMN other; CREATE INDEX ix_id ON t (id)",
    "DROP INDEX ix_old; ALTER TABLE t DROP CONSTRAINT short",
    "CREATE POLICY own ON t USING (id > 1); CREATE RULE r AS ON DELETE TO t DO ALSO NOTIFY t",
)


def test_what_a_downgrade_lacks_is_told_as_it_is_written(newest: Application, own: Any) -> None:
    root = sql(
        "CREATE TABLE t (id int PRIMARY KEY, old text CONSTRAINT short CHECK (old <> ''), other int DEFAULT 3)",
        "CREATE INDEX ix_old ON t (old)",
    )

    def planned(backs: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
        bodies = {f"r{number}": (sql(text), backs.get(f"r{number}", "")) for number, text in enumerate(_LACKING)}
        project = written(newest, own, {"root": (root, ""), **bodies})
        if not backs:
            ok(newest.upgrade(project, "root"))
        return {item["revision"]: item["findings"] for item in ok(newest.run("plan", project))["revisions"]}

    found = planned({})
    lacking = {name: next(each for each in told if each["rule"] == "R02") for name, told in found.items()}
    again = planned({name: sql(*_statements(finding["fix"])) for name, finding in lacking.items()})
    left = {name: [each["message"] for each in told if each["rule"] in ("R01", "R02", "R03")] for name, told in again.items()}
    assert left == {name: [] for name in lacking}


def test_a_schema_is_brought_as_it_is(postgres: Any) -> None:
    """Whatever its texts have in them, and whatever encoding they are in."""
    own = postgres.database(attributes="createdb")
    postgres.fetch(f"create database {own.name}_l encoding 'LATIN1' template template0 owner {own.role}")
    body = "BEGIN\n--\n-- Name: x; Type: TABLE\n--\n RETURN '%s;é $do$ ; \\; END\n\\restrict abc\n';\nEND"
    statements = (
        "CREATE TABLE \"grün;\n\\! x\" (id serial PRIMARY KEY, t text DEFAULT E'a\\n;''%(b)s' CHECK (t <> ';'))",
        f"CREATE FUNCTION told() RETURNS text LANGUAGE plpgsql AS $_$ {body} $_$",
        "CREATE FUNCTION atomic() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 2 END; END",
        'CREATE VIEW v AS SELECT count(*) AS "END" FROM "grün;\n\\! x"',
        "COMMENT ON VIEW v IS E'BEGIN ATOMIC;\\n--'",
    )
    access = access_to(own.url() + "_l")
    with access.connect(own.name + "_l", "test").closing() as session:
        for statement in statements:
            session.rows(statement)
        first = catalog.look(session, [])
    dump = programs.Dump(access, own.name + "_l", None, postgres.version[0])
    postgres.fetch(f"create database {own.name}_c encoding 'LATIN1' template template0 owner {own.role}")
    with access.connect(own.name + "_c", "test").closing() as session:
        assert dump.restore(session) == []
    with access.connect(own.name + "_c", "test").closing() as session:
        assert catalog.residue(first, catalog.look(session, [])) == []
        assert session.value("select told()") == "%s;é $do$ ; \\; END\n\\restrict abc\n"
        assert session.value("select obj_description('public.v'::regclass)") == "BEGIN ATOMIC;\n--"
        (first_told, *more) = dump.restore(session)  # a statement that fails leaves those beside it
        assert "already exists" in first_told and len(more) > 3
    for name in (own.name + "_l", own.name + "_c"):
        postgres.fetch(f"drop database {name}")
    own.drop()


#: What each does to the catalogue has to be seen by a look that reads only what has changed.
CHANGES = (
    "CREATE TABLE a (id serial PRIMARY KEY, n int DEFAULT 1, s text); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a (id))",
    "ALTER TABLE a ADD COLUMN x int NOT NULL DEFAULT 3",
    "CREATE VIEW v AS SELECT id, n FROM a; CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM v",
    "ALTER TABLE a RENAME COLUMN n TO k",
    "CREATE TYPE mood AS ENUM ('good'); ALTER TABLE b ADD m mood",
    "ALTER TYPE mood RENAME VALUE 'good' TO 'fine'; ALTER TYPE mood RENAME TO temper",
    "CREATE INDEX i ON a (s); CREATE UNIQUE INDEX j ON b (a)",
    "ALTER INDEX i RENAME TO i2; DROP INDEX j",
    "ALTER TABLE b ADD CONSTRAINT c CHECK (a > 0) NOT VALID",
    "ALTER TABLE b VALIDATE CONSTRAINT c; ALTER TABLE b RENAME CONSTRAINT c TO d",
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; "
    "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()",
    "ALTER TABLE a DISABLE TRIGGER t; ALTER FUNCTION f() RENAME TO g",
    "ALTER TABLE a ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON a USING (true)",
    "CREATE SEQUENCE free; GRANT SELECT (id) ON a TO PUBLIC",
    "ALTER SEQUENCE free OWNED BY b.id",
    "ALTER SEQUENCE free OWNED BY NONE; ALTER SEQUENCE a_id_seq RENAME TO ids",
    "CREATE TABLE whole (id int) PARTITION BY LIST (id); CREATE TABLE part PARTITION OF whole FOR VALUES IN (1)",
    "ALTER TABLE whole DETACH PARTITION part; CREATE RULE r AS ON DELETE TO part DO INSTEAD NOTHING",
    "CREATE SCHEMA s2; ALTER TABLE b SET SCHEMA s2",
    "ALTER SCHEMA s2 RENAME TO s3; ALTER TABLE a SET (fillfactor = 70)",
    "DROP TABLE part, s3.b; ALTER TABLE a ALTER COLUMN k DROP DEFAULT",
)


def test_a_look_at_what_has_changed_sees_what_a_whole_look_sees(own: Any) -> None:
    session = access_to(own.url()).connect(own.name, "test")
    previous = changed.look(session, ["alembic_version"])
    for statements in CHANGES:
        session.rows(statements)
        now = changed.look(session, ["alembic_version"], previous)
        assert dict(now) == catalog.look(session, ["alembic_version"]), statements
        assert dict(now) != dict(previous), statements
        previous = now
    assert changed.look(session, ["alembic_version"], previous) == previous
    session.close()
