# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A statement is tried on a copy, and the rows that it points to are lent to it, until it finds them or nobody has them."""

from __future__ import annotations

import re
from typing import Any, Sequence

from .. import server
from . import parents
from .access import Session
from .watching import COMMENTS

#: What may write a row that points to another one; rows that are made up in numbers are many, and not tried often.
_ADDS = re.compile(r"\s*(?:INSERT\s+INTO\b|UPDATE\b)", re.I)
_MADE_UP = re.compile(r"\bgenerate_series\b", re.I)
#: So many rows are brought one by one, and then many at once so often, or it is left to fail.
_SINGLE, _MANY = 3, 20


def bring(dbapi: Any, statement: str, sets: Sequence[Any], real: Any, session: Session) -> tuple[bool, bool]:
    """Bring the rows that a statement points to.

    :param sets: the parameters of each time that it runs.
    :param session: a connection of ours to the copy, which writes them if it can.
    :returns: whether rows were brought, and whether the revision's own connection wrote some.
    """
    if not _ADDS.match(COMMENTS.sub("", statement)):
        return False, False
    brought, own, made_up = False, False, bool(_MADE_UP.search(statement))

    def lend(sql: str) -> list[tuple[Any, ...]]:
        nonlocal own
        found = _write(dbapi, sql)
        own = True
        return found

    for tried in range(_SINGLE if made_up else 0, _SINGLE + (_SINGLE if made_up else _MANY)):
        error = _tried(dbapi, statement, sets)
        if error is None or not parents.is_missing(error):
            break
        with session.hurrying():  # a table may be locked by the revision itself
            found = parents.bring(lambda sql: server.rows(dbapi, sql), real, error, (session.rows, lend), tried >= _SINGLE)
        if not found:
            break
        brought = True
    return brought, own


def _write(dbapi: Any, sql: str) -> list[tuple[Any, ...]]:
    """Write a row by the revision's own connection, which may be the only one that can."""
    server.value(dbapi, "savepoint dbops_lend")
    try:
        found = server.rows(dbapi, sql)
    except Exception:
        server.value(dbapi, "rollback to savepoint dbops_lend")
        raise
    server.value(dbapi, "release savepoint dbops_lend")
    return found


def _tried(dbapi: Any, statement: str, sets: Sequence[Any]) -> BaseException | None:
    """Return what a statement fails with; what it does is undone."""
    cursor, error = dbapi.cursor(), None
    server.value(dbapi, "savepoint dbops_try")
    try:
        for one in sets:
            cursor.execute(statement, one) if one is not None else cursor.execute(statement)
    except Exception as exc:
        error = exc
    finally:
        server.value(dbapi, "rollback to savepoint dbops_try")
        server.value(dbapi, "release savepoint dbops_try")
        cursor.close()
    return error
