# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The statement of a revision as it is written without blocking, with its own names: PostgreSQL."""

from __future__ import annotations

import re
from typing import Callable

#: A longer statement is not worth showing again.
LONGEST = 400
_NAME = r'(?:"[^"]+"|[\w.]+)+'
_BLOCK = "with op.get_context().autocommit_block():"


def _run(sql: str) -> str:
    return f"op.execute({sql!r})"


def _index(match: re.Match[str]) -> str:
    return f"{_BLOCK} {_run(f'CREATE {match.group(1) or str()}INDEX CONCURRENTLY {match.group(2)}')}"


def _not_valid(match: re.Match[str]) -> str:
    what, name, constraint = match.groups()
    later = _run(f"{what} VALIDATE CONSTRAINT {name}")
    return f"{_run(f'{what} ADD CONSTRAINT {name} {constraint} NOT VALID')}, and in a revision of its own {later}"


def _unique(match: re.Match[str]) -> str:
    table, name, kind, columns = match.groups()
    index = _run(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} {columns}")
    return (
        f"{_BLOCK} {index}, and in the next revision {_run(f'ALTER TABLE {table} ADD CONSTRAINT {name} {kind} USING INDEX {name}')}"
    )


def _not_null(match: re.Match[str]) -> str:
    table, column = match.groups()
    name = re.sub(r"\W+", "_", f"{table.rpartition('.')[2]}_{column}_there").strip("_")
    first = _run(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID")
    second, third = (
        _run(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}"),
        _run(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"),
    )
    return f"{first}, then in a revision of its own {second}, then {third}"


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"CREATE\s+(UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY\b)((?:IF\s+NOT\s+EXISTS\s+)?.+)$", re.I | re.S), _index),
    (
        re.compile(
            rf"(ALTER\s+(?:TABLE|DOMAIN)\s+{_NAME})\s+ADD\s+CONSTRAINT\s+({_NAME})\s+((?:FOREIGN\s+KEY|CHECK)\b.+)$", re.I | re.S
        ),
        _not_valid,
    ),
    (
        re.compile(rf"ALTER\s+TABLE\s+({_NAME})\s+ADD\s+CONSTRAINT\s+({_NAME})\s+(UNIQUE|PRIMARY\s+KEY)\s*(\([^()]+\))$", re.I),
        _unique,
    ),
    (re.compile(rf"ALTER\s+TABLE\s+({_NAME})\s+ALTER\s+(?:COLUMN\s+)?({_NAME})\s+SET\s+NOT\s+NULL$", re.I), _not_null),
)


def of(sql: str) -> str | None:
    """Return what to write instead; None for a statement that has no such form, or that was cut."""
    text = " ".join(sql.split()).rstrip("; ")
    if len(text) > LONGEST or re.search(r"\bNOT\s+VALID\b", text, re.I):
        return None
    for pattern, write in _FORMS:
        match = pattern.match(text)
        if match:
            return write(match)
    return None
