# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which of many databases or schemas there are: what the server lists, or what a table of the application says."""

from __future__ import annotations

from typing import Any

from ..failure import Failure, describe
from ..server import asking
from .engine import MYSQL, Connection, open_server

_SCHEMAS = "select nspname::text from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' order by 1"
_DATABASES = "select datname::text from pg_database where datallowconn and not datistemplate order by 1"
_MYSQL_DATABASES = """
select schema_name from information_schema.schemata
where schema_name not in ('information_schema', 'mysql', 'performance_schema', 'sys') order by 1"""
#: What a query of the user's own may say of a target.
COLUMNS = ("name", "schema", "database", "labels")


def targets(request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Operation ``database_targets``: what ``request["list"]`` (schemas, databases, rows) means, one dictionary each."""
    server, wanted = open_server(request), request["list"]

    def run() -> dict[str, Any]:
        with server.connected(purpose="targets") as connection:
            if server.dialect == "sqlite":
                connection.run("pragma query_only = on")
            if wanted == "rows":
                return {"targets": _asked(connection, request["sql"])}
            return {"targets": _listed(connection, server.dialect, wanted)}

    return server.drive(run)  # type: ignore[no-any-return]


def _listed(connection: Connection, dialect: str, wanted: str) -> list[dict[str, Any]]:
    if dialect in MYSQL and wanted == "databases":
        sql = _MYSQL_DATABASES
    elif dialect == "postgresql":
        sql = _SCHEMAS if wanted == "schemas" else _DATABASES
    else:
        raise Failure("unsupported_database", f"{dialect} has no {wanted} to list.", "Say with list what else to look for.")
    key = "schema" if wanted == "schemas" else "database"
    return [{"name": str(name), key: str(name)} for (name,) in connection.rows(sql)]


def _asked(connection: Connection, sql: str) -> list[dict[str, Any]]:
    cursor = connection.dbapi.cursor()
    try:
        _execute(cursor, sql)
        names = [str(column[0]).lower() for column in cursor.description or ()]
        found = [dict(zip(names, row)) for row in cursor.fetchall()] if names else []
    finally:
        cursor.close()
    unknown = [name for name in names if name not in COLUMNS]
    if "name" not in names or unknown:
        raise Failure(
            "options_invalid",
            f"The query gives the columns {', '.join(names) or 'none'}.",
            f"It has to give name, and may give {', '.join(COLUMNS[1:])}.",
        )
    given = [name for name in COLUMNS[:-1] if name in names]
    lacking = next(((number, name) for number, row in enumerate(found, 1) for name in given if _is_blank(row[name])), None)
    if lacking:
        number, name = lacking
        raise Failure(
            "options_invalid",
            f"Row {number} of the {len(found)} that the query gives has no {name}.",
            f"Leave such rows out (WHERE {name} IS NOT NULL): without it, it would be another place than the one that is meant.",
        )
    return [_plain(row) for row in found]


def _is_blank(value: Any) -> bool:
    return value is None or not str(value).strip()


def _execute(cursor: Any, sql: str) -> None:
    """Run a statement that is not ours: what the server says of it is about that statement, whatever else it may look like."""
    try:
        with asking():
            cursor.execute(sql)
    except Exception as exc:
        told = describe(exc)
        hint = "Look at sql of the query. It may only read, and with the rights of the role in the URL."
        raise Failure("database_error", told["message"], hint, sqlstate=told["sqlstate"]) from exc


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    labels = row.get("labels") or ()
    shown = labels.split(",") if isinstance(labels, str) else labels
    plain: dict[str, Any] = {name: str(row[name]) for name in COLUMNS[:-1] if name in row}
    return dict(plain, labels=[str(label).strip() for label in shown])
