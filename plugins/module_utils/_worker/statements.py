# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the migration's engines do, seen through SQLAlchemy's class-level events: statements, commits, time limits.

The events reach every engine that env.py makes or imports, synchronous or async, and no class is patched.
"""

from __future__ import annotations

from typing import Any, Callable

from .redaction import cut
from .server import MYSQL, dbapi_of, in_transaction, value

MAXIMUM_TEXT = 4000
MAXIMUM_STATEMENTS = 1000
#: MySQL manual, "Statements That Cause an Implicit Commit": the commit comes before the statement.
_IMPLICIT_COMMIT = ("CREATE", "ALTER", "DROP", "RENAME", "TRUNCATE", "GRANT", "REVOKE", "ANALYZE", "LOCK")
_READING = ("SELECT", "SHOW", "PRAGMA", "EXPLAIN", "WITH")


class Statements:
    """Records the statements of the running revision, and which of them a failure can no longer undo.

    :param send: tells the supervisor, so that it still knows when this process dies.
    :param limits: ``lock`` and ``statement`` in seconds; 0 is none.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], limits: dict[str, float], writing: bool) -> None:
        self.send, self.limits, self.writing = send, limits, writing
        self.running = False  # a revision is
        self.autocommit = False  # inside an autocommit_block
        self.dialect = ""
        self.executed = 0  # statements of whatever connection
        self._count = 0
        self._uncommitted = 0
        self._held = False  # revisions before the running one are in its transaction
        self._committing = False
        self._awaited: dict[int, bool] = {}  # connections that env.py still sets up → a transaction on it has no limits yet

    def start(self, dialect: str, held: bool = False) -> None:
        """A revision begins; ``held``: in the transaction of those before it."""
        self.dialect, self.running, self._count, self._uncommitted, self._committing = dialect, True, 0, 0, False
        self._held = held

    def stop(self) -> None:
        self.running = self.autocommit = False

    def committed(self) -> None:
        """All that was done so far, by the running revision and those that it shares a transaction with, is there for good."""
        self._committing = False
        if self.running and (self._uncommitted or self._held):
            self.send({"event": "committed", "running": bool(self._uncommitted)})
            self._uncommitted, self._held = 0, False

    def await_setup(self, dbapi: Any) -> None:
        """env.py goes on with this connection: limits come with its first statement, so that an untouched transaction shows."""
        self._awaited[id(dbapi)] = False

    def set_up(self, dbapi: Any) -> bool:
        """env.py is done; return whether a transaction has begun on the connection that still has no limits."""
        return self._awaited.pop(id(dbapi), False)

    def events(self) -> list[tuple[str, Callable[..., Any]]]:
        found: list[tuple[str, Callable[..., Any]]] = [
            ("before_cursor_execute", self._before),
            ("after_cursor_execute", self._after),
            ("commit", self._commit),
        ]
        return [*found, ("begin", self._begin)] if self.writing else found

    def _before(self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if self._awaited and self._awaited.get(id(dbapi_of(conn.connection))):
            self._awaited[id(dbapi_of(conn.connection))] = False
            self.limit(conn)
        self.executed += 1
        if not self.running:
            return
        if self._committing:
            self.committed()
        if statement.lstrip()[:7].upper().startswith(_READING):
            return
        if self.dialect in MYSQL and statement.lstrip()[:8].upper().startswith(_IMPLICIT_COMMIT):
            self.committed()  # the server commits what came before it even when it fails
        self._count += 1
        self._uncommitted += 1
        if self._count <= MAXIMUM_STATEMENTS:
            self.send({"event": "statement", "sql": cut(statement.strip(), MAXIMUM_TEXT)})
        if self.autocommit:
            self.committed()  # before it runs: a CONCURRENTLY that fails leaves an invalid index behind

    def _after(self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if self.running and self._uncommitted:
            open_now = in_transaction(dbapi_of(conn.connection))
            if open_now is False or (open_now is None and self.dialect != "postgresql"):
                self.committed()

    def _commit(self, conn: Any) -> None:
        self._committing = True  # the event comes before the COMMIT, which can fail: the next event tells

    def _begin(self, conn: Any) -> None:
        if self._committing:
            self.committed()
        if self._awaited and id(dbapi_of(conn.connection)) in self._awaited:
            self._awaited[id(dbapi_of(conn.connection))] = True
        else:
            self.limit(conn)

    def limit(self, conn: Any) -> None:
        """Set the limits of the transaction that has begun on ``conn``."""
        if conn.dialect.name == "postgresql" and not self.autocommit:
            settings = [f"set local {name} = '{round(seconds * 1000)}ms'" for name, seconds in _postgres_settings(self.limits)]
            if settings:
                value(dbapi_of(conn.connection), "; ".join(settings)) if conn.dialect.driver == "psycopg2" else _each(
                    dbapi_of(conn.connection), settings
                )


def _each(dbapi: Any, statements: list[str]) -> None:
    for statement in statements:  # the extended protocol takes one statement at a time
        value(dbapi, statement)


def _postgres_settings(limits: dict[str, float]) -> list[tuple[str, float]]:
    wanted = [("lock_timeout", limits.get("lock") or 0), ("statement_timeout", limits.get("statement") or 0)]
    return [(name, seconds) for name, seconds in wanted if seconds > 0]


def limit_session(dialect: str, dbapi: Any, limits: dict[str, float]) -> str | None:
    """Set the limits that only a session has (MySQL, MariaDB, SQLite); return a warning for one that can't be set."""
    lock, statement = limits.get("lock") or 0, limits.get("statement") or 0
    if dialect == "sqlite" and lock:
        value(dbapi, f"PRAGMA busy_timeout = {round(lock * 1000)}")
    if dialect not in MYSQL:
        return f"statement_timeout has no effect on {dialect}." if statement and dialect != "postgresql" else None
    if lock:
        seconds = max(1, round(lock))
        value(dbapi, f"set session lock_wait_timeout = {int(seconds)}, innodb_lock_wait_timeout = {int(seconds)}")
    if statement and "mariadb" in str(value(dbapi, "select version()")).lower():
        value(dbapi, f"set session max_statement_time = {statement}")
    elif statement:
        return "statement_timeout has no effect on MySQL, which limits only SELECT."
    return None


def unlimited(dialect: str, dbapi: Any) -> list[str]:
    """Lift the session's own limits for an autocommit block; return the statements that put them back.

    A CREATE INDEX CONCURRENTLY that runs into one leaves an invalid index behind.
    """
    if dialect != "postgresql":
        return []
    back = []
    for name in ("lock_timeout", "statement_timeout"):
        setting = str(value(dbapi, f"select current_setting('{name}')"))
        if setting != "0":
            value(dbapi, f"set {name} = 0")
            back.append(f"set {name} = '{setting}'")
    return back
