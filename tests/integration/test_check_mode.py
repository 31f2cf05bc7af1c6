# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode writes nothing and tells the truth: the plan, the SQL of each revision, and which can't be shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, ok, revisions
from support.quick import some
from support.waiting import Gate


@pytest.mark.core
@pytest.mark.parametrize(
    ("operation", "start", "target"),
    [
        pytest.param("upgrade", "base", "head", marks=pytest.mark.slow),
        ("upgrade", "r002", "head"),
        ("upgrade", "r005", "head"),
        ("downgrade", "r005", "r002"),
        ("downgrade", "base", "base"),
        pytest.param("stamp", "base", "head", marks=pytest.mark.slow),
        ("stamp", "r002", "r004"),
    ],
)
def test_nothing_is_touched_and_the_answer_is_right(app: Application, pg: Any, operation: str, start: str, target: str) -> None:
    project = app.project("linear", pg)
    if start != "base":
        assert app.cli(project, "upgrade", start).returncode == 0
    before = pg.dump()
    said = ok(app.run(operation, project, revision=target, check=True, diff=True))
    assert pg.dump() == before
    done = ok(app.run(operation, project, revision=target))
    assert said["changed"] == done["changed"] and revisions(said["planned"]) == revisions(done["planned"]) and said["applied"] == []
    assert said["before"] == done["before"]


@pytest.mark.parametrize("name", some(["linear", "batch", "data_migration"], "batch"))
def test_nothing_is_touched_on_other_databases(app: Application, database: Any, name: str) -> None:
    project = app.project(name, database)
    assert ok(app.upgrade(project, check=True, diff=True))["changed"] and database.dump().strip() in ("", database.dump().strip())
    assert database.tables() == []
    ok(app.upgrade(project, "+1"))
    before = database.dump()
    said = ok(app.upgrade(project, check=True, diff=True))
    assert database.dump() == before and said["changed"] and len(said["planned"]) >= 1


def test_the_sql_is_what_the_upgrade_runs(app: Application, pg: Any) -> None:
    project = app.project("linear", pg)
    ok(app.upgrade(project, "r001"))
    said = ok(app.upgrade(project, check=True, diff=True))
    shown = {step["revision"]: step for step in said["planned"]}
    assert (
        "ALTER TABLE users ADD COLUMN email VARCHAR(100)" in shown["r002"]["sql"] and "CREATE TABLE orders" in shown["r003"]["sql"]
    )
    assert "orders" not in shown["r002"]["sql"] and all(step["previewable"] and step["reason"] is None for step in said["planned"])
    assert shown["r004"]["message"] == "index users.email" and shown["r004"]["path"].endswith("r004_index_users_email.py")
    diffs = said["diff"] if isinstance(said["diff"], list) else [said["diff"]]
    text = "".join(str(entry.get("after", "")) + str(entry.get("prepared", "")) for entry in diffs)
    assert "ALTER TABLE users ADD COLUMN email" in text and "r005" in text


def test_the_sql_in_an_async_env(app: Application, pg: Any) -> None:
    said = ok(app.upgrade(app.project("async_env", pg, driver="asyncpg"), check=True, diff=True))
    assert "CREATE TABLE users" in said["planned"][0]["sql"] and said["planned"][0]["previewable"]


@pytest.mark.parametrize("start", ["base", "h001"])
def test_revisions_that_read_the_database(app: Application, pg: Any, start: str) -> None:
    """They are marked with a reason and never fail the check; the SQL of the others is there."""
    project = app.project("data_migration", pg)
    if start != "base":
        ok(app.upgrade(project, start))
    before = pg.dump()
    said = ok(app.upgrade(project, check=True, diff=True))
    assert pg.dump() == before
    shown = {step["revision"]: step for step in said["planned"]}
    for revision in ("h002", "h003", "h004"):
        assert shown[revision]["previewable"] is False and shown[revision]["reason"] and shown[revision]["sql"] is None, revision
    assert shown["h005"]["previewable"] is True and "currency" in shown["h005"]["sql"]
    assert ok(app.upgrade(project))["after"] == ["h005"]


def test_a_project_without_an_offline_mode(app: Application, pg: Any) -> None:
    said = ok(app.upgrade(app.project("offline_declines", pg), check=True, diff=True))
    assert revisions(said["planned"]) == ["r001", "r002", "r003", "r004", "r005"] and pg.tables() == []
    assert all(step["previewable"] is False and step["reason"] for step in said["planned"])


def test_multidb_leaves_no_files(app: Application, pg: Any, postgres: Any) -> None:
    """Its template writes engine1.sql and engine2.sql when it renders SQL."""
    other = postgres.database()
    project = app.project("multidb", pg, second_url=other.url())
    said = ok(app.upgrade(project, check=True, diff=True))
    first, second = said["databases"]
    assert (
        "people" in first["planned"][0]["sql"]
        and "events" in second["planned"][0]["sql"]
        and "events" not in first["planned"][0]["sql"]
    )
    assert pg.tables() == other.tables() == [] and not list(project.folder.glob("*.sql"))
    other.drop()


def test_autocommit_blocks_are_shown(app: Application, pg: Any) -> None:
    said = ok(app.upgrade(app.project("autocommit_ok", pg), check=True, diff=True))
    assert "CREATE INDEX CONCURRENTLY" in said["planned"][1]["sql"] and said["planned"][1]["previewable"]


def test_the_same_refusals_as_without_check_mode(app: Application, pg: Any) -> None:
    for name, kind, given in [
        ("two_heads", "multiple_heads", {}),
        ("no_revisions", "no_migrations", {}),
        ("linear", "too_many_pending", {"max_pending": 2}),
        ("linear", "unexpected_revision", {"expect_current": ["r003"]}),
        ("linear", "not_initialised", {"initialise": "refuse"}),
        ("broken_env", "environment_failed", {}),
    ]:
        result = failed(app.upgrade(app.project(name, pg), check=True, **given), kind)
        assert not result["changed"]
    failed(app.upgrade(app.project("linear", pg), "nothing", check=True), "revision_unknown")
    assert pg.tables() == []


def test_check_mode_takes_no_lock_and_waits_for_none(app: Application, pg: Any, tmp_path: Path) -> None:
    gate = Gate(tmp_path / "open")
    project = app.project("slow", pg)
    run = app.start("upgrade", project, revision="head", environment=gate.environment)
    pg.wait_for_session("query like '%%pg_sleep%%' and state = 'active'")
    said = ok(app.upgrade(project, check=True, lock_wait=0))
    assert revisions(said["planned"]) == ["n002", "n003"] and run.process.poll() is None
    gate.open()
    ok(run.result())


def test_diff_of_what_was_done(app: Application, pg: Any) -> None:
    done = ok(app.upgrade(app.project("linear", pg), diff=True))
    entries = done["diff"] if isinstance(done["diff"], list) else [done["diff"]]
    assert "r005" in str(entries) and any("ADD COLUMN email" in statement for statement in done["applied"][1]["sql"])
