# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's modules and the plain command line, both in one application environment, as tests call them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from . import runner, venvs
from .projects import Project, build


class Application:
    """An environment of tests/requirements/app-<name>.txt, and a folder for its projects.

    Each operation returns the module's result as it is, failures included. `check`, `diff` and `variables` (of the
    module's own process) are options of the run; all others are parameters of the module.
    """

    def __init__(self, name: str, folder: Path, version: str | None = None):
        self.name, self.folder = name, folder
        self.python = venvs.application(name, version)

    def project(self, name: str, database: Any = None, driver: str | None = None, **options: Any) -> Project:
        """A copy of that fixture, its ini pointed at `database` (an object of support, or a URL)."""
        self.needs(driver)
        url = database if database is None or isinstance(database, str) else database.url(**({"driver": driver} if driver else {}))
        number = len(list(self.folder.glob(f"{name}-*"))) + 1
        return build(name, self.folder / f"{name}-{number}", url, **options)

    def knows(self, driver: str | None) -> bool:
        """SQLAlchemy 1.4, which the oldest Alembic is tested with, has no dialect for psycopg 3."""
        return not (driver == "psycopg" and self.name == "alembic18")

    def needs(self, driver: str | None) -> None:
        if not self.knows(driver):
            pytest.skip(f"SQLAlchemy 1.4 knows no {driver}")

    def start(
        self, operation: str, project: Project, check: bool = False, diff: bool = False, variables: Any = None, **parameters: Any
    ) -> runner.Run:
        given = {"python": str(self.python), **project.parameters(**parameters)}
        given = {name: value for name, value in given.items() if value is not None}
        return runner.Run(f"alembic_{operation}", given, check, diff, variables)

    def run(self, operation: str, project: Project, **parameters: Any) -> dict[str, Any]:
        return self.start(operation, project, **parameters).result()

    def info(self, project: Project, **parameters: Any) -> dict[str, Any]:
        return self.run("info", project, **parameters)

    def upgrade(self, project: Project, revision: str = "head", **parameters: Any) -> dict[str, Any]:
        return self.run("upgrade", project, revision=revision, **parameters)

    def downgrade(self, project: Project, revision: str, **parameters: Any) -> dict[str, Any]:
        return self.run("downgrade", project, revision=revision, **parameters)

    def stamp(self, project: Project, revision: str, **parameters: Any) -> dict[str, Any]:
        return self.run("stamp", project, revision=revision, **parameters)

    def cli(self, project: Project, *arguments: str, **options: Any) -> Any:
        return runner.cli(project, *arguments, python=self.python, **options)


def ok(result: dict[str, Any]) -> dict[str, Any]:
    """The result, if the module did not fail."""
    assert not result.get("failed"), describe(result)
    return result


def failed(result: dict[str, Any], kind: str) -> dict[str, Any]:
    """The result, if the module failed in this way and explained itself."""
    assert result.get("failed") and result.get("error_kind") == kind, describe(result)
    assert result["msg"].strip(), "a failure without a message"
    return result


def describe(result: dict[str, Any]) -> str:
    shown = ("error_kind", "msg", "hint", "changed", "before", "after", "state", "failed", "exception", "output", "warnings")
    return "\n".join(f"{key}: {str(result[key])[:1500]}" for key in shown if key in result)


def revisions(steps: list[dict[str, Any]]) -> list[str]:
    return [step["revision"] if isinstance(step, dict) else step for step in steps]


def journal(database: Any) -> list[str]:
    """What revisions wrote to the table journal; a revision that ran twice is there twice."""
    return sorted(row[0] for row in database.fetch("select revision from journal"))
