# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says of what old code comes upon only when it writes: defaults, policies, triggers that drop rows, numbers."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from support.application import Application, ok
from support.planned import looks_compared, rules, sql, written

GATING = ("fails", "unknown", "blocks", "breaks")
ROLE = "old_reacher"
_FUNCTION = "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
_TRIGGER = "CREATE TRIGGER {name} {when} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()"


def trigger(name: str, when: str, table: str, body: str) -> str:
    return sql(_FUNCTION.format(name=name, body=body), _TRIGGER.format(name=name, when=when, table=table))


BASE = sql(
    "CREATE SCHEMA inner_part",
    "CREATE TABLE places (code varchar(4) PRIMARY KEY, beds int NOT NULL DEFAULT 1 CONSTRAINT some_beds CHECK (beds >= 0))",
    "CREATE TABLE people (id serial PRIMARY KEY, name varchar(40), place varchar(4) DEFAULT 'a' REFERENCES places, "
    "unit varchar(5) DEFAULT 'x', other varchar(5), second varchar(4) REFERENCES places)",
    *(f"CREATE TABLE n{n} (id serial PRIMARY KEY, v text, w text)" for n in range(1, 10)),
    *(f"CREATE TABLE m{n} (id serial PRIMARY KEY, v text)" for n in range(1, 5)),
    "CREATE TABLE lookup (name text PRIMARY KEY, n int)",
    "CREATE FUNCTION fee(n int) RETURNS int LANGUAGE sql AS 'SELECT n'",
    "CREATE FUNCTION wide(n int) RETURNS int LANGUAGE sql AS 'SELECT n'",
    *(f"CREATE TABLE t{n} (item text PRIMARY KEY, amount int NOT NULL DEFAULT 0, note text)" for n in range(1, 12)),
    "CREATE TABLE orphaned (id int PRIMARY KEY, place text, owner int)",
    *(f"CREATE TABLE u{n} (id int PRIMARY KEY, v text, CONSTRAINT uq_u{n} UNIQUE (v))" for n in range(1, 5)),
    "CREATE TABLE typed (id int PRIMARY KEY, long varchar(40), short varchar(40), number numeric(12, 2))",
    "CREATE DOMAIN phone AS text",
    "CREATE TABLE called (id int PRIMARY KEY, p phone)",
    "CREATE TABLE spans (room int, during int4range, CONSTRAINT once EXCLUDE USING gist (during WITH &&) WHERE (room = 1))",
    "CREATE TABLE parted (id int PRIMARY KEY)",
    "CREATE TABLE parts (id int PRIMARY KEY, p int REFERENCES parted, q int)",
    "CREATE TABLE sent (id int PRIMARY KEY)",
    "CREATE PUBLICATION outwards FOR TABLE sent",
    "CREATE FUNCTION given() RETURNS TABLE (a int, b text) LANGUAGE sql AS $$ SELECT 1, 'x'::text $$",
    "CREATE FUNCTION taken() RETURNS TABLE (a int) LANGUAGE sql AS 'SELECT 1'",
    "CREATE FUNCTION charge(a int, b numeric DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a'",
    "CREATE TABLE ordered (a int, b text, c int)",
    *(
        statement
        for name in ("l1", "l2", "l3", "l4")
        for statement in (
            f"CREATE TABLE {name} (id int PRIMARY KEY, ward text NOT NULL, body text)",
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY {name}_seen ON {name} TO {ROLE} USING (ward IN ('a', 'b'))",
        )
    ),
    "CREATE VIEW some_n AS SELECT id, v FROM n1 WHERE v <> 'hidden'",
    "CREATE TABLE tallies (name text PRIMARY KEY, n bigint)",
    "CREATE TABLE large (id int PRIMARY KEY, v text)",
    "CREATE TABLE named (id int PRIMARY KEY)",
    "CREATE FUNCTION apart(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT abs(a - b)'",
    "CREATE OPERATOR <~> (LEFTARG = int, RIGHTARG = int, FUNCTION = apart)",
    "CREATE OPERATOR <~~> (LEFTARG = int, RIGHTARG = int, FUNCTION = apart)",
    "CREATE TYPE grade AS ENUM ('low')",
    "CREATE FUNCTION graded(n int) RETURNS grade LANGUAGE sql IMMUTABLE AS $$ SELECT 'low'::grade $$",
    "CREATE CAST (int AS grade) WITH FUNCTION graded(int) AS ASSIGNMENT",
    "CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple)",
    'CREATE COLLATION sorted (provider = libc, locale = "C")',
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}",
    f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {ROLE}",
)
#: Revision → what it does in parts, each with what the plan finds of it that would hold a rolling deployment up.
CASES = {
    "defaults": {
        "default_against_a_check": (sql("ALTER TABLE places ALTER beds SET DEFAULT -1"), ["C09:public.places.beds"]),
        "default_of_nothing": (sql("ALTER TABLE people ALTER place SET DEFAULT 'z'"), ["C09:public.people.place"]),
        "default_too_long": (sql("ALTER TABLE people ALTER unit SET DEFAULT 'too long'"), ["C09:public.people.unit"]),
        "default_that_fits": (
            sql(
                "ALTER TABLE people ALTER other SET DEFAULT 'fits', ALTER second SET DEFAULT 'b'",
                "ALTER TABLE n9 ALTER v SET DEFAULT 'v'",
            ),
            [],
        ),
        "default_of_a_closed_function": (
            sql(
                "CREATE FUNCTION closed() RETURNS text LANGUAGE sql AS $$ SELECT 'x' $$",
                "REVOKE EXECUTE ON FUNCTION closed() FROM PUBLIC",
                "ALTER TABLE n1 ALTER w SET DEFAULT closed()",
            ),
            ["C13:public.n1"],
        ),
        "check_of_a_closed_function": (
            sql(
                "CREATE FUNCTION fine(v text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
                "REVOKE EXECUTE ON FUNCTION fine(text) FROM PUBLIC",
                "ALTER TABLE n2 ADD CONSTRAINT fine CHECK (fine(v)) NOT VALID",
                "CREATE INDEX ix_fine ON n3 (fine(v))",
            ),
            ["C13:public.n2", "C13:public.n3"],
        ),
        "check_of_an_open_function": (
            sql(
                "CREATE FUNCTION nice(v text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
                "ALTER TABLE n4 ADD CONSTRAINT nice CHECK (nice(v)) NOT VALID",
            ),
            [],
        ),
    },
    "keys": {
        "key_that_rows_do_not_keep": (
            sql("ALTER TABLE orphaned ADD CONSTRAINT to_place FOREIGN KEY (place) REFERENCES places NOT VALID"),
            ["C18:public.orphaned.to_place"],
        ),
        "key_that_rows_keep": (
            sql("ALTER TABLE orphaned ADD CONSTRAINT to_owner FOREIGN KEY (owner) REFERENCES people NOT VALID"),
            [],
        ),
    },
    "exclusion": {
        "exclusion_that_rows_do_not_keep": (
            sql(
                "ALTER TABLE spans DROP CONSTRAINT once",
                "ALTER TABLE spans ADD CONSTRAINT once EXCLUDE USING gist (during WITH &&)",
            ),
            ["X03:public.spans.once"],
        )
    },
    "deleted": {
        "deleted_and_pointed_to": (sql("DELETE FROM parted WHERE id = 3"), ["X03:public.parts.parts_p_fkey"]),
        "deleted_and_alone": (sql("DELETE FROM parted WHERE id > 10"), []),
    },
    "domains": {
        "domain_of_no_null": (sql("UPDATE called SET p = '0'", "ALTER DOMAIN phone SET NOT NULL"), ["C15:public.called.p"]),
        "published_and_unknown": (sql("ALTER TABLE sent REPLICA IDENTITY NOTHING"), ["C21:public.sent"]),
    },
    "unique": {
        "unique_by_another_name": (sql("ALTER TABLE u1 RENAME CONSTRAINT uq_u1 TO uq_v"), ["U08:public.u1.uq_u1"]),
        "unique_by_an_index": (
            sql("CREATE UNIQUE INDEX ux_u2 ON u2 (v)", "ALTER TABLE u2 DROP CONSTRAINT uq_u2"),
            ["U08:public.u2.uq_u2"],
        ),
        "unique_by_another_index": (
            sql(
                "CREATE UNIQUE INDEX ux_u3 ON u3 (v)",
                "ALTER TABLE u3 DROP CONSTRAINT uq_u3, ADD CONSTRAINT uq_u3 UNIQUE USING INDEX ux_u3",
            ),
            [],
        ),
        "unique_expression_of_doubles": (sql("CREATE UNIQUE INDEX ux_u4 ON u4 (lower(v))"), ["X03:public.ux_u4"]),
        "unique_expression_of_a_new_one": (
            sql("ALTER TABLE u4 ADD COLUMN fresh text", "CREATE UNIQUE INDEX ux_fresh ON u4 (lower(fresh))"),
            [],
        ),
    },
    "types": {"values_cut": (sql("ALTER TABLE typed ALTER long TYPE varchar(10) USING left(long, 10)"), ["C18:public.typed.long"])},
    "more_types": {
        "values_with_no_room": (sql("ALTER TABLE typed ALTER number TYPE numeric(4, 2)"), ["X03:public.typed.number"]),
        "values_that_fit": (sql("ALTER TABLE typed ALTER short TYPE varchar(20)"), []),
        "columns_in_another_order": (
            sql("ALTER TABLE ordered ADD d text", "ALTER TABLE ordered DROP b", "ALTER TABLE ordered RENAME d TO b"),
            ["U08:public.ordered"],
        ),
    },
    "triggers": {
        "trigger_that_drops_rows": (
            trigger("drops", "BEFORE INSERT", "t1", "IF NEW.amount = 0 THEN RETURN NULL; END IF; RETURN NEW;"),
            ["C16:public.t1.drops"],
        ),
        "trigger_that_may_drop_rows": (
            trigger("might", "BEFORE INSERT", "t2", "IF NEW.amount = 999 THEN RETURN NULL; END IF; RETURN NEW;"),
            ["U08:public.t2.might"],
        ),
        "trigger_that_drops_all": (trigger("shut", "BEFORE INSERT OR UPDATE", "t3", "RETURN NULL;"), ["C16:public.t3.shut"]),
        "trigger_that_keeps_the_old": (trigger("frozen", "BEFORE UPDATE", "t4", "RETURN OLD;"), ["C16:public.t4.frozen"]),
        "trigger_that_refuses_rows": (
            trigger("no_zero", "BEFORE INSERT", "t5", "IF NEW.amount = 0 THEN RAISE EXCEPTION 'zero'; END IF; RETURN NEW;"),
            ["C16:public.t5.no_zero"],
        ),
        "trigger_of_other_keys": (
            trigger("lowered", "BEFORE INSERT OR UPDATE", "t6", "NEW.item := lower(NEW.item); RETURN NEW;"),
            ["C16:public.t6.lowered"],
        ),
        "trigger_that_writes_elsewhere": (
            trigger("moved", "BEFORE INSERT", "t7", "INSERT INTO t8 VALUES (NEW.item, 1, NEW.note); RETURN NULL;"),
            [],
        ),
        # its rows are too much to be held at once, so none of them is tried
        "trigger_on_wide_rows": (
            trigger("scanned", "BEFORE INSERT", "t11", "IF NEW.amount = 0 THEN RETURN NULL; END IF; RETURN NEW;"),
            ["U08:public.t11.scanned"],
        ),
        "trigger_of_other_values": (
            trigger("noted", "BEFORE INSERT OR UPDATE", "t9", "NEW.note := upper(NEW.note); RETURN NEW;"),
            [],
        ),
        "trigger_afterwards": (trigger("told", "AFTER INSERT", "t10", "RETURN NULL;"), []),
        "rule_that_gives_nothing_back": (
            sql("CREATE RULE apart AS ON INSERT TO n5 DO INSTEAD INSERT INTO n6 (v) VALUES (NEW.v)"),
            ["C07:public.n5.apart"],
        ),
        "view_that_refuses": (sql("ALTER VIEW some_n SET (check_option = local)"), ["U08:public.some_n"]),
        "function_that_gives_less": (
            sql("DROP FUNCTION given()", "CREATE FUNCTION given() RETURNS TABLE (a int) LANGUAGE sql AS 'SELECT 1'"),
            ["C08:public.given()"],
        ),
        "function_that_gives_more": (
            sql("DROP FUNCTION taken()", "CREATE FUNCTION taken() RETURNS TABLE (a int, b int) LANGUAGE sql AS 'SELECT 1, 2'"),
            [],
        ),
        "function_of_another_type": (
            sql("DROP FUNCTION fee(int)", "CREATE FUNCTION fee(n int) RETURNS text LANGUAGE sql AS $$ SELECT n || ' EUR' $$"),
            ["C08:public.fee(n integer)"],
        ),
        "function_of_a_wider_type": (
            sql("DROP FUNCTION wide(int)", "CREATE FUNCTION wide(n int) RETURNS bigint LANGUAGE sql AS 'SELECT n::bigint'"),
            [],
        ),
        "call_that_is_ambiguous": (
            sql("CREATE FUNCTION charge(a int, b text DEFAULT '') RETURNS int LANGUAGE sql AS 'SELECT a'"),
            ["C08:public.charge(a integer, b numeric)"],
        ),
    },
    "policies": {
        "policy_narrower": (sql("ALTER POLICY l1_seen ON l1 USING (ward = 'a')"), ["C13:public.l1"]),
        "restrictive_that_refuses": (
            sql("CREATE POLICY fence ON l2 AS RESTRICTIVE FOR INSERT WITH CHECK (length(body) > 20)"),
            ["C13:public.l2"],
        ),
        "restrictive_in_vain": (sql("CREATE POLICY fence ON l3 AS RESTRICTIVE USING (ward <> 'z')"), []),
        "restrictive_by_session": (
            sql("CREATE POLICY fence ON l4 AS RESTRICTIVE USING (ward = current_setting('app.ward', true))"),
            ["U09:public.l4"],
        ),
    },
    "names": {
        "name_found_before": (
            sql(
                f"CREATE SCHEMA {ROLE}",
                f"GRANT USAGE ON SCHEMA {ROLE} TO {ROLE}",
                f"CREATE TABLE {ROLE}.named (other int)",
                f"GRANT SELECT ON {ROLE}.named TO {ROLE}",
            ),
            [f"C19:{ROLE}.named"],
        ),
        "name_elsewhere": (sql("CREATE TABLE inner_part.named (id int)"), []),
        "numbers_of_the_sequence": (
            sql("INSERT INTO n7 (id, v) SELECT g, 'guest' FROM generate_series(21, 40) g"),
            ["C20:public.n7_id_seq"],
        ),
        "numbers_of_a_new_sequence": (
            sql("ALTER TABLE m1 ALTER id DROP DEFAULT", "ALTER TABLE m1 ALTER id ADD GENERATED BY DEFAULT AS IDENTITY"),
            ["C20:public.m1_id_seq1"],
        ),
        "numbers_of_one_of_its_name": (
            sql(
                "ALTER TABLE m4 ALTER id DROP DEFAULT",
                "DROP SEQUENCE m4_id_seq",
                "ALTER TABLE m4 ALTER id ADD GENERATED BY DEFAULT AS IDENTITY",
            ),
            ["C20:public.m4_id_seq"],
        ),
        "numbers_of_one_that_is_set": (
            sql(
                "ALTER TABLE m2 ALTER id DROP DEFAULT",
                "ALTER TABLE m2 ALTER id ADD GENERATED BY DEFAULT AS IDENTITY",
                "SELECT setval(pg_get_serial_sequence('m2', 'id'), (SELECT max(id) FROM m2))",
            ),
            [],
        ),
        "numbers_of_its_own_and_set": (
            sql(
                "INSERT INTO m3 (id, v) SELECT (SELECT coalesce(max(id), 0) FROM m3) + g, 'guest' FROM generate_series(1, 5) g",
                "SELECT setval('m3_id_seq', (SELECT max(id) FROM m3))",
            ),
            [],
        ),
        "lookup_made_anew": (sql("TRUNCATE lookup", "INSERT INTO lookup VALUES ('a', 2), ('b', 3)"), []),
        "numbers_from_the_sequence": (sql("INSERT INTO n8 (v) SELECT 'guest' FROM generate_series(1, 20) g"), []),
    },
    "loose": {
        "operator_dropped": (sql("DROP OPERATOR <~> (int, int)"), ["C08:public.<~>(integer, integer)"]),
        "operator_more": (sql("CREATE OPERATOR <~~> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8mi)"), []),
        "cast_dropped": (sql("DROP CAST (int AS grade)"), ["C08:integer AS grade"]),
        "search_dropped": (sql("DROP TEXT SEARCH CONFIGURATION plain"), ["C08:public.plain"]),
        "collation_renamed": (sql("ALTER COLLATION sorted RENAME TO by_code"), ["C03:public.sorted"]),
    },
    "rows": {
        "row_held_while_counting": (
            sql("UPDATE tallies SET n = 1 WHERE name = 'a'", "INSERT INTO tallies SELECT 'n', count(DISTINCT v) FROM large"),
            ["B02:public.tallies"],
        )
    },
    "rows_afterwards": {
        "row_touched_after_counting": (
            sql("INSERT INTO tallies SELECT 'm', count(DISTINCT v) FROM large", "UPDATE tallies SET n = 1 WHERE name = 'b'"),
            [],
        )
    },
    "rows_locked": {
        "rows_locked_while_counting": (
            "op.get_bind().execute(sa.text('SELECT name FROM tallies FOR UPDATE'))\n"
            + sql("INSERT INTO tallies SELECT 'o', count(DISTINCT v) FROM large"),
            ["B02:public.tallies"],
        )
    },
}


def _together(parts: Any) -> str:
    return "\n".join(up for up, _found in parts.values())


@pytest.fixture
def filled(newest: Application, postgres: Any) -> Iterator[Any]:
    database = postgres.database(attributes="createdb")
    postgres.fetch(f"create role {ROLE} login")
    postgres.fetch(f"grant create on database {database.name} to {database.role}")
    project = written(newest, database, {"root": (BASE, ""), **{name: (_together(parts), "") for name, parts in CASES.items()}})
    ok(newest.upgrade(project, "root"))
    for statement in (
        "insert into places select chr(96 + n) from generate_series(1, 5) n",
        "insert into people (name) select 'n' || n from generate_series(1, 20) n",
        "insert into n7 (v) select 'n' || n from generate_series(1, 20) n",
        *(f"insert into m{n} (v) select 'n' || n from generate_series(1, 20) n" for n in range(1, 5)),
        "insert into lookup values ('a', 1), ('b', 2)",
        "insert into n8 (v) select 'n' || n from generate_series(1, 20) n",
        *(f"insert into t{n} select 'Item ' || n, n from generate_series(0, 20) n" for n in range(1, 12)),
        "alter table t11 alter note set storage external",
        "insert into t11 select 'wide ' || n, 0, repeat('x', 18000000) from generate_series(1, 3) n",
        "insert into orphaned values (1, 'nowhere', 3)",
        "insert into called values (1, null)",
        "insert into spans values (2, '[1, 5)'), (2, '[3, 8)')",
        "insert into parted select n from generate_series(1, 12) n",
        "insert into parts select n, n from generate_series(1, 10) n",
        "insert into u4 values (1, 'a'), (2, 'A')",
        "insert into typed values (1, 'a text that is long', 'short', 12345)",
        *(
            f"insert into {name} select n, chr(97 + n % 3), 'body' from generate_series(1, 30) n"
            for name in ("l1", "l2", "l3", "l4")
        ),
        "insert into tallies values ('a', 0), ('b', 0)",
        "insert into large select n, 'v' from generate_series(1, 200000) n",
        "analyze",
    ):
        database.fetch(statement)
    yield project
    database.drop()
    postgres.fetch(f"drop role {ROLE}")


def test_what_old_code_comes_upon_when_it_writes(newest: Application, filled: Any) -> None:
    looks_compared(filled)
    plan = ok(newest.run("plan", filled))
    found = {item["revision"]: sorted(rules(plan, item["revision"], *GATING)) for item in plan["revisions"]}
    expected = {name: sorted(rule for _up, rules in parts.values() for rule in rules) for name, parts in CASES.items()}
    wrong = {name: sorted(set(each) ^ set(expected[name])) for name, each in found.items() if each != expected[name]}
    assert wrong == {}, [
        (item["revision"], each["message"]) for item in plan["revisions"] for each in item["findings"] if each["class"] in GATING
    ]
