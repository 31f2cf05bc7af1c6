# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Eight at once: the plain command line's failures beside ours."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from support.application import Application, journal
from support.postgres import Postgres, PostgresDatabase
from support.projects import Project
from support.runner import cli_command

from . import table

RUNNERS = 8
#: Each revision writes its name and takes half a second, since one that is over at once meets nobody.
REVISION = """
from alembic import op

revision = "{name}"
down_revision = {down!r}


def upgrade():
{body}


def downgrade():
    op.execute("DELETE FROM journal WHERE revision = '{name}'")
"""
STATEMENTS = (
    "CREATE TABLE IF NOT EXISTS journal (revision VARCHAR(40))",
    "INSERT INTO journal (revision) VALUES ('{name}')",
    "SELECT pg_sleep(0.5)",
)
NAMES = ("w001", "w002", "w003")

Race = Callable[[Application, Project], "list[bool]"]


def by_command_line(app: Application, project: Project) -> list[bool]:
    """Which of the processes ended well."""
    command = cli_command(app.python, "upgrade", "head")
    started = [
        subprocess.Popen(command, cwd=project.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(RUNNERS)
    ]
    return [process.wait() == 0 for process in started]


def by_module(app: Application, project: Project) -> list[bool]:
    started = [app.start("upgrade", project, revision="head") for _ in range(RUNNERS)]
    return [not run.result().get("failed") for run in started]


def measure(server: Postgres, rounds: int) -> None:
    rows: list[tuple[object, ...]] = [("", "by", "failed", "revisions written twice", "at head")]
    for kind in ("plain", "autocommit"):
        for start in (None, NAMES[0]):
            for how, race in (("alembic upgrade head", by_command_line), ("alembic_upgrade", by_module)):
                title = f"{kind} migrations, {'two pending' if start else 'empty database'}"
                rows.append((title, how, *_rounds(server, kind, start, race, rounds)))
    table.show(f"{RUNNERS} upgrades of one database at once, sum of {rounds} rounds", rows)


def _project(app: Application, database: PostgresDatabase, kind: str) -> Project:
    project = app.project("linear", database)
    shutil.rmtree(project.versions())
    project.versions().mkdir()
    for number, name in enumerate(NAMES):
        lines = [f'    op.execute("{statement.format(name=name)}")' for statement in STATEMENTS]
        if kind == "autocommit":
            lines = ["    with op.get_context().autocommit_block():", *("    " + line for line in lines)]
        down = NAMES[number - 1] if number else None
        (project.versions() / f"{name}.py").write_text(REVISION.format(name=name, down=down, body="\n".join(lines)))
    return project


def _rounds(server: Postgres, kind: str, start: str | None, race: Race, rounds: int) -> tuple[str, str, str]:
    failed = twice = arrived = 0
    for _ in range(rounds):
        database = server.database()
        with tempfile.TemporaryDirectory(prefix="dbops-bench-") as folder:
            app = Application("alembic120", Path(folder))
            project = _project(app, database, kind)
            if start:
                assert app.cli(project, "upgrade", start).returncode == 0
            failed += race(app, project).count(False)
            twice += sum(count - 1 for count in Counter(journal(database)).values())
            arrived += database.fetch("select version_num from alembic_version") == [(NAMES[-1],)]
        database.drop()
    return f"{failed} of {rounds * RUNNERS}", str(twice), f"{arrived} of {rounds}"
