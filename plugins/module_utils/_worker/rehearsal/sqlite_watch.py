# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What each statement of a revision does in SQLite, from the program that SQLite compiles it to.

A cursor that is moved from the first row of a table to the last one reads the whole of it, whatever the statement is called: that
holds for a CREATE INDEX, for an UPDATE without an index to go by, and for the copying of Alembic's batch mode.
https://www.sqlite.org/opcode.html
"""

from __future__ import annotations

import contextlib
import functools
import re
from typing import Any, Callable, Iterable

from .. import server
from .catalog import Catalog
from .named import NamedWatcher
from .watching import COMMENTS, sets_of, told

_KIND = re.compile(r"^\s*(?:WITH\b.*?\)\s*)?(UPDATE|DELETE|INSERT|REPLACE)\b", re.I | re.S)
_ALTERED = re.compile(r"^\s*ALTER\s+TABLE\s+(?:main\.)?(`[^`]+`|\"[^\"]+\"|\w+)", re.I)
_EXITS = ("DecrJumpZero", "Ge", "Gt", "Le", "Lt", "IdxGE", "IdxGT", "IdxLE", "IdxLT")
#: How many rows the connection has changed since it was opened.
_CHANGES = "select total_changes()"
_TABLES = "select rootpage, tbl_name, type from sqlite_master where rootpage > 0"


class SqliteWatch(NamedWatcher):
    """Watches the statements of one step."""

    def __init__(
        self, running: Callable[[], bool], autocommit: Callable[[], bool], version_tables: Iterable[str], before: Catalog
    ) -> None:
        super().__init__(running, autocommit, version_tables, before)
        self._writing = False  # an earlier statement of the transaction has written, so nobody else can

    def start(self, dbapi: Any, statement: str, parameters: Any, many: bool) -> dict[str, Any]:
        if not server.in_transaction(dbapi):
            self._writing = False
        changes = server.value(dbapi, _CHANGES)
        if self.is_again(statement):
            return {"again": True, "changes": changes}
        program = []
        with contextlib.suppress(Exception):  # then the statement itself says what is wrong with it
            program = _program(dbapi, statement, sets_of(parameters, many)[0])
        roots = {int(root): (str(name), kind) for root, name, kind in server.rows(dbapi, _TABLES)}
        return {"found": _Program(program, roots, statement), "oids": dict(self.identities.tables), "changes": changes}

    def finish(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        kept, changes = server.in_transaction(dbapi), server.value(dbapi, _CHANGES) - seen["changes"]
        if seen.get("again"):
            self.loops.go_on(statement, rows=changes if kept else 0)
            return {}
        self.identities.see(statement)
        found = seen["found"]
        known = functools.partial(self.known, oids=seen["oids"])
        self._writing = found.writes or self._writing
        kind = _KIND.match(COMMENTS.sub("", statement))
        whole = found.scanned & found.changed | found.cleared
        touched = known(found.changed | found.cleared) if kind else []
        report = told(
            statement,
            transactional=bool(kept) or not found.writes,
            autocommit=not kept,
            locks={oid: "Reserved" for oid in known(found.scanned | found.changed | found.cleared)} if self._writing else {},
            scanned=known(found.scanned | found.cleared),
            rewritten=[] if kind else known(whole),
            written=known(whole) if kind else [],
            touched=touched,
            writes=kind.group(1).lower() if kind and touched else None,
            transaction=self.loops.transaction if kept else None,
            affected=changes if touched and kind and kind.group(1).upper() in ("UPDATE", "DELETE") else None,
        )
        self._writing = self._writing and bool(kept)
        self.loops.learn(statement, touched, None)
        return report


def _program(dbapi: Any, statement: str, parameters: Any) -> list[tuple[Any, ...]]:
    cursor = dbapi.cursor()
    try:
        cursor.execute("explain " + COMMENTS.sub("", statement), parameters) if parameters else cursor.execute(
            "explain " + COMMENTS.sub("", statement)
        )
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        cursor.close()


class _Program:
    """The tables that a program reads as a whole, changes rows of, and empties.

    :param program: rows of EXPLAIN: address, opcode, P1 to P5, comment.
    :param roots: root page → table, kind.
    """

    def __init__(self, program: list[tuple[Any, ...]], roots: dict[int, tuple[str, str]], statement: str) -> None:
        self.scanned: set[str] = set()
        self.changed: set[str] = set()
        self.cleared: set[str] = set()
        self.writes = any(row[1] == "Transaction" and row[2] == 0 and row[3] for row in program)
        cursors: dict[int, tuple[str, str]] = {}  # which table a cursor is on; the same number may be used again
        first: dict[int, int] = {}
        exits = [(int(row[0]), int(row[3])) for row in program if row[1] in _EXITS]
        for address, opcode, p1, p2, p3, *_rest in program:
            if opcode in ("OpenRead", "OpenWrite"):
                self._close(int(p1), cursors, first)
                if p3 == 0 and p2 in roots:
                    cursors[p1] = roots[p2]
            elif opcode in ("OpenEphemeral", "SorterOpen", "OpenPseudo"):
                self._close(int(p1), cursors, first)
            elif opcode == "Clear" and p2 == 0 and p1 in roots and roots[p1][1] == "table":
                self.cleared.add(roots[p1][0])
            elif opcode == "Vacuum":
                self.scanned = self.changed = {name for name, _kind in roots.values()}
                self.writes = True
            elif opcode == "VOpen":  # a check of all rows, which ALTER TABLE … ADD makes for a new condition
                self.scanned |= {name.strip('`"') for name in _ALTERED.findall(statement)}
            elif p1 in cursors:
                self._step(cursors[p1], opcode, int(p1), int(address), first, exits)

    def _close(self, cursor: int, cursors: dict[int, tuple[str, str]], first: dict[int, int]) -> None:
        cursors.pop(cursor, None)
        first.pop(cursor, None)

    def _step(
        self, on: tuple[str, str], opcode: str, cursor: int, address: int, first: dict[int, int], exits: list[tuple[int, int]]
    ) -> None:
        table, kind = on
        if opcode in ("Rewind", "Last"):
            first[cursor] = address
        elif opcode == "Count" or (opcode in ("Next", "Prev") and cursor in first and not _limited(first[cursor], address, exits)):
            self.scanned.add(table)
        elif opcode in ("Insert", "Delete") and kind == "table":
            self.changed.add(table)


def _limited(start: int, end: int, exits: list[tuple[int, int]]) -> bool:
    """Tell whether a loop may be left before its last row: by a LIMIT, or by the upper bound of a key."""
    return any(start < address < end < to for address, to in exits)
