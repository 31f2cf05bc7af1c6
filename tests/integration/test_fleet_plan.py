# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade of many databases would do: each kind rehearsed once, and which databases are not as the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, ok
from support.fleet import Fleet, databases, entry, schemas
from support.mariadb import MariaDB
from support.postgres import Postgres, PostgresDatabase
from support.sqlite import SqliteDatabase


def told(drift: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(tuple(item["targets"]), [(one["what"], one["kind"], one["name"]) for one in item["differences"]]) for item in drift]


def fleet_of_schemas(app: Application, pg: PostgresDatabase, names: list[str], home: Path) -> Fleet:
    targets = [{"name": name, "schema": name} for name in names]
    return Fleet(
        app, app.project("x_args"), targets, home, url=pg.url(), url_x_argument="url", schema_x_argument="tenant", parallel=3
    )


def test_schemas_that_are_equal_are_rehearsed_once(newest: Application, pg: PostgresDatabase, tmp_path: Path) -> None:
    names = schemas(pg, 6)
    pg.fetch(f"grant create on database {pg.name} to {pg.role}")
    fleet = fleet_of_schemas(newest, pg, names, tmp_path)
    ok(fleet.run(revision="r003"))
    pg.fetch("alter table tenant_01.users add column nick text not null default 'x'")
    pg.fetch("alter table tenant_01.users alter column name type varchar(99)")
    for name in ("tenant_02", "tenant_05"):
        pg.fetch(f"create index orders_by_hand on {name}.orders (id)")
    pg.fetch("create table tenant_05.left_here (id integer primary key)")
    before = {name: sorted(pg.tables(name)) for name in names}

    plan = ok(fleet.run("planned"))
    assert plan["changed"] is False and {name: sorted(pg.tables(name)) for name in names} == before
    assert [(kind["count"], kind["rehearsed"], kind["pending"], kind["mode"]) for kind in plan["plans"]] == [
        (3, "tenant_00", ["r004", "r005"], "rehearsal"),
        (1, "tenant_01", ["r004", "r005"], "rehearsal"),
        (1, "tenant_02", ["r004", "r005"], "rehearsal"),
        (1, "tenant_05", ["r004", "r005"], "rehearsal"),
    ]
    assert plan["plans"][0]["targets"] == ["tenant_00", "tenant_03", "tenant_04"] and plan["route"] in (
        "rolling",
        "maintenance_window",
    )
    assert [item["revision"] for item in plan["plans"][0]["revisions"]] == ["r004", "r005"]
    assert told(plan["drift"]) == [
        (("tenant_01",), [("different", "column", "users.name"), ("extra", "column", "users.nick")]),
        (("tenant_02",), [("extra", "index", "orders_by_hand")]),
        (("tenant_05",), [("extra", "index", "orders_by_hand"), ("extra", "table", "left_here")]),
    ]
    column = plan["drift"][0]["differences"][0]
    assert "character varying(99)" in column["found"] and "(99)" not in column["expected"]
    assert plan["drift"][0]["compared_with"] == "tenant_00" and plan["drift"][0]["equal"] == 3
    assert pg.password not in str(plan) and plan["ways_back"] == []

    looked = ok(fleet.run("current", compare=True))
    assert looked["drift"] == plan["drift"] and "plans" not in looked
    assert "drift" not in ok(fleet.run("current"))


def test_databases_at_several_revisions_of_which_one_can_not_go_on(newest: Application, postgres: Postgres, tmp_path: Path) -> None:
    with databases(postgres, 4) as made:
        targets = [{"name": chr(97 + number), "url": database.url()} for number, database in enumerate(made)]
        fleet = Fleet(newest, newest.project("linear"), targets, tmp_path, parallel=2)
        ok(fleet.run(revision="r005", targets=targets[:1]))
        ok(fleet.run(revision="r003", targets=targets[1:]))
        made[3].fetch("create table audit (id integer)")
        made[3].fetch("drop table users cascade")
        plan = ok(fleet.run("planned", rehearsal={"mode": "rehearse"}))
        assert [kind["targets"] for kind in plan["plans"]] == [["b", "c"], ["d"]]
        assert [kind["route"] == "refuse" for kind in plan["plans"]] == [False, True]
        assert plan["route"] == "refuse" and plan["reason"] == plan["plans"][1]["reason"]
        assert told(plan["drift"]) == [(("d",), [("extra", "table", "public.audit"), ("missing", "table", "public.users")])]
        assert (
            entry(plan, "b")["schema_fingerprint"]
            == entry(plan, "c")["schema_fingerprint"]
            != entry(plan, "d")["schema_fingerprint"]
        )
        ways = ok(fleet.run("planned", rehearsal={"mode": "static"}, way_back=["snapshot", "downgrade"]))["ways_back"]
        assert [(way["way"], way["targets"]) for way in ways] == [("none", ["b", "c", "d"])] and "may not create" in ways[0][
            "reason"
        ]
        postgres.fetch(f"alter role {made[1].role} createdb")
        ways = ok(fleet.run("planned", rehearsal={"mode": "static"}, way_back=["snapshot"]))["ways_back"]
        assert [(way["way"], way["targets"]) for way in ways] == [("none", ["c", "d"]), ("snapshot", ["b"])]
        checked = ok(fleet.run("planned", check=True, rehearsal={"mode": "static"}))
        assert {kind["mode"] for kind in checked["plans"]} == {"static"} and checked["drift"] == plan["drift"]


def test_what_can_not_be_read_or_judged_fails_and_the_rest_is_told(newest: Application, tmp_path: Path) -> None:
    files = [SqliteDatabase(tmp_path / f"{name}.sqlite") for name in "abc"]
    targets = [{"name": file.path.stem, "url": file.url()} for file in files]
    fleet = Fleet(newest, newest.project("linear"), targets, tmp_path)
    ok(fleet.run(revision="r002"))
    files[2].path.write_bytes(b"this is no database at all" * 100)
    broken = failed(fleet.run("planned"), "targets_failed")
    assert broken["failed_targets"] == ["c"] and [kind["targets"] for kind in broken["plans"]] == [["a", "b"]]
    assert broken["plans"][0]["mode"] == "rehearsal" and broken["drift"] == []

    unjudged = failed(
        fleet.run("planned", targets=targets[:2], rehearsal={"scratch_url": "postgresql://nobody@127.0.0.1:1/x"}), "targets_failed"
    )
    assert "scratch_url is for PostgreSQL" in unjudged["msg"] and "a, which stands for 2" in unjudged["msg"]
    assert unjudged["route"] == "refuse" and unjudged["plans"][0]["failure"]["kind"] == "options_invalid"


@pytest.mark.slow
def test_databases_of_mariadb(newest: Application, mariadb: MariaDB, tmp_path: Path) -> None:
    made = [mariadb.database() for _ in range(3)]
    targets = [{"name": chr(97 + number), "url": database.url()} for number, database in enumerate(made)]
    fleet = Fleet(newest, newest.project("linear"), targets, tmp_path)
    ok(fleet.run(revision="r003"))
    made[1].fetch("alter table users add index by_hand (name(10))")
    plan = ok(fleet.run("planned", rehearsal={"mode": "static"}))
    assert told(plan["drift"]) == [(("b",), [("extra", "index", "users.by_hand")])]
    for database in made:
        database.drop()


@pytest.mark.slow
def test_two_hundred_files_are_rehearsed_as_often_as_there_are_kinds(newest: Application, tmp_path: Path) -> None:
    first = SqliteDatabase(tmp_path / "t000.sqlite")
    project = newest.project("linear")
    ok(Fleet(newest, project, [{"name": "t000", "url": first.url()}], tmp_path).run(revision="r003"))
    files = [first] + [SqliteDatabase(tmp_path / f"t{number:03}.sqlite") for number in range(1, 200)]
    for file in files[1:]:
        file.path.write_bytes(first.path.read_bytes())
    for number in (7, 77, 177):
        files[number].fetch("create index by_hand on users (name)")
    fleet = Fleet(newest, project, [{"name": file.path.stem, "url": file.url()} for file in files], tmp_path, parallel=4)
    plan = ok(fleet.run("planned", way_back=["snapshot"]))
    assert [(kind["count"], kind["rehearsed"], kind["mode"]) for kind in plan["plans"]] == [
        (197, "t000", "rehearsal"),
        (3, "t007", "rehearsal"),
    ]
    assert told(plan["drift"]) == [(("t007", "t077", "t177"), [("extra", "index", "by_hand")])]
    assert [(way["way"], way["count"]) for way in plan["ways_back"]] == [("snapshot", 200)]
