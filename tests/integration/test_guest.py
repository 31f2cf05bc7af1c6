# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker is a guest in a process that may print, close, fork, exit, hang or die. The answer is still the truth."""

from __future__ import annotations

from typing import Any

import pytest

from support.application import Application, failed, ok
from support.quick import some


def heads(database: Any) -> list[str]:
    return sorted(row[0] for row in database.fetch("select version_num from alembic_version"))


@pytest.mark.core
@pytest.mark.parametrize(
    ("how", "words"),
    some([("SIGKILL", "signal 9"), ("SIGSEGV", "signal 11"), ("exit", "status 0")], ("SIGKILL", "signal 9"), ("exit", "status 0")),
)
def test_a_process_that_dies_in_a_migration(app: Application, pg: Any, how: str, words: str) -> None:
    project = app.project("dies", pg)
    result = failed(app.upgrade(project, environment={"DIES_HOW": how}), "worker_died")
    assert words in result["msg"] and result["state"] == "between" and result["after"] == heads(pg) == ["d001"]
    assert result["failed_revision"]["revision"] == "d002" and "half" not in pg.tables()
    assert result["changed"] and len(result["attempts"]) == 1


def test_a_process_that_dies_with_half_of_a_revision_committed(app: Application, sqlite: Any) -> None:
    project = app.project("dies", sqlite)
    result = failed(app.upgrade(project, environment={"DIES_HOW": "SIGKILL"}), "worker_died")
    assert result["state"] == "dirty" and "half" in sqlite.tables() and result["after"] == ["d001"]
    assert not list(sqlite.path.parent.glob("*.lock")) or not ok(app.upgrade(project, "d001", lock_wait=2))["changed"]


def test_what_the_project_prints_is_output_and_nothing_else(app: Application, sqlite: Any) -> None:
    project = app.project("prints", sqlite)
    result = ok(app.upgrade(project))
    assert result["after"] == ["o001"] and result.get("current") != ["lies"]


def test_output_is_what_the_failing_run_printed(app: Application, pg: Any) -> None:
    project = app.project("raises_python", pg)
    script = project.versions() / "p002_a_bug_in_python.py"
    script.write_text(script.read_text().replace("    raise", '    print("x" * 1_000_000)\n    print("about to fail")\n    raise'))
    result = failed(app.upgrade(project), "migration_failed")
    assert "about to fail" in result["output"] and len(result["output"]) < 100_000


def test_an_environment_that_closes_every_descriptor(app: Application, pg: Any) -> None:
    """The command line migrates it. We may or may not, but we don't hang (the module's process would time out) and we don't lie."""
    result = app.upgrade(app.project("closes_fds", pg))
    real = heads(pg) if "alembic_version" in pg.tables() else []
    assert result.get("after") == real and result["changed"] == (real != [])
    assert not result.get("failed") or result["error_kind"] != "internal_error"


def test_a_child_that_lingers_does_not_keep_us(app: Application, pg: Any) -> None:
    """It inherits each descriptor, the reply's included, and the connection, too."""
    project = app.project("forks", pg)
    result = ok(app.upgrade(project, environment={"CHILD_SECONDS": "180"}))  # the module's process would time out before
    assert result["after"] == heads(pg) == ["g001"]


def test_a_project_that_hangs_is_stopped(app: Application, pg: Any) -> None:
    project = app.project("hangs", pg)
    failed(app.info(project, timeout=2), "worker_timeout")
    failed(app.upgrade(project, timeout=2), "worker_timeout")


def test_a_migration_that_takes_too_long_is_stopped(app: Application, pg: Any) -> None:
    project = app.project("slow", pg)
    result = failed(app.upgrade(project, timeout=10, environment={"SLOW_SECONDS": "60"}), "worker_timeout")
    assert result["after"] == heads(pg) == ["n001"] and result["state"] == "between" and "half" not in pg.tables()
    assert pg.sessions("query like '%%pg_sleep%%' and state = 'active'") == [], "its statement still runs in the server"
    assert ok(app.upgrade(project, environment={"SLOW_SECONDS": "0"}, lock_wait=5))["after"] == ["n003"]


def test_a_statement_that_takes_too_long_is_stopped(app: Application, pg: Any) -> None:
    project = app.project("slow", pg)
    result = failed(app.upgrade(project, statement_timeout=2, environment={"SLOW_SECONDS": "30"}), "statement_timeout")
    assert result["state"] == "between" and result["failed_revision"]["sqlstate"] == "57014" and len(result["attempts"]) == 1
    assert "pg_sleep" in result["failed_revision"]["statement"]


@pytest.mark.parametrize(("driver", "name"), some([("psycopg", "slow"), ("asyncpg", "async_env")], ("asyncpg", "async_env")))
def test_the_limits_reach_every_driver(app: Application, pg: Any, driver: str, name: str) -> None:
    project = app.project(name, pg, driver=driver, versions="slow")
    result = failed(app.upgrade(project, statement_timeout=2, environment={"SLOW_SECONDS": "30"}), "statement_timeout")
    assert result["failed_revision"]["revision"] == "n002" and result["after"] == ["n001"]


def test_the_limits_do_not_reach_into_an_autocommit_block(app: Application, pg: Any) -> None:
    project = app.project("slow_autocommit", pg)
    assert ok(app.upgrade(project, statement_timeout=2, environment={"SLOW_SECONDS": "4"}))["after"] == ["b002"]


def test_mariadb_statement_timeout(app: Application, maria: Any) -> None:
    """SLEEP() is cut short without an error there, so a statement that really works is needed."""
    project = app.project("linear", maria)
    busy = "SELECT COUNT(*) FROM seq_1_to_30000 a, seq_1_to_30000 b WHERE a.seq + b.seq = 7"
    script = project.versions() / "r002_add_users_email.py"
    script.write_text(script.read_text().replace("def upgrade():\n", f'def upgrade():\n    op.execute("{busy}")\n'))
    result = failed(app.upgrade(project, statement_timeout=1), "statement_timeout")
    assert result["after"] == ["r001"]
