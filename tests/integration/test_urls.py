# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs as people have them: names that SQLAlchemy does not take, parameters of another driver, a service file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.dbops.alembic.plugins.module_utils._bridge import Bridge
from ansible_collections.dbops.alembic.plugins.plugin_utils import _database_url

from support import guide
from support.application import Application, failed, ok
from support.paths import ROOT
from support.quick import some
from support.runner import Run

#: Name → fixture of the project, driver, and what stands behind the name of the database.
SPELLINGS = {
    "postgres": ("linear", "", ""),
    "postgres with a driver": ("linear", "psycopg2", ""),
    "synchronous with sslmode, asynchronous env.py": ("async_env", "", "?sslmode=prefer"),
    "the URL of a hosting provider, asynchronous env.py": ("async_env", "", "?sslmode=prefer&channel_binding=prefer"),
    "asyncpg with ssl, synchronous env.py": ("linear", "asyncpg", "?ssl=prefer&prepared_statement_cache_size=0"),
    "asyncpg with sslmode, synchronous env.py": ("linear", "asyncpg", "?sslmode=prefer"),
    "asyncpg with sslmode, asynchronous env.py": ("async_env", "asyncpg", "?sslmode=prefer&channel_binding=prefer"),
}


def scheme(name: str, url: str) -> str:
    return url.replace("postgresql", "postgres") if name.startswith("postgres") else url


@pytest.mark.core
@pytest.mark.parametrize(
    "name",
    some(SPELLINGS, "postgres", "the URL of a hosting provider, asynchronous env.py", "asyncpg with sslmode, synchronous env.py"),
)
def test_a_url_is_taken_as_people_have_it(app: Application, pg: Any, name: str) -> None:
    project, driver, query = SPELLINGS[name]
    url = scheme(name, pg.url(driver)) + query
    made = app.project(project)
    info = ok(app.info(made, url=url))
    assert info["databases"][0]["database"]["database"] == pg.name
    assert ok(app.upgrade(made, url=url))["changed"] and "alembic_version" in pg.tables()
    assert not ok(app.upgrade(made, url=url))["changed"]


def test_the_guide_needs_nothing_but_the_url(newest: Application, pg: Any) -> None:
    """Of the inventory for FastAPI with asyncpg, with the URL that the text shows."""
    text = guide.section(ROOT / "docs" / "docsite" / "rst" / "guide_real_products.rst", "FastAPI with asyncpg")
    variables = yaml.safe_load(guide.blocks(text)[0][1])["application"]["vars"]
    assert [name for name in variables if name.startswith("schema_")] == ["schema_database_url"]
    (query,) = re.findall(r"``postgres://[^`?]*(\?[^`]*)``", text)
    url = scheme("postgres", pg.url("")) + query.replace("require", "prefer")  # the server of the tests has no certificate
    assert _database_url.parse(url).environment()["PGSSLMODE"] == "prefer"
    assert ok(newest.upgrade(newest.project("async_env"), url=url))["changed"]


@pytest.mark.core
@pytest.mark.parametrize(("project", "driver"), some([("linear", "psycopg2"), ("async_env", "asyncpg")], ("async_env", "asyncpg")))
def test_who_uses_another_database_is_told_from_who_comes_by_another_address(
    app: Application, pg: Any, postgres: Any, project: str, driver: str
) -> None:
    made, other = app.project(project), postgres.database()

    def looked(url: str) -> Any:
        same = {"operation": "info", "target": "heads", **made.parameters(url=pg.url(driver))}
        reply = Bridge(str(app.python)).call({**same, "served": {"PODS": "Deployment web"}, "environment": {"PODS": url}})
        return reply["error"] or reply["warnings"]

    try:
        for url in (
            pg.url("") + "?application_name=web",
            pg.url("").replace("127.0.0.1", "localhost"),
            "jdbc:postgresql://db/shop",
        ):
            assert looked(url) == [], url
        refused = looked(other.url(""))
        assert refused["kind"] == "wrong_database"
        assert f"the pods of Deployment web use another database, {other.name} on 127.0.0.1:" in refused["message"]
        assert looked("mysql+pymysql://u:p@127.0.0.1:1/" + pg.name)["kind"] == "wrong_database"
        (warning,) = looked(pg.url("", port=1))
        assert f"{pg.name} on 127.0.0.1:1, and whether that is one database could not be found out" in warning
    finally:
        other.drop()


def test_a_password_is_left_as_it_was_spelled(newest: Application, postgres: Any) -> None:
    """What looks like a query in it is none, and the parameters behind it are translated all the same."""
    database = postgres.database(password="p?ss=1&sslmode=%41+w")
    try:
        url = database.url("asyncpg") + "?sslmode=prefer"
        assert ok(newest.upgrade(newest.project("linear"), url=url))["changed"]
    finally:
        database.drop()


@pytest.mark.parametrize(
    ("url", "project", "hint"),
    [
        ("postgres://u:p@127.0.0.1:1/d", "env_var_url", "no dialect postgres since 1.4: write postgresql://"),
        ("postgresql+asyncpg://u:p@127.0.0.1:1/d?sslmode=require", "env_var_url", "write ?ssl=require instead of ?sslmode=require"),
        ("postgresql+asyncpg://u:p@127.0.0.1:1/d", "env_var_url", "asynchronous driver and env.py connects synchronously"),
    ],
)
def test_a_url_that_the_project_reads_by_itself_is_explained(newest: Application, url: str, project: str, hint: str) -> None:
    result = newest.info(newest.project(project), environment={"DATABASE_URL": url})
    assert result["failed"] and hint in result["hint"], result


def database_module(app: Application, name: str, url: str, **more: Any) -> dict[str, Any]:
    return Run(name, {"python": str(app.python), "url": url, **more}).result()


@pytest.mark.parametrize("query", ["?sslmode=prefer&channel_binding=prefer", "?ssl=prefer"])
def test_what_asks_the_database_takes_both_spellings_with_asyncpg(newest: Application, pg: Any, query: str) -> None:
    for driver in ("asyncpg", "") if "sslmode" in query else ("asyncpg",):
        assert "sessions" in ok(database_module(newest, "database_sessions_info", pg.url(driver) + query))


@pytest.fixture
def service(pg: Any, tmp_path: Path) -> dict[str, str]:
    path = tmp_path / "services"
    path.write_text(
        f"[orders]\nhost={pg.server.host}\nport={pg.server.port}\ndbname={pg.name}\nuser={pg.role}\npassword={pg.password}\n"
    )
    return {"PGSERVICEFILE": str(path)}


@pytest.mark.core
@pytest.mark.parametrize("name", ["", "the database"])
def test_a_service_file(app: Application, pg: Any, service: dict[str, str], name: str) -> None:
    url = f"postgresql+psycopg2:///{pg.name if name else ''}?service=orders"
    made = app.project("linear")
    assert ok(app.upgrade(made, url=url, environment=service))["changed"] and "alembic_version" in pg.tables()
    if name:
        assert "sessions" in ok(database_module(app, "database_sessions_info", url, environment=service))
    else:
        error = failed(database_module(app, "database_sessions_info", url, environment=service), "options_invalid")
        assert "names no database, only a service" in error["msg"] and "postgresql:///orders?service=orders" in error["hint"]


def test_another_database_than_the_url_names_is_still_refused(newest: Application, pg: Any, service: dict[str, str]) -> None:
    """A service file may name one database and the URL another, which then counts; a project that goes elsewhere is refused."""
    made = newest.project("linear", pg)
    failed(newest.info(made, url="postgresql+psycopg2:///other?service=orders", environment=service), "connection_failed")
    variable = newest.project("env_var_url")
    given = {**service, "DATABASE_URL": pg.url("psycopg2")}
    failed(newest.info(variable, url="postgresql+psycopg2:///other?service=orders", environment=given), "wrong_database")
