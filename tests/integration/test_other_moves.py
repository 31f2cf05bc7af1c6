# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database that moves around a run, since the project migrates by itself: it is told, and never taken for the run's own work."""

from __future__ import annotations

from typing import Any

import pytest

from support.application import Application, failed, ok, revisions

#: An application's factory that migrates by itself, as many do.
FACTORY = """
import os
from alembic import command
from alembic.config import Config
def create_app():
    command.upgrade(Config("alembic.ini"), "head")
"""
CALLED = FACTORY + "create_app()\n"
GUARDED = FACTORY + "if 'DBOPS_ALEMBIC_READ_ONLY' not in os.environ:\n    create_app()\n"
ELSEWHERE = "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'alembic', 'upgrade', 'head'], check=True)\n"


def heads(database: Any) -> list[str]:
    return [row[0] for row in database.fetch("select version_num from alembic_version")]


@pytest.mark.core
@pytest.mark.parametrize("start", ["base", "r002"])
def test_before_the_run(app: Application, database: Any, start: str) -> None:
    project = app.project("linear", database)
    if start != "base":
        ok(app.upgrade(project, start))
    result = ok(app.upgrade(project, prelude=CALLED))
    came = [] if start == "base" else [start]
    assert result["other_moves"] == [{"when": "before", "from": came, "to": ["r005"], "by_project": True}]
    assert result["applied"] == [] and result["before"] == result["after"] == ["r005"] == heads(database)
    assert result["changed"] and any("The project moved the database by itself" in text for text in result["warnings"])


@pytest.mark.parametrize(("driver", "name"), [("asyncpg", "async_env"), pytest.param("psycopg", "linear", marks=pytest.mark.slow)])
def test_with_other_drivers(newest: Application, pg: Any, driver: str, name: str) -> None:
    result = ok(newest.upgrade(newest.project(name, pg, driver=driver), prelude=CALLED))
    assert [move["to"] for move in result["other_moves"]] == [["r005"]] and result["applied"] == []


def test_in_another_process(newest: Application, pg: Any) -> None:
    project = newest.project("linear", pg)
    result = ok(newest.upgrade(project, prelude=ELSEWHERE, url=pg.url()))
    assert result["other_moves"] == [{"when": "before", "from": [], "to": ["r005"], "by_project": False}]
    assert result["applied"] == [] and any("or somebody else" in text for text in result["warnings"])


def test_after_the_run(newest: Application, pg: Any) -> None:
    """The factory runs again when the project is loaded to look, and takes back what the downgrade did."""
    project = newest.project("linear", pg)
    ok(newest.upgrade(project))
    result = failed(newest.downgrade(project, "r002", prelude=CALLED), "verification_failed")
    assert result["other_moves"] == [{"when": "after", "from": ["r002"], "to": ["r005"], "by_project": True}]
    assert result["after"] == ["r005"] == heads(pg) and result["rolled_back"] == [] and "by itself" in result["msg"]


def test_a_factory_that_minds_being_looked_at(newest: Application, pg: Any) -> None:
    project = newest.project("linear", pg)
    ok(newest.upgrade(project))
    result = ok(newest.downgrade(project, "r002", prelude=GUARDED))
    assert result["after"] == ["r002"] == heads(pg) and result["other_moves"] == []
    assert ok(newest.info(project, prelude=GUARDED))["status"] == "behind" and heads(pg) == ["r002"]


def test_nobody_else_moved(newest: Application, database: Any) -> None:
    project = newest.project("linear", database)
    for operation, target in (("upgrade", "r002"), ("upgrade", "head"), ("stamp", "r003"), ("downgrade", "base")):
        if operation == "downgrade":
            ok(newest.stamp(project, "r005"))
        result = ok(newest.run(operation, project, revision=target))
        assert result["changed"] and result["other_moves"] == [], (operation, target)


def test_who_waits_for_the_lock_of_another_run_has_not_moved(newest: Application, pg: Any) -> None:
    project = newest.project("slow", pg)
    first = newest.start("upgrade", project, revision="head", environment={"SLOW_SECONDS": "3"})
    pg.wait_for_session("query like '%%pg_sleep%%' and state = 'active'")
    second = ok(newest.upgrade(project, environment={"SLOW_SECONDS": "0"}))
    assert revisions(second["applied"]) == [] and not second["changed"] and second["other_moves"] == []
    assert ok(first.result())["other_moves"] == []


def test_several_databases(newest: Application, pg: Any, postgres: Any) -> None:
    """What is ours in the first is not taken for somebody else's in the second."""
    other = postgres.database()
    result = ok(newest.upgrade(newest.project("multidb", pg, second_url=other.url())))
    assert [entry["other_moves"] for entry in result["databases"]] == [[], []]
    other.drop()
