# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many databases that nobody has listed: what a server, a table of the application or a folder says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, ok
from support.fleet import Fleet, databases, outcomes, schemas
from support.mariadb import MariaDB
from support.postgres import Postgres, PostgresDatabase
from support.sqlite import SqliteDatabase
from support.waiting import PATIENCE


def fleet_of(app: Application, home: Path, query: dict[str, Any], project: str = "linear", **more: Any) -> Fleet:
    return Fleet(app, app.project(project), None, home, query=query, **more)


@pytest.fixture
def tenants(pg: PostgresDatabase) -> PostgresDatabase:
    """Five schemas, and a table of customers that has three of them."""
    schemas(pg, 5)
    pg.fetch("create table customers (slug text, schema_name text, labels text[], active boolean)")
    pg.fetch(
        "insert into customers values ('acme', 'tenant_00', array['eu', 'first'], true), ('globex', 'tenant_03', null, true),"
        " ('gone', 'tenant_04', null, false)"
    )
    pg.fetch(f"grant select on customers to {pg.role}")
    return pg


@pytest.mark.core
def test_schemas(app: Application, tenants: PostgresDatabase, tmp_path: Path) -> None:
    given = {"url": tenants.url(), "url_x_argument": "url", "schema_x_argument": "tenant"}
    found = {"list": "schemas", "match": ["tenant_*"], "exclude": ["*_02"]}
    fleet = fleet_of(app, tmp_path, found, "x_args", **given)
    names = ["tenant_00", "tenant_01", "tenant_03", "tenant_04"]
    shown = ok(fleet.run("current"))
    assert [(item["name"], item["schema"], item["state"]) for item in shown["targets"]] == [
        (name, name, "uninitialised") for name in names
    ]
    assert ok(fleet.run(job="0123456789abcdef", wait=PATIENCE))["counts"]["changed"] == 4
    assert [bool(tenants.tables(f"tenant_{number:02}")) for number in range(5)] == [True, True, False, True, True]


def test_rows_of_a_table_of_the_application(newest: Application, tenants: PostgresDatabase, tmp_path: Path) -> None:
    given = {"url": tenants.url(), "url_x_argument": "url", "schema_x_argument": "tenant"}
    sql = (
        "select slug as name, schema_name as schema, labels from customers where active and slug not like '%x%' or slug = 'globex'"
    )
    fleet = fleet_of(newest, tmp_path, {"list": "rows", "sql": sql}, "x_args", canary=["first"], **given)
    result = ok(fleet.run())
    assert [(item["name"], item["schema"], item["labels"], item["canary"]) for item in result["targets"]] == [
        ("acme", "tenant_00", ["eu", "first"], True),
        ("globex", "tenant_03", [], False),
    ]
    assert tenants.tables("tenant_03") and not tenants.tables("tenant_04")


BAD_QUERIES = [
    ({"list": "rows", "sql": "insert into customers (slug) values ('new') returning slug as name"}, "database_error"),
    ({"list": "rows", "sql": "select slug from customers"}, "options_invalid"),
    ({"list": "rows", "sql": "select slug as name, 1 as port from customers"}, "options_invalid"),
    ({"list": "rows", "sql": "select slug as name from custamers"}, "database_error"),
    ({"list": "rows", "sql": "select slug as name from customers where false"}, "options_invalid"),
    ({"list": "rows", "sql": "select nullif(slug, 'gone') as name, schema_name as schema from customers"}, "options_invalid"),
    ({"list": "rows", "sql": "select slug as name, nullif(schema_name, 'tenant_04') as schema from customers"}, "options_invalid"),
    ({"list": "rows", "sql": "select slug as name, '' as database from customers"}, "options_invalid"),
    ({"list": "rows", "sql": "select slug as name, 'tenant_00' as schema from customers"}, "options_invalid"),
    ({"list": "schemas", "match": ["customer_*"]}, "options_invalid"),
    ({"list": "files", "match": ["/nowhere/*.sqlite"]}, "options_invalid"),
]


def test_queries_that_do_not_find_targets(newest: Application, tenants: PostgresDatabase, tmp_path: Path) -> None:
    tenants.fetch(f"grant insert on customers to {tenants.role}")
    fleet = fleet_of(newest, tmp_path, {}, url=tenants.url(), schema_search_path=True)
    for query, kind in BAD_QUERIES:
        result = fleet.run(query=query)
        failed(result, kind)
    assert tenants.fetch("select count(*) from customers") == [(3,)] and tenants.tables() == ["customers"]


def test_databases(newest: Application, postgres: Postgres, pg: PostgresDatabase, tmp_path: Path) -> None:
    """By a role that may connect to all of them."""
    with databases(postgres, 3) as made:
        for number, database in enumerate(made):
            postgres.fetch(f"alter database {database.name} rename to shop_{number}_{pg.name}")
            postgres.fetch(f"grant {database.role} to {pg.role}")
        try:
            postgres.fetch(f"alter role {pg.role} superuser")
            found = {"list": "databases", "match": [f"shop_*_{pg.name}"], "url": pg.url()}
            fleet = fleet_of(newest, tmp_path, found)
            result = ok(fleet.run())
            names = [f"shop_{number}_{pg.name}" for number in range(3)]
            assert [(item["name"], item["database"], item["outcome"]) for item in result["targets"]] == [
                (name, name, "changed") for name in names
            ]
            assert [postgres.fetch("select version_num from alembic_version", name=name) for name in names] == [[("r005",)]] * 3
            assert not ok(fleet.run())["changed"] and pg.tables() == []
        finally:
            for number in range(3):
                postgres.fetch(f"drop database shop_{number}_{pg.name} with (force)")


def test_databases_of_mariadb(newest: Application, mariadb: MariaDB, tmp_path: Path) -> None:
    made = [mariadb.database() for _ in range(2)]
    try:
        mariadb.fetch(f"grant all on {made[1].name}.* to {made[0].role}@'%'")
        fleet = fleet_of(newest, tmp_path, {"list": "databases", "match": ["db_*"]}, url=made[0].url())
        result = ok(fleet.run())
        assert sorted(outcomes(result)) == sorted(database.name for database in made)
        assert [list(database.fetch("select version_num from alembic_version")) for database in made] == [[("r005",)]] * 2
        failed(fleet.run(query={"list": "schemas"}), "unsupported_database")
    finally:
        for database in made:
            database.drop()


def test_files(newest: Application, tmp_path: Path) -> None:
    files = [SqliteDatabase(tmp_path / f"customer {number}.sqlite") for number in range(3)]
    for file in files:
        file.fetch("create table mine (id integer)")
    fleet = fleet_of(newest, tmp_path, {"list": "files", "match": [f"{tmp_path}/*.sqlite"], "exclude": ["* 1"]})
    assert list(outcomes(ok(fleet.run()))) == ["customer 0", "customer 2"]
    assert ["users" in file.tables() for file in files] == [True, False, True]
