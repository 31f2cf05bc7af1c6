# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The statement of a revision as it is written without blocking, with its own names: PostgreSQL."""

from __future__ import annotations

import re
from typing import Callable, Sequence

#: A longer statement is not worth showing again.
LONGEST = 400
_NAME = r'(?:"[^"]+"|[\w.]+)+'
_BLOCK = "with op.get_context().autocommit_block():"


def _run(sql: str) -> str:
    return f"op.execute({sql!r})"


def _index(match: re.Match[str]) -> str:
    return f"{_BLOCK} {_run(f'CREATE {match.group(1) or str()}INDEX CONCURRENTLY {match.group(2)}')}"


_ON_PARTITIONED = re.compile(
    rf"CREATE\s+(UNIQUE\s+)?INDEX\s+(?:IF\s+NOT\s+EXISTS\s+)?({_NAME})\s+ON\s+(?:ONLY\s+)?({_NAME})\s*(.+)$", re.I | re.S
)


def _by_partition(match: re.Match[str], partitions: Sequence[str]) -> str:
    """An index of a partitioned table, which can not be built concurrently, is put together from those of its partitions."""
    unique, name, table, rest = match.group(1) or "", *match.groups()[1:]
    names = [f"{name}_{number}" for number in range(1, len(partitions) + 1)]
    each = zip(names, partitions)
    built = "; ".join(_run(f"CREATE {unique}INDEX CONCURRENTLY {own} ON {partition} {rest}") for own, partition in each)
    schema = f"{table.rpartition('.')[0]}." if "." in table else ""
    joined = "; ".join(_run(f"ALTER INDEX {schema}{name} ATTACH PARTITION {own}") for own in names)
    first = _run(f"CREATE {unique}INDEX {name} ON ONLY {table} {rest}")
    return f"{first}, then {_BLOCK} {built}, and in the next revision {joined}"


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


def _with_default(match: re.Match[str]) -> str:
    table, column, kind, default, required = match.groups()
    steps = [_run(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")]
    steps.append(_run(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}"))
    found = f"{', '.join(steps)}, then in batches UPDATE {table} SET {column} = {default} WHERE {column} IS NULL"
    if not required:
        return found
    filled = _FILLED.match(f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")
    return f"{found}, and in the next revision {_not_null(filled)}" if filled else found


def _type(match: re.Match[str]) -> str:
    table, column, kind, using = match.groups()
    new = f'{column[:-1]}_new"' if column.endswith('"') else f"{column}_new"
    first, last = _run(f"ALTER TABLE {table} ADD COLUMN {new} {kind}"), _run(f"ALTER TABLE {table} DROP COLUMN {column}")
    filled = f"UPDATE {table} SET {new} = {using or f'{column}::{kind}'} WHERE {new} IS NULL"
    return f"{first}, then in batches {filled}, and in a later release {last}"


def _domain_not_null(match: re.Match[str]) -> str:
    domain = match.group(1)
    name = re.sub(r"\W+", "_", f"{domain.rpartition('.')[2]}_there").strip("_")
    first = _run(f"ALTER DOMAIN {domain} ADD CONSTRAINT {name} CHECK (VALUE IS NOT NULL) NOT VALID")
    return f"{first}, and in a revision of its own {_run(f'ALTER DOMAIN {domain} VALIDATE CONSTRAINT {name}')}"


_FILLED = re.compile(rf"ALTER\s+TABLE\s+({_NAME})\s+ALTER\s+(?:COLUMN\s+)?({_NAME})\s+SET\s+NOT\s+NULL$", re.I)
_KIND = r"\w[\w .]*(?:\([\d, ]+\))?(?:\[\])*"
#: What says more of a column than its type and default, or of more than one.
_MORE = r"(?!.*\b(?:CONSTRAINT|CHECK|REFERENCES|UNIQUE|PRIMARY|GENERATED|COLLATE|IDENTITY)\b|.*,\s*(?:ADD|ALTER|DROP)\b)"
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
    (_FILLED, _not_null),
    (
        re.compile(
            rf"{_MORE}ALTER\s+TABLE\s+({_NAME})\s+ADD\s+(?:COLUMN\s+)?({_NAME})\s+({_KIND}?)\s+DEFAULT\s+(.+?)(\s+NOT\s+NULL)?$",
            re.I,
        ),
        _with_default,
    ),
    (
        re.compile(
            rf"{_MORE}ALTER\s+TABLE\s+({_NAME})\s+ALTER\s+(?:COLUMN\s+)?({_NAME})\s+(?:SET\s+DATA\s+)?TYPE\s+({_KIND}?)(?:\s+USING\s+(.+))?$",
            re.I,
        ),
        _type,
    ),
    (re.compile(rf"ALTER\s+DOMAIN\s+({_NAME})\s+SET\s+NOT\s+NULL$", re.I), _domain_not_null),
)


def of(sql: str, partitions: Sequence[str] = ()) -> str | None:
    """Return what to write instead; None for a statement that has no such form, or that was cut.

    :param partitions: the tables with rows of the one that it is about, as they are named in SQL, if that is partitioned.
    """
    text = " ".join(sql.split()).rstrip("; ")
    if len(text) > LONGEST or re.search(r"\bNOT\s+VALID\b", text, re.I):
        return None
    if partitions:
        match = _ON_PARTITIONED.match(text)
        return _by_partition(match, partitions) if match else None
    for pattern, write in _FORMS:
        match = pattern.match(text)
        if match:
            return write(match)
    return None
