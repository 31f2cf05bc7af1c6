# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""optuna, arize-phoenix, mlflow and jupyterhub, unmodified: to head, and at the revision that their own command line says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.sqlite import SqliteDatabase

from .known import JUPYTERHUB_INI, JUPYTERHUB_TABLES, MLFLOW_FIRST_TABLES, Project, package

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
PythonOf = Callable[[str], Path]


def optuna(python_of: PythonOf, tmp_path: Path, url: str) -> Project:
    """It makes the newest tables when a study is created, and migrates with a command of its own afterwards."""
    python = python_of("optuna")
    home = package(python, "optuna/storages/_rdb")
    own = (
        ("optuna", "create-study", "--skip-if-exists", "--study-name", "one", "--storage", url),
        ("optuna", "storage", "upgrade", "--storage", url),
    )
    return Project("optuna", python, home, home / "alembic.ini", {"url": url}, own)


def phoenix(python_of: PythonOf, tmp_path: Path, url: str) -> Project:
    """Its README says: alembic from src/phoenix/db, with the URL in the environment."""
    python = python_of("phoenix")
    home = package(python, "phoenix/db")
    environment = {"PHOENIX_SQL_DATABASE_URL": url, "DATABASE_URL": url, "PHOENIX_WORKING_DIR": str(tmp_path)}
    return Project("phoenix", python, home, home / "alembic.ini", {"environment": environment})


def mlflow(python_of: PythonOf, tmp_path: Path, url: str) -> Project:
    """Its first tables come from models, not from a revision."""
    python = python_of("mlflow")
    script = tmp_path / "first_tables.py"
    script.write_text(MLFLOW_FIRST_TABLES)
    given = {
        "url": url,
        "environment": {"DATABASE_URL": url},
        "initialise": "command",
        "initialise_command": ["python", str(script)],
    }
    home = package(python, "mlflow")
    return Project(
        "mlflow", python, home.parent, home / "store/db_migrations/alembic.ini", given, (("mlflow", "db", "upgrade", url),)
    )


def jupyterhub(python_of: PythonOf, tmp_path: Path, url: str) -> Project:
    """Its own code makes the tables and stamps them; its alembic.ini is a template that it fills in itself."""
    python = python_of("jupyterhub")
    script = tmp_path / "tables.py"
    script.write_text(JUPYTERHUB_TABLES)
    given = {
        "url": url,
        "environment": {"DATABASE_URL": url},
        "initialise": "command",
        "initialise_command": ["python", str(script)],
    }
    project = Project(
        "jupyterhub", python, tmp_path, tmp_path / "alembic.ini", given, (("jupyterhub", "upgrade-db", f"--db={url}"),)
    )
    project.command("python", "-c", JUPYTERHUB_INI)
    return project


@pytest.fixture(params=["pg", "sqlite"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """Two empty databases, one for us and one for the project's own command."""
    if request.param == "sqlite":
        yield SqliteDatabase(tmp_path / "ours.db"), SqliteDatabase(tmp_path / "theirs.db")
        return
    server = request.getfixturevalue("postgres")
    made = server.database(), server.database()
    yield made
    for database in made:
        database.drop()


def revision(database: Any) -> list[str]:
    return [row[0] for row in database.fetch("select version_num from alembic_version")]


def both(make: Callable[..., Project], python_of: PythonOf, tmp_path: Path, databases: tuple[Any, Any]) -> list[Project]:
    found = []
    for name, database in zip(("ours", "theirs"), databases, strict=True):
        folder = tmp_path / f"{name}-folder"
        folder.mkdir()
        url = database.url()
        found.append(make(python_of, folder, url.replace("+psycopg2", "") if make is phoenix else url))
    return found


@pytest.mark.parametrize("make", [optuna, phoenix, mlflow, jupyterhub], ids=lambda make: make.__name__)
def test_to_head(make: Callable[..., Project], python_of: PythonOf, tmp_path: Path, databases: tuple[Any, Any]) -> None:
    ours, theirs = both(make, python_of, tmp_path, databases)
    result = ours.run("upgrade")
    info = ours.run("info")
    assert result["changed"] and result["after"] == info["current"] == info["heads"] and info["status"] == "at_target"
    assert len(result["applied"]) >= {"optuna": 8, "phoenix": 30, "mlflow": 60, "jupyterhub": 0}[ours.name]
    ends_where_their_command_ends(ours, theirs, databases, result)


def test_a_database_of_an_older_jupyterhub(python_of: PythonOf, tmp_path: Path, databases: tuple[Any, Any]) -> None:
    """Made by release 3.1, migrated by release 6.1."""
    ours, theirs = both(jupyterhub, python_of, tmp_path, databases)
    for project in (ours, theirs):
        replace(project, python=python_of("jupyterhub-old")).command("python", "tables.py")
    assert ours.run("info")["status"] == "behind"
    result = ours.run("upgrade", initialise="refuse")
    assert result["changed"] and len(result["applied"]) > 2
    ends_where_their_command_ends(ours, theirs, databases, result)


def ends_where_their_command_ends(ours: Project, theirs: Project, databases: tuple[Any, Any], result: dict[str, Any]) -> None:
    assert revision(databases[0]) == result["after"]
    theirs.migrate_its_own_way()
    assert revision(databases[1]) == result["after"], "their own command line ends elsewhere"
    ours.migrate_its_own_way()
    assert revision(databases[0]) == result["after"], "their own command line did something more"
    assert not ours.run("upgrade")["changed"]
