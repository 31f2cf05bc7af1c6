# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many schemas of 20 tables with one pending revision: alembic_fleet beside a loop of the plain command line."""

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
from support.postgres import Postgres, PostgresDatabase
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
    """A database with that many schemas at the first revision."""

    def __init__(self, server: Postgres, folder: Path, count: int):
        self.app, self.database = Application("alembic120", folder), server.database()
        self.project = _project(self.app)
        self.names = schemas(self.database, count)
        targets = [{"name": name, "schema": name} for name in self.names]
        given: dict[str, Any] = {"url": self.database.url(), "url_x_argument": "url", "schema_x_argument": "tenant"}
        self.fleet = Fleet(self.app, self.project, targets, folder, parallel=PARALLEL, **given)
        ok(self.fleet.run(revision="f001"))

    def by_command_line(self, *words: str) -> subprocess.Popen[bytes]:
        """One process for each schema, as many at a time as we have."""
        command = cli_command(self.app.python, "-x", f"url={self.database.url()}", "-x", "tenant={}", *words)
        loop = ["xargs", "-P", str(PARALLEL), "-I", "{}", *command]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(loop, stdin=subprocess.PIPE, cwd=self.project.folder, env=clean(), **quiet)  # type: ignore[call-overload]
        process.stdin.write("\n".join(self.names).encode())
        process.stdin.close()
        return process  # type: ignore[no-any-return]

    def at(self) -> set[str]:
        parts = [f"select version_num from {name}.alembic_version" for name in self.names]
        return {row[0] for row in self.database.fetch(" union all ".join(parts))}


def measure(server: Postgres, counts: tuple[int, ...]) -> None:
    head = ("", "schemas", "seconds", "of the loop", "CPU of each", "memory at most")
    rows = [row for count in counts for row in _compared(server, count)]
    table.show(f"{TABLES} tables, one pending revision, {PARALLEL} at a time", [head, *rows])


def _compared(server: Postgres, count: int) -> list[tuple[object, ...]]:
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as one, tempfile.TemporaryDirectory(prefix="dbops-bench-") as two:
        loop, ours = Subject(server, Path(one), count), Subject(server, Path(two), count)
        rows = _pair("upgrade head", count, lambda: loop.by_command_line("upgrade", "head"), lambda: ours.fleet.start())
        assert loop.at() == ours.at() == {"f002"}
        rows += _pair("current", count, lambda: loop.by_command_line("current"), lambda: ours.fleet.start("current"))
    for subject in (loop, ours):
        _drop(subject.database, subject.names)
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


def _drop(database: PostgresDatabase, names: list[str]) -> None:
    for name in names:  # one by one: all of them at once take more locks than a server has room for
        database.fetch(f"drop schema {name} cascade")
    database.drop()
