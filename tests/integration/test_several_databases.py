# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several databases, or a schema per tenant, from one env.py: an entry each, and one that fails is not lost among the others."""

from __future__ import annotations

from typing import Any

import pytest

from support.application import Application, failed, ok, revisions


@pytest.fixture
def second(postgres: Any) -> Any:
    database = postgres.database()
    yield database
    database.drop()


@pytest.mark.core(quick=True)
def test_multidb(app: Application, pg: Any, second: Any) -> None:
    project = app.project("multidb", pg, second_url=second.url())
    info = ok(app.info(project))
    assert [entry["database"]["name"] for entry in info["databases"]] == ["engine1", "engine2"] and "current" not in info
    result = ok(app.upgrade(project))
    assert result["changed"] and [entry["after"] for entry in result["databases"]] == [["w002"], ["w002"]]
    assert [entry["database"]["database"] for entry in result["databases"]] == [pg.name, second.name]
    assert (
        all(entry["lock"]["kept"] for entry in result["databases"]) and "after" not in result and result["state"] == "to_revision"
    )
    assert pg.tables() == ["alembic_version", "people", "places"] and second.tables() == ["alembic_version", "events", "meters"]
    assert not ok(app.upgrade(project))["changed"]
    ok(app.downgrade(project, "-1"))
    assert [entry["current"] for entry in ok(app.info(project))["databases"]] == [["w001"], ["w001"]]


def test_multidb_urls_from_parameters(app: Application, pg: Any, second: Any) -> None:
    project = app.project("multidb")
    assert ok(app.upgrade(project, urls={"engine1": pg.url(), "engine2": second.url()}))["changed"]
    assert "people" in pg.tables() and "events" in second.tables()


def test_multidb_databases_at_different_revisions(app: Application, pg: Any, second: Any) -> None:
    project = app.project("multidb", pg, second_url=second.url())
    ok(app.upgrade(project))
    second.fetch("update alembic_version set version_num = 'w001'")
    second.fetch("drop table meters")
    result = ok(app.upgrade(project))
    assert [revisions(entry["applied"]) for entry in result["databases"]] == [[], ["w002"]]


def test_multidb_one_fails(app: Application, pg: Any, second: Any) -> None:
    """env.py has one transaction around both: nothing of either is there."""
    project = app.project("multidb", pg, second_url=second.url())
    second.fetch("create table meters (id integer)")
    result = failed(app.upgrade(project), "migration_failed")
    real = [heads(pg), heads(second)]
    assert [entry["after"] for entry in result["databases"]] == real
    assert result["changed"] == any(real) and result["failed_revision"]["revision"] == "w002" and "meters" in result["msg"]
    assert "engine2" in result["msg"]


def heads(database: Any, schema: str = "public") -> list[str]:
    if "alembic_version" not in database.tables(schema):
        return []
    return [row[0] for row in database.fetch(f"select version_num from {schema}.alembic_version")]


@pytest.mark.core
def test_tenants(app: Application, pg: Any) -> None:
    pg.fetch(f"grant create on database {pg.name} to {pg.role}")
    project = app.project("tenants", pg)
    result = ok(app.upgrade(project))
    assert [entry["database"]["schema"] for entry in result["databases"]] == ["north", "south"]
    assert [entry["database"]["version_table_schema"] for entry in result["databases"]] == ["north", "south"]
    assert heads(pg, "north") == heads(pg, "south") == ["r005"]
    more = ok(app.upgrade(project, environment={"TENANTS": "north,south,west"}))
    assert [len(entry["applied"]) for entry in more["databases"]] == [0, 0, 5] and more["changed"]


def test_a_tenant_that_fails_stops_the_rest(app: Application, pg: Any) -> None:
    pg.fetch(f"create schema south authorization {pg.role}")
    pg.fetch("create table south.extras (id integer)")
    project = app.project("tenants", pg, versions="tenants_swallow")
    result = failed(app.upgrade(project), "migration_failed")
    north, south = result["databases"]
    assert north["after"] == heads(pg, "north") == ["z002"] and south["after"] == heads(pg, "south") == ["z001"]
    assert (
        "south" in result["msg"]
        and north["state"] == "to_revision"
        and south["state"] == "between"
        and result["state"] == "between"
    )


def test_a_swallowed_failure_is_a_failure(app: Application, pg: Any) -> None:
    """env.py prints the tenant's error and goes on; the command line ends with status 0."""
    pg.fetch(f"create schema north authorization {pg.role}")
    pg.fetch("create table north.extras (id integer)")
    project = app.project("tenants_swallow", pg)
    assert app.cli(project, "upgrade", "head", environment={"TENANTS": "north"}).returncode == 0
    result = failed(app.upgrade(project), "migration_failed")
    north, south = result["databases"]
    assert north["after"] == heads(pg, "north") == ["z001"] and south["after"] == heads(pg, "south") == ["z002"]
    assert result["changed"] and "north" in result["msg"] and "extras" in result["msg"]


def test_a_swallowed_failure_in_info(app: Application, pg: Any) -> None:
    pg.fetch(f"create schema north authorization {pg.role}")
    pg.fetch("create table north.alembic_version (version_num varchar(32))")
    pg.fetch("insert into north.alembic_version values ('z999')")
    pg.fetch(f"alter table north.alembic_version owner to {pg.role}")
    project = app.project("tenants_swallow", pg)
    failed(app.upgrade(project), "database_ahead")
    assert ok(app.info(project))["databases"][0]["status"] == "unknown_revision"


def test_x_arguments_choose_the_tenant(app: Application, pg: Any) -> None:
    pg.fetch(f"create schema west authorization {pg.role}")
    project = app.project("x_args")
    result = ok(app.upgrade(project, x_arguments=[f"url={pg.url()}", "tenant=west"]))
    assert result["database"]["version_table_schema"] == "west" and heads(pg, "west") == ["r005"] and pg.tables() == []
