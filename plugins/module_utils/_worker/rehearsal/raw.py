# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Statements that go to the driver past SQLAlchemy: a cursor of psycopg's own, COPY, the helpers of psycopg2.extras.

psycopg2 and psycopg make their cursors from a class that a connection names. What still escapes (another driver, a class that the
project names, a pipeline) is seen at the end of the transaction by what it did.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import Any, Callable, Iterator

from .. import server
from .pieces import shape, split
from .watching import MANY_TIMES

#: The watcher of the step that runs now.
CURRENT: list[Any] = []


def watch(dbapi: Any, driver: str) -> None:
    """Let the cursors that this connection makes from now on tell what they run."""
    if driver == "psycopg2":
        from psycopg2.extensions import cursor

        dbapi.cursor_factory = _psycopg2(dbapi.cursor_factory or cursor)
    elif driver == "psycopg" and isinstance(getattr(dbapi, "cursor_factory", None), type):
        dbapi.cursor_factory = _psycopg(dbapi.cursor_factory)


def _text(cursor: Any, query: Any) -> str:
    if hasattr(query, "as_string"):
        query = query.as_string(cursor)
    return query.decode("utf-8", "replace") if isinstance(query, bytes) else str(query)


@contextlib.contextmanager
def _seen(cursor: Any, query: Any, parameters: Any, many: bool = False) -> Iterator[None]:
    watcher = CURRENT[-1] if CURRENT and not server.ASKING else None
    if watcher is None:
        yield
        return
    with watcher.raw(cursor.connection, _text(cursor, query), parameters, many):
        yield


def _pieces(cursor: Any, query: Any, parameters: Any) -> list[str]:
    """Return the statements of a text that psycopg2 hands to the server as it is, with their parameters in them."""
    text = _text(cursor, query)
    if not CURRENT or server.ASKING or len(split(text)) == 1:
        return [text]
    return split(_text(cursor, cursor.mogrify(query, parameters)) if parameters else text)


def _psycopg2(base: Any) -> Any:
    class Cursor(base):  # type: ignore[misc]
        def execute(self, query: Any, vars: Any = None) -> Any:  # pylint: disable=redefined-builtin  # as it is called
            pieces = _pieces(self, query, vars)
            if len(pieces) == 1:
                with _seen(self, query, vars):
                    return super().execute(query, vars)
            for _shape, same in itertools.groupby(pieces, shape):
                group = list(same)
                for piece in group[:MANY_TIMES]:
                    with _seen(self, piece, None):
                        super().execute(piece)
                if rest := group[MANY_TIMES:]:  # which nobody looks at any more, and which are counted
                    with _seen(self, rest[0], [()] * len(rest), True):
                        super().execute("; ".join(rest))
            return None

        def executemany(self, query: Any, vars_list: Any) -> Any:
            sets = list(vars_list)
            with _seen(self, query, sets or None, True):
                return super().executemany(query, sets)

        def callproc(self, procname: Any, *arguments: Any) -> Any:
            with _seen(self, f"SELECT * FROM {procname}(…)", None, True):
                return super().callproc(procname, *arguments)

        def copy_expert(self, sql: Any, file: Any, *arguments: Any, **keywords: Any) -> Any:
            with _seen(self, sql, None, True):
                return super().copy_expert(sql, file, *arguments, **keywords)

        def copy_from(self, file: Any, table: str, *arguments: Any, **keywords: Any) -> Any:
            with _seen(self, f"COPY {table} FROM STDIN", None, True):
                return super().copy_from(file, table, *arguments, **keywords)

        def copy_to(self, file: Any, table: str, *arguments: Any, **keywords: Any) -> Any:
            with _seen(self, f"COPY {table} TO STDOUT", None, True):
                return super().copy_to(file, table, *arguments, **keywords)

    return Cursor


def _psycopg(base: Any) -> Any:
    class Cursor(base):  # type: ignore[misc]
        def execute(self, query: Any, params: Any = None, **keywords: Any) -> Any:
            *firsts, last = [query] if params else _pieces(self, query, None)
            for piece in firsts:
                with _outside_pipeline(self, piece, None):
                    super().execute(piece, None, **keywords)
            last = last if firsts else query
            with _outside_pipeline(self, last, params):
                return super().execute(last, params, **keywords)

        def executemany(self, query: Any, params_seq: Any, **keywords: Any) -> Any:
            sets = list(params_seq)
            with _outside_pipeline(self, query, sets or None, True):
                return super().executemany(query, sets, **keywords)

        @contextlib.contextmanager
        def copy(self, statement: Any, *arguments: Any, **keywords: Any) -> Iterator[Any]:
            with _outside_pipeline(self, statement, None, True), super().copy(statement, *arguments, **keywords) as copy:
                yield copy

    return Cursor


def _outside_pipeline(cursor: Any, query: Any, parameters: Any, many: bool = False) -> Any:
    """In a pipeline nothing can be asked in between; what it did is seen when the transaction ends."""
    status: Callable[[], int] = lambda: int(cursor.connection.pgconn.pipeline_status)  # noqa: E731
    return contextlib.nullcontext() if server.first_of(status) else _seen(cursor, query, parameters, many)
