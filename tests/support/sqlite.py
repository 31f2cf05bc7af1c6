# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A SQLite file with the same small interface as the server databases."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Sequence


@dataclass(frozen=True)
class SqliteDatabase:
    path: Path
    dialect = "sqlite"

    @property
    def name(self) -> str:
        return str(self.path)

    def url(self, driver: str = "") -> str:
        return f"sqlite{'+' if driver else ''}{driver}:///{self.path}"

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return list(connection.execute(sql, tuple(parameters)))

    def tables(self) -> list[str]:
        return [row[0] for row in self.fetch("select name from sqlite_master where type = 'table' order by 1")]

    @contextlib.contextmanager
    def holding(self, *statements: str) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("begin")
            for statement in statements:
                connection.execute(statement)
            yield connection

    def dump(self) -> str:
        """Schema and rows as SQL; nothing for an empty file, which SQLite makes as soon as somebody looks, or none."""
        if not self.path.exists() or not self.path.stat().st_size:
            return ""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return "\n".join(connection.iterdump())

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
