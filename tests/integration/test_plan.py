# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan on a real server: what it finds, that it touches nothing, and that nothing is left of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator

import psycopg2
import pytest

from support.application import Application, failed, ok
from support.paths import CACHE, TREE
from support.planned import looks_compared, rules, scratches, sql, written
from support.playbook import command as ansible_playbook
from support.postgres import Postgres
from support.quick import some
from support.runner import process_tree
from support.services import serve
from support.waiting import PATIENCE

GATING = ("fails", "unknown", "blocks", "breaks")
BASE = (
    sql(
        "CREATE TABLE big (id int PRIMARY KEY, name varchar(50), code int, kind int NOT NULL DEFAULT 1, note text, parent int)",
        "CREATE TABLE small (id int PRIMARY KEY, name text, old text)",
        "CREATE UNIQUE INDEX small_name ON small (name)",
        "CREATE INDEX big_code ON big (code)",
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE VIEW names AS SELECT id, name FROM small",
        "CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'select 2 * $1'",
        "CREATE TABLE log (id int, at date NOT NULL) PARTITION BY RANGE (at)",
        "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM ('2020-01-01') TO ('2021-01-01')",
        "CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM ('2090-01-01') TO ('2091-01-01')",
        "CREATE FUNCTION half(int) RETURNS int LANGUAGE sql AS 'select $1 / 2'",
        "CREATE FUNCTION third(int) RETURNS int LANGUAGE sql AS 'select $1 / 3'",
        "CREATE MATERIALIZED VIEW stored AS SELECT kind, count(*) AS many FROM big GROUP BY kind",
        "CREATE UNIQUE INDEX stored_kind ON stored (kind)",
        "CREATE TABLE filled (id int PRIMARY KEY, n int, m int)",
        "CREATE TABLE parts (id int PRIMARY KEY, n int, m int)",
        "CREATE TABLE pieces (id int PRIMARY KEY, m int)",
    ),
    "",
)
#: Name → upgrade, downgrade, what gates, phase.
CASES: dict[str, tuple[str, str, list[str], str]] = {
    "nullable": ("op.add_column('big', sa.Column('bio', sa.Text))", "op.drop_column('big', 'bio')", [], "expand"),
    "volatile": (
        sql("ALTER TABLE big ADD rnd double precision DEFAULT random()"),
        sql("ALTER TABLE big DROP rnd"),
        ["B01:public.big"],
        "blocking",
    ),
    "index": ("op.create_index('ix_n', 'big', ['note'])", "op.drop_index('ix_n')", ["B01:public.big"], "blocking"),
    "index_small": ("op.create_index('ix_o', 'small', ['old'])", "op.drop_index('ix_o')", [], "expand"),
    "concurrently": (
        "with op.get_context().autocommit_block():\n    op.create_index('ix_p', 'big', ['parent'], postgresql_concurrently=True)",
        "op.drop_index('ix_p')",
        [],
        "expand",
    ),
    "foreign_key": (
        "op.create_foreign_key('fk_p', 'big', 'small', ['parent'], ['id'])",
        "op.drop_constraint('fk_p', 'big')",
        ["B01:public.big"],
        "blocking",
    ),
    "fk_with_its_column": (
        sql("ALTER TABLE big ADD COLUMN other int REFERENCES small"),
        sql("ALTER TABLE big DROP COLUMN other"),
        [],
        "expand",
    ),
    "fk_of_a_default": (
        sql("ALTER TABLE big ADD COLUMN third int DEFAULT 1 REFERENCES small"),
        sql("ALTER TABLE big DROP COLUMN third"),
        ["B01:public.big"],
        "blocking",
    ),
    "fk_from_small": (
        "op.create_foreign_key('fk_s', 'filled', 'big', ['m'], ['id'])",
        "op.drop_constraint('fk_s', 'filled')",
        [],
        "expand",
    ),
    "fk_later": (
        sql("ALTER TABLE big ADD CONSTRAINT fk_l FOREIGN KEY (parent) REFERENCES small NOT VALID"),
        sql("ALTER TABLE big DROP CONSTRAINT fk_l"),
        [],
        "expand",
    ),
    "fk_validated": (sql("ALTER TABLE big VALIDATE CONSTRAINT fk_l"), "", [], "expand"),
    "batch": (sql("UPDATE big SET code = 1 WHERE id IN (SELECT id FROM big WHERE code IS NULL LIMIT 1000)"), "", [], "expand"),
    "few_of_many": (sql("UPDATE big SET code = 1 WHERE kind = 2"), "", [], "expand"),
    "proved_not_null": (
        "with op.get_context().autocommit_block():\n"
        "    op.execute('ALTER TABLE big ADD CONSTRAINT there CHECK (kind IS NOT NULL) NOT VALID')\n"
        "    op.execute('ALTER TABLE big VALIDATE CONSTRAINT there')\n"
        "    op.execute('ALTER TABLE big ALTER kind DROP NOT NULL')\n"
        "    op.execute('ALTER TABLE big ALTER kind SET NOT NULL')",
        "",
        [],
        "expand",
    ),
    "emptied": (sql("ALTER TABLE filled DROP CONSTRAINT fk_s", "TRUNCATE big"), "", [], "expand"),
    "refreshed": (sql("REFRESH MATERIALIZED VIEW CONCURRENTLY stored"), "", [], "expand"),
    "three_rows": (
        "for row in op.get_bind().execute(sa.text('SELECT id, name FROM big ORDER BY id LIMIT 3')):\n"
        '    op.execute(f"ALTER TABLE small ADD seen_{row.id} text")',
        "",
        [],
        "expand",
    ),
    "by_key": (sql("UPDATE big SET code = 1 WHERE id = 7"), "", [], "expand"),
    "everything": (sql("UPDATE big SET code = 1 WHERE kind = 1"), "", ["B02:public.big"], "blocking"),
    "in_a_block": (sql("DO $$ BEGIN UPDATE big SET code = 2; END $$"), "", ["B02:public.big"], "blocking"),
    "behind_a_setting": (
        sql("SET LOCAL statement_timeout = 0; CREATE INDEX ix_s ON big (note)"),
        "",
        ["B01:public.big"],
        "blocking",
    ),
    "between_begin_and_commit": (sql("BEGIN; CREATE INDEX ix_t ON big (note); COMMIT"), "", ["B01:public.big"], "blocking"),
    "commits_first": (sql("COMMIT", "CREATE INDEX CONCURRENTLY ix_u ON big (note)"), "", [], "expand"),
    "in_a_function": (
        sql("CREATE FUNCTION touch() RETURNS void LANGUAGE sql AS 'UPDATE big SET code = 2'", "SELECT touch()"),
        "",
        ["B02:public.big"],
        "blocking",
    ),
    "raw_cursor": (
        "op.get_bind().connection.cursor().execute('CREATE INDEX ix_v ON big (note)')",
        "",
        ["B01:public.big"],
        "blocking",
    ),
    "raw_and_committed": (
        "raw = op.get_bind().connection.driver_connection\nraw.cursor().execute('CREATE INDEX ix_w ON big (note)')\nraw.commit()",
        "",
        ["B01:public.big"],
        "blocking",
    ),
    "past_our_eyes": (
        "import psycopg2.extensions as own\nraw = op.get_bind().connection.driver_connection\n"
        "raw.cursor(cursor_factory=own.cursor).execute('CREATE INDEX ix_x ON big (note)')",
        "",
        ["U07:past_our_eyes", "U07:public.big"],
        "unknown",
    ),
    "past_and_committed": (
        "import psycopg2.extensions as own\nraw = op.get_bind().connection.driver_connection\n"
        "raw.cursor(cursor_factory=own.cursor).execute('CREATE INDEX ix_y ON big (note)')\nraw.commit()",
        "",
        ["U07:past_and_committed"],
        "unknown",
    ),
    "past_and_only_read": (
        "import psycopg2.extensions as own\nraw = op.get_bind().connection.driver_connection\n"
        "raw.cursor(cursor_factory=own.cursor).execute('UPDATE big SET code = 3 WHERE kind = 1')\nraw.commit()",
        "",
        ["U07:past_and_only_read"],
        "unknown",
    ),
    "copied_in": (
        "import io\nop.get_bind().connection.cursor().copy_expert('COPY small (id) FROM STDIN', io.StringIO('70\\n'))",
        "",
        [],
        "expand",
    ),
    "autocommit_in_a_function": (
        "with op.get_context().autocommit_block():\n"
        "    op.execute('CREATE PROCEDURE go() LANGUAGE plpgsql AS $$BEGIN UPDATE big SET code = 1; COMMIT; END$$')\n"
        "    op.execute('CALL go()')",
        "",
        ["U02:autocommit_in_a_function"],
        "unknown",
    ),
    "savepoint": ("with op.get_bind().begin_nested():\n    op.execute('ALTER TABLE small ADD spare text')", "", [], "expand"),
    "refuses_by_code": (
        sql(
            "CREATE FUNCTION must() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.name IS NULL THEN "
            "RAISE EXCEPTION 'no name'; END IF; RETURN NEW; END$$",
            "CREATE TRIGGER must BEFORE INSERT ON small FOR EACH ROW EXECUTE FUNCTION must()",
        ),
        "",
        ["C15:public.small.name"],
        "contract",
    ),
    "refuses_some_by_code": (
        sql(
            "CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF NEW.name LIKE 'x%' THEN "
            "RAISE EXCEPTION 'no x'; END IF; RETURN NEW; END$$",
            "CREATE TRIGGER picky BEFORE INSERT ON small FOR EACH ROW EXECUTE FUNCTION picky()",
        ),
        "",
        ["U08:public.small.picky"],
        "unknown",
    ),
    "widened": (
        sql("ALTER TABLE big ALTER name TYPE varchar(80)"),
        sql("ALTER TABLE big ALTER name TYPE varchar(50)"),
        [],
        "expand",
    ),
    "lock_elsewhere": (
        sql("LOCK TABLE small", "UPDATE filled SET n = n WHERE id = 1", "CREATE TABLE counted AS SELECT count(*) FROM big"),
        sql("DROP TABLE counted"),
        ["B01:public.big", "B02:public.filled"],
        "blocking",
    ),
    "type": (
        sql("ALTER TABLE filled ALTER n TYPE text"),
        sql("ALTER TABLE filled ALTER n TYPE int USING n::int"),
        ["C05:public.filled.n"],
        "contract",
    ),
    "dropped": (
        "op.drop_column('small', 'old')",
        "op.add_column('small', sa.Column('old', sa.Text))",
        ["C02:public.small.old"],
        "contract",
    ),
    "view_remade": (
        sql("DROP VIEW names", "CREATE VIEW names AS SELECT id, name, 1 AS more FROM small"),
        sql("DROP VIEW names", "CREATE VIEW names AS SELECT id, name FROM small"),
        [],
        "expand",
    ),
    "renamed_with_view": (
        sql("ALTER TABLE filled RENAME TO full_ones", "CREATE VIEW filled AS SELECT * FROM full_ones"),
        sql("DROP VIEW filled", "ALTER TABLE full_ones RENAME TO filled"),
        [],
        "expand",
    ),
    "name_reused": (
        sql("ALTER TABLE pieces RENAME m TO m2", "ALTER TABLE pieces ADD m int GENERATED ALWAYS AS (m2) STORED"),
        sql("ALTER TABLE pieces DROP m", "ALTER TABLE pieces RENAME m2 TO m"),
        ["C05:public.pieces.m"],
        "contract",
    ),
    "table_swapped": (
        sql(
            "CREATE TABLE parts_new (id int PRIMARY KEY, m int, k int NOT NULL)",
            "ALTER TABLE parts RENAME TO parts_old",
            "ALTER TABLE parts_new RENAME TO parts",
        ),
        sql("DROP TABLE parts", "ALTER TABLE parts_old RENAME TO parts"),
        ["C02:public.parts.n", "C11:public.parts.k"],
        "contract",
    ),
    "unique_swapped": (
        sql("CREATE UNIQUE INDEX small_name2 ON small (name)", "DROP INDEX small_name"),
        sql("CREATE UNIQUE INDEX small_name ON small (name)", "DROP INDEX small_name2"),
        [],
        "expand",
    ),
    "unique_gone": (
        sql("DROP INDEX small_name2"),
        sql("CREATE UNIQUE INDEX small_name2 ON small (name)"),
        [],  # no running code can know it: the revision before made it
        "expand",
    ),
    "own_column": (sql("ALTER TABLE big ADD tmp int", "ALTER TABLE big DROP tmp"), "", [], "expand"),
    "pending_column": (sql("ALTER TABLE big DROP bio"), sql("ALTER TABLE big ADD bio text"), [], "expand"),
    "label": (
        sql("ALTER TYPE mood RENAME VALUE 'bad' TO 'sad'"),
        sql("ALTER TYPE mood RENAME VALUE 'sad' TO 'bad'"),
        ["C10:public.mood"],
        "contract",
    ),
    "partition_dropped": (sql("DROP TABLE log_1"), "", [], "expand"),
    "partition_in_use": (sql("ALTER TABLE log DETACH PARTITION log_2"), "", ["C14:public.log_2"], "contract"),
    "function_called_as_before": (
        sql("DROP FUNCTION half(int)", "CREATE FUNCTION half(n bigint) RETURNS bigint LANGUAGE sql AS 'select $1 / 2'"),
        "",
        [],
        "expand",
    ),
    "function_called_otherwise": (
        sql("DROP FUNCTION third(int)", "CREATE FUNCTION third(n int, how text) RETURNS int LANGUAGE sql AS 'select $1 / 3'"),
        "",
        ["C08:public.third(integer)"],
        "contract",
    ),
    "function": (sql("DROP FUNCTION twice(int)"), "", ["C08:public.twice(integer)"], "contract"),
    "reads": (
        "for row in op.get_bind().execute(sa.text('SELECT id FROM big')):\n    op.execute('SELECT 1')",
        "",
        ["U01:public.big"],
        "unknown",
    ),
    "inspects": ("sa.inspect(op.get_bind()).get_columns('big')", "", [], "expand"),
    "fails": (sql("SELECT nothing FROM nowhere"), "", ["X01:fails"], "unknown"),
    "never_ran": (sql("SELECT 1"), "", ["U05:never_ran"], "unknown"),
}


@pytest.fixture
def own(postgres: Any) -> Iterator[Any]:
    """A database whose owner may create databases."""
    made = postgres.database(attributes="createdb")
    yield made
    made.drop()


def enlarge(database: Any, table: str, rows: int = 1000000) -> None:
    """Let the statistics say that the table is large; the plan reads no table."""
    database.fetch(f"update pg_class set reltuples = {rows}, relpages = 1000 where oid = '{table}'::regclass")


def based(app: Application, database: Any, bodies: dict[str, Any], **options: Any) -> Any:
    """A project at its first revision, whose table big is large and has one row."""
    project = written(app, database, {"root": BASE, **bodies}, **options)
    ok(app.upgrade(project, "root"))
    database.fetch("insert into big (id, name, code, note, parent) values (1, 'one', 1, 'x', null)")
    database.fetch("insert into big (id, kind) select n, case when n % 1000 = 0 then 2 else 1 end from generate_series(11, 1000) n")
    database.fetch("refresh materialized view stored")
    database.fetch("insert into filled values (1, null, 1), (2, 5, 1)")
    database.fetch("insert into small values (1, 'a', 'b'), (2, 'b', null)")
    database.fetch("analyze")
    enlarge(database, "big")
    return project


@pytest.mark.core
def test_each_kind_of_change_is_judged_and_nothing_is_touched(app: Application, own: Any) -> None:
    project = based(app, own, {name: case[:2] for name, case in CASES.items()})
    before, looks = own.dump(), looks_compared(project)
    plan = ok(app.start("plan", project, check=True).result(600))
    found = {item["revision"]: (rules(plan, item["revision"], *GATING), item["phase"]) for item in plan["revisions"]}
    assert found == {name: (case[2], case[3]) for name, case in CASES.items()}
    assert plan["route"] == "refuse" and "nowhere" in plan["reason"] and not plan["changed"] and plan["warnings"] == []
    assert own.dump() == before and scratches(own.server) == []
    assert own.password not in json.dumps(plan)
    told = looks.read_text().splitlines()
    assert set(told) == {"catalog", "relations", "indexes", "foreign_keys", "rights"} and len(told) > 5 * len(CASES)


@pytest.fixture(scope="module")
def counting_late() -> Iterator[Postgres]:
    """A server that does not know how to count at once what was read, as before PostgreSQL 15; its copies are of template0."""
    server = Postgres(settings={"allow_system_table_mods": "on", "log_connections": "on"}).create().start()
    server.fetch("update pg_database set datallowconn = true where datname = 'template0'")
    for name in ("template0", "template1", "postgres"):
        server.fetch("update pg_proc set proname = 'no_' || proname where proname = 'pg_stat_force_next_flush'", name=name)
    server.fetch("update pg_database set datallowconn = false where datname = 'template0'")
    yield server
    server.remove()


@pytest.mark.slow
def test_a_server_that_counts_late_gets_one_revision_after_the_other(newest: Application, counting_late: Postgres) -> None:
    database = counting_late.database(attributes="createdb")
    project = based(newest, database, {name: case[:2] for name, case in CASES.items()})
    before = database.dump()
    begun = counting_late.log.stat().st_size
    plan = ok(newest.start("plan", project, check=True).result(1200))
    found = {item["revision"]: (rules(plan, item["revision"], *GATING), item["phase"]) for item in plan["revisions"]}
    assert found == {name: (case[2], case[3]) for name, case in CASES.items()}
    assert plan["warnings"] == [] and database.dump() == before and scratches(counting_late) == []
    connected = counting_late.log.read_bytes()[begun:].count(b"database=dbops_rehearsal_")
    assert connected > len(CASES), connected  # all in one run would be a few


def test_what_a_role_can_no_longer_do_breaks_its_code(newest: Application, own: Any) -> None:
    """Each as the server itself says of that role: revoked, made anew or swapped without its grants, hidden by row security."""
    role = f"web_{own.name}"
    own.server.fetch(f"create role {role} login")
    given = sql(
        "CREATE SCHEMA app",
        "CREATE TABLE app.t (id int)",
        "CREATE SEQUENCE tickets",
        f"GRANT USAGE ON SCHEMA app TO {role}",
        f"GRANT SELECT, INSERT, UPDATE ON small, filled, parts, names, app.t TO {role}",
        f"GRANT USAGE ON SEQUENCE tickets TO {role}",
    )
    swap = sql(
        "CREATE TABLE parts_new (LIKE parts INCLUDING ALL)",
        "ALTER TABLE parts RENAME TO parts_old",
        "ALTER TABLE parts_new RENAME TO parts",
    )
    bodies = {
        "given": (given, ""),
        "revoked": (sql(f"REVOKE INSERT ON small FROM {role}"), ""),
        "columns": (sql(f"REVOKE SELECT ON filled FROM {role}", f"GRANT SELECT (id, n) ON filled TO {role}"), ""),
        "view": (sql("DROP VIEW names", "CREATE VIEW names AS SELECT id, name FROM small"), ""),
        "swapped": (swap, ""),
        "schema": (sql(f"REVOKE USAGE ON SCHEMA app FROM {role}"), ""),
        "sequence": (sql(f"REVOKE ALL ON SEQUENCE tickets FROM {role}"), ""),
        "function": (sql("REVOKE EXECUTE ON FUNCTION twice(int) FROM PUBLIC"), ""),
        "open": (sql("CREATE POLICY everybody ON filled USING (true)", "ALTER TABLE filled ENABLE ROW LEVEL SECURITY"), ""),
        "hidden": (sql("ALTER TABLE small ENABLE ROW LEVEL SECURITY"), ""),
        "more": (sql(f"GRANT DELETE ON filled TO {role}"), ""),
    }
    try:
        project = based(newest, own, bodies)
        ok(newest.upgrade(project, "given"))
        plan = ok(newest.run("plan", project))
        found = {item["revision"]: [f for f in item["findings"] if f["class"] == "breaks"] for item in plan["revisions"]}
        assert {name: [f["object"] for f in each] for name, each in found.items() if each} == {
            "revoked": ["public.small"],
            "columns": ["public.filled"],
            "view": ["public.names"],
            "swapped": ["public.parts"],
            "schema": ["app"],
            "sequence": ["public.tickets"],
            "function": ["public.twice(integer)"],
            "hidden": ["public.small"],
        }
        assert all(f["rule"] == "C13" and role in f["message"] for each in found.values() for f in each)
        assert "no INSERT on small any more (it was revoked)" in found["revoked"][0]["message"]
        assert f"GRANT SELECT (m) ON filled TO {role}" in found["columns"][0]["fix"]
        assert "no policy permits it" in found["hidden"][0]["message"] and "CREATE POLICY" in found["hidden"][0]["fix"]
        others = ok(newest.run("plan", project, application_roles=[own.role]))
        assert not any(f["rule"] == "C13" for item in others["revisions"] for f in item["findings"])
    finally:
        own.drop()
        own.server.fetch(f"drop role {role}")


def test_locks_scans_and_rewrites_are_those_of_the_server(newest: Application, own: Any) -> None:
    bodies = {
        "one": (sql("ALTER TABLE big ALTER code TYPE bigint"), sql("ALTER TABLE big ALTER code TYPE int")),
        "two": (CASES["concurrently"][0], CASES["concurrently"][1]),
    }
    plan = ok(newest.run("plan", based(newest, own, bodies)))
    first, second = (item["statements"][0] for item in plan["revisions"])
    assert first["locks"] == {"public.big": "AccessExclusive"} and first["rewritten"] == ["public.big"] and first["transactional"]
    assert second["locks"] == {"public.big": "ShareUpdateExclusive"} and not second["transactional"]
    assert "T01:public.big" in rules(plan, "two") and plan["revisions"][1]["transactional"] is False
    blocks = next(item for item in plan["revisions"][0]["findings"] if item["rule"] == "B01")
    assert blocks["rows"] == 1000000 and "1000000 rows" in blocks["message"] and "reads and writes" in blocks["message"]
    assert plan["route"] == "maintenance_window" and plan["reason"].startswith("Revision one blocks ")


def test_the_way_back(newest: Application, own: Any) -> None:
    bodies = {
        "clean": ("op.add_column('big', sa.Column('bio', sa.Text))", "op.drop_column('big', 'bio')"),
        "leaves": ("op.create_table('jobs', sa.Column('state', sa.Enum('on', 'off', name='job_state')))", "op.drop_table('jobs')"),
        "blocks": (sql("DROP INDEX big_code"), sql("CREATE INDEX big_code ON big (code)")),
        "raises": (sql("CREATE TABLE t (id int)"), "raise NotImplementedError('no way back')"),
        "destroys": ("op.drop_column('small', 'old')", "op.add_column('small', sa.Column('old', sa.Text))"),
    }
    plan = ok(newest.run("plan", based(newest, own, bodies)))
    reversible = {item["revision"]: item["reversible"] for item in plan["revisions"]}
    assert rules(plan, "clean") == ["R05:public.big.bio"] and reversible["clean"]["proved"]
    assert not reversible["clean"]["proved_after_traffic"]
    assert {"R02:leaves", "R03:leaves"} <= set(rules(plan, "leaves")) and not reversible["leaves"]["schema_restored"]
    assert "R04:public.big" in rules(plan, "blocks") and reversible["blocks"]["blocks"]
    assert "R01:raises" in rules(plan, "raises") and not reversible["raises"]["proved"]
    assert reversible["destroys"]["loses"] == [{"object": "public.small.old", "how": "the column is dropped", "rows": 1}]
    assert not plan["rollback"]["proved"] and plan["rollback"]["reason"].startswith("Revision leaves: ")


def test_the_chain_is_cut_where_the_old_code_has_to_be_gone(newest: Application, own: Any) -> None:
    bodies = {
        "one": ("op.add_column('big', sa.Column('bio', sa.Text))", "op.drop_column('big', 'bio')"),
        "two": ("op.drop_column('small', 'old')", "op.add_column('small', sa.Column('old', sa.Text))"),
        "three": (sql("DROP FUNCTION twice(int)"), ""),
    }
    project = based(newest, own, bodies)
    plan = ok(newest.run("plan", project))
    assert (plan["route"], plan["before"], plan["after"]) == ("rolling", ["one"], ["two", "three"])
    plan = ok(newest.run("plan", project, revision="one"))
    assert (plan["route"], plan["before"], plan["after"]) == ("rolling", ["one"], [])
    ok(newest.upgrade(project))
    plan = ok(newest.run("plan", project))
    assert (plan["route"], plan["revisions"], plan["mode"]) == ("rolling", [], "none")


def test_what_a_revision_says_of_itself(newest: Application, own: Any) -> None:
    drop = "op.drop_column('small', 'old')", "op.add_column('small', sa.Column('old', sa.Text))"
    add = "op.add_column('big', sa.Column('bio', sa.Text))", "op.drop_column('big', 'bio')"

    def plan(*head: str, body: tuple[str, str] = drop) -> dict[str, Any]:
        ok(newest.upgrade(project := written(newest, own, {"root": BASE, "one": (*body, *head)}), "root"))
        return ok(newest.run("plan", project))

    allowed = plan("deploy = {'allow': {'C02:small.old': 'unread since 4.2', 'C01': 'nothing'}}")
    assert allowed["route"] == "rolling" and allowed["before"] == ["one"]
    assert next(item for item in allowed["revisions"][0]["findings"] if item["rule"] == "C02")["allowed"] == "unread since 4.2"
    assert any("allows C01, and nothing like it was found" in warning for warning in allowed["warnings"])
    unreasoned = plan("deploy = {'allow': {'C02:small.old': ''}}")
    assert unreasoned["route"] == "refuse" and "has no reason" in unreasoned["reason"]
    wrong = plan("deploy = {'phase': 'expand'}")
    assert wrong["route"] == "refuse" and "declared expand" in wrong["reason"]
    late = plan("deploy = {'phase': 'contract'}", body=add)
    assert (late["route"], late["after"]) == ("rolling", ["one"])
    labelled = plan("branch_labels = ('contract',)", body=add)
    assert labelled["after"] == ["one"] and labelled["revisions"][0]["declared_phase"] == "contract"
    called = plan("deploy = dict(phase='contract')", body=add)
    assert called["route"] == "refuse" and "not a literal" in called["reason"]


def test_the_real_rows_are_asked(newest: Application, own: Any) -> None:
    bodies = {
        "null": (sql("ALTER TABLE filled ALTER n SET NOT NULL"), sql("ALTER TABLE filled ALTER n DROP NOT NULL")),
        "duplicate": (sql("CREATE UNIQUE INDEX u ON filled (m)"), sql("DROP INDEX u")),
        "orphan": (
            sql("ALTER TABLE filled ADD CONSTRAINT o FOREIGN KEY (n) REFERENCES big"),
            sql("ALTER TABLE filled DROP CONSTRAINT o"),
        ),
        "violation": (sql("ALTER TABLE filled ADD CONSTRAINT v CHECK (n > 9)"), sql("ALTER TABLE filled DROP CONSTRAINT v")),
        "required": (sql("ALTER TABLE filled ADD r int NOT NULL"), sql("ALTER TABLE filled DROP r")),
        "fine": (sql("ALTER TABLE filled ALTER m SET NOT NULL"), sql("ALTER TABLE filled ALTER m DROP NOT NULL")),
        "cleaned": (
            sql("UPDATE filled SET n = 1 WHERE id = 1", "ALTER TABLE filled ADD CONSTRAINT w CHECK (n < 3)"),
            sql("ALTER TABLE filled DROP CONSTRAINT w"),
        ),
    }
    project = based(newest, own, bodies)
    plan = ok(newest.run("plan", project))
    found = {item["revision"]: rules(plan, item["revision"], "fails", "unknown") for item in plan["revisions"]}
    assert found == {
        "null": ["X03:public.filled.n"],
        "duplicate": ["X03:public.u"],
        "orphan": ["X03:public.filled.o"],
        "violation": ["X03:public.filled.v"],
        "required": ["X03:public.filled.r"],
        "fine": [],
        "cleaned": ["U04:public.filled.w"],
    }
    assert plan["route"] == "refuse" and "NULL in 1 rows" in plan["reason"]
    unasked = ok(newest.run("plan", project, data_checks=False))
    assert all(item["source"] != "data" for step in unasked["revisions"] for item in step["findings"])


#: Table, and revision → what is done to it, and whether an INSERT that leaves its column out fails afterwards.
FILLED = {
    "checked": ("ALTER TABLE checked ADD CONSTRAINT there CHECK (v IS NOT NULL) NOT VALID", True),
    "required": ("ALTER TABLE required ALTER v SET NOT NULL", True),
    "given": ("ALTER TABLE given ALTER v SET DEFAULT 1; ALTER TABLE given ALTER v SET NOT NULL", False),
    "helped": (
        "CREATE TRIGGER give BEFORE UPDATE OR INSERT ON helped FOR EACH ROW EXECUTE FUNCTION give(); "
        "ALTER TABLE helped ALTER v SET NOT NULL",
        False,
    ),
    "looser": ("ALTER TABLE looser ADD CONSTRAINT loose CHECK (v IS NOT NULL OR id > 0)", False),
}


def test_a_column_that_nothing_fills_breaks_an_insert_that_leaves_it_out(newest: Application, own: Any) -> None:
    give = "CREATE FUNCTION give() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := 1; RETURN NEW; END'"
    base = sql(give, *(f"CREATE TABLE {name} (id serial, v int)" for name in FILLED))
    project = written(newest, own, {"root": (base, ""), **{name: (sql(body), "") for name, (body, _fails) in FILLED.items()}})
    ok(newest.upgrade(project, "root"))
    plan = ok(newest.run("plan", project))
    found = {name: rules(plan, name, *GATING) for name in FILLED}
    assert found == {name: [f"C15:public.{name}.v"] if fails else [] for name, (_body, fails) in FILLED.items()}
    for name in FILLED:
        own.fetch(f"insert into {name} default values")
        own.fetch(f"truncate {name}")
    ok(newest.upgrade(project))
    for name, (_body, fails) in FILLED.items():
        with pytest.raises(psycopg2.IntegrityError) if fails else contextlib.nullcontext():
            own.fetch(f"insert into {name} default values")


def test_no_other_database_is_reached(newest: Application, own: Any, pg: Any) -> None:
    write = "with engine.begin() as c:\n    c.execute(sa.text('CREATE TABLE leaked (id int)'))"
    elsewhere = f"engine = sa.create_engine({pg.url()!r})\n{write}"
    plan = ok(newest.run("plan", based(newest, own, {"one": (elsewhere, "")})))
    assert rules(plan, "one", *GATING) == ["U03:one"] and pg.tables() == []
    assert plan["route"] == "maintenance_window"


@pytest.mark.parametrize(
    "fixture", some(["pool_of_one", "external_transaction", "own_timeouts", "iam_token"], "external_transaction")
)
def test_env_files_of_other_kinds_are_led_to_the_copy(newest: Application, own: Any, fixture: str) -> None:
    project = newest.project(fixture, own)
    given = {"environment": {"IAM_TOKEN": own.password}} if fixture == "iam_token" else {}
    plan = ok(newest.run("plan", project, **given))
    assert plan["mode"] == "rehearsal" and len(plan["revisions"]) > 1, plan
    assert not [name for name in rules(plan, plan["revisions"][0]["revision"], "fails")]
    assert own.tables() == [] and scratches(own.server) == []


@pytest.mark.parametrize("driver", some(["asyncpg", "psycopg"], "asyncpg"))
def test_other_drivers(newest: Application, own: Any, driver: str) -> None:
    fixture = "async_env" if driver == "asyncpg" else "linear"
    add = "op.add_column('big', sa.Column('bio', sa.Text))", "op.drop_column('big', 'bio')"
    bodies = {"one": add, "two": CASES["concurrently"][:2], "three": CASES["everything"][:2], "four": CASES["reads"][:2]}
    project = based(newest, own, bodies, fixture=fixture, driver=driver)
    plan = ok(newest.run("plan", project, large_rows=500))  # of the rows that are there, which are counted
    found = {item["revision"]: rules(plan, item["revision"], *GATING) for item in plan["revisions"]}
    assert found == {"one": [], "two": [], "three": ["B02:public.big"], "four": ["U01:public.big"]}
    assert plan["mode"] == "rehearsal" and scratches(own.server) == []


def test_a_schema_for_each_tenant(newest: Application, own: Any) -> None:
    own.fetch(f"create schema acme authorization {own.role}; create schema beta authorization {own.role}")
    project = newest.project("tenants", own)
    plan = ok(newest.run("plan", project, environment={"TENANTS": "acme,beta"}))
    assert plan["mode"] == "rehearsal" and [entry["mode"] for entry in plan["databases"]] == ["rehearsal", "rehearsal"]
    assert all(step["phase"] == "expand" for step in plan["revisions"]), plan["revisions"]
    assert own.tables("acme") == [] and scratches(own.server) == []


def test_without_the_right_to_make_a_copy_it_says_so(newest: Application, pg: Any) -> None:
    bodies = {name: CASES[name][:2] for name in ("nullable", "index", "dropped", "in_a_block", "inspects")}
    project = based(newest, pg, bodies)
    plan = ok(newest.run("plan", project, throwaway_cluster=False))
    found = {item["revision"]: rules(plan, item["revision"], *GATING) for item in plan["revisions"]}
    assert found == {
        "nullable": [],
        "index": ["B01:big"],
        "dropped": ["C02:small.old"],
        "in_a_block": ["U06:in_a_block"],
        "inspects": ["U05:inspects"],
    }
    assert plan["mode"] == "static" and plan["route"] == "maintenance_window" and not plan["rollback"]["proved"]
    assert any("permission denied to create database" in warning for warning in plan["warnings"])
    told = failed(newest.run("plan", project, mode="rehearse", throwaway_cluster=False), "rehearsal_impossible")
    assert "permission denied to create database" in told["msg"]


@pytest.fixture(scope="module")
def observing() -> Iterator[Postgres]:
    """A server that counts statements."""
    yield from serve(lambda: Postgres(settings={"shared_preload_libraries": "pg_stat_statements"}).create().start())


def test_statements_of_the_running_code_are_tried(newest: Application, observing: Postgres) -> None:
    database = observing.database(attributes="createdb")
    bodies = {
        "bio": CASES["nullable"][:2],
        "dropped": CASES["dropped"][:2],
        "unique": (sql("DROP INDEX small_name"), sql("CREATE UNIQUE INDEX small_name ON small (name)")),
    }
    project = based(newest, database, bodies)
    unseen = ok(newest.run("plan", project, observed_statements=50))
    assert any("no extension pg_stat_statements" in warning for warning in unseen["warnings"])
    database.fetch("create extension pg_stat_statements")
    with database.holding(
        "select id, old from small where id = 7",
        "update small set old = 'secret' where name = 'x'",
        "insert into small (id, name) values (8, 'n') on conflict (name) do nothing",
        "select code from big where id = 3",
    ):
        pass
    plan = ok(newest.run("plan", project, observed_statements=50))
    assert plan["warnings"] == []
    assert not rules(plan, "bio", "breaks")
    found = {item["revision"]: [f for f in item["findings"] if f["rule"] == "C12"] for item in plan["revisions"]}
    assert len(found["dropped"]) == 2 and all('column "old"' in item["message"] for item in found["dropped"]), found
    assert "ON CONFLICT" in found["unique"][0]["message"] and "secret" not in json.dumps(plan), found
    database.drop()


def test_a_database_that_the_user_gives(newest: Application, pg: Any, postgres: Any) -> None:
    names = ["nullable", "index", "foreign_key", "type", "label"]
    project = based(newest, pg, {name: CASES[name][:2] for name in names})
    scratch = postgres.database()
    scratch.fetch("create table precious (id int)")
    told = failed(newest.run("plan", project, scratch_url=scratch.url()), "not_ours")
    assert scratch.name in told["msg"] and scratch.tables() == ["precious"]
    scratch.fetch("drop table precious")
    before = pg.dump()
    for _again in range(2):
        plan = ok(newest.run("plan", project, scratch_url=scratch.url()))
        assert plan["mode"] == "rehearsal"
        found = {item["revision"]: (rules(plan, item["revision"], *GATING), item["phase"]) for item in plan["revisions"]}
        assert found == {name: CASES[name][2:] for name in names}
        assert [item["reversible"]["schema_restored"] for item in plan["revisions"]] == [True] * 5
        assert scratch.tables() == [] and pg.dump() == before
        assert scratch.password not in json.dumps(plan)
    failed(newest.run("plan", project, scratch_url=pg.url()), "options_invalid")
    scratch.drop()


def test_a_revision_that_kills_its_process(newest: Application, own: Any) -> None:
    project = based(newest, own, {"one": ("os.kill(os.getpid(), 9)", "")})
    told = failed(newest.run("plan", project), "worker_died")
    assert "while revision one was running" in told["msg"] and scratches(own.server) == []


def test_what_a_killed_run_leaves_is_dropped_by_the_next(newest: Application, own: Any) -> None:
    project = based(newest, own, {"one": (sql("SELECT pg_sleep(30)"), "")})
    run = newest.start("plan", project)
    until = time.monotonic() + PATIENCE
    while not own.server.fetch("select 1 from pg_stat_activity where query like 'SELECT pg_sleep(30)%'"):
        assert time.monotonic() < until
        time.sleep(0.05)
    left = scratches(own.server)
    assert len(left) == 1
    for pid in process_tree(run.process.pid)[1:]:
        os.kill(pid, signal.SIGKILL)
    run.process.wait()
    assert scratches(own.server) == left
    again = written(newest, own, {"root": BASE, "two": (sql("CREATE TABLE t (id int)"), sql("DROP TABLE t"))})
    assert ok(newest.run("plan", again))["route"] == "rolling"
    assert scratches(own.server) == []


def test_the_playbook_shows_a_table(newest: Application, own: Any, tmp_path: Path) -> None:
    bodies = {"one": CASES["nullable"][:2], "two": CASES["dropped"][:2]}
    project = based(newest, own, bodies)
    before = own.dump()
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "application_name": "shop",
        "schema_database_url": own.url(),
        "schema_chdir": str(project.folder),
        "schema_python": str(newest.python),
    }
    hosts = tmp_path / "hosts.json"
    hosts.write_text(json.dumps({"application": {"hosts": {"here": variables}}}))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_SHOW_CUSTOM_STATS": "1",
    }
    done = subprocess.run(
        [*ansible_playbook(), "-i", str(hosts), "dbops.alembic.plan"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Route: rolling. " in done.stdout and "two can run when the last process of the old code is gone" in done.stdout
    assert "C02 breaks: The column small.old is dropped" in done.stdout and "AccessExclusive on public.big" in done.stdout
    assert "changed=0" in done.stdout and own.password not in done.stdout + done.stderr
    assert own.dump() == before and scratches(own.server) == []


def test_a_pipeline_fails_by_policy_and_keeps_reports(newest: Application, own: Any, tmp_path: Path) -> None:
    project = based(newest, own, {"one": CASES["index"][:2]})
    places = {"ANSIBLE_COLLECTIONS_PATH": str(TREE), "ANSIBLE_HOME": str(CACHE / "ansible")}
    kept = {**places, "ANSIBLE_NOCOLOR": "1", "PLAN_CHECK_URL": own.url()}

    def check(**given: Any) -> subprocess.CompletedProcess[str]:
        variables = {"plan_check_path": str(project.folder), "plan_check_python": str(newest.python), **given}
        command = [*ansible_playbook(), "-i", "localhost,", "dbops.alembic.plan_check", "-e", json.dumps(variables)]
        return subprocess.run(command, cwd=tmp_path, env={**os.environ, **kept}, capture_output=True, text=True, check=False)

    for given, told in (
        ({"plan_check_path": ""}, "plan_check_path is not set"),
        ({"plan_check_route": "rolling"}, "knows no plan_check_route. It knows"),
        ({"plan_check_may_break": "never"}, "value of plan_check_may_break must be one of: warn, contract"),
    ):
        wrong = check(**given)
        assert wrong.returncode != 0 and told in wrong.stdout + wrong.stderr, wrong.stdout + wrong.stderr
    refused = check(plan_check_reports=str(tmp_path))
    assert refused.returncode != 0 and "maintenance_window: Revision one blocks" in refused.stdout, refused.stdout + refused.stderr
    run = json.loads((tmp_path / "plan.sarif").read_text())["runs"][0]
    assert "B01" in [item["ruleId"] for item in run["results"]] and run["properties"]["route"] == "maintenance_window"
    assert "<failure" in (tmp_path / "plan.xml").read_text() and "**B01**" in (tmp_path / "plan.md").read_text()
    assert "public.big" in (tmp_path / "plan.html").read_text() and own.password not in refused.stdout + refused.stderr
    before = [(tmp_path / f"plan.{end}").read_bytes() for end in ("html", "sarif", "xml")]
    (tmp_path / "plan.md").write_text("# What I plan for the holidays\n")
    left = check(plan_check_reports=str(tmp_path))
    assert (
        left.returncode != 0
        and "plan.md' is left alone" in left.stdout
        and (tmp_path / "plan.md").read_text().startswith("# What I")
    )
    assert before == [(tmp_path / f"plan.{end}").read_bytes() for end in ("html", "sarif", "xml")]
    (tmp_path / "plan.md").unlink()
    allowed = check(plan_check_reports=str(tmp_path), plan_check_routes=["rolling", "maintenance_window"])
    assert allowed.returncode == 0, allowed.stdout + allowed.stderr
    assert (tmp_path / "plan.md").exists(), "beside reports of ours, which are written anew"
    assert scratches(own.server) == []
