# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database without a version table: upgraded from base, initialised by the application, stamped, or refused, never guessed."""

from __future__ import annotations

from typing import Any

import pytest

from support.application import Application, failed, journal, ok, revisions
from support.race import by_module

#: What `app create-tables` does in many projects: everything of the newest models, and a stamp.
CREATE_ALL = """
import os, sqlalchemy
from alembic import command
from alembic.config import Config
engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"])
with engine.begin() as connection:
    connection.execute(sqlalchemy.text("CREATE TABLE journal (revision VARCHAR(40))"))
    connection.execute(sqlalchemy.text("CREATE TABLE users (id INTEGER, name VARCHAR(50), email VARCHAR(100))"))
    connection.execute(sqlalchemy.text("INSERT INTO journal VALUES ('created')"))
"""
STAMP = 'command.stamp(Config("alembic.ini"), "r002")\n'


@pytest.fixture
def project(app: Application, pg: Any) -> Any:
    made = app.project("linear", pg)
    (made.folder / "create_all.py").write_text(CREATE_ALL + STAMP)
    (made.folder / "create_only.py").write_text(CREATE_ALL)
    return made


def command(app: Application, script: str) -> dict[str, Any]:
    return {"initialise": "command", "initialise_command": ["python", script]}


def test_upgrade_is_the_default(app: Application, project: Any) -> None:
    assert revisions(ok(app.upgrade(project))["applied"])[0] == "r001"


def test_refuse(app: Application, project: Any, pg: Any) -> None:
    failed(app.upgrade(project, initialise="refuse"), "not_initialised")
    assert pg.tables() == []
    ok(app.upgrade(project))
    assert not ok(app.upgrade(project, initialise="refuse"))["changed"]


def test_tables_without_a_version_table_are_not_guessed_at(app: Application, project: Any, pg: Any) -> None:
    """The application's tables are there; upgrading from base fails, and nothing of it stays."""
    pg.fetch("create table users (id integer)")
    result = failed(app.upgrade(project), "migration_failed")
    left = ["alembic_version"] if app.name == "alembic18" else []  # that one commits its empty table before the first revision
    assert "users" in result["msg"] and result["state"] == "from_revision" and pg.tables() == [*left, "users"]


def test_stamp(app: Application, project: Any, pg: Any) -> None:
    pg.fetch("create table journal (revision varchar(40))")
    pg.fetch("create table users (id integer, name varchar(50), email varchar(100))")
    for table in ("journal", "users"):
        pg.fetch(f"alter table {table} owner to {pg.role}")
    result = ok(app.upgrade(project, initialise="stamp", initialise_revision="r002"))
    assert result["before"] == [] and result["after"] == ["r005"] and journal(pg) == ["r003", "r004", "r005"]
    assert [entry for entry in revisions(result["applied"]) if entry != "r002"] == ["r003", "r004", "r005"]
    again = ok(app.upgrade(project, initialise="stamp", initialise_revision="r001"))
    assert not again["changed"], "the stamp is for a database without a version table"


def test_stamp_at_a_revision_that_is_not_there(app: Application, project: Any, pg: Any) -> None:
    failed(app.upgrade(project, initialise="stamp", initialise_revision="nothing"), "revision_unknown")
    assert pg.tables() == []


@pytest.mark.core
def test_command(app: Application, project: Any, pg: Any) -> None:
    result = ok(app.upgrade(project, environment={"DATABASE_URL": pg.url()}, **command(app, "create_all.py")))
    assert result["after"] == ["r005"] and journal(pg) == ["created", "r003", "r004", "r005"] and result["changed"]
    again = ok(app.upgrade(project, environment={"DATABASE_URL": pg.url()}, **command(app, "create_all.py")))
    assert not again["changed"] and journal(pg) == ["created", "r003", "r004", "r005"]


def test_command_that_does_not_stamp(app: Application, project: Any, pg: Any) -> None:
    given = {"environment": {"DATABASE_URL": pg.url()}, **command(app, "create_only.py"), "initialise_revision": "r002"}
    assert ok(app.upgrade(project, **given))["after"] == ["r005"]
    assert journal(pg) == ["created", "r003", "r004", "r005"]


def test_command_that_fails(app: Application, project: Any, pg: Any) -> None:
    (project.folder / "create_all.py").write_text("import sys\nprint('no licence')\nsys.exit(4)\n")
    result = failed(app.upgrade(project, **command(app, "create_all.py")), "command_failed")
    assert "4" in result["msg"] and "no licence" in result["output"] and pg.tables() == []
    failed(app.upgrade(project, initialise="command", initialise_command=["/no/such/program"]), "command_failed")


def test_the_command_runs_once_of_eight(app: Application, project: Any, pg: Any) -> None:
    """It is under the lock too."""
    results = by_module(app, project, environment={"DATABASE_URL": pg.url()}, **command(app, "create_all.py"))
    assert sum(ok(result)["changed"] for result in results) == 1 and journal(pg) == ["created", "r003", "r004", "r005"]


def test_check_mode_does_not_run_the_command(app: Application, project: Any, pg: Any) -> None:
    said = ok(app.upgrade(project, check=True, environment={"DATABASE_URL": pg.url()}, **command(app, "create_all.py")))
    assert said["changed"] and pg.tables() == []
