# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The statements of a revision, taken from the migration's own connection; what each does, each kind of database says itself."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any, Callable, Iterable, Iterator

from .. import server
from ..failure import Failure
from ..redaction import cut
from .loops import Loops
from .pieces import COMMENTS, acts_outside, ends_transaction, is_control, is_of_the_server, split, undoes

__all__ = ["COMMENTS", "MANY_TIMES", "MAXIMUM_TEXT", "Watcher", "sets_of", "told"]

MAXIMUM_TEXT = 2000
#: How often the same statement is looked at in one step.
MANY_TIMES = 50
BESIDE = "{} is not for the copy alone, so it is not run in a rehearsal."
#: Drivers that hand a text of several statements to the server as it is.
_TAKE_SEVERAL = ("psycopg2", "psycopg")


class Watcher:
    """Watches the statements of one step.

    :param running: tells whether a revision is running right now.
    :param autocommit: tells whether it is inside an autocommit block.
    :param version_tables: names whose statements are Alembic's own.
    """

    def __init__(self, running: Callable[[], bool], autocommit: Callable[[], bool], version_tables: Iterable[str]) -> None:
        self.running, self.autocommit = running, autocommit
        self.began = running  # a revision has begun, so that what a transaction does may be of it, after its last statement too
        self.version_tables = sorted(set(version_tables))
        self.statements: list[dict[str, Any]] = []
        self.beside = False  # the copy is on the server of the real database
        self.outside: set[str] = set()  # texts that were seen to change what other databases have too
        self.strange: list[str] = []  # objects that a transaction changed or read which nobody looked at
        self.loops = Loops(told)
        self._open: dict[str, Any] | None = None
        self._reported: dict[str, Any] | None = None  # the latest report of the present transaction
        self._left = 0.0  # when the latest look ended

    def begin(self, before: Watcher | None) -> None:
        """Begin to watch; ``before`` watched the step before, if that was on the same connection with nothing in between."""

    def start(self, dbapi: Any, statement: str, parameters: Any, many: bool) -> dict[str, Any]:
        """Look before the statement runs; with ``instead``, that text is run in its place."""
        raise NotImplementedError

    def finish(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        """Look after it has run, and return what it did, as :func:`told` does."""
        raise NotImplementedError

    def broken(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        """Return what is known of a statement that failed; ``dbapi`` is None where the connection went as well."""
        return told(statement)

    def passed(self, statement: str) -> None:
        """Take note of a statement that is not looked at."""

    def ending(self, dbapi: Any, commits: bool) -> None:
        """Look at what a transaction did before it ends, whatever its statements were."""

    def _idled(self) -> None:
        """Count the time since the latest look, in which the revision was busy with something else than the database."""
        if self._reported is not None:
            self._reported["idle"] += _clock() - self._left

    def _leave_transaction(self) -> None:
        self._idled()
        self._reported = None

    def close(self) -> None:
        """Look at what the step did, when it has ended."""
        self._leave_transaction()
        self.statements += self.loops.reports()

    def is_outside(self, statement: str) -> bool:
        """Tell whether a statement is not for the copy alone."""
        return acts_outside(statement) or (self.beside and (is_of_the_server(statement) or statement in self.outside))

    def events(self) -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
        return [
            ("before_cursor_execute", self._before, {"retval": True}),
            ("after_cursor_execute", self._after, {}),
            ("handle_error", self._failed, {}),
            ("commit", self._commits_now, {}),
            ("rollback", self._rolls_back, {}),
        ]

    def _commits_now(self, conn: Any) -> None:
        if self.began() and self._open is None:
            self._ends(server.dbapi_of(conn.connection), True)

    def _rolls_back(self, conn: Any) -> None:
        if self.began() and self._open is None:
            self._ends(server.dbapi_of(conn.connection), False)

    def _ends(self, dbapi: Any, commits: bool) -> None:
        self._leave_transaction()
        self.ending(dbapi, commits)
        self.loops.end()

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
        if conn.dialect.name != "sqlite":  # an empty copy lacks the rows that the ORM has read and counts when it changes them
            conn.dialect.supports_sane_rowcount = conn.dialect.supports_sane_multi_rowcount = False
        if not self.running() or self._is_alembics(statement) or self._open is not None:
            return self._for_the_copy(statement), parameters
        dbapi = server.dbapi_of(conn.connection)
        *firsts, statement = self._pieces(conn.dialect.driver, statement, parameters, many)
        for piece in firsts:
            self._run(dbapi, piece, parameters)
        if self._is_passed(dbapi, statement):
            return statement, parameters
        return self._begun(dbapi, statement, parameters, many).get("instead") or statement, parameters

    def _for_the_copy(self, statement: str) -> str:
        """Return what may be run of a text that is not looked at."""
        pieces = split(statement)
        if not any(map(self.is_outside, pieces)):
            return statement
        return "; ".join(piece for piece in pieces if not self.is_outside(piece)) or "select 1"

    def _pieces(self, driver: str, statement: str, parameters: Any, many: bool) -> list[str]:
        named = not parameters or (isinstance(parameters, dict) and driver == "psycopg2")
        return split(statement) if driver in _TAKE_SEVERAL and named and not many else [statement]

    def _is_passed(self, dbapi: Any, statement: str) -> bool:
        """Tell whether a statement is not looked at; before the end of a transaction that is."""
        if not is_control(statement) or len(split(statement)) > 1:
            return False
        self.passed(statement)
        if ends_transaction(statement):
            self._ends(dbapi, not undoes(statement))
        return True

    def _begun(self, dbapi: Any, statement: str, parameters: Any, many: bool) -> dict[str, Any]:
        self._idled()
        with server.asking():
            seen = self.start(dbapi, statement, parameters, many)
        seen.update(started=_clock(), statement=statement, formatted=parameters is not None)
        self._open = seen
        return seen

    def _run(self, dbapi: Any, statement: str, parameters: Any) -> None:
        """Run one of the statements of a text, as the text would have."""
        if self.is_outside(statement):
            self._begun(dbapi, statement, parameters, False)
            self._done(dbapi)
            return
        cursor = dbapi.cursor()
        try:
            with self.raw(dbapi, statement, parameters, False), server.asking():
                cursor.execute(statement, parameters) if parameters is not None else cursor.execute(statement)
        finally:
            cursor.close()

    @contextlib.contextmanager
    def raw(self, dbapi: Any, statement: str, parameters: Any, many: bool) -> Iterator[None]:
        """Look around a statement that does not come by SQLAlchemy's events."""
        if self.is_outside(statement) and not self.running():
            raise Failure("rehearsal_impossible", BESIDE.format(statement[:100]))
        aside = not self.running() or self._open is not None or self._is_alembics(statement)
        if aside or self._is_passed(dbapi, statement):
            yield
            return
        if self._begun(dbapi, statement, parameters, many).get("left_out"):
            self._done(dbapi)
            raise Failure("rehearsal_impossible", BESIDE.format(statement[:100]))
        try:
            yield
        except Exception as exc:
            self._broke(dbapi, exc)
            raise
        self._done(dbapi)

    def _after(self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if self._open is not None:
            self._done(server.dbapi_of(conn.connection))

    def _done(self, dbapi: Any) -> None:
        seen, self._open = self._open, None
        if seen is not None:
            ran = _clock() - seen["started"]
            with server.asking():
                found = self.finish(dbapi, seen["statement"], seen)
            if found:
                self._reported = dict(_shown(found, seen), ran=ran)
                self.statements.append(self._reported)
            self._left = _clock()

    def _failed(self, context: Any) -> None:
        if self._open is not None:
            dbapi = server.dbapi_of(context.connection.connection) if context.connection is not None else None
            self._broke(dbapi, context.original_exception)

    def _broke(self, dbapi: Any, exc: Any) -> None:
        seen, self._open = self._open, None
        if seen is not None:
            with server.asking():
                found = self.broken(dbapi, seen["statement"], seen)
            self.statements.append(dict(_shown(found, seen), error=str(exc).strip().partition("\n")[0]))
            self._left = _clock()


def _clock() -> float:
    """Seconds, without those in which this thread could run and others had the processors: they are the machine's and not its own.

    Linux says how many (proc(5), schedstat); elsewhere they count.
    """
    try:
        with open("/proc/thread-self/schedstat", "rb") as file:
            waited = int(file.read().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        waited = 0.0
    return time.monotonic() - waited


def sets_of(parameters: Any, many: bool) -> list[Any]:
    """Return the parameters of each time that a statement runs; SQLAlchemy also calls "many" what it has made one statement of."""
    several = many and isinstance(parameters, (list, tuple)) and parameters and isinstance(parameters[0], (dict, list, tuple))
    return list(parameters) if several else [parameters]


def _shown(found: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """Show a text as it reaches the server: a driver that puts parameters into it makes one percent sign of two."""
    return dict(found, sql=found["sql"].replace("%%", "%")) if seen["formatted"] else found


def told(statement: str, **facts: Any) -> dict[str, Any]:
    """Return the report of one statement; tables are named by their OIDs, and only those that were there before count.

    ``scanned``, ``rewritten`` and ``written`` are read, built anew or changed all over, ``touched`` changed in some rows, ``read``
    has rows that Python or a function looks at, ``procedural_writes`` rows that a function changes. ``algorithm`` is what MySQL
    calls it, ``opaque`` code in the database that can not be followed, ``unseen`` what a transaction did and no statement says.
    ``affected`` is how many rows the real database would change, by all the ``times`` that it ran, ``answered`` a query that got
    the rows which it has there. ``vanished`` has the values that it leaves in no row of a column, and ``left`` in how
    many rows of a column it leaves NULL.
    ``ran`` is how many seconds the database was busy with it, and ``idle`` how many the revision was with other things after it,
    as :func:`_clock` counts them.
    ``left_out`` was not run, since it is not for the copy alone. ``transaction`` tells one from another; it is None where the
    statement is one by itself, or that is not known.
    """
    found = {
        "sql": cut(" ".join(statement.split()), MAXIMUM_TEXT),
        "transactional": True,
        "transaction": None,
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
        "affected": None,
        "times": 1,
        "vanished": [],
        "left": {},
        "ran": 0.0,
        "idle": 0.0,
        "answered": False,
        "unseen": False,
        "left_out": False,
        "error": None,
    }
    return dict(found, **facts)
