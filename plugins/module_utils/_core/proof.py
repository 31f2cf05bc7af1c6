# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether what was restored from an archive is what the database held when the archive was written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Mapping

Tables = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Proof:
    """What was compared.

    :param counts: table → rows, of those that are the same.
    :param different: table → rows in the database and rows restored; None where there is no such table.
    :param written: tables that were written to while the archive was made, which no snapshot held still.
    """

    proved: bool
    message: str
    tables: int
    rows: int
    counts: dict[str, int]
    different: dict[str, list[int | None]]
    written: list[str]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def prove(before: Tables, restored: Tables, after: Tables | None = None) -> Proof:
    """Compare the restored tables with those of the moment of the archive.

    :param after: counted once more when the archive was written, where ``before`` was not counted in its very snapshot; a table
        that was written to in between can't be compared.
    """
    written = [] if after is None else sorted(name for name in {*before, *after} if _of(before, name) != _of(after, name))
    compared = sorted({*before, *restored} - set(written))
    different = {
        name: [_rows(before, name), _rows(restored, name)] for name in compared if _of(before, name) != _of(restored, name)
    }
    counts = {name: int(before[name]["rows"]) for name in compared if name not in different}
    rows, tables = sum(counts.values()), len(counts)
    if different:
        shown = ", ".join(f"{name} ({_both(old, new)})" for name, (old, new) in different.items())
        message = f"The restored archive differs from the database: {shown}."
    elif before and not tables:
        message = "Nothing of the restored archive could be compared."
    else:
        message = f"The archive was restored and holds {rows} rows in {tables} tables, as the database did."
    if written:
        message += f" Written to while it was made, and so not compared: {', '.join(written)}."
    return Proof(not different and (bool(tables) or not before), message, tables, rows, counts, different, written)


def _of(tables: Tables, name: str) -> tuple[Any, Any] | None:
    found = tables.get(name)
    return None if found is None else (found["rows"], found.get("checksum"))


def _rows(tables: Tables, name: str) -> int | None:
    return None if name not in tables else int(tables[name]["rows"])


def _both(old: int | None, new: int | None) -> str:
    if old == new:
        return f"{_said(old)} of other content"
    return f"{_said(old)} in the database, {_said(new)} restored"


def _said(rows: int | None) -> str:
    return "no such table" if rows is None else f"{rows} rows"
