# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The statements of a revision, taken from the migration's own connection; what each does, each kind of database says itself."""

from __future__ import annotations

import re
import time
from typing import Any, Callable, Iterable

from .. import server
from ..redaction import cut

MAXIMUM_TEXT = 2000
COMMENTS = re.compile(r"^\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*", re.S)
_TRANSACTION = re.compile(
    r"^\s*(?:BEGIN|START\s+TRANSACTION|COMMIT|ROLLBACK|END|SAVEPOINT|RELEASE|SET|SHOW|RESET|PREPARE|DEALLOCATE|PRAGMA)\b", re.I
)


class Watcher:
    """Watches the statements of one step.

    :param running: tells whether a revision is running right now.
    :param autocommit: tells whether it is inside an autocommit block.
    :param version_tables: names whose statements are Alembic's own.
    """

    def __init__(self, running: Callable[[], bool], autocommit: Callable[[], bool], version_tables: Iterable[str]) -> None:
        self.running, self.autocommit = running, autocommit
        self.version_tables = sorted(set(version_tables))
        self.statements: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None

    def start(self, dbapi: Any, statement: str, parameters: Any, many: bool) -> dict[str, Any]:
        """Look before the statement runs; with ``instead``, that text is run in its place."""
        raise NotImplementedError

    def finish(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        """Look after it has run, and return what it did, as :func:`told` does."""
        raise NotImplementedError

    def broken(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of a statement that failed; ``dbapi`` is None where the connection went as well."""
        return told(statement, seen["started"])

    def events(self) -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
        return [
            ("before_cursor_execute", self._before, {"retval": True}),
            ("after_cursor_execute", self._after, {}),
            ("handle_error", self._failed, {}),
        ]

    def _is_alembics(self, statement: str) -> bool:
        names = "|".join(re.escape(name) for name in self.version_tables)
        return bool(
            re.match(
                rf"\s*(?:INSERT INTO|UPDATE|DELETE FROM|SELECT\b.*\bFROM|CREATE TABLE|DROP TABLE)\b[^(]*\b(?:{names})\b",
                statement,
                re.I | re.S,
            )
        )

    def _before(self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> tuple[str, Any]:
        if not self.running() or self._is_alembics(statement) or self._open is not None:
            return statement, parameters
        if _TRANSACTION.match(COMMENTS.sub("", statement)):
            return statement, parameters
        seen = self.start(server.dbapi_of(conn.connection), statement, parameters, many)
        seen.update(started=time.monotonic(), statement=statement)
        self._open = seen
        return seen.get("instead") or statement, parameters

    def _after(self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        seen, self._open = self._open, None
        if seen is not None:
            self.statements.append(self.finish(server.dbapi_of(conn.connection), seen["statement"], seen))

    def _failed(self, context: Any) -> None:
        seen, self._open = self._open, None
        if seen is None:
            return
        dbapi = server.dbapi_of(context.connection.connection) if context.connection is not None else None
        found = self.broken(dbapi, seen["statement"], seen)
        self.statements.append(dict(found, error=str(context.original_exception).strip().partition("\n")[0]))


def told(statement: str, started: float, **facts: Any) -> dict[str, Any]:
    """Return the report of one statement; tables are named by their OIDs, and only those that were there before count.

    ``scanned``, ``rewritten`` and ``written`` are read, built anew or changed all over, ``touched`` changed in some rows, ``read``
    has rows that Python or a function looks at, ``procedural_writes`` rows that a function changes. ``algorithm`` is what MySQL
    calls it, ``opaque`` code in the database that can not be followed.
    """
    found = {
        "sql": cut(" ".join(statement.split()), MAXIMUM_TEXT),
        "seconds": round(time.monotonic() - started, 3),
        "transactional": True,
        "autocommit": False,
        "locks": {},
        "scanned": [],
        "rewritten": [],
        "truncated": False,
        "written": [],
        "touched": [],
        "writes": None,
        "unfiltered": False,
        "read": [],
        "procedural_writes": [],
        "algorithm": None,
        "opaque": False,
        "error": None,
    }
    return dict(found, **facts)
