# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says of revisions after which statements of old code fail, or wait, though no table loses anything."""

from __future__ import annotations

import contextlib
import textwrap
from typing import Any, Iterator

import pytest

from support.application import Application, ok
from support.planned import looks_compared, rules, scratches, sql, written

GATING = ("fails", "unknown", "blocks", "breaks")
ROLE = "old_code"
BASE = sql(
    "CREATE TABLE parent (id int PRIMARY KEY, code text UNIQUE)",
    "CREATE TABLE child (id serial PRIMARY KEY, parent_id int REFERENCES parent, v text)",
    "CREATE TABLE big (id int PRIMARY KEY, code int, note text, state text NOT NULL DEFAULT 'new', "
    "CONSTRAINT noted CHECK (note IS NOT NULL))",
    "CREATE UNIQUE INDEX big_code ON big (code)",
    "CREATE TABLE hidden (id int PRIMARY KEY, v text)",
    "CREATE TABLE plain (id int PRIMARY KEY, v text CONSTRAINT plain_v UNIQUE)",
    "CREATE TABLE target (id int PRIMARY KEY, v text)",
    "CREATE UNIQUE INDEX target_v ON target (v)",
    "CREATE TABLE narrow (id int PRIMARY KEY, v text)",
    "CREATE TABLE counted (id serial PRIMARY KEY, other int UNIQUE)",
    "CREATE SEQUENCE counted_backwards",
    "ALTER TABLE counted ALTER other SET DEFAULT nextval('counted_backwards')",
    "CREATE TABLE emptied (id serial PRIMARY KEY, v text)",
    "CREATE TABLE keyless (id int, v text)",
    "CREATE FUNCTION plus(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN n; END'",
    *(
        f"CREATE FUNCTION {name}(n int, by int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT n'"
        for name in ("minus", "times", "shares")
    ),
    "CREATE TABLE family (id int)",
    "CREATE TABLE heir (v text) INHERITS (family)",
    "CREATE TABLE tariff (id int PRIMARY KEY, v text)",
    "CREATE DOMAIN positive AS int CHECK (VALUE > 0)",
    "CREATE TYPE address AS (street text)",
    "CREATE TYPE mood AS ENUM ('good')",
    "CREATE TABLE typed (id int PRIMARY KEY, n positive, a address, m mood DEFAULT 'good')",
    "CREATE VIEW shown AS SELECT id, v FROM hidden",
    "CREATE VIEW simple AS SELECT id, v FROM plain",
    "CREATE VIEW upper_v AS SELECT id, upper(v) AS v FROM plain",
    "CREATE FUNCTION put() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO plain VALUES (NEW.id, NEW.v); RETURN NEW; END'",
    "CREATE TRIGGER put INSTEAD OF INSERT ON upper_v FOR EACH ROW EXECUTE FUNCTION put()",
    "CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER kept BEFORE INSERT ON target FOR EACH ROW EXECUTE FUNCTION kept()",
    "CREATE MATERIALIZED VIEW stored AS SELECT count(*) AS n FROM plain",
    "CREATE FUNCTION peek(int) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'select v from hidden where id = $1'",
    "CREATE FUNCTION big(bigint) RETURNS int LANGUAGE sql AS 'select 1'",
    "CREATE TABLE computed (id int PRIMARY KEY, v text, low text GENERATED ALWAYS AS (lower(v)) STORED, "
    "up text GENERATED ALWAYS AS (upper(v)) STORED)",
    "CREATE SEQUENCE numbers",
    "CREATE SEQUENCE tickets",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}",
    f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {ROLE}",
    f"REVOKE ALL ON hidden FROM {ROLE}",
)
_NOTE = (
    "CREATE FUNCTION {0}() RETURNS trigger LANGUAGE plpgsql {1} AS 'BEGIN INSERT INTO {0}_seen (v) VALUES (NEW.v); RETURN NEW; END'"
)
_NOTES = "CREATE TRIGGER {0} AFTER INSERT ON {1} FOR EACH ROW EXECUTE FUNCTION {0}()"
_LOOP = (
    "for first in range(0, 10000, 500):\n    op.execute(f'UPDATE big SET state = state WHERE id BETWEEN {first} AND {first + 499}')"
)
_DUPLICATES = sql(
    "DELETE FROM big WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY code ORDER BY id) AS n FROM big) s "
    "WHERE n > 1)"
)
_PARAMETERS = "op.get_bind().execute(sa.text(\"UPDATE big SET state = 'x' WHERE id = :i\"), [{{'i': n}} for n in range({0}, {1})])"
_ONE_BY_ONE = "for first in range(0, 11000, 100):\n    " + _PARAMETERS.format("first", "first + 100")
_ALONE = "with op.get_context().autocommit_block():\n    op.execute({!r})"
_CODE = "DO $$ DECLARE first int := 0; word text := 'new'; BEGIN {} END $$"
_EACH = "WHILE first < 10000 LOOP {} COMMIT; first := first + 500; END LOOP;"
_COMPUTES = "\nimport time\nuntil = time.thread_time() + {}\nwhile time.thread_time() < until:\n    pass"
#: Others have the processor for most of the time.
_CROWD = """import os, subprocess
usual = os.sched_getaffinity(0)
os.sched_setaffinity(0, {min(usual)})
crowd = [subprocess.Popen(["timeout", "60", "sh", "-c", "while :; do :; done"]) for _each in range(8)]
"""
_ALONE_AGAIN = "\nfor each in crowd:\n    each.terminate()\n    each.wait()\nos.sched_setaffinity(0, usual)"
#: Name → upgrade, and what gates. They follow one another, so no two are about the same thing.
CASES: dict[str, tuple[str, list[str]]] = {
    # rows: together they are many, and what is there already tells what fails
    "duplicates": (_DUPLICATES, []),  # of which there are none
    "batches_of_a_new_column": (
        sql("ALTER TABLE big ADD fresh int") + "\n" + _LOOP.replace("state = state", "fresh = 1"),
        ["B02:public.big"],
    ),
    "range_of_a_new_column": (sql("UPDATE big SET fresh = 2 WHERE id < 50000 AND fresh IS NULL"), ["B02:public.big"]),
    "duplicates_by_now": (_DUPLICATES, ["B02:public.big"]),
    "batches_together": (_LOOP, ["B02:public.big"]),
    "batches_alone": ("with op.get_context().autocommit_block():\n    " + _LOOP.replace("\n", "\n    "), []),
    "one_by_one": (_ONE_BY_ONE, ["B02:public.big"]),
    "one_by_one_alone": ("with op.get_context().autocommit_block():\n" + textwrap.indent(_ONE_BY_ONE, "    "), []),
    "many_parameters": (_PARAMETERS.format(0, 11000), ["B02:public.big"]),
    "few_parameters": (_PARAMETERS.format(0, 60), []),
    # what takes long without any rows
    "sleeps_with_a_lock": ("import time\n" + sql("ALTER TABLE plain ADD slept int") + "\ntime.sleep(1.7)", ["B01:public.plain"]),
    "sleeps_in_the_database": (sql("ALTER TABLE plain ADD slept_there int", "SELECT pg_sleep(1.7)"), ["B01:public.plain"]),
    "computes_with_a_lock": (sql("ALTER TABLE plain ADD computed int") + _COMPUTES.format(1.7), ["B01:public.plain"]),
    "waits_for_a_processor": (_CROWD + sql("ALTER TABLE plain ADD crowded int") + _COMPUTES.format(0.3) + _ALONE_AGAIN, []),
    "sleeps_before_it": ("import time\ntime.sleep(1.7)\n" + sql("ALTER TABLE plain ADD awake int"), []),
    "sleeps_with_a_new_table": ("import time\n" + sql("CREATE TABLE cradle (id int)") + "\ntime.sleep(1.7)", []),
    "small_then_long": (sql("UPDATE plain SET v = v", "CREATE TABLE copied AS SELECT id FROM big"), ["B02:public.plain"]),
    "locked_then_long": (
        sql("SELECT * FROM plain FOR UPDATE", "INSERT INTO emptied (v) SELECT note FROM big"),
        ["B02:public.plain"],
    ),
    "one_of_small_then_long": (
        sql("UPDATE plain SET v = 'v1' WHERE id = 1", "CREATE TABLE copied_again AS SELECT id FROM big"),
        ["B02:public.plain"],
    ),
    "long_then_small": (sql("CREATE TABLE copied_first AS SELECT id FROM big", "UPDATE plain SET v = v"), []),
    "upsert": (
        sql("INSERT INTO big SELECT id, code, note FROM big ON CONFLICT (id) DO UPDATE SET state = 'x'"),
        ["B02:public.big"],
    ),
    "upsert_of_one": (sql("INSERT INTO big (id, note) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET state = 'x'"), []),
    "taken": (
        "op.bulk_insert(sa.table('parent', sa.column('id'), sa.column('code')), "
        "[{'id': 70, 'code': 'p5'}, {'id': 71, 'code': 'y'}])",
        ["X03:public.parent_code_key"],
    ),
    "points_to_a_row": (sql("INSERT INTO child (parent_id, v) VALUES (7, 'x')"), []),
    "points_to_a_row_from_a_new_table": (
        sql("CREATE TABLE fresh (id int PRIMARY KEY, parent_id int REFERENCES parent)", "INSERT INTO fresh VALUES (1, 9), (2, 10)"),
        [],
    ),
    "points_by_many_parameters": (
        sql("CREATE TABLE pupil (parent_id int NOT NULL REFERENCES parent)")
        + "\nop.bulk_insert(sa.table('pupil', sa.column('parent_id')), [{'parent_id': n % 3 + 11} for n in range(60)])",
        [],
    ),
    "reads_a_small_table": (
        "for (number,) in op.get_bind().execute(sa.text('SELECT id FROM tariff')).fetchall():\n"
        "    op.get_bind().execute(sa.text('UPDATE tariff SET v = :v WHERE id = :i'), {'v': 'x', 'i': number})",
        [],
    ),
    "reads_a_small_table_by_orm": (
        "from sqlalchemy.orm import Session, declarative_base\n"
        "columns = {'id': sa.Column(sa.Integer, primary_key=True), 'v': sa.Column(sa.Text)}\n"
        "Tariff = type('Tariff', (declarative_base(),), {'__tablename__': 'tariff', **columns})\n"
        "with Session(op.get_bind()) as session:\n"
        "    for each in session.query(Tariff):\n"
        "        each.v = f'v{each.id}'\n"
        "    session.commit()",
        [],
    ),
    "not_taken": (sql("INSERT INTO plain (id, v) VALUES (70, 'new')"), []),
    "taken_away_first": (sql("DELETE FROM plain WHERE id = 6", "INSERT INTO plain (id, v) VALUES (6, 'v6')"), []),
    "perhaps_taken": (sql("INSERT INTO plain (id, v) VALUES (5, 'v5') ON CONFLICT DO NOTHING"), []),
    "counted_on": (sql("SELECT setval('numbers', (SELECT max(id) FROM big))"), []),
    "temporary": (
        sql("CREATE TEMP TABLE those AS SELECT id FROM big WHERE id < 3", "DELETE FROM plain WHERE id IN (TABLE those)"),
        [],
    ),
    "joined_with_few": (
        sql(
            "CREATE TEMP TABLE few AS SELECT id FROM big WHERE id < 300",
            "UPDATE big SET state = 'x' FROM few WHERE big.id = few.id",
        ),
        [],
    ),
    "joined_with_all": (
        sql(
            "CREATE TEMP TABLE every (nr) ON COMMIT DROP AS SELECT id FROM big",
            "WITH these AS (SELECT nr FROM every) UPDATE big SET state = 'x' FROM these WHERE big.id = nr",
        ),
        ["B02:public.big"],
    ),
    "code_in_batches": (
        _ALONE.format(_CODE.format(_EACH.format("UPDATE big SET state = word WHERE id BETWEEN first AND first + 499;"))),
        [],
    ),
    "code_at_once": (_ALONE.format(_CODE.format("UPDATE big SET state = word WHERE id > first; COMMIT;")), ["U02:code_at_once"]),
    "code_by_no_index": (
        _ALONE.format(_CODE.format(_EACH.format("UPDATE big SET note = 'first' WHERE state = word;"))),
        ["U02:code_by_no_index"],
    ),
    "procedure_in_batches": (
        sql(
            "CREATE PROCEDURE fill(word text, last int) LANGUAGE plpgsql AS $$ BEGIN FOR n IN 0..last LOOP "
            "UPDATE big SET state = word WHERE id BETWEEN n * 500 AND n * 500 + 499; COMMIT; END LOOP; END $$"
        )
        + "\n"
        + _ALONE.format("CALL fill('x', 20)"),
        [],
    ),
    "analyzed": (sql("ANALYZE big", "ALTER TABLE big ALTER note SET STORAGE EXTERNAL"), []),
    "analyzed_while_locked": (sql("ALTER TABLE big ALTER note SET STORAGE MAIN", "ANALYZE (VERBOSE) big"), ["B01:public.big"]),
    "all_analyzed_while_locked": (sql("LOCK TABLE parent", "ANALYZE"), ["B01:public.big"]),
    # constraints
    "refused_before": (sql("ALTER TABLE big ALTER note SET NOT NULL"), []),
    "unique_including": (sql("CREATE UNIQUE INDEX v_and_id ON target (v) INCLUDE (id)", "DROP INDEX target_v"), []),
    "unique_later": (
        sql("ALTER TABLE plain DROP CONSTRAINT plain_v", "ALTER TABLE plain ADD CONSTRAINT plain_v UNIQUE (v) DEFERRABLE"),
        ["C07:public.plain.plain_v"],
    ),
    "default_refused": (sql("ALTER TABLE big ADD CONSTRAINT states CHECK (state <> 'new') NOT VALID"), ["C18:public.big.states"]),
    "rows_refused": (sql("ALTER TABLE big ADD CONSTRAINT codes CHECK (code > 50) NOT VALID"), ["C18:public.big.codes"]),
    "rows_kept": (sql("ALTER TABLE big ADD CONSTRAINT ids CHECK (id >= 0) NOT VALID"), []),
    "computed_no_more": (sql("ALTER TABLE computed ALTER low DROP EXPRESSION"), ["C09:public.computed.low"]),
    "computed_by_code": (
        sql(
            "CREATE FUNCTION compute() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.up := upper(NEW.v); RETURN NEW; END'",
            "ALTER TABLE computed ALTER up DROP EXPRESSION",
            "CREATE TRIGGER compute BEFORE INSERT OR UPDATE ON computed FOR EACH ROW EXECUTE FUNCTION compute()",
        ),
        [],
    ),
    # types
    "domain_taken_off": (sql("ALTER TABLE typed ALTER n TYPE int"), []),
    "attribute": (sql("ALTER TYPE address ADD ATTRIBUTE city text"), ["C05:public.address"]),
    "type_renamed": (sql("ALTER TYPE mood RENAME TO temper"), ["C03:public.mood"]),
    # who may do what
    "serial": (sql("ALTER TABLE target ADD no serial"), ["C13:public.target"]),
    "trigger_without_rights": (
        sql("CREATE TABLE a_seen (v text)", _NOTE.format("a", ""), _NOTES.format("a", "target")),
        ["C13:public.target"],
    ),
    "trigger_with_its_own": (
        sql("CREATE TABLE b_seen (v text)", _NOTE.format("b", "SECURITY DEFINER"), _NOTES.format("b", "target")),
        [],
    ),
    "trigger_with_rights": (
        sql(
            "CREATE TABLE c_seen (v text)", f"GRANT INSERT ON c_seen TO {ROLE}", _NOTE.format("c", ""), _NOTES.format("c", "target")
        ),
        [],
    ),
    "trigger_without_the_sequence": (
        sql(
            "CREATE TABLE d_seen (id serial, v text)",
            f"GRANT ALL ON d_seen TO {ROLE}",
            _NOTE.format("d", ""),
            _NOTES.format("d", "target"),
        ),
        ["C13:public.target"],
    ),
    "trigger_that_needs_no_number": (
        sql(
            "CREATE TABLE e_seen (id serial, v text)",
            f"GRANT ALL ON e_seen TO {ROLE}",
            _NOTE.format("e", "").replace("e_seen (v) VALUES (NEW.v)", "e_seen VALUES (1, NEW.v)"),
            _NOTES.format("e", "target"),
        ),
        [],
    ),
    "invoker_view": (sql("ALTER VIEW shown SET (security_invoker = true)"), ["C13:public.shown"]),
    "invoker_view_with_rights": (sql("ALTER VIEW upper_v SET (security_invoker = true)"), []),
    "invoker_function": (sql("ALTER FUNCTION peek(int) SECURITY INVOKER"), ["C13:public.peek(integer)"]),
    "policy_for_all": (sql("ALTER TABLE target ENABLE ROW LEVEL SECURITY", "CREATE POLICY every ON target USING (true)"), []),
    "policy_with_a_condition": (
        sql(
            "ALTER TABLE narrow ENABLE ROW LEVEL SECURITY", "CREATE POLICY own ON narrow USING (v = current_setting('app.tenant'))"
        ),
        ["U09:public.narrow"],
    ),
    "cut_off": (
        sql("DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$"),
        ["C13:"],
    ),
    # views, functions, rules
    "view_for_reading": (sql("CREATE OR REPLACE VIEW simple AS SELECT DISTINCT id, v FROM plain"), ["C17:public.simple"]),
    "instead_of_nothing": (sql("DROP TRIGGER put ON upper_v"), ["C17:public.upper_v"]),
    "without_data": (sql("REFRESH MATERIALIZED VIEW stored WITH NO DATA"), ["C17:public.stored"]),
    "stored_granted": (
        sql(
            "DROP MATERIALIZED VIEW stored", "CREATE MATERIALIZED VIEW stored AS SELECT 1 AS n", f"GRANT SELECT ON stored TO {ROLE}"
        ),
        [],
    ),
    "another_of_its_name": (sql("CREATE FUNCTION big(numeric) RETURNS int LANGUAGE sql AS 'select 2'"), ["C08:public.big(bigint)"]),
    "raises_now": (
        sql(
            "CREATE OR REPLACE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN IF NEW.v = 'x' THEN RAISE EXCEPTION 'no'; END IF; RETURN NEW; END$$"
        ),
        ["U08:public.kept()"],
    ),
    "rule": (sql("CREATE RULE noted AS ON INSERT TO parent DO ALSO NOTIFY parents"), ["C07:public.parent.noted"]),
    "names_no_column": (
        sql("CREATE OR REPLACE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.missing := now(); RETURN NEW; END'"),
        ["C16:public.target.kept"],
    ),
    "names_no_column_of_another": (
        sql(
            "CREATE FUNCTION gone() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN IF TG_OP = ''UPDATE'' THEN UPDATE plain SET missing = NEW.v WHERE id = OLD.id; END IF; RETURN NULL; END'",
            "CREATE TRIGGER gone AFTER INSERT OR UPDATE ON child FOR EACH ROW EXECUTE FUNCTION gone()",
        ),
        ["C16:public.child.gone"],
    ),
    "reaches_out": (
        sql(
            "CREATE OR REPLACE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN PERFORM dblink_exec(''service=elsewhere'', ''delete from log''); NEW.missing := now(); RETURN NEW; END'"
        ),
        [],
    ),
    "names_columns": (
        sql(
            "CREATE FUNCTION there() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN UPDATE big SET state = NEW.v WHERE note = OLD.v; RETURN NULL; END'",
            "CREATE TRIGGER there AFTER DELETE ON hidden FOR EACH ROW WHEN (OLD.v IS NULL) EXECUTE FUNCTION there()",
        ),
        [],
    ),
    "numbers_end": (sql("ALTER SEQUENCE tickets MAXVALUE 50"), ["C20:public.tickets"]),
    "numbers_go_round": (sql("ALTER SEQUENCE tickets MAXVALUE 50 CYCLE"), []),
    "numbers_set": (sql("ALTER SEQUENCE tickets NO CYCLE MAXVALUE 90", "SELECT setval('tickets', 90)"), ["C20:public.tickets"]),
    "numbers_of_a_type": (
        sql("ALTER SEQUENCE tickets AS smallint NO MAXVALUE", "SELECT setval('tickets', 32767)"),
        ["C20:public.tickets"],
    ),
    "numbers_that_are_there": (sql("SELECT setval('counted_id_seq', 1, false)"), ["C20:public.counted_id_seq"]),
    "numbers_after_what_is_there": (sql("SELECT setval('counted_id_seq', coalesce((SELECT max(id) FROM counted), 1))"), []),
    "numbers_backwards": (sql("ALTER SEQUENCE counted_backwards INCREMENT BY -1"), ["C20:public.counted_backwards"]),
    "numbers_of_emptied": (sql("TRUNCATE emptied RESTART IDENTITY"), []),
    "function_without_table": (
        sql(
            "CREATE OR REPLACE FUNCTION plus(n int) RETURNS int LANGUAGE plpgsql AS "
            "'BEGIN RETURN n + (SELECT count(*) FROM not_there); END'"
        ),
        ["U08:public.plus(n integer)"],
    ),
    "function_without_column": (
        sql(
            "CREATE OR REPLACE FUNCTION plus(n int) RETURNS int LANGUAGE plpgsql AS "
            "'BEGIN RETURN n + (SELECT count(nothing) FROM plain); END'"
        ),
        ["C16:public.plus(n integer)"],
    ),
    "function_with_all": (
        sql("CREATE OR REPLACE FUNCTION plus(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN n + 1; END'"),
        [],
    ),
    "function_with_other_names": (
        sql(
            "DROP FUNCTION minus(int, int)", "CREATE FUNCTION minus(m int, by int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT m'"
        ),
        ["U08:public.minus(n integer, by integer)"],
    ),
    "function_with_one_more": (
        sql(
            "DROP FUNCTION times(int, int)",
            "CREATE FUNCTION times(n int, by int DEFAULT 1, again int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT n'",
        ),
        [],
    ),
    "function_with_a_default_less": (
        sql("DROP FUNCTION shares(int, int)", "CREATE FUNCTION shares(n int, by int) RETURNS int LANGUAGE sql AS 'SELECT n'"),
        ["C08:public.shares(n integer, by integer)"],
    ),
    "inherits_no_more": (sql("ALTER TABLE heir NO INHERIT family"), ["C14:public.heir"]),
    "inherits_again": (sql("ALTER TABLE heir INHERIT family"), ["U08:public.heir"]),
    "rule_that_drops": (sql("CREATE RULE none AS ON DELETE TO emptied DO INSTEAD NOTHING"), ["C07:public.emptied.none"]),
    "published_without_key": (sql("CREATE PUBLICATION all_of FOR TABLE keyless, plain"), ["C21:public.keyless"]),
    "published_key_dropped": (sql("ALTER TABLE plain REPLICA IDENTITY NOTHING"), ["C21:public.plain"]),
    "published_in_full": (sql("ALTER TABLE plain REPLICA IDENTITY FULL", "ALTER TABLE keyless REPLICA IDENTITY FULL"), []),
    "view_column": (sql("ALTER VIEW simple RENAME v TO w"), ["C04:public.simple.v"]),
    "elsewhere": (
        sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = other', current_database()); END $$"),
        ["C19:elsewhere"],
    ),
}


@pytest.fixture
def filled(newest: Application, postgres: Any) -> Iterator[tuple[Any, Any]]:
    """A project at its first revision and its database, in which a table is large and a role that owns nothing has rights."""
    if postgres.version < (15,):
        pytest.skip("views run with the rights of who uses them from PostgreSQL 15 on")
    database = postgres.database(attributes="createdb")
    postgres.fetch(f"create role {ROLE} login")
    bodies = {name: (up, "") for name, (up, _found) in CASES.items()}
    project = written(newest, database, {"root": (BASE, ""), **bodies})
    ok(newest.upgrade(project, "root"))
    database.fetch("insert into parent select n, 'p' || n from generate_series(1, 20) n")
    database.fetch("insert into plain select n, 'v' || n from generate_series(1, 20) n")
    database.fetch("insert into big select n * 100, n, 'note' from generate_series(1, 1000) n")
    database.fetch("insert into counted select from generate_series(1, 20)")
    database.fetch("insert into emptied (v) select 'v' from generate_series(1, 20)")
    database.fetch("select setval('numbers', 50), setval('tickets', 50)")
    database.fetch("insert into heir select n, 'v' from generate_series(1, 20) n")
    database.fetch("insert into tariff select n, 'v' from generate_series(1, 200) n")
    database.fetch("analyze")
    database.fetch("update pg_class set reltuples = 1000000, relpages = 1000 where oid = 'big'::regclass")
    yield project, database
    database.drop()
    postgres.fetch(f"drop role {ROLE}")


def test_what_old_code_can_not_do_afterwards_or_waits_for(newest: Application, filled: tuple[Any, Any]) -> None:
    project, database = filled
    looks = looks_compared(project)
    plan = ok(newest.run("plan", project))
    assert set(looks.read_text().splitlines()) == {"catalog", "relations", "indexes", "foreign_keys", "rights"}
    told = {item["revision"]: item for item in plan["revisions"]}
    assert {name: rules(plan, name, *GATING) for name in CASES} == {name: found for name, (_up, found) in CASES.items()}
    texts = {name: [each for each in told[name]["findings"] if each["class"] in GATING] for name in CASES}
    (lacking,) = texts["trigger_without_rights"]
    assert f"GRANT INSERT ON a_seen TO {ROLE}" in lacking["fix"] and "no INSERT on a_seen" in lacking["message"]
    assert not [each for each in told["points_to_a_row_from_a_new_table"]["findings"] if each["rule"] == "R06"]
    assert "(SELECT max(id) FROM counted)" in texts["numbers_that_are_there"][0]["fix"]
    assert "INCREMENT BY 1'" in texts["numbers_backwards"][0]["fix"]
    assert "op.add_column" not in texts["view_column"][0]["fix"]
    assert "20 statements of one transaction" in texts["batches_together"][0]["message"]
    assert scratches(database.server) == [] and database.fetch("select count(*) from child") == [(0,)]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("INSERT INTO child (parent_id, v) VALUES (999, 'x')", ["X01:one"]),  # which no row of the real database is
        ("ALTER SEQUENCE numbers MAXVALUE 5", ["X01:one"]),  # which has given more than that
        ("ALTER ROLE old_code SET search_path = other", ["U10:one"]),
        ("COMMENT ON DATABASE {name} IS 'ours'", []),
    ],
)
def test_what_is_not_for_the_copy(newest: Application, filled: tuple[Any, Any], statement: str, found: list[str]) -> None:
    _project, database = filled
    project = written(newest, database, {"root": (BASE, ""), "one": (sql(statement.format(name=database.name)), "")})
    plan = ok(newest.run("plan", project))
    assert rules(plan, "one", *GATING) == found
    assert database.fetch("select count(*) from pg_db_role_setting") == [(0,)]
    assert database.fetch("select shobj_description(oid, 'pg_database') from pg_database where datname = current_database()") == [
        (None,)
    ]


_OF_ALL = "ALTER ROLE old_code SET search_path = other"
_PAST_SQLALCHEMY = f"""
from psycopg2.extensions import cursor
op.get_bind().connection.driver_connection.cursor(cursor_factory=cursor).execute("DO $$ BEGIN {_OF_ALL}; END $$")
"""
_KILLS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()"
_MADE_ONCE = "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'old_code') THEN CREATE ROLE old_code; END IF; END $$"


@pytest.mark.parametrize(
    ("up", "found"),
    [
        (sql(f"DO $$ BEGIN EXECUTE '{_OF_ALL}'; END $$"), ["U10:one"]),
        (sql(f"CREATE FUNCTION alter_all() RETURNS void LANGUAGE sql AS '{_OF_ALL}'", "SELECT alter_all()"), ["U10:one"]),
        (f'with op.get_context().autocommit_block():\n    op.execute("DO $$ BEGIN {_OF_ALL}; END $$")', ["U10:one"]),
        (_PAST_SQLALCHEMY, ["U10:one"]),
        (sql(_KILLS), ["U10:one"]),
        (sql(_MADE_ONCE), []),
        (sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 8192', current_database()); END $$"), []),
    ],
)
def test_code_that_reaches_out_of_the_copy_is_taken_back(
    newest: Application, filled: tuple[Any, Any], up: str, found: list[str]
) -> None:
    _project, database = filled
    database.server.fetch(f"alter role {database.role} createrole")
    project = written(newest, database, {"root": (BASE, ""), "one": (up, ""), "two": (sql("CREATE TABLE new (id int)"), "")})
    with contextlib.closing(database.connect()) as living:
        plan = ok(newest.run("plan", project))
        assert rules(plan, "one", *GATING) == found
        # only what escapes the eyes, and is seen when it is to be committed, ends the rehearsal
        assert (rules(plan, "two", *GATING) == []) is (up is not _PAST_SQLALCHEMY)
        with living.cursor() as cursor:
            cursor.execute("select count(*) from pg_db_role_setting")
            assert cursor.fetchall() == [(0,)]


def test_a_copy_has_no_way_to_the_servers_of_foreign_tables(newest: Application, postgres: Any) -> None:
    database = postgres.database(attributes="superuser")
    where = f"host '{postgres.host}', port '{postgres.port}', dbname '{database.name}'"
    base = sql(
        "CREATE TABLE here (id int)",
        "CREATE EXTENSION postgres_fdw",
        f"CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS ({where})",
        f"CREATE USER MAPPING FOR CURRENT_USER SERVER there OPTIONS (user '{database.role}', password '{database.password}')",
        "CREATE FOREIGN TABLE away (id int) SERVER there OPTIONS (table_name 'here')",
    )
    project = written(newest, database, {"root": (base, ""), "one": (sql("INSERT INTO away VALUES (1)"), "")})
    ok(newest.upgrade(project, "root"))
    plan = ok(newest.run("plan", project))
    assert rules(plan, "one", *GATING) == ["U03:one"] and plan["mode"] == "rehearsal"
    assert database.fetch("select count(*) from here") == [(0,)]
    database.drop()
