# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan says of revisions that refuse values which old code could write, or give what it writes another value or none."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from support.application import Application, ok
from support.planned import looks_compared, rules, sql, written

GATING = ("fails", "unknown", "blocks", "breaks")
ROLE = "old_writer"
_BUMP = "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {body} RETURN NEW; END'"
_BUMPED = "CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"
_RAISES = "CREATE OR REPLACE FUNCTION {name}(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN {body} END'"
BASE = sql(
    *(
        f"CREATE TABLE {name} (id int PRIMARY KEY, plan text CONSTRAINT known CHECK (plan IN ('free', 'large')), size int "
        f"CONSTRAINT sized CHECK (size BETWEEN 0 AND 100), at text)"
        for name in ("fewer", "more", "smaller", "anew")
    ),
    "CREATE DOMAIN slug AS text CHECK (VALUE <> '')",
    "CREATE DOMAIN colour AS text CHECK (VALUE IN ('red', 'VALUE'))",
    "CREATE TABLE sites (id int PRIMARY KEY, s slug, c colour)",
    "CREATE TABLE guarded (id int PRIMARY KEY, owner int NOT NULL)",
    "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY",
    f"CREATE POLICY every ON guarded TO {ROLE} USING (true)",
    "CREATE TABLE walled (id int PRIMARY KEY, owner int NOT NULL)",
    "ALTER TABLE walled ENABLE ROW LEVEL SECURITY",
    f"CREATE POLICY every ON walled TO {ROLE} USING (true)",
    "CREATE TABLE parent (id int PRIMARY KEY)",
    *(
        f"CREATE TABLE {name} (id int PRIMARY KEY, p int CONSTRAINT {name}_p REFERENCES parent (id) ON DELETE CASCADE)"
        for name in ("child", "kin", "lone")
    ),
    "CREATE TABLE named (id int PRIMARY KEY, n text, m text)",
    "CREATE TABLE doubled (id int PRIMARY KEY, v text)",
    *(f"CREATE TABLE v{n} (id int PRIMARY KEY, version int, seen int)" for n in range(1, 6)),
    *(_BUMP.format(name=f"bump{n}", body="NEW.version := OLD.version + 1; NEW.seen = 1;") for n in range(1, 6)),
    *(_BUMPED.format(name="bumped", table=f"v{n}", function=f"bump{n}") for n in range(1, 6)),
    "CREATE TABLE v6 (id int PRIMARY KEY, version text, seen int)",
    _BUMP.format(name="mend", body="NEW.version := upper(NEW.version);"),
    _BUMP.format(name="give", body="NEW.seen := coalesce(NEW.seen, 1);"),
    _BUMPED.format(name="mended", table="v6", function="mend"),
    _BUMPED.format(name="given", table="v6", function="give"),
    *(_RAISES.format(name=name, body="RETURN n;") for name in ("never", "always", "sometimes")),
    *(f"CREATE PROCEDURE {name}(n int) LANGUAGE sql AS 'SELECT n'" for name in ("turned", "grown", "longer")),
    "CREATE TABLE published (id int PRIMARY KEY, v text)",
    "CREATE TABLE large (id int PRIMARY KEY, v text)",
    *(f"CREATE TABLE s{n} (id int PRIMARY KEY, role text, mail text, more jsonb)" for n in range(1, 5)),
    *(f"CREATE TABLE {name} (id int PRIMARY KEY, v text)" for name in ("given", "filled_all", "filled_some", "looped")),
    *(f"CREATE TABLE f{n} (name text PRIMARY KEY, v int)" for n in range(1, 7)),
    "CREATE TABLE found (id int PRIMARY KEY, v text, w int, x int, y int)",
    "CREATE INDEX ix_used ON found (w)",
    "CREATE INDEX ix_idle ON found (x)",
    "CREATE INDEX ix_twin ON found (y)",
    "CREATE INDEX ix_lower ON found (lower(v))",
    "CREATE TABLE filled_set (id int PRIMARY KEY, v text DEFAULT 'x')",
    "CREATE TABLE cousin (id int PRIMARY KEY, p int NOT NULL REFERENCES parent (id))",
    f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {ROLE}",
    *(f"CREATE VIEW {name} AS SELECT id, v FROM large" for name in ("only_read", "also_written")),
    f"GRANT SELECT ON only_read, also_written TO {ROLE}",
    f"GRANT UPDATE ON also_written TO {ROLE}",
)
_MANY = "[('v', number) for number in range(1, 12001)]"
_CURSOR = "cursor = op.get_bind().connection.cursor()\n"
#: Name → what the revision does, and what the plan finds that would hold a rolling deployment up.
CASES = {
    "fewer_values": (
        sql("ALTER TABLE fewer DROP CONSTRAINT known", "ALTER TABLE fewer ADD CONSTRAINT known CHECK (plan IN ('free', 'small'))"),
        ["C18:public.fewer.known"],
    ),
    "more_values": (
        sql(
            "ALTER TABLE more DROP CONSTRAINT known", "ALTER TABLE more ADD CONSTRAINT kept CHECK (plan IN ('free', 'large', 'x'))"
        ),
        [],
    ),
    "smaller_range": (
        sql("ALTER TABLE smaller DROP CONSTRAINT sized", "ALTER TABLE smaller ADD CONSTRAINT sized CHECK (size BETWEEN 0 AND 50)"),
        ["C18:public.smaller.sized"],
    ),
    "fewer_values_made_anew": (
        sql(
            "ALTER TABLE anew RENAME TO anew_old",
            "CREATE TABLE anew (id int PRIMARY KEY, plan text CONSTRAINT known CHECK (plan IN ('free')), size int, at text)",
            f"GRANT ALL ON anew TO {ROLE}",
            "DROP TABLE anew_old",
        ),
        ["C18:public.anew.known"],
    ),
    "domain_refuses_rows": (sql("ALTER DOMAIN slug ADD CONSTRAINT no_new CHECK (VALUE <> 'new') NOT VALID"), ["C18:public.slug"]),
    "domain_refuses_none": (sql("ALTER DOMAIN slug ADD CONSTRAINT no_old CHECK (VALUE <> 'old') NOT VALID"), []),
    "domain_fails_on_rows": (sql("ALTER DOMAIN slug ADD CONSTRAINT long CHECK (length(VALUE) > 3)"), ["X03:public.slug"]),
    "domain_of_fewer_values": (
        sql("ALTER DOMAIN colour DROP CONSTRAINT colour_check", "ALTER DOMAIN colour ADD CHECK (VALUE IN ('red', 'blue'))"),
        ["C18:public.colour"],
    ),
    "policy_that_hides_nothing": (sql("CREATE POLICY fence ON guarded AS RESTRICTIVE USING (owner > 0)"), []),
    "policy_that_hides_rows": (sql("CREATE POLICY wall ON walled AS RESTRICTIVE USING (owner > 10)"), ["U09:public.walled"]),
    "key_no_longer_cascades": (
        sql(
            "ALTER TABLE child DROP CONSTRAINT child_p",
            "ALTER TABLE child ADD CONSTRAINT child_p FOREIGN KEY (p) REFERENCES parent (id)",
        ),
        ["C18:public.child.child_p"],
    ),
    "key_sets_null": (
        sql(
            "ALTER TABLE kin DROP CONSTRAINT kin_p",
            "ALTER TABLE kin ADD CONSTRAINT kin_p FOREIGN KEY (p) REFERENCES parent (id) ON DELETE SET NULL",
        ),
        [],
    ),
    "key_of_no_rows": (
        sql(
            "ALTER TABLE lone DROP CONSTRAINT lone_p",
            "ALTER TABLE lone ADD CONSTRAINT lone_p FOREIGN KEY (p) REFERENCES parent (id)",
        ),
        [],
    ),
    "texts_that_differ_are_equal": (
        sql(
            "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
            "ALTER TABLE named ALTER n TYPE text COLLATE folded",
        ),
        ["C05:public.named.n"],
    ),
    "texts_in_another_order": (sql('ALTER TABLE named ALTER m TYPE text COLLATE "C"'), []),
    "one_row_only": (
        sql("ALTER TABLE doubled ADD COLUMN mark text DEFAULT 'none'", "CREATE UNIQUE INDEX one_mark ON doubled (mark)"),
        ["C18:public.one_mark"],
    ),
    "nulls_are_doubles": (
        sql("ALTER TABLE doubled ADD CONSTRAINT one_v UNIQUE NULLS NOT DISTINCT (v)"),
        ["X03:public.doubled.one_v"],
    ),
    "trigger_that_gave_values": (sql("DROP TRIGGER bumped ON v1"), ["C09:public.v1.version"]),
    "trigger_off": (sql("ALTER TABLE v2 DISABLE TRIGGER bumped"), ["C09:public.v2.version"]),
    "trigger_that_gives_less": (
        sql(_BUMP.format(name="bump3", body="NEW.seen := 1;").replace("CREATE", "CREATE OR REPLACE")),
        ["C09:public.v3.version"],
    ),
    "trigger_of_another_name": (sql("DROP TRIGGER bumped ON v4", _BUMPED.format(name="again", table="v4", function="bump4")), []),
    "trigger_that_only_mends": (sql("DROP TRIGGER mended ON v6"), []),
    "trigger_that_gave_the_rest": (sql("DROP TRIGGER given ON v6"), ["C09:public.v6.seen"]),
    "table_without_its_trigger": (
        sql("CREATE TABLE v5_new (LIKE v5 INCLUDING ALL)", "ALTER TABLE v5 RENAME TO v5_old", "ALTER TABLE v5_new RENAME TO v5")
        + "\n"
        + sql(f"GRANT ALL ON v5 TO {ROLE}"),
        ["C09:public.v5.version"],
    ),
    "function_that_refuses": (sql(_RAISES.format(name="always", body="RAISE EXCEPTION ''no'';")), ["C16:public.always(n integer)"]),
    "function_that_refuses_some": (
        sql(_RAISES.format(name="sometimes", body="IF n > 3 THEN RAISE EXCEPTION ''no''; END IF; RETURN n;")),
        ["U08:public.sometimes(n integer)"],
    ),
    "function_that_warns": (sql(_RAISES.format(name="never", body="RAISE NOTICE ''no''; RETURN n;")), []),
    "procedure_to_function": (
        sql("DROP PROCEDURE turned(int)", "CREATE FUNCTION turned(n int) RETURNS void LANGUAGE sql AS ''"),
        ["C08:public.turned(IN n integer)"],
    ),
    "procedure_that_takes_more": (
        sql("DROP PROCEDURE grown(int)", "CREATE PROCEDURE grown(n int, m int DEFAULT 1) LANGUAGE sql AS ''"),
        [],
    ),
    "procedure_that_needs_more": (
        sql("DROP PROCEDURE longer(int)", "CREATE PROCEDURE longer(n int, m int) LANGUAGE sql AS ''"),
        ["C08:public.longer(IN n integer)"],
    ),
    "published_without_its_key": (sql("CREATE PUBLICATION part FOR TABLE published (v)"), ["C21:public.published"]),
    "many_at_once": (_CURSOR + f"cursor.executemany('UPDATE large SET v = %s WHERE id = %s', {_MANY})", ["B02:public.large"]),
    "many_in_texts": (
        "from psycopg2.extras import execute_batch\n"
        + _CURSOR
        + f"execute_batch(cursor, 'UPDATE large SET v = %s WHERE id = %s', {_MANY}, page_size=500)",
        ["B02:public.large"],
    ),
    "all_of_a_text": (
        _CURSOR + "cursor.execute(\"SET LOCAL work_mem = '8MB'; SELECT 1; UPDATE large SET v = 'x' || 'y'\")",
        ["B02:public.large"],
    ),
    "value_of_no_row": (sql("UPDATE s1 SET role = 'owner' WHERE role = 'admin'"), ["U08:public.s1.role"]),
    "value_of_fewer_rows": (sql("UPDATE s2 SET role = 'owner' WHERE role = 'admin' AND id < 10"), []),
    "value_of_one_row": (sql("UPDATE s3 SET mail = 'new' WHERE mail = 'm3'"), []),
    "key_of_no_row": (
        sql("UPDATE s4 SET more = more - 'act' || jsonb_build_object('artist', more -> 'act')"),
        ["U08:public.s4.more"],
    ),
    "named_rows_gone": (sql("DELETE FROM f1 WHERE name IN ('n4', '5%') AND v > 0"), ["U08:public.f1.name"]),
    "named_row_gone_by_parameter": (
        "op.get_bind().execute(sa.text(\"DELETE FROM f2 WHERE name = :name AND name NOT LIKE 'x%'\"), {'name': 'n4'})",
        ["U08:public.f2.name"],
    ),
    "named_row_written_again": (sql("DELETE FROM f3 WHERE name = 'n4'", "INSERT INTO f3 VALUES ('n4', 9)"), []),
    "named_row_that_is_not_there": (sql("DELETE FROM f4 WHERE name = 'none'"), []),
    "row_of_many": (sql("DELETE FROM f5 WHERE name = 'n4'"), []),
    "rows_that_nobody_names": (sql("DELETE FROM f6 WHERE v = 4"), []),
    "index_in_use_gone": (sql("DROP INDEX ix_used"), ["C22:public.ix_used"]),
    "index_that_nobody_uses_gone": (sql("DROP INDEX ix_idle"), []),
    "index_in_use_beside_another": (sql("DROP INDEX ix_twin"), []),
    "index_in_use_made_anew": (sql("CREATE INDEX ix_lower_2 ON found (lower(v))", "DROP INDEX ix_lower"), ["B01:public.found"]),
    "view_that_nobody_writes": (sql("CREATE OR REPLACE VIEW only_read AS SELECT DISTINCT id, v FROM large"), []),
    "view_that_is_written": (
        sql("CREATE OR REPLACE VIEW also_written AS SELECT DISTINCT id, v FROM large"),
        ["C17:public.also_written"],
    ),
    "required_and_always_given": (sql("ALTER TABLE given ALTER v SET NOT NULL"), ["C15:public.given.v"]),
    "rows_made_up_in_numbers": (sql("INSERT INTO cousin SELECT g, g % 20 + 1 FROM generate_series(1, 200) g"), []),
    "json_of_another_kind": (sql("ALTER TABLE s2 ALTER more TYPE json"), ["U08:public.s2.more"]),
    "filled_and_required": (
        sql(
            "ALTER TABLE filled_all ALTER v SET DEFAULT 'x'",
            "UPDATE filled_all SET v = 'x' WHERE v IS NULL",
            "ALTER TABLE filled_all ALTER v SET NOT NULL",
        ),
        [],
    ),
    "filled_although_it_has_a_default": (
        sql("UPDATE filled_set SET v = 'x' WHERE v IS NULL", "ALTER TABLE filled_set ALTER v SET NOT NULL"),
        ["U08:public.filled_set.v"],
    ),
    "filled_in_part": (
        sql(
            "ALTER TABLE filled_some ALTER v SET DEFAULT 'x'",
            "UPDATE filled_some SET v = 'x' WHERE v IS NULL AND id < 9",
            "ALTER TABLE filled_some ALTER v SET NOT NULL",
        ),
        ["U04:public.filled_some.v"],
    ),
    "loop_with_a_new_column": (
        sql("ALTER TABLE looped ADD COLUMN w text")
        + """
bind = op.get_bind()
for number, _new in bind.execute(sa.text("SELECT id, w FROM looped WHERE w IS NULL ORDER BY id")).fetchall():
    bind.execute(sa.text("UPDATE looped SET w = 'w' WHERE id = :number"), {"number": number})""",
        [],
    ),
    "percent_in_a_text": (sql("UPDATE large SET v = 'w' WHERE v NOT LIKE 'x%'"), ["B02:public.large"]),
    "few_at_once": (_CURSOR + "cursor.executemany('UPDATE large SET v = %s WHERE id = %s', iter([('v', 1), ('w', 2)]))", []),
}


@pytest.fixture
def filled(newest: Application, postgres: Any) -> Iterator[Any]:
    if postgres.version < (15,):
        pytest.skip("NULLS NOT DISTINCT and lists of published columns are from PostgreSQL 15 on")
    database = postgres.database(attributes="createdb")
    postgres.fetch(f"create role {ROLE} login")
    postgres.fetch(f"grant create on database {database.name} to {database.role}")
    project = written(newest, database, {"root": (BASE, ""), **{name: (up, "") for name, (up, _found) in CASES.items()}})
    ok(newest.upgrade(project, "root"))
    database.fetch("insert into sites values (1, 'new', 'red')")
    database.fetch("insert into guarded select n, n from generate_series(1, 20) n")
    database.fetch("insert into walled select n, n from generate_series(1, 20) n")
    database.fetch("insert into parent select n from generate_series(1, 20) n")
    database.fetch("insert into child select n, n from generate_series(1, 20) n")
    database.fetch("insert into kin select n, n from generate_series(1, 20) n")
    for number in range(1, 5):
        database.fetch(
            f"insert into s{number} select n, (array['admin', 'agent'])[n % 2 + 1], 'm' || n, "
            """'{"act": 1, "at": 2}' from generate_series(1, 20) n"""
        )
    for number, rows in ((1, 20), (2, 20), (3, 20), (4, 20), (5, 60), (6, 20)):
        database.fetch(f"insert into f{number} select 'n' || n, n from generate_series(1, {rows}) n")
    for name in ("filled_all", "filled_some", "filled_set", "looped"):
        database.fetch(f"insert into {name} select n, case when n % 2 = 0 then 'v' end from generate_series(1, 20) n")
    database.fetch("insert into given select n, 'v' from generate_series(1, 1500) n")
    database.fetch("insert into doubled select n from generate_series(1, 20) n")
    database.fetch("insert into large select n, 'v' from generate_series(1, 200000) n")
    database.fetch("insert into found select n, 'v' || n, n, n, n from generate_series(1, 200000) n")
    database.fetch("analyze")
    for condition in ("w = n", "y = n", "lower(v) = 'v' || n"):
        database.fetch(
            "do $$ begin for n in 1..150 loop perform from found where "
            f"{condition}; end loop; perform pg_stat_force_next_flush(); end $$; select 1"
        )
    database.fetch("create index ix_twin_2 on found (y, x)")
    yield project
    database.drop()
    postgres.fetch(f"drop role {ROLE}")


def test_what_old_code_writes_is_refused_or_has_another_value(newest: Application, filled: Any) -> None:
    looks_compared(filled)
    plan = ok(newest.run("plan", filled))
    found = {item["revision"]: rules(plan, item["revision"], *GATING) for item in plan["revisions"]}
    expected = {name: rules for name, (_up, rules) in CASES.items()}
    assert {name: each for name, each in found.items() if each != expected[name]} == {}, [
        (item["revision"], each["message"]) for item in plan["revisions"] for each in item["findings"] if each["class"] in GATING
    ]
    texts = {item["revision"]: [each["message"] for each in item["findings"]] for item in plan["revisions"]}
    assert any("refuses 'large', which was permitted before" in each for each in texts["fewer_values"]), texts["fewer_values"]
    assert any("refuses 100, " in each for each in texts["smaller_range"]), texts["smaller_range"]
    assert any("what the old code writes with such a value is refused" in each for each in texts["domain_refuses_rows"])
    assert any("no longer ON DELETE CASCADE" in each for each in texts["key_no_longer_cascades"])
