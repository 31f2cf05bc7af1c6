# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The copy of an SQLite file that is rehearsed on: whole, with its rows, in a private folder that is always removed again."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from typing import Any, Iterator

from .. import readonly
from ..failure import Failure
from .access import Access, Session, quoted
from .folder import Folder

#: How much room the copy takes: itself, the one that is downgraded, and a table that is copied in one of them.
TIMES = 3
BUSY_SECONDS = 30.0
_BUSY = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED: https://www.sqlite.org/rescode.html


class SqliteCopy:
    """The copies of one SQLite file; the same interface as :class:`.scratch.Scratch`."""

    renews = False
    place = "file"

    def __init__(self, access: Access, database: str, request: dict[str, Any]) -> None:
        self.access = self.here = access
        self.database = os.path.realpath(database)
        self.folder = Folder(*access.endpoint)
        self.name = self.copy = ""
        self.settings: dict[str, str] = {}
        self.missing: list[str] = []

    def create(self) -> None:
        """Make the copy; what earlier runs left behind is removed first."""
        self.prune()
        folder = self.folder.make()
        self._check_room(folder)
        self.name, self.copy = os.path.join(folder, "copy.sqlite"), os.path.join(folder, "back.sqlite")
        _backup(self.database, self.name)

    def _check_room(self, folder: str) -> None:
        size = sum(os.path.getsize(self.database + end) for end in ("", "-wal") if os.path.exists(self.database + end))
        free, home = shutil.disk_usage(folder).free, os.path.dirname(folder)
        if free < TIMES * size:
            raise Failure(
                "insufficient_space",
                f"The copies of {self.database} take {TIMES * size >> 20} MiB, and {home} has {free >> 20} MiB free.",
                "Name another folder in the environment variable TMPDIR.",
            )

    def fill(self, tables: list[tuple[str, str, list[str]]]) -> None:
        """The version tables came with the file."""

    def connect(self, name: str | None = None) -> Session:
        return self.access.connect(name or self.name, "rehearsal")

    def session(self) -> contextlib.AbstractContextManager[Session]:
        return self.connect().closing()

    def let_go(self) -> None:
        """Each connection is closed when it was used."""

    def sizes(self, original: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Count on the copy, so that the original is read only once: table → {rows, bytes}."""
        with self.connect().closing() as session:
            tables = [str(row[0]) for row in session.rows("select name from sqlite_master where type = 'table'")]
            rows = {name: int(session.value(f"select count(*) from {quoted(name)}")) for name in tables}
            try:
                found = session.rows(
                    "select tbl_name, sum(d.pgsize) from dbstat d join sqlite_master m on m.name = d.name group by 1"
                )
                size = {str(name): int(count) for name, count in found}
            except Exception:  # SQLite was built without dbstat: divide the file by the rows
                total = max(1, sum(rows.values()))
                size = {name: os.path.getsize(self.name) * count // total for name, count in rows.items()}
        return {name: {"rows": rows[name], "bytes": size.get(name, 0)} for name in tables}

    @contextlib.contextmanager
    def second(self) -> Iterator[str]:
        """Make a copy of the copy as it is now, for a way back, and remove it afterwards."""
        _backup(self.name, self.copy)
        try:
            yield self.copy
        finally:
            for end in ("", "-wal", "-shm", "-journal"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.copy + end)

    def prune(self, check: bool = False) -> list[str]:
        return self.folder.prune(check)

    def remove(self) -> None:
        self.folder.remove()


def _backup(source: str, target: str) -> None:
    """Copy a database, with what is in its WAL; one that is not there yet is as good as an empty one."""
    until = time.monotonic() + BUSY_SECONDS

    def progress(status: int, _left: int, _total: int) -> None:
        if status in _BUSY and time.monotonic() > until:
            raise Failure("database_busy", f"{source} is being written to for more than {BUSY_SECONDS:g} s.", "Try again later.")

    with contextlib.ExitStack() as stack:
        with readonly.writing():
            write = stack.enter_context(contextlib.closing(sqlite3.connect(target)))
        if os.path.exists(source):
            read = stack.enter_context(contextlib.closing(sqlite3.connect(source, timeout=BUSY_SECONDS)))
            read.backup(write, progress=progress)
