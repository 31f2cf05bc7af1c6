# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Statements that are not let through while a project is only looked at: which they are, and what is told of them."""

from __future__ import annotations

import os
import re
from typing import Any

from . import server
from .failure import Failure, causes, sqlstate_of

#: A project finds this variable set when it is only looked at.
VARIABLE = "DBOPS_ALEMBIC_READ_ONLY"
HINT = (
    f"Let env.py and the application write only where the environment has no {VARIABLE}, which is set while the project is only "
    "looked at; better, make it a revision, which alembic_upgrade runs."
)
#: PostgreSQL: read_only_sql_transaction. MySQL and MariaDB: ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION.
REFUSED = ("25006", "1792")
SQLITE_REFUSED = ("attempt to write a readonly database", "not authorized")
_READS = re.compile(
    r"\s*(select|show|with|values|table|explain|describe|desc|pragma|set|reset|begin|start|commit|end|rollback|savepoint|release"
    r"|use|fetch|declare|close|deallocate|discard|listen|unlisten|help)\b",
    re.I,
)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.S)
_OFF = r"\s*(?:=|to|,)\s*'?(?:off|false|no|0|f)\b"
#: What opens a session to writing again: nobody does so by accident.
_OPENS = re.compile(
    rf"(transaction_read_only|tx_read_only|query_only)'?{_OFF}"
    r"|^\s*(set\b.*\btransaction|begin|start\s+transaction)\b.*\bread\s+write\b"
    r"|^\s*reset\s+default_transaction_read_only\b|query_only\s*\(\s*'?(?:off|false|no|0)\b"
    # large objects, which PostgreSQL lets a transaction that only reads write before version 16
    r"|\b(lo_creat|lo_create|lo_from_bytea|lo_import|lo_put|lo_truncate|lo_truncate64|lo_unlink|lowrite)\s*\(",
    re.I | re.S,
)
_THERE = re.compile(
    r"^\s*create\s+(schema|extension|table|database)\s+if\s+not\s+exists\s+(?P<name>(?:[\w$]+|\"[^\"]+\"|`[^`]+`)"
    r"(?:\.(?:[\w$]+|\"[^\"]+\"|`[^`]+`))?)",
    re.I,
)
_POSTGRESQL_THERE = {
    "schema": "select count(*) from pg_namespace where nspname = {0}",
    "extension": "select count(*) from pg_extension where extname = {0}",
    "table": "select count(to_regclass({1}))",
}
_MYSQL_THERE = {
    "schema": "select count(*) from information_schema.schemata where schema_name = {0}",
    "database": "select count(*) from information_schema.schemata where schema_name = {0}",
    "table": "select count(*) from information_schema.tables where table_schema = coalesce({1}, database()) and table_name = {0}",
}
_BEGINS_WRITING = re.compile(r"^\s*begin\s+(immediate|exclusive)\b", re.I)
_FRAME = re.compile(r'^  File "([^"]+)", line (\d+), in .*\n(?:    (.*)\n)?', re.M)
_NOT_THE_PROJECT = ("site-packages", "dist-packages", "<_dbops_worker", "<string>", "<frozen", f"{os.sep}lib{os.sep}python")


def bare(statement: str) -> str:
    """Return a statement without its comments."""
    return _COMMENTS.sub(" ", statement)


def opens(statement: str) -> bool:
    """Tell whether a bare statement opens the session to writing."""
    return bool(_OPENS.search(statement))


def reads(statement: str) -> bool:
    """Tell whether a bare statement looks like one that only reads; a function that it calls may still write."""
    return bool(_READS.match(statement))


def begins_writing(statement: str) -> bool:
    """Tell whether a bare statement begins a transaction of SQLite with a lock for writing."""
    return bool(_BEGINS_WRITING.match(statement))


#: Kinds that an error gets which nobody could classify: a refusal that came before it is its cause.
CONSEQUENCES = (
    "environment_failed",
    "migration_failed",
    "no_migrations",
    "database_error",
    "database_read_only",
    "insufficient_privilege",
)


def failure(found: dict[str, Any], how: str, text: str = "") -> Failure:
    """Return the failure of a project that writes while it is only looked at."""
    what = " ".join(str(found.get("statement") or text).split())
    what = what if len(what) <= 400 else what[:399] + "…"
    message = f"The project writes while it is only looked at: {what.rstrip(';.')}. {how}, and nothing of it is in the database."
    return Failure("environment_writes", message, HINT, **found)


def place(stack: str) -> dict[str, Any]:
    """Return file, line and source of the last place in a printed stack that is the project's own."""
    frames = [match for match in _FRAME.findall(stack) if not any(part in match[0] for part in _NOT_THE_PROJECT)]
    return {"file": frames[-1][0], "line": int(frames[-1][1]), "source": frames[-1][2] or None} if frames else {}


def is_refusal(exc: BaseException) -> bool:
    """Tell whether a server refused to write in a session that only reads."""
    if sqlstate_of(exc) in REFUSED:
        return True
    return any("sqlite" in type(cause).__module__ and str(cause).startswith(SQLITE_REFUSED) for cause in causes(exc))


def is_there(dialect: str, dbapi: Any, statement: str) -> bool:
    """Tell whether a statement makes something IF NOT EXISTS that exists: it would do nothing, but is refused."""
    match = _THERE.match(statement)
    queries = _POSTGRESQL_THERE if dialect == "postgresql" else _MYSQL_THERE if dialect in server.MYSQL else {}
    query = queries.get(match.group(1).lower()) if match else None
    if match is None or query is None:
        return False
    parts = re.findall(r'[\w$]+|"[^"]+"|`[^`]+`', match.group("name"))
    plain = [part[1:-1] if part[0] in '"`' else part.lower() if dialect == "postgresql" else part for part in parts]
    if dialect == "postgresql":
        return bool(server.value(dbapi, query.format(server.literal(plain[-1]), server.literal(match.group("name")))))
    schema = "'{}'".format(plain[0].replace("'", "''")) if len(plain) > 1 else "null"
    return bool(server.value(dbapi, query.format("'{}'".format(plain[-1].replace("'", "''")), schema)))
