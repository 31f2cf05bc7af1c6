# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One schema of a PostgreSQL database is put back to what an archive holds, in one transaction, while others work beside it.

The present schema gets another name and the archive is read in under the old one. Nobody sees either before the commit, so that a
restore that is killed has not been. What others wait for, the lock on the present tables and that on tables which foreign keys lead
to in other schemas, is taken last.
"""

from __future__ import annotations

import re
import time
from typing import Any

from ..database.engine import Connection, Server, identifier, literal
from ..failure import Failure
from ..lock import Locks, PostgresLock
from .archived import Archive
from .facts import asked, outside_of
from .psql import Psql

_ENCODING = re.compile(rb"^SET client_encoding = .*;\n", re.M)
_KEY = re.compile(rb"\bREFERENCES (?P<schema>\"(?:[^\"]|\"\")*\"|[^\".\s]+)\.")
_HOLDERS = """
select distinct a.pid, a.usename::text, a.application_name, a.state from pg_locks l
join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace join pg_stat_activity a on a.pid = l.pid
where n.nspname = {schema} and l.granted and l.database = (select oid from pg_database where datname = current_database())
order by 1"""


def restore(request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Operation ``database_schema``: put a schema back to what an archive has of it; with ``check`` only read that."""
    server, started = asked(request), time.monotonic()
    told = server.drive(lambda: _read(request) if request.get("check") else _restore(server, request))
    common = {"changed": True, "dialect": server.dialect, "database": server.database, "warnings": server.warnings}
    return {**common, **told, "seconds": round(time.monotonic() - started, 3)}


def _read(request: dict[str, Any]) -> dict[str, Any]:
    """Read all that the archive has of the schema, so that it is known that it can be read, and touch nothing."""
    archive = Archive(request)
    entries = [*request["entries"], *request["foreign_keys"], *request["policies"]]
    for section in ("pre-data", "data", "post-data"):
        for _line in archive.statements(entries, section):
            pass
    return {"tables": archive.tables, "version_rows": archive.kept}


def _restore(server: Server, request: dict[str, Any]) -> dict[str, Any]:
    archive = Archive(request)
    with server.connected(purpose="restore of a schema") as guard:
        lock = _lock(guard, request)
        psql = Psql(server, request)
        try:
            _bring(psql, archive, request, lock)
            if not lock.kept():
                raise Failure("connection_lost", "The session that held the migration lock ended, so nothing was exchanged.")
            psql.commit()
        except Failure as failure:
            psql.end()
            with server.connected(purpose="schema") as connection:
                if not (psql.committing and _is_done(connection, request)):
                    raise _explained(failure, connection, request) from None
        finally:
            psql.end()
    kept = request["keep_as"] if request["present"] else None
    return {"tables": archive.tables, "version_rows": archive.kept, "kept": kept}


def _lock(guard: Connection, request: dict[str, Any]) -> PostgresLock:
    """Take the migration lock of the schema, which keeps an upgrade of it away.

    :raises Failure: ``lock_unavailable``.
    """
    scope = f"{request['schema']}.{request.get('version_table') or ''}"
    lock = PostgresLock(guard.dialect, guard.dbapi, None, scope, guard.is_pooled(), set())
    Locks(float(request.get("lock_wait") or 0), lambda told: None).poll(lock, {"holder": None})
    return lock


def _bring(psql: Psql, archive: Archive, request: dict[str, Any], lock: PostgresLock) -> None:
    """Do all but the commit."""
    schema, aside = request["schema"], request["keep_as"]
    psql.say(f"select pg_try_advisory_lock_shared({lock.work});")  # who comes next waits for this session too
    limit = f"set lock_timeout = {int(float(request.get('lock_timeout') or 0) * 1000)};"  # an archive sets it to none
    psql.say(limit)
    psql.say("begin read write;")  # whatever the role has by default
    psql.say(
        _do(
            f"if to_regnamespace({literal(identifier(schema))}) is not null then"
            f" alter schema {identifier(schema)} rename to {identifier(aside)}; end if;"
        )
    )
    psql.copy(archive.statements(request["entries"], "pre-data"))
    psql.copy(archive.statements(request["entries"], "data"))
    for table, rows in archive.rows.items():
        psql.say(_do(_counts(table, rows)))
    psql.copy(archive.statements(request["entries"], "post-data"))
    keys = b"".join(archive.statements(request["foreign_keys"], "post-data"))
    inner, outer = split_keys(keys, schema)
    psql.write(inner)
    psql.say("set client_encoding = 'UTF8';")
    psql.say(limit)
    psql.say(_do(_locks(aside)))
    psql.say(
        _do(
            f"if exists ({outside_of(aside)}) then raise exception"
            " 'something outside of the schema has come to depend on it meanwhile'; end if;"
        )
    )
    psql.write(b"".join(_ENCODING.findall(keys)[:1]) + outer)
    psql.copy(archive.statements(request["policies"], "post-data"))
    psql.ready()


def split_keys(statements: bytes, schema: str) -> tuple[bytes, bytes]:
    """Return the statements without the foreign keys that lead to other schemas, and those."""
    own = {schema.encode(), identifier(schema).encode()}
    inner: list[bytes] = []
    outer: list[bytes] = []
    for statement in re.split(rb"(?<=;\n)", statements):
        found = _KEY.search(statement)
        (outer if found and found.group("schema") not in own else inner).append(statement)
    return b"".join(inner), b"".join(outer)


def _do(body: str) -> str:
    tag = "$dbops$"
    while tag in body:
        tag = f"$x{tag[1:]}"
    return f"do {tag} declare locked record; begin {body} end {tag};"


def _counts(table: str, rows: int) -> str:
    what = literal(f"{table} does not hold the rows of the archive, which are {rows}").replace("%", "%%")
    return f"if (select count(*) from only {table}) <> {rows} then raise exception {what}; end if;"


def _locks(schema: str) -> str:
    """Return what waits until nobody works on the tables of a schema, and keeps everybody from them until the end."""
    return (
        "for locked in select c.oid::regclass as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        f" where n.nspname = {literal(schema)} and c.relkind in ('r', 'p') order by c.oid"
        " loop execute format('lock table only %s in access exclusive mode', locked.name); end loop;"
    )


def _there(connection: Connection, schema: str) -> bool:
    return bool(connection.value(f"select count(*) from pg_namespace where nspname = {literal(schema)}"))


def _is_done(connection: Connection, request: dict[str, Any]) -> bool:
    """Tell whether the commit was done although its answer was lost: then the present schema has its other name."""
    return _there(connection, request["keep_as"] if request["present"] else request["schema"])


def _explained(failure: Failure, connection: Connection, request: dict[str, Any]) -> Failure:
    if "lock timeout" not in failure.message:
        return failure
    found = connection.rows(_HOLDERS.format(schema=literal(request["schema"])))
    who = "; ".join(
        f"pid {pid} of {user} ({name or 'no name'}, {state or 'its state is hidden'})" for pid, user, name, state in found[:5]
    )
    return Failure(
        "lock_timeout",
        f"Sessions worked on the tables of {request['schema']} for longer than lock_timeout, so nothing was exchanged:"
        f" {who or 'they are gone now'}.",
        "End what holds them, or wait until it has ended; then run the task again.",
    )
