# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of env.py that practice knows migrates unmodified, to the same revision and tables as its own command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest

from support import venvs
from support.application import Application, journal, ok, revisions
from support.quick import some
from support.runner import cli_heads

LINEAR = ["r001", "r002", "r003", "r004", "r005"]

FLASK = """
from webapp import create_app
create_app().app_context().push()
"""
CONNECTION = """
import os
from alembic.config import Config
from sqlalchemy import create_engine
config = Config("alembic.ini")
config.attributes["connection"] = create_engine(os.environ["DATABASE_URL"]).connect()
"""
SERVICE_SETTINGS = """
import os
from alembic.config import Config
config = Config("alembic.ini")
config.service_settings = {"connection": os.environ["DATABASE_URL"]}
"""


def as_variable(database: Any, url: str) -> dict[str, Any]:
    return {"environment": {"DATABASE_URL": url}}


def as_settings(database: Any, url: str) -> dict[str, Any]:
    names = {
        "HOST": "127.0.0.1",
        "PORT": database.server.port,
        "NAME": database.name,
        "USER": database.role,
        "PASSWORD": database.password,
    }
    return {"environment": {f"APP_DB_{name}": str(value) for name, value in names.items()}}


def as_argument(database: Any, url: str) -> dict[str, Any]:
    return {"x_arguments": [f"url={url}"]}


def as_parameter(database: Any, url: str) -> dict[str, Any]:
    return {"url": url}


def as_token(database: Any, url: str) -> dict[str, Any]:
    return {"environment": {"IAM_TOKEN": database.password}}


def in_ini(database: Any, url: str) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Kind:
    """A project, the driver of its URL, how the URL reaches it, what it ends at, and what its own command line needs."""

    project: str
    hand_over: Callable[[Any, str], dict[str, Any]] = in_ini
    driver: str = "psycopg2"
    head: tuple[str, ...] = ("r005",)
    parameters: dict[str, Any] = field(default_factory=dict)
    cli: tuple[str, ...] | None = ()
    least: str = "alembic18"
    before: str = ""

    def __str__(self) -> str:
        return f"{self.project}-{self.hand_over.__name__}-{self.driver or 'default'}"


KINDS = [
    Kind("linear"),
    Kind("linear", as_parameter),
    Kind("linear", as_parameter, "psycopg"),
    Kind("linear", as_parameter, "asyncpg", cli=None),
    Kind("linear", as_parameter, "", cli=None),
    Kind("async_env", in_ini, "asyncpg"),
    Kind("async_env", as_parameter, "asyncpg", cli=None),
    Kind("async_env", as_parameter, "psycopg", cli=None, least="alembic113"),
    Kind("env_var_url", as_variable),
    Kind("settings_class", as_settings),
    Kind("x_args", as_argument),
    Kind("cmd_opts"),
    Kind("flask_context", as_variable, parameters={"prelude": FLASK}, cli=None, least="alembic113"),
    Kind("connection_attribute", as_variable, parameters={"prelude": CONNECTION}, cli=None),
    Kind("config_object", as_variable, parameters={"prelude": SERVICE_SETTINGS}, cli=None),
    Kind("iam_token", as_token),
    Kind("pool_of_one"),
    Kind("version_table", before="create schema bookkeeping authorization {role}"),
    Kind("version_locations", head=("v003",)),
    Kind("sets_script_locations", head=("l001p",)),
    Kind("pyproject", as_variable, head=("y002",), least="alembic120"),
    Kind("pyproject_and_ini", least="alembic120"),
    Kind("section", head=("q002",), parameters={"section": "reporting"}, cli=("-n", "reporting")),
    Kind("external_transaction"),
    Kind("per_migration"),
    Kind("raw_commit"),
    Kind("claims_transactional"),
    Kind("own_timeouts"),
    Kind("batch", head=("u002",)),
    Kind("models", head=("i001",)),
    Kind("data_migration", head=("h005",)),
    Kind("autocommit_ok", head=("k003",)),
    Kind("autocommit_ok", as_parameter, "psycopg", head=("k003",)),
    Kind("prints", head=("o001",)),
]
#: With CORE each way that a URL takes, each driver, and what an env.py does that asks for something of its own.
QUICK = (
    *("linear-as_parameter-psycopg", "linear-as_parameter-asyncpg", "settings_class-as_settings-psycopg2"),
    "x_args-as_argument-psycopg2",
    *("iam_token-as_token-psycopg2", "version_table-in_ini-psycopg2", "version_locations-in_ini-psycopg2"),
    *("pyproject-as_variable-psycopg2", "external_transaction-in_ini-psycopg2", "per_migration-in_ini-psycopg2"),
)
#: Compared with the command line's own result in make test, with the newest and the oldest Alembic.
CORE = {"linear-in_ini-psycopg2", "async_env-in_ini-asyncpg", "env_var_url-as_variable-psycopg2", "autocommit_ok-in_ini-psycopg2"}


def migrate(app: Application, kind: Kind, database: Any) -> dict[str, Any]:
    """Migrate with the module, twice, and ask the project's own command line where the database stands."""
    url = prepare(kind, database)
    project = app.project(kind.project, url if kind.hand_over is not as_parameter else None)
    remove_password(project, database)
    given = {**kind.hand_over(database, url), **kind.parameters}
    result = ok(app.upgrade(project, **given))
    again = ok(app.upgrade(project, **given))
    assert not again["changed"] and again["applied"] == [] and again["before"] == again["after"] == list(kind.head)
    if kind.cli is not None and kind.hand_over is not as_parameter and kind.project != "prints":
        assert cli_heads(project, before=arguments(kind, given), python=app.python, environment=given.get("environment")) == list(
            kind.head
        )
    return result


def migrate_by_command_line(app: Application, kind: Kind, database: Any) -> None:
    url = prepare(kind, database)
    project = app.project(kind.project, url)
    given = kind.hand_over(database, url)
    done = app.cli(project, *arguments(kind, given), "upgrade", "head", environment=given.get("environment"))
    assert done.returncode == 0, done.stderr


def prepare(kind: Kind, database: Any) -> str:
    if kind.before:
        database.fetch(kind.before.format(role=database.role))
    return str(database.url(kind.driver))


def arguments(kind: Kind, given: dict[str, Any]) -> list[str]:
    return [*(kind.cli or ()), *[part for item in given.get("x_arguments", []) for part in ("-x", item)]]


def remove_password(project: Any, database: Any) -> None:
    if project.name == "iam_token":
        ini = project.folder / "alembic.ini"
        password = urlsplit(database.url()).netloc.split("@")[0].split(":", 1)[1].replace("%", "%%")
        ini.write_text(ini.read_text().replace(f":{password}@", "@"))


@pytest.mark.parametrize("kind", some(KINDS, *QUICK), ids=str)
def test_migrates_like_the_command_line(app: Application, kind: Kind, postgres: Any) -> None:
    if venvs.ALEMBICS.index(app.name) < venvs.ALEMBICS.index(kind.least):
        pytest.skip(f"needs {kind.least}")
    app.needs(kind.driver)
    database = postgres.database("p%40@:/ ?#x'\"")
    result = migrate(app, kind, database)
    assert result["changed"] and result["after"] == list(kind.head) and result["before"] == []
    assert result["state"] == "to_revision" and result["lock"]["kept"] is True and result["lock"]["mode"] == "session"
    assert result["database"]["name"] is None and result["database"]["database"] == database.name
    if kind.head == ("r005",):
        assert revisions(result["applied"]) == LINEAR and journal(database) == LINEAR
    database.drop()


@pytest.mark.core(quick=True)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if str(kind) in CORE], ids=str)
def test_makes_what_the_command_line_makes(app: Application, kind: Kind, postgres: Any) -> None:
    ours, theirs = postgres.database(), postgres.database()
    result = migrate(app, kind, ours)
    migrate_by_command_line(app, kind, theirs)
    assert result["after"] == list(kind.head) and all_tables(ours) == all_tables(theirs)
    assert result["versions"]["alembic"].replace(".", "").startswith(app.name.replace("alembic", ""))
    ours.drop()
    theirs.drop()


def all_tables(database: Any) -> list[Any]:
    columns = "select table_schema, table_name, column_name, data_type from information_schema.columns"
    return database.fetch(f"{columns} where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2, 3")


ELSEWHERE = ["linear", "batch"]
ELSEWHERE_TOO = ["per_migration", "external_transaction", "claims_transactional", "models"]


@pytest.mark.parametrize("name", [*ELSEWHERE, *(pytest.param(name, marks=pytest.mark.slow) for name in ELSEWHERE_TOO)])
def test_migrates_on_other_databases(app: Application, name: str, database: Any) -> None:
    if database.dialect == "postgresql":
        pytest.skip("covered above")
    project = app.project(name, database)
    result = ok(app.upgrade(project))
    assert result["changed"] and result["state"] == "to_revision" and result["lock"]["kept"] is True
    assert cli_heads(project, python=app.python) == result["after"]
    down = ok(app.downgrade(project, "base"))
    assert down["after"] == [] and database.tables() == ["alembic_version"]
    assert ok(app.upgrade(project))["after"] == result["after"]


def test_async_sqlite(app: Application, sqlite: Any) -> None:
    project = app.project("async_env", sqlite, driver="aiosqlite")
    assert ok(app.upgrade(project))["after"] == ["r005"] and journal(sqlite) == LINEAR
    assert ok(app.downgrade(project, "-2"))["after"] == ["r003"]


def test_async_env_with_autocommit_blocks(app: Application, pg: Any) -> None:
    """asyncpg leaves a portal open, which hangs CREATE INDEX CONCURRENTLY when a lock is held carelessly."""
    project = app.project("async_env", pg, driver="asyncpg", versions="autocommit_ok")
    result = ok(app.upgrade(project))
    assert result["after"] == ["k003"] and journal(pg) == ["k001", "k002", "k003"]


def test_sync_url_in_an_async_env(app: Application, pg: Any) -> None:
    project = app.project("async_env")
    assert ok(app.upgrade(project, url=pg.url("psycopg2")))["after"] == ["r005"]


def test_relative_sqlite_path(app: Application) -> None:
    """A relative path is relative to chdir, for the command line and for us."""
    project = app.project("linear", "sqlite:///here.db")
    assert ok(app.upgrade(project))["after"] == ["r005"]
    assert (project.folder / "here.db").exists() and cli_heads(project, python=app.python) == ["r005"]


def test_config_instead_of_chdir(app: Application, sqlite: Any) -> None:
    project = app.project("linear", sqlite)
    (project.folder / "alembic.ini").rename(project.folder / "other.ini")
    assert ok(app.upgrade(project, chdir=None, config=str(project.folder / "other.ini")))["after"] == ["r005"]


def test_virtualenv_instead_of_python(app: Application, sqlite: Any) -> None:
    project = app.project("linear", sqlite)
    assert ok(app.upgrade(project, python=None, virtualenv=str(app.python.parents[1])))["after"] == ["r005"]
