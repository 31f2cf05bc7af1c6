# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What an SQLite file holds, in the words of the catalogue."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Iterable, Iterator

from .access import Session, quoted
from .catalog import Catalog
from .named import Identities

_AFFINITIES = (  # https://www.sqlite.org/datatype3.html, "Determination Of Column Affinity", in this order
    ("INT", "integer"),
    ("CHAR", "text"),
    ("CLOB", "text"),
    ("TEXT", "text"),
    ("BLOB", "blob"),
    ("REAL", "real"),
    ("FLOA", "real"),
    ("DOUB", "real"),
)
_CHECK = re.compile(r"(?:CONSTRAINT\s+(\"[^\"]+\"|\w+)\s+)?CHECK\s*\(", re.I)
_RELATION = {
    "schema": "main",
    "persistence": "p",
    "row_security": False,
    "force_row_security": False,
    "acl": None,
    "partition": False,
    "options": None,
    "bound": None,
    "owned": False,
}


def affinity(declared: str) -> str:
    """Return how SQLite treats values of a column of this declared type."""
    return next((found for part, found in _AFFINITIES if part in declared.upper()), "numeric" if declared else "blob")


def look(session: Session, version_tables: Iterable[str], identities: Identities) -> Catalog:
    """Return every table, view, column, constraint, index and trigger that is not SQLite's own or Alembic's."""
    ours = {name.lower() for name in version_tables}
    entries: list[dict[str, Any]] = []
    objects = session.rows("select type, name, tbl_name, sql from sqlite_master where name not like 'sqlite\\_%' escape '\\'")
    for kind, name, table, sql in objects:
        if str(table).lower() in ours:
            continue
        if kind == "trigger":
            entries.append(
                {"kind": "trigger", "name": name, "table": table, "definition": _plain(sql), "enabled": "O", "key": name}
            )
        elif kind == "view":
            entries.append({"kind": "relation", "name": name, "relkind": "v", "query": _plain(sql), **_RELATION})
            with contextlib.suppress(Exception):  # one whose table is gone has none
                entries += _columns(session, name, "v")
        elif kind == "table":
            entries.append({"kind": "relation", "name": name, "relkind": "r", "query": None, **_RELATION})
            entries += [*_columns(session, name), *_constraints(session, name, sql), *_indexes(session, name)]
    return identities.catalog(entries)


def _plain(sql: str) -> str:
    return " ".join(str(sql).split())


def _columns(session: Session, table: str, relkind: str = "r") -> Iterator[dict[str, Any]]:
    rows = session.rows(f"pragma table_xinfo({quoted(table)})")
    keys = [row for row in rows if row[5]]
    for _number, name, declared, required, default, key, hidden in rows:
        alias = key and len(keys) == 1 and str(declared).upper() == "INTEGER"  # of the rowid, which SQLite fills in
        yield {
            "kind": "column",
            "name": f"{table}.{name}",
            "table": table,
            "column": name,
            "relkind": relkind,
            "type": str(declared).lower(),
            "affinity": affinity(str(declared)),
            "not_null": bool(required or key),
            "identity": "d" if alias else "",
            "generated": {2: "v", 3: "s"}.get(hidden, ""),
            "collation": None,
            "acl": None,
            "default": None if default is None or str(default).upper() == "NULL" else default,
        }


def _constraints(session: Session, table: str, sql: str) -> Iterator[dict[str, Any]]:
    common = {"kind": "constraint", "table": table, "valid": True, "parent": False, "deferrable": False, "foreign": None}
    names = [row[1] for row in sorted(session.rows(f"pragma table_info({quoted(table)})"), key=lambda row: int(row[5])) if row[5]]
    if names:
        yield _named(common, "p", f"PRIMARY KEY ({', '.join(names)})", names)
    keys: dict[int, list[tuple[Any, ...]]] = {}
    for row in session.rows(f"pragma foreign_key_list({quoted(table)})"):
        keys.setdefault(row[0], []).append(row)
    for rows in keys.values():
        other, columns, there = rows[0][2], [row[3] for row in rows], [row[4] for row in rows if row[4]]
        text = f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {other} ({', '.join(there)}) {rows[0][5]} {rows[0][6]}"
        yield _named(dict(common, foreign=other, foreign_columns=there), "f", text, columns)
    for _number, name, _unique, origin, _partial in session.rows(f"pragma index_list({quoted(table)})"):
        if origin == "u":
            columns = [row[2] for row in session.rows(f"pragma index_info({quoted(name)})")]
            yield _named(common, "u", f"UNIQUE ({', '.join(columns)})", columns)
    for text in _checks(sql):
        yield _named(common, "c", f"CHECK {text}", [])


def _named(common: dict[str, Any], kind: str, text: str, columns: list[str]) -> dict[str, Any]:
    """SQLite tells no names of constraints, so their text is the name; a check is known by it too."""
    return dict(
        common, name=f"{common['table']}: {text}", type=kind, definition=text, columns=columns, key=text if kind == "c" else ""
    )


def _checks(sql: str) -> Iterator[str]:
    """Yield the conditions of a CREATE TABLE, with their parentheses."""
    for match in _CHECK.finditer(sql):
        start, depth = match.end() - 1, 0
        for position in range(start, len(sql)):
            depth += {"(": 1, ")": -1}.get(sql[position], 0)
            if not depth:
                yield _plain(sql[start : position + 1])
                break


def _indexes(session: Session, table: str) -> Iterator[dict[str, Any]]:
    texts = {row[0]: row[1] for row in session.rows("select name, sql from sqlite_master where type = 'index' and sql is not null")}
    for _number, name, unique, origin, partial in session.rows(f"pragma index_list({quoted(table)})"):
        rows = [row for row in session.rows(f"pragma index_xinfo({quoted(name)})") if row[5]]
        columns, text = [row[2] for row in rows], _plain(texts.get(name) or "")
        where = re.search(r"\)\s*WHERE\s+(.*)$", text, re.I) if partial else None
        order = ", ".join(f"{row[2]}{' desc' if row[3] else ''} {row[4]}" for row in rows)
        yield {
            "kind": "index",
            "name": name if origin == "c" else f"{table}: index ({order})",
            "table": table,
            "definition": text if None in columns else f"{'unique ' if unique else ''}({order}) {where.group(1) if where else ''}",
            "unique": bool(unique),
            "valid": True,
            "columns": [column for column in columns if column is not None],
            "predicate": where.group(1) if where else None,
            "expressions": None in columns,
            "constraint": origin != "c",
            "key": name if origin == "c" else f"index ({order})",
        }
