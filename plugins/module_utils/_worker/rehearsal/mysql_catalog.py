# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a MySQL or MariaDB database holds, in the words of the catalogue."""

from __future__ import annotations

import re
from typing import Any, Iterable, Iterator

from .access import Session
from .catalog import Catalog
from .named import Identities

_HERE = "table_schema = database()"
_TABLES = f"select table_name, table_type, engine, table_collation, create_options from information_schema.tables where {_HERE}"
_COLUMNS = f"""
select table_name, column_name, column_type, is_nullable, column_default, extra, collation_name,
       generation_expression from information_schema.columns where {_HERE} order by table_name, ordinal_position"""
_INDEXES = f"""
select table_name, index_name, non_unique, column_name, sub_part, collation, index_type from information_schema.statistics
where {_HERE} order by table_name, index_name, seq_in_index"""
_FOREIGN_KEYS = """
select k.table_name, k.constraint_name, k.column_name, k.referenced_table_name, k.referenced_column_name,
       r.update_rule, r.delete_rule
from information_schema.key_column_usage k join information_schema.referential_constraints r
  on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name and r.table_name = k.table_name
where k.table_schema = database() order by k.table_name, k.constraint_name, k.ordinal_position"""
_VIEWS = f"select table_name, view_definition from information_schema.views where {_HERE}"
_TRIGGERS = """
select trigger_name, event_object_table, action_timing, event_manipulation, action_statement from information_schema.triggers
where trigger_schema = database()"""
_ROUTINES = """
select routine_name, routine_type, md5(routine_definition), dtd_identifier, security_type, is_deterministic,
       (select count(*) from information_schema.parameters p
        where p.specific_schema = r.routine_schema and p.specific_name = r.specific_name and p.ordinal_position > 0
          and p.routine_type = r.routine_type)
from information_schema.routines r where routine_schema = database()"""
#: Only MariaDB says of which table a check is; in MySQL its name is the schema's.
_CHECKS = {
    True: """
select table_name, constraint_name, check_clause from information_schema.check_constraints where constraint_schema = database()""",
    False: """
select t.table_name, c.constraint_name, c.check_clause from information_schema.check_constraints c
join information_schema.table_constraints t on t.constraint_schema = c.constraint_schema and t.constraint_name = c.constraint_name
where c.constraint_schema = database() and t.constraint_type = 'CHECK'""",
}
_RELATION = {
    "schema": "",
    "persistence": "p",
    "row_security": False,
    "force_row_security": False,
    "acl": None,
    "partition": False,
    "bound": None,
    "owned": False,
}
_WORDS = {
    "int": "integer",
    "varchar": "character varying",
    "char": "character",
    "decimal": "numeric",
    "float": "real",
    "double": "double precision",
    "datetime": "timestamp without time zone",
    "timestamp": "timestamp with time zone",
    "tinytext": "character varying(255)",
    "text": "character varying(65535)",
    "mediumtext": "character varying(16777215)",
    "longtext": "text",
    "tinyblob": "bytea(255)",
    "blob": "bytea(65535)",
    "mediumblob": "bytea(16777215)",
    "longblob": "bytea",
    "varbinary": "bytea",
}
_TYPE = re.compile(r"^(\w+)(\([\d,]+\))?(.*)$", re.S)
_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")


def standard(declared: str) -> str:
    """Return a type in the words that the rules know; a display width means nothing."""
    match = _TYPE.match(declared.lower())
    if match is None:
        return declared
    word, size, rest = match.groups()
    if word in ("enum", "set"):
        return str(word)
    size = "" if word in _INTEGERS or word in ("float", "double") else size or ""
    return _WORDS.get(word, word) + size + (" unsigned" if "unsigned" in rest else "")


def look(session: Session, version_tables: Iterable[str], identities: Identities) -> Catalog:
    """Return every object of the database that is not an Alembic version table."""
    ours = {name.lower() for name in version_tables}
    entries = [
        *_relations(session),
        *_columns(session),
        *_indexes(session),
        *_foreign_keys(session),
        *_checks(session),
        *_code(session),
    ]
    return identities.catalog([entry for entry in entries if str(entry.get("table", entry["name"])).lower() not in ours])


def _rows(session: Session, sql: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows whose texts don't say in which database they are; some drivers hand them out as bytes."""
    own = f"`{session.value('select database()')}`."
    for row in session.rows(sql):
        values = (value.decode("utf-8", "replace") if isinstance(value, (bytes, bytearray)) else value for value in row)
        yield tuple(value.replace(own, "") if isinstance(value, str) else value for value in values)


def _relations(session: Session) -> Iterator[dict[str, Any]]:
    queries = {name: " ".join(str(text).split()) for name, text in _rows(session, _VIEWS)}
    for name, kind, engine, collation, options in _rows(session, _TABLES):
        relkind = {"VIEW": "v", "SEQUENCE": "S"}.get(str(kind), "r")
        facts = {"relkind": relkind, "query": queries.get(name), "options": f"{engine} {collation} {options or ''}".strip()}
        yield {"kind": "relation", "name": name, **facts, **_RELATION}


def _columns(session: Session) -> Iterator[dict[str, Any]]:
    views = {name for name, _query in _rows(session, _VIEWS)}
    for table, name, declared, nullable, default, extra, collation, expression in _rows(session, _COLUMNS):
        extra = str(extra).lower()
        generated = "s" if "stored" in extra or "persistent" in extra else "v" if expression or "virtual" in extra else ""
        yield {
            "kind": "column",
            "name": f"{table}.{name}",
            "table": table,
            "column": name,
            "relkind": "v" if table in views else "r",
            "type": standard(str(declared)),
            "declared": declared,
            "not_null": nullable == "NO",
            "identity": "d" if "auto_increment" in extra else "",
            "generated": generated,
            "collation": collation,
            "extra": extra,
            "acl": None,
            "default": None if default is None or str(default).upper() == "NULL" else str(default),
        }
        if str(declared).lower().startswith(("enum(", "set(")) and table not in views:
            labels = [label.replace("''", "'") for label in re.findall(r"'((?:[^']|'')*)'", str(declared))]
            told = {"kind": "type", "name": f"{table}.{name}", "table": table, "columns": [name], "type": "enum", "labels": labels}
            yield dict(told, embedded=True, not_null=False, checks=None)


def _indexes(session: Session) -> Iterator[dict[str, Any]]:
    grouped: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for row in _rows(session, _INDEXES):
        grouped.setdefault((row[0], row[1]), []).append(row)
    for (table, name), rows in grouped.items():
        columns = [row[3] for row in rows]
        order = ", ".join(f"{row[3]}{f'({row[4]})' if row[4] else ''}{' desc' if row[5] == 'D' else ''}" for row in rows)
        primary, unique = name == "PRIMARY", not int(rows[0][2])
        yield {
            "kind": "index",
            "name": f"{table}.{name}",
            "table": table,
            "definition": f"{'unique ' if unique else ''}{rows[0][6]} ({order})",
            "unique": unique,
            "valid": True,
            "columns": [column for column in columns if column is not None],
            "predicate": None,
            "expressions": None in columns or any(row[4] for row in rows),
            "constraint": primary,
            "key": f"index {name}",
        }
        if primary:
            yield _constraint(table, name, "p", f"PRIMARY KEY ({order})", columns)


def _constraint(table: str, name: str, kind: str, text: str, columns: list[str], **more: Any) -> dict[str, Any]:
    told = {"kind": "constraint", "name": f"{table}.{name}", "table": table, "type": kind, "definition": text, "columns": columns}
    return dict({"valid": True, "parent": False, "deferrable": False, "foreign": None, "key": name, **told}, **more)


def _foreign_keys(session: Session) -> Iterator[dict[str, Any]]:
    grouped: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for row in _rows(session, _FOREIGN_KEYS):
        grouped.setdefault((row[0], row[1]), []).append(row)
    for (table, name), rows in grouped.items():
        columns, there, other = [row[2] for row in rows], [row[4] for row in rows], rows[0][3]
        text = f"FOREIGN KEY ({', '.join(columns)}) REFERENCES {other} ({', '.join(there)}) {rows[0][5]} {rows[0][6]}"
        yield _constraint(table, name, "f", text, columns, foreign=other, foreign_columns=there)


def _checks(session: Session) -> Iterator[dict[str, Any]]:
    query = _CHECKS["mariadb" in str(session.value("select version()")).lower()]
    where = "table_schema = 'information_schema' and table_name = 'CHECK_CONSTRAINTS'"
    if not session.value(f"select count(*) from information_schema.tables where {where}"):
        return  # older than checks
    for table, name, clause in _rows(session, query):
        yield _constraint(table, name, "c", f"CHECK ({clause})", [])


def _code(session: Session) -> Iterator[dict[str, Any]]:
    for name, table, timing, event, text in _rows(session, _TRIGGERS):
        definition = f"{timing} {event} {' '.join(str(text).split())}"
        yield {"kind": "trigger", "name": f"{table}.{name}", "table": table, "definition": definition, "enabled": "O", "key": name}
    for name, kind, source, returns, security, deterministic, parameters in _rows(session, _ROUTINES):
        facts = {
            "parameters": int(parameters),
            "source": source,
            "returns": returns,
            "security_definer": security == "DEFINER",
            "volatile": deterministic,
        }
        yield {"kind": "function", "name": f"{name}()", "acl": None, "config": None, "language": kind, **facts}
