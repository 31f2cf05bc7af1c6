# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many databases as tests make them, and the module that works on them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Sequence

from . import guide
from .application import Application
from .paths import ROOT
from .postgres import Postgres, PostgresDatabase
from .projects import Project
from .runner import Run

Target = dict[str, Any]
GUIDE = ROOT / "docs" / "docsite" / "rst" / "guide_many_databases.rst"


def of_guide(text: str) -> str:
    """Return the piece of YAML of the guide on many databases that has ``text`` in it."""
    return next(body for language, body in guide.blocks(GUIDE.read_text()) if language == "yaml" and text in body)


class Fleet:
    """The module alembic_fleet on a project; ``home`` is where its jobs are."""

    def __init__(self, app: Application, project: Project, targets: Sequence[Target] | None, home: Path, **parameters: Any):
        self.app, self.project, self.targets, self.home, self.parameters = app, project, list(targets or ()), home, parameters

    def start(self, state: str = "upgraded", check: bool = False, diff: bool = False, **more: Any) -> Run:
        common = {"python": str(self.app.python), **self.project.parameters(), "state": state}
        if self.targets:
            common["targets"] = self.targets
        variables = {"HOME": str(self.home), "XDG_STATE_HOME": str(self.home)}
        return Run("alembic_fleet", {**common, **self.parameters, **more}, check, diff, variables)

    def run(self, state: str = "upgraded", **more: Any) -> dict[str, Any]:
        return self.start(state, **more).result()


def schemas(database: PostgresDatabase, count: int) -> list[str]:
    """Make empty schemas that the application owns."""
    names = [f"tenant_{number:02}" for number in range(count)]
    for name in names:
        database.fetch(f"create schema {name} authorization {database.role}")
    return names


@contextlib.contextmanager
def databases(server: Postgres, count: int) -> Iterator[list[PostgresDatabase]]:
    made = [server.database() for _ in range(count)]
    yield made
    for database in made:
        database.drop()


def outcomes(result: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["outcome"] for entry in result["targets"]}


def entry(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in result["targets"] if item["name"] == name)


class Watch:
    """Counts, while it is open, how many sessions of a role there are at most."""

    def __init__(self, server: Postgres, role: str):
        self.server, self.role, self.most = server, role, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        with contextlib.closing(self.server.connect()) as connection, connection.cursor() as cursor:
            while not self.over.is_set():
                cursor.execute("select count(*) from pg_stat_activity where usename = %s", [self.role])
                self.most = max(self.most, cursor.fetchone()[0])
                time.sleep(0.01)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()
