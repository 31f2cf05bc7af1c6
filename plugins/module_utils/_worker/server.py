# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the worker asks of drivers and servers: identity, transaction state, invalid indexes, who blocks.

Everything goes through a raw DBAPI cursor, so that it neither begins a SQLAlchemy transaction nor shows up among the
statements of a migration. With an async driver SQLAlchemy's adapted cursor does the same inside its greenlet.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from typing import Any, Callable, Iterator

MYSQL = ("mysql", "mariadb")
_IN_TRANSACTION = 1  # SERVER_STATUS_IN_TRANS of the MySQL client/server protocol


def dbapi_of(fairy: Any) -> Any:
    """Return the DBAPI connection (or SQLAlchemy's adapter of an async one) behind a pooled connection."""
    return getattr(fairy, "dbapi_connection", None) or fairy.connection


def first_of(*getters: Callable[[], Any]) -> Any:
    """Return the first answer that is not None; a driver without the attribute does not answer."""
    for getter in getters:
        with contextlib.suppress(Exception):
            answer = getter()
            if answer is not None:
                return answer
    return None


def in_transaction(dbapi: Any) -> bool | None:
    """Tell without a round trip whether a transaction is open; None where the driver does not say."""
    inner = getattr(dbapi, "_connection", None)
    return first_of(  # type: ignore[no-any-return]
        lambda: dbapi.info.transaction_status != 0,
        lambda: inner.is_in_transaction(),  # type: ignore[union-attr]  # pylint: disable=unnecessary-lambda
        lambda: inner.info.transaction_status != 0,  # type: ignore[union-attr]
        lambda: dbapi.in_transaction,
        lambda: inner.in_transaction,  # type: ignore[union-attr]
        lambda: bool(dbapi.server_status & _IN_TRANSACTION),
        lambda: bool(inner._result.server_status & _IN_TRANSACTION),  # type: ignore[union-attr]
        lambda: dbapi.get_transaction_status() != 0,  # psycopg2cffi
        lambda: dbapi._in_transaction,  # pg8000
    )


def announced_pid(dbapi: Any) -> int | None:
    """Return the server process that was announced when the connection was made (a pooler announces its own)."""
    return first_of(  # type: ignore[no-any-return]
        lambda: dbapi.info.backend_pid,
        lambda: dbapi._connection.get_server_pid(),  # pylint: disable=unnecessary-lambda
        lambda: dbapi._connection.info.backend_pid,
        lambda: struct.unpack("!i", dbapi._backend_key_data[:4])[0],
    )


def version_number(dbapi: Any) -> int:
    """Return PostgreSQL's version as a number, 170004 for 17.4; most drivers were told when they connected."""
    known = first_of(lambda: dbapi.info.server_version, lambda: dbapi._connection.info.server_version)
    return int(known or value(dbapi, "select current_setting('server_version_num')"))


def rewrites(dbapi: Any) -> bool:
    """Tell whether the driver puts parameters into the text itself, so that a text may leave them out."""
    return type(dbapi).__module__.startswith("psycopg2")


#: Not empty while what runs on a raw cursor is ours, and none of the migration's own statements.
ASKING: list[bool] = []


@contextlib.contextmanager
def asking() -> Iterator[None]:
    ASKING.append(True)
    try:
        yield
    finally:
        ASKING.pop()


def rows(dbapi: Any, sql: str) -> list[tuple[Any, ...]]:
    """Run ``sql`` on a raw cursor and return its rows."""
    cursor = dbapi.cursor()
    try:
        with asking():
            cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
    finally:
        cursor.close()


def value(dbapi: Any, sql: str) -> Any:
    found = rows(dbapi, sql)
    return found[0][0] if found else None


#: Attributes, of drivers that begin a transaction by themselves, of what their BEGIN would say; None is nothing.
_OF_BEGIN = {"psycopg2": ("isolation_level", "readonly", "deferrable"), "psycopg": ("isolation_level", "read_only", "deferrable")}


@contextlib.contextmanager
def each_by_itself(dbapi: Any) -> Iterator[None]:
    """Let each statement be a transaction of its own: two round trips less for one that only reads.

    Only where the driver just keeps a note of it; one that has something to say in its BEGIN would set it for the session.
    """
    driver = next((name for name in _OF_BEGIN if any(base.__module__.startswith(f"{name}.") for base in type(dbapi).__mro__)), "")
    plain = driver and not dbapi.autocommit and all(getattr(dbapi, name) is None for name in _OF_BEGIN[driver])
    if not plain:
        yield
        return
    dbapi.autocommit = True
    try:
        yield
    finally:
        if not dbapi.closed:
            dbapi.autocommit = False


@contextlib.contextmanager
def looking(dbapi: Any, begun: bool = False, together: bool = False) -> Iterator[Any]:
    """Read without leaving a trace: a transaction that the reading opened is ended, one that was open is not.

    :param begun: whether SQLAlchemy has begun one; that counts where the driver does not say.
    :param together: what is read is one transaction, as where SQLAlchemy reads as well.
    """
    was_open = in_transaction(dbapi)
    was_open = begun if was_open is None else was_open
    if was_open:
        yield dbapi
        return
    with contextlib.nullcontext() if together else each_by_itself(dbapi):
        try:
            yield dbapi
        finally:
            dbapi.rollback()


def literal(text: str) -> str:
    """Quote a string for PostgreSQL; with backslashes it is written so that they mean themselves."""
    quoted = "'{}'".format(text.replace("'", "''"))
    return "E" + quoted.replace("\\", "\\\\") if "\\" in text else quoted


def actual_address(engine_url: Any, dbapi: Any) -> dict[str, Any]:
    """Return where a connection really goes: what the driver says before what the URL says."""
    info = getattr(dbapi, "info", None) or getattr(getattr(dbapi, "_connection", None), "info", None)
    database = first_of(lambda: info.dbname, lambda: engine_url.database) if info else engine_url.database
    return {
        "host": first_of(lambda: info.host, lambda: engine_url.host or engine_url.query.get("host")),  # type: ignore[union-attr]
        "port": first_of(lambda: info.port, lambda: engine_url.port),  # type: ignore[union-attr]
        "database": database,
        "user": first_of(lambda: info.user, lambda: engine_url.username),  # type: ignore[union-attr]
    }


_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_DEFAULT_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}


#: Where libpq takes the database's name from, if the connection does not name one.
_OF_LIBPQ = ("PGDATABASE", "PGSERVICE")


def _is_elsewhere(url: Any) -> bool:
    """Tell whether libpq knows what the URL leaves out."""
    return "service" in url.query or any(name in os.environ for name in _OF_LIBPQ)


def named(url: Any) -> Any:
    """Return the name of the database that a URL names, if it is known without asking the server."""
    default = url.username if url.get_backend_name() == "postgresql" and not _is_elsewhere(url) else None
    return url.database or url.query.get("dbname") or default


def same_database(asked: Any, engine_url: Any, address: dict[str, Any]) -> bool:
    """Tell whether ``address`` is the database of the URL ``asked``, without looking at user, password and driver."""
    dialect = asked.get_backend_name()
    if {dialect, engine_url.get_backend_name()} - set(MYSQL) and dialect != engine_url.get_backend_name():
        return False
    if dialect == "sqlite":
        return os.path.realpath(asked.database or "") == os.path.realpath(address["database"] or "")
    wanted = named(asked)
    if wanted != address["database"] and (wanted or not _is_elsewhere(asked)):
        return False
    host = asked.host or asked.query.get("host")
    if not host or not address["host"]:
        return True
    same_host = host == address["host"] or {host, address["host"]} <= _LOOPBACK or "," in str(host)
    wanted_port = int(asked.port or asked.query.get("port") or _DEFAULT_PORTS.get(dialect, 0))
    return bool(same_host and ("," in str(host) or wanted_port == int(address["port"] or _DEFAULT_PORTS.get(dialect, 0))))


#: Privileges that read_only does not hold for. Sources: MySQL "read_only", MariaDB "Read-Only Replicas".
_WRITES_ANYWAY = (
    "select count(*) from information_schema.user_privileges"
    " where privilege_type in ('SUPER', 'CONNECTION_ADMIN', 'READ_ONLY ADMIN', 'READ ONLY ADMIN')"
)


def read_only(dialect: str, dbapi: Any) -> str | None:
    """Return why MySQL, MariaDB or a file of SQLite takes no writes, ``server`` or ``file``; None where it does, or may."""
    if dialect in MYSQL:
        asked = "show global variables where variable_name in ('read_only', 'super_read_only')"
        found = {str(name).lower(): str(now).upper() not in ("OFF", "0") for name, now in rows(dbapi, asked)}
        if found.get("super_read_only") or (found.get("read_only") and not value(dbapi, _WRITES_ANYWAY)):
            return "server"
    elif dialect == "sqlite":
        path = next((str(row[2]) for row in rows(dbapi, "pragma database_list") if row[1] == "main"), "")
        if path and os.path.exists(path) and not (os.access(path, os.W_OK) and os.access(os.path.dirname(path), os.W_OK)):
            return "file"
    return None


_INVALID_INDEXES = """
select quote_ident(n.nspname) || '.' || quote_ident(c.relname)
from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
where not i.indisvalid and c.relkind = 'i' %s order by 1"""
_BEING_BUILT = "and not exists (select 1 from pg_stat_progress_create_index p where p.index_relid = i.indexrelid)"


def invalid_indexes(dialect: str, dbapi: Any) -> list[str]:
    """Return PostgreSQL's invalid indexes that nobody is building right now; the progress view exists since version 12."""
    if dialect != "postgresql":
        return []
    with looking(dbapi):
        return [row[0] for row in rows(dbapi, _INVALID_INDEXES % (_BEING_BUILT if version_number(dbapi) >= 120000 else ""))]


# A lock is held on a table that the waiting statement names: the error itself does not say which one it was.
_BLOCKERS = """
select a.pid, a.usename::text, a.application_name, coalesce(host(a.client_addr), 'local'), a.state,
       to_char(coalesce(a.xact_start, a.state_change) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), left(a.query, 300),
       string_agg(distinct c.relname || ' ' || l.mode, ', ')
from pg_locks l join pg_stat_activity a on a.pid = l.pid join pg_class c on c.oid = l.relation
where l.granted and l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database())
  and c.relkind in ('r', 'p', 'm', 'v') and l.pid <> pg_backend_pid() and not l.pid = any(array[%s]::int[])
  and %s ~* ('\\m' || regexp_replace(c.relname, '(\\W)', '\\\\\\1', 'g') || '\\M')
group by a.pid, 2, 3, 4, 5, 6, 7 order by 6"""
_BLOCKER_KEYS = ("pid", "user", "application", "client", "state", "since", "query", "locks")


def blockers(dialect: str, dbapi: Any, statement: str, own_pids: list[int]) -> list[dict[str, Any]]:
    """Return the sessions that hold locks on the tables that ``statement`` names (PostgreSQL)."""
    if dialect != "postgresql" or not statement:
        return []
    found = rows(dbapi, _BLOCKERS % (",".join(str(pid) for pid in own_pids), literal(statement[:4000])))
    return [dict(zip(_BLOCKER_KEYS, (*row[:6], without_literals(row[6]), row[7]))) for row in found]


def without_literals(sql: str | None) -> str | None:
    """Replace the string and number literals of a statement that is not ours: they may be personal data."""
    return sql and re.sub(r"\b\d+(?:\.\d+)?\b", "?", re.sub(r"'(?:[^']|'')*'?", "?", sql))
