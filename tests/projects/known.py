# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects from PyPI that nobody here wrote, and how each wants to be driven. Nothing of theirs is changed."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.application import ok
from support.runner import Run

MLFLOW_FIRST_TABLES = """
import os
from sqlalchemy import create_engine
from mlflow.store.tracking.dbmodels.initial_models import Base
Base.metadata.create_all(create_engine(os.environ["DATABASE_URL"]))
"""
JUPYTERHUB_TABLES = """
import os
from jupyterhub import orm
orm.new_session_factory(os.environ["DATABASE_URL"])
"""
JUPYTERHUB_INI = """
import os
from jupyterhub.dbutil import write_alembic_ini
write_alembic_ini("alembic.ini", os.environ["DATABASE_URL"])
"""


@dataclass(frozen=True)
class Project:
    """One project in its environment, pointed at one database.

    :param folder: where it works; `config` is its ini.
    :param given: the module's parameters that hand over the URL, and what initialises an empty database.
    :param own: its own commands that bring a database to head, if it has others than alembic's.
    """

    name: str
    python: Path
    folder: Path
    config: Path
    given: dict[str, Any]
    own: tuple[tuple[str, ...], ...] = ()

    def run(self, operation: str, **parameters: Any) -> dict[str, Any]:
        given = {key: value for key, value in self.given.items() if operation == "upgrade" or not key.startswith("initialise")}
        options = {"python": str(self.python), "chdir": str(self.folder), "config": str(self.config), **given, **parameters}
        return ok(Run(f"alembic_{operation}", options).result(900))

    def command(self, *command: str) -> str:
        """Run a command of the project's in its environment; its output."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        path = os.pathsep.join([str(self.python.parent), os.environ["PATH"]])
        variables = {**own, "PATH": path, **self.given.get("environment", {})}
        done = subprocess.run(command, cwd=self.folder, env=variables, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def migrate_its_own_way(self) -> None:
        for command in self.own or (("alembic", "-c", str(self.config), "upgrade", "head"),):
            self.command(*command)


def package(python: Path, name: str) -> Path:
    return next(python.parents[1].glob(f"lib/python*/site-packages/{name}"))
