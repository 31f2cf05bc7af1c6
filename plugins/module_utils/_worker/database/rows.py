# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How many rows the tables have, and whether two databases hold the same: counts and checksums that no order changes."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from fnmatch import fnmatchcase
from typing import Any, Callable, Dict, Iterator, Optional, Sequence, Tuple

from .. import counting
from ..failure import Failure
from . import compare, counters, processes
from .engine import MYSQL, Connection, Server, as_failure, identifier, open_server

Table = Dict[str, Any]
Count = Tuple[Optional[int], Optional[str]]
_POSTGRESQL_TABLES = f"""
select n.nspname::text, c.relname::text, c.reltuples::float8,
       has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT')
{counting.TABLES}"""
_MYSQL_TABLES = """
select table_name, table_rows from information_schema.tables
where table_schema = database() and table_type = 'BASE TABLE' order by 1"""
_SQLITE_TABLES = """
select name from sqlite_master
where type = 'table' and name not like 'sqlite\\_%' escape '\\' and sql not like 'create virtual%' order by 1"""
_MODULUS = 2**64


def rows(request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Operation ``database_rows``: count, sum up, and compare with an earlier result."""
    server = open_server(request)
    database, started = request.get("database") or server.database, time.monotonic()
    tables: dict[str, Table] = server.drive(lambda: _tables(server, request, database))
    reply = {
        "changed": False,
        "dialect": server.dialect,
        "database": database,
        "tables": tables,
        "rows": sum(table["rows"] or 0 for table in tables.values()),
        "exact": all(table["exact"] for table in tables.values()),
        "warnings": _warnings(server, request, tables),
        "seconds": round(time.monotonic() - started, 3),
    }
    if request.get("since") is not None:
        reply.update(compare.compare(request["since"], tables))
    return reply


def _warnings(server: Server, request: dict[str, Any], tables: dict[str, Table]) -> list[str]:
    estimated = [name for name, table in tables.items() if not table["exact"]]
    if not estimated or request.get("count") in ("estimate", "written"):
        return list(server.warnings)
    return [*server.warnings, f"Counting took longer than statement_timeout, so these are estimates: {', '.join(estimated)}."]


def _tables(server: Server, request: dict[str, Any], database: str) -> dict[str, Table]:
    if server.dialect == "sqlite":
        with _opened(processes.existing_file(database)) as connection:
            if request.get("integrity"):
                _intact(connection, database)
            return counted(_sqlite(connection, request), request)
    with server.connected(database, "rows") as connected:
        if server.dialect not in MYSQL and request.get("count") == "written":
            wait = float(request.get("wait") or 0)
            return counters.written(connected, database, lambda name: wanted(request, name), wait)
        return counted((_mysql if server.dialect in MYSQL else postgresql)(connected, request), request)


class Reader:
    """The tables of one database, each with an estimate, and how to count one.

    :param read: counts a table, and sums it up when the second argument says so; None when its time was over.
    """

    def __init__(self, estimates: dict[str, int | None], read: Callable[[str, bool], Count | None]) -> None:
        self.estimates, self.read = estimates, read


def counted(reader: Reader, request: dict[str, Any]) -> dict[str, Table]:
    """Count; where the server has no counters of what is written, a count and a checksum before and after tell as much."""
    found_tables: dict[str, Table] = {}
    count = request.get("count")
    for name in reader.estimates:
        found = None if count == "estimate" else reader.read(name, count == "written" or bool(request.get("checksum")))
        if found is None:
            found_tables[name] = {"rows": reader.estimates[name], "exact": False, "checksum": None}
        else:
            found_tables[name] = {"rows": found[0], "exact": True, "checksum": found[1]}
    return found_tables


def wanted(request: dict[str, Any], name: str) -> bool:
    """Tell whether the request's globs take the table; they are matched with and without its schema."""

    def matches(globs: Sequence[str] | None) -> bool:
        return any(fnmatchcase(name, glob) or fnmatchcase(name.split(".", 1)[-1], glob) for glob in globs or ())

    return (not request.get("tables") or matches(request["tables"])) and not matches(request.get("exclude"))


def _milliseconds(request: dict[str, Any]) -> int:
    """Return the limit for one table; 0 is none."""
    seconds = float(request.get("statement_timeout") or 0)
    return max(1, int(seconds * 1000)) if seconds > 0 else 0


def postgresql(connection: Connection, request: dict[str, Any]) -> Reader:
    rows = {f"{row[0]}.{row[1]}": row for row in connection.rows(_POSTGRESQL_TABLES)}
    rows = {name: row for name, row in rows.items() if wanted(request, name)}
    hidden = [name for name, row in rows.items() if not row[3]]
    if hidden and request.get("count") != "estimate":
        hint = "Grant it SELECT, or leave these tables out by exclude."
        raise Failure("insufficient_privilege", f"The role may not read {', '.join(hidden)}.", hint)
    quoted = {name: f"{identifier(row[0])}.{identifier(row[1])}" for name, row in rows.items()}
    connection.run(
        "begin isolation level repeatable read read only",  # one state of the whole database; ended with the connection
        *[f"set local {setting}" for setting in counting.SETTINGS],
        f"set local statement_timeout = {_milliseconds(request)}",
    )

    def read(name: str, checksum: bool) -> Count | None:
        sql = f"select count(*), {counting.CHECKSUM if checksum else counting.NONE} from only {quoted[name]} t"
        connection.run("savepoint one")
        try:
            row = connection.rows(sql)[0]
        except Exception as exc:
            if as_failure(exc).kind != "statement_timeout":
                raise
            connection.run("rollback to savepoint one")
            return None
        connection.run("release savepoint one")
        return int(row[0]), row[1]

    return Reader({name: None if row[2] < 0 else int(row[2]) for name, row in rows.items()}, read)


def _mysql(connection: Connection, request: dict[str, Any]) -> Reader:
    found = {str(name): tuples for name, tuples in connection.rows(_MYSQL_TABLES) if wanted(request, str(name))}
    limit = _milliseconds(request)
    if limit:
        maria = "mariadb" in str(connection.value("select version()")).lower()
        name, value = ("max_statement_time", limit / 1000) if maria else ("max_execution_time", limit)
        connection.run(f"set session {name} = {value:g}")
    connection.run("set session transaction isolation level repeatable read")
    connection.run("start transaction with consistent snapshot, read only")

    def read(name: str, checksum: bool) -> Count | None:
        quoted = f"`{name.replace('`', '``')}`"
        try:
            count = int(connection.value(f"select count(*) from {quoted}"))
            return count, str(connection.rows(f"checksum table {quoted}")[0][1]) if checksum else None
        except Exception as exc:
            if as_failure(exc).kind != "statement_timeout":
                raise
            return None

    return Reader({name: None if tuples is None else int(tuples) for name, tuples in found.items()}, read)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.text_factory = lambda data: ("text", data)  # not decoded: it may be no text at all
        connection.execute("pragma query_only = on")
        connection.execute("begin")
        yield connection


def _intact(connection: sqlite3.Connection, path: str) -> None:
    """:raises Failure: ``archive_damaged``."""
    said = [row[0][1].decode("utf-8", "replace") for row in connection.execute("pragma integrity_check(5)")]
    if said != ["ok"]:
        raise Failure("archive_damaged", f"SQLite finds {path} damaged: {'; '.join(said)}.", "Use another copy of it.")


def _sqlite(connection: sqlite3.Connection, request: dict[str, Any]) -> Reader:
    """SQLite keeps no estimates, so it is counted whenever that is asked for."""
    names = [row[0][1].decode() for row in connection.execute(_SQLITE_TABLES)]
    limit = _milliseconds(request) / 1000

    def read(name: str, checksum: bool) -> Count | None:
        deadline = time.monotonic() + limit
        connection.set_progress_handler((lambda: time.monotonic() > deadline) if limit else None, 10000)
        try:
            if not checksum:
                return int(connection.execute(f"select count(*) from {identifier(name)}").fetchone()[0]), None
            count, total = 0, 0
            for row in connection.execute(f"select * from {identifier(name)}"):
                count += 1
                total += int.from_bytes(hashlib.sha256(repr(row).encode()).digest()[:8], "big")
            return count, str(total % _MODULUS)
        except sqlite3.OperationalError as exc:
            if str(exc) != "interrupted":
                raise
            return None

    return Reader({name: None for name in names if wanted(request, name)}, read)
