# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The truth after a failure: what failed and where, what is in the database now, what is not."""

from __future__ import annotations

from typing import Any

import pytest

from support.application import Application, failed, ok, revisions
from support.services import on_each


def heads(database: Any) -> list[str]:
    return sorted(row[0] for row in database.fetch("select version_num from alembic_version"))


@pytest.mark.core(quick=True)
def test_a_transactional_failure_leaves_nothing_of_its_revision(app: Application, pg: Any) -> None:
    project = app.project("raises_midway", pg)
    result = failed(app.upgrade(project), "migration_failed")
    assert result["changed"] and (result["before"], result["after"], result["state"]) == ([], ["m001"], "between")
    assert revisions(result["planned"]) == ["m001", "m002", "m003"] and revisions(result["applied"]) == ["m001"]
    assert revisions(result["rolled_back"]) == ["m002"] and revisions(result["pending"]) == ["m002", "m003"]
    about = result["failed_revision"]
    assert about["revision"] == "m002" and about["message"] == "fails after a table" and about["sqlstate"] == "42P01"
    assert about["file"].endswith("m002_fails_after_a_table.py") and "missing_table" in about["source"] and about["line"] == 16
    assert "INSERT INTO missing_table" in about["statement"] and "missing_table" in about["error"]
    assert "m002" in result["msg"] and "missing_table" in result["msg"]
    assert pg.tables() == ["alembic_version", "items"] and heads(pg) == ["m001"]


def test_a_failure_in_the_first_step_is_at_the_from_revision(app: Application, pg: Any) -> None:
    project = app.project("raises_midway", pg)
    ok(app.upgrade(project, "m001"))
    before = pg.dump()
    result = failed(app.upgrade(project), "migration_failed")
    assert not result["changed"] and result["state"] == "from_revision" and result["before"] == result["after"] == ["m001"]
    assert result["applied"] == [] and revisions(result["rolled_back"]) == ["m002"] and pg.dump() == before
    assert len(result["attempts"]) == 1


@on_each
@pytest.mark.parametrize("name", ["raises_midway", "raises_python"])
def test_without_transactional_ddl_the_rest_is_called_dirty(app: Application, name: str, database: Any) -> None:
    if database.dialect == "postgresql":
        pytest.skip("PostgreSQL rolls it back")
    project = app.project(name, database)
    result = failed(app.upgrade(project), "migration_failed")
    first = revisions(result["planned"])[0]
    assert (
        result["changed"] and result["state"] == "dirty" and result["after"] == [first] and revisions(result["applied"]) == [first]
    )
    assert result["rolled_back"] == [], "nothing of it was undone"
    assert "half" in database.tables() and heads(database) == [first]
    again = failed(app.upgrade(project), "migration_failed")
    assert again["before"] == [first] and "half" in str(again["failed_revision"])


def test_python_errors_name_their_line(app: Application, pg: Any) -> None:
    result = failed(app.upgrade(app.project("raises_python", pg)), "migration_failed")
    about = result["failed_revision"]
    assert about["source"].startswith("raise ValueError") and "no default tenant" in about["error"] and about["sqlstate"] is None
    assert result["state"] == "between" and pg.tables() == ["alembic_version", "items"]


@pytest.mark.core
def test_a_failure_in_an_autocommit_block_is_dirty(app: Application, pg: Any) -> None:
    """The column added before the block is committed, the index is there and invalid, and the version table knows of neither."""
    project = app.project("autocommit_fails", pg)
    result = failed(app.upgrade(project), "migration_failed")
    assert result["state"] == "dirty" and result["changed"] and result["after"] == ["f001"] and result["rolled_back"] == []
    assert result["invalid_indexes"] == ["public.items_code"] and len(result["attempts"]) == 1
    assert pg.fetch("select count(*) from information_schema.columns where table_name = 'items' and column_name = 'label'") == [
        (1,)
    ]
    about = result["failed_revision"]
    assert about["sqlstate"] == "23505" and about["revision"] == "f002"
    assert ok(app.info(project))["invalid_indexes"] == ["public.items_code"]


def test_an_old_invalid_index_is_not_blamed_on_this_upgrade(app: Application, pg: Any) -> None:
    failed(app.upgrade(app.project("autocommit_fails", pg)), "migration_failed")
    pg.fetch("drop table alembic_version")
    result = ok(app.upgrade(app.project("linear", pg)))
    assert result["invalid_indexes"] == []


def test_a_downgrade_that_refuses(app: Application, pg: Any) -> None:
    project = app.project("missing_downgrade", pg)
    ok(app.upgrade(project))
    without = failed(app.downgrade(project, "e002"), "migration_failed")
    assert without["state"] == "from_revision" and without["after"] == ["e003"]
    ok(app.stamp(project, "e002"))
    refuses = failed(app.downgrade(project, "base"), "migration_failed")
    assert (
        refuses["state"] == "from_revision"
        and "can't be undone" in refuses["msg"]
        and pg.tables() == ["alembic_version", "extras", "items", "more"]
    )


def test_exit_in_a_migration_is_a_failure(app: Application, pg: Any) -> None:
    """sys.exit(0): the command line ends with status 0, and nothing is there."""
    project = app.project("exits_in_migration", pg)
    assert app.cli(project, "upgrade", "head").returncode == 0 and pg.tables() == []
    result = failed(app.upgrade(project), "migration_failed")
    assert "sys.exit(0)" in result["msg"] and result["after"] == ["x001"] and pg.tables() == ["alembic_version", "items"]


def test_not_persisted(app: Application, pg: Any) -> None:
    """SQLAlchemy 2 began a transaction before configure(): all revisions run, the command line is content, nothing is there."""
    project = app.project("begins_before_configure", pg)
    assert app.cli(project, "upgrade", "head").returncode == 0
    if app.name == "alembic18":
        assert heads(pg) == ["r005"] and not ok(app.upgrade(project))["changed"]
        return
    assert pg.tables() == []
    result = failed(app.upgrade(project), "not_persisted")
    assert result["after"] == [] and result["applied"] == [] and not result["changed"] and pg.tables() == []
    assert result["state"] == "from_revision"


def test_no_revisions(app: Application, pg: Any) -> None:
    project = app.project("no_revisions", pg)
    assert app.cli(project, "upgrade", "head").returncode == 0, "the trap is that the command line says all is well"
    for operation in ("upgrade", "info"):
        failed(app.run(operation, project), "no_migrations")


@pytest.mark.core
def test_database_ahead_of_the_code(app: Application, pg: Any) -> None:
    project = app.project("linear", pg)
    ok(app.upgrade(project))
    (project.versions() / "r005_first_user.py").unlink()
    before = pg.dump()
    for operation, target in (("upgrade", "head"), ("downgrade", "r001"), ("stamp", "r001")):
        result = failed(app.run(operation, project, revision=target), "database_ahead")
        assert "r005" in result["msg"] and not result["changed"] and pg.dump() == before


def test_broken_projects(app: Application, pg: Any, tmp_path: Any) -> None:
    cases = [
        ("broken_env", "environment_failed", "application_that_is_not_installed"),
        ("exits_in_env", "environment_failed", "SECRET_KEY is not set"),
        ("syntax_error", "environment_failed", "SyntaxError"),
    ]
    for name, kind, text in cases:
        project = app.project(name, pg)
        for operation in ("info", "upgrade"):
            result = failed(app.run(operation, project), kind)
            assert text in result["msg"], result["msg"]
    assert pg.tables() == []


def test_a_configuration_that_is_not_there(app: Application, sqlite: Any, tmp_path: Any) -> None:
    project = app.project("linear", sqlite)
    failed(app.info(project, chdir=str(tmp_path / "nowhere")), "config_missing")
    failed(app.info(project, config=str(tmp_path / "other.ini")), "config_missing")
    (project.folder / "pyproject.toml").write_text("[tool.black]\n")  # which Alembic would take instead
    assert "There is no other.ini in" in failed(app.info(project, config="other.ini"), "config_missing")["msg"]
    failed(app.info(project, section="nobody"), "config_missing")
    (project.folder / "migrations").rename(project.folder / "moved")
    failed(app.info(project), "config_missing")


def test_a_python_that_is_not_there(app: Application, sqlite: Any, tmp_path: Any) -> None:
    project = app.project("linear", sqlite)
    failed(app.info(project, python=str(tmp_path / "python")), "python_missing")
    (tmp_path / "python").write_text("not a program")
    (tmp_path / "python").chmod(0o755)
    failed(app.info(project, python=str(tmp_path / "python")), "python_missing")
    liar = tmp_path / "liar"
    liar.write_text("#!/bin/sh\nexit 0\n")
    liar.chmod(0o755)
    failed(app.info(project, python=str(liar)), "worker_died")


def test_environments_that_lack_something(tmp_path: Any, pg: Any) -> None:
    bare, nodriver = Application("bare", tmp_path), Application("nodriver", tmp_path)
    missing = failed(bare.info(bare.project("linear", pg)), "alembic_missing")
    assert str(bare.python) in missing["msg"]
    result = failed(nodriver.upgrade(nodriver.project("linear", pg)), "driver_missing")
    assert "psycopg2" in result["msg"]
    failed(nodriver.info(nodriver.project("linear", pg, driver="asyncpg")), "driver_missing")


def test_connections_that_fail(app: Application, pg: Any, maria: Any, tmp_path: Any) -> None:
    wrong = app.project("linear")
    elsewhere = pg.url().replace(f":{pg.server.port}/", ":1/")
    cases = [
        (pg.url(password="wrong-password"), "authentication_failed"),
        (pg.url("psycopg", password="wrong-password"), "authentication_failed"),
        (pg.url().replace(pg.name, "no_such_database"), "connection_failed"),
        (elsewhere, "connection_failed"),
        (elsewhere.replace("psycopg2", "psycopg"), "connection_failed"),
        (elsewhere.replace("127.0.0.1", "no-such-host.invalid"), "connection_failed"),
        (maria.url(password="wrong-password"), "authentication_failed"),
        (maria.url().replace(f":{maria.server.port}/", ":1/"), "connection_failed"),
        (f"sqlite:///{tmp_path}/nowhere/data.db", "connection_failed"),
        ("postgresql+nonsense://a:b@localhost/c", "driver_missing"),
        ("not a url", "options_invalid"),
    ]
    for url, kind in cases:
        if "+psycopg:" in url and not app.knows("psycopg"):
            continue
        result = failed(app.upgrade(wrong, url=url), kind)
        assert "wrong-password" not in str(result)


def test_async_connections_that_fail(app: Application, pg: Any) -> None:
    project = app.project("async_env")
    failed(app.info(project, url=pg.url("asyncpg", password="wrong-password")), "authentication_failed")
    failed(app.info(project, url=pg.url("asyncpg").replace(pg.name, "no_such_database")), "connection_failed")
    failed(app.info(project, url=pg.url("asyncpg").replace(f":{pg.server.port}/", ":1/")), "connection_failed")


def test_insufficient_privilege(app: Application, pg: Any) -> None:
    pg.fetch("revoke create on schema public from public")
    pg.fetch("alter schema public owner to postgres")
    result = failed(app.upgrade(app.project("linear", pg)), "insufficient_privilege")
    assert result["state"] == "from_revision" and pg.tables() == []


def test_another_database_than_the_one_asked_for(app: Application, pg: Any, postgres: Any) -> None:
    """env.py takes its URL from the environment; a url parameter that it ignores must not be believed."""
    other = postgres.database()
    project = app.project("env_var_url")
    result = failed(app.upgrade(project, url=pg.url(), environment={"DATABASE_URL": other.url()}), "wrong_database")
    assert other.name in result["msg"] and other.tables() == [] and pg.tables() == []
    driver = "psycopg" if app.knows("psycopg") else "psycopg2"
    assert ok(app.upgrade(project, url=pg.url(), environment={"DATABASE_URL": pg.url(driver)}))["after"] == ["r005"]
    other.drop()


def test_a_driver_that_a_synchronous_env_cannot_use_and_no_parameter_replaces(app: Application, pg: Any) -> None:
    result = app.upgrade(app.project("env_var_url"), url=pg.url(), environment={"DATABASE_URL": pg.url("asyncpg")})
    assert result["failed"] and "MissingGreenlet" in result["msg"] and pg.tables() == []


def test_unknown_dialects_are_refused_or_unlocked(app: Application, sqlite: Any) -> None:
    """An in-memory SQLite database is nobody else's: there is nothing to lock."""
    project = app.project("linear", "sqlite://")
    result = app.upgrade(project)
    assert result.get("error_kind") in (None, "not_persisted", "verification_failed"), result
