# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many schemas or databases of 20 tables with one pending revision: alembic_fleet beside a loop of the plain command line."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.application import Application, ok
from support.fleet import Fleet, schemas
from support.postgres import Postgres
from support.projects import Project
from support.runner import clean, cli_command, process_tree

from . import table

PARALLEL = 4
TABLES = 20
FIRST = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "f001", None


def upgrade():
    for number in range({tables}):
        op.create_table(f"part_{{number}}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50)))
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "f002", "f001"


def upgrade():
    op.add_column("part_0", sa.Column("total", sa.Integer))
"""


class Subject:
    """That many schemas of one database, or as many databases, at the first revision."""

    def __init__(self, server: Postgres, folder: Path, count: int, kind: str):
        self.app = Application("alembic120", folder)
        self.project = _project(self.app)
        self.databases = [server.database() for _ in range(count if kind == "databases" else 1)]
        names = schemas(self.databases[0], count) if kind == "schemas" else ["public"] * count
        self.places = [(self.databases[min(number, len(self.databases) - 1)], name) for number, name in enumerate(names)]
        targets = [
            {"name": str(number), "url": database.url(), "schema": name} for number, (database, name) in enumerate(self.places)
        ]
        given: dict[str, Any] = {"url_x_argument": "url", "schema_x_argument": "tenant"}
        self.fleet = Fleet(self.app, self.project, targets, folder, parallel=PARALLEL, **given)
        ok(self.fleet.run(revision="f001"))

    def by_command_line(self, *words: str) -> subprocess.Popen[bytes]:
        """One process for each, as many at a time as we have."""
        alembic = " ".join(cli_command(self.app.python, "-x", '"url=$0"', "-x", '"tenant=$1"', *words))
        loop = ["xargs", "-P", str(PARALLEL), "-n", "2", "sh", "-c", f"exec {alembic}"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(loop, stdin=subprocess.PIPE, cwd=self.project.folder, env=clean(), **quiet)  # type: ignore[call-overload]
        process.stdin.write("\n".join(f"{database.url()} {name}" for database, name in self.places).encode())
        process.stdin.close()
        return process  # type: ignore[no-any-return]

    def at(self) -> set[str]:
        found = [database.fetch(f"select version_num from {name}.alembic_version") for database, name in self.places]
        return {row[0] for rows in found for row in rows}

    def drop(self) -> None:
        for database, name in (
            self.places if len(self.databases) == 1 else ()
        ):  # one by one: all take more locks than there is room for
            database.fetch(f"drop schema {name} cascade")
        for database in self.databases:
            database.drop()


def measure(server: Postgres, kind: str, counts: tuple[int, ...]) -> None:
    """:param kind: ``schemas`` or ``databases``."""
    head = ("", kind, "seconds", "of the loop", "CPU of each", "memory at most")
    rows = [row for count in counts for row in _compared(server, kind, count)]
    table.show(f"{TABLES} tables, one pending revision, {PARALLEL} at a time", [head, *rows])


def _compared(server: Postgres, kind: str, count: int) -> list[tuple[object, ...]]:
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as one, tempfile.TemporaryDirectory(prefix="dbops-bench-") as two:
        loop, ours = Subject(server, Path(one), count, kind), Subject(server, Path(two), count, kind)
        rows = _pair("upgrade head", count, lambda: loop.by_command_line("upgrade", "head"), lambda: ours.fleet.start())
        assert loop.at() == ours.at() == {"f002"}
        rows += _pair("current", count, lambda: loop.by_command_line("current"), lambda: ours.fleet.start("current"))
    for subject in (loop, ours):
        subject.drop()
    return rows


def _pair(words: str, count: int, loop: Callable[[], Any], ours: Callable[[], Any]) -> list[tuple[object, ...]]:
    yardstick, used, memory = _timed(loop, lambda process: process.wait() == 0)
    found, own, most = _timed(ours, lambda run: not run.result(3600).get("failed"))
    names = (f"xargs -P {PARALLEL} alembic {words}", f"alembic_fleet, {words}")
    return [
        (names[0], str(count), f"{yardstick:.1f}", "1.00", f"{1000 * used / count:.0f} ms", f"{memory} MiB"),
        (names[1], str(count), f"{found:.1f}", f"{found / yardstick:.2f}", f"{1000 * own / count:.0f} ms", f"{most} MiB"),
    ]


def _timed(start: Callable[[], Any], ends_well: Callable[[Any], bool]) -> tuple[float, float, int]:
    """Seconds, those of CPU without the server's, and the MiB that its processes had at a time, what they share counted once."""
    began, used = time.perf_counter(), _used()
    subject = start()
    over, most = threading.Event(), [0]

    def watch() -> None:
        while not over.wait(0.2):
            most[0] = max(most[0], sum(_kibibytes(pid) for pid in process_tree(getattr(subject, "process", subject).pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    well = ends_well(subject)
    seconds = time.perf_counter() - began
    over.set()
    watcher.join()
    assert well, "it failed"
    return seconds, _used() - used, most[0] // 1024


def _used() -> float:
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def _kibibytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _project(app: Application) -> Project:
    project = app.project("x_args")
    for path in project.versions().glob("*.py"):
        path.unlink()
    (project.versions() / "f001.py").write_text(FIRST.format(tables=TABLES))
    (project.versions() / "f002.py").write_text(SECOND)
    return project
