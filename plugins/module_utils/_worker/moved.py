# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether a database moved although we had not begun yet: many applications migrate by themselves as soon as they are loaded.

What the version tables hold is read on the first connection that this process makes to a database, before the project gets it, and
again when env.py hands over a context. Statements on a version table until then are the project's own.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from . import project, server

#: Version table → its revisions; None for one that the role of that moment may not read.
Versions = Dict[Tuple[str, str], Optional[List[str]]]
_MARK = "dbops.alembic moved"
_MAXIMUM_TABLES = 500
_IDENTITY = {
    "postgresql": "select current_database()::text, pg_postmaster_start_time()::text",
    "mysql": "select database(), concat(@@hostname, ':', @@port)",
    "sqlite": "select file, '' from pragma_database_list where name = 'main'",
}
#: Where version tables are; they are told by their only column.
_TABLES = {
    "postgresql": """
select n.nspname::text, c.relname::text, has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
where a.attname = 'version_num' and not a.attisdropped and c.relkind in ('r', 'p') and n.nspname !~ '^pg_'
order by 1, 2""",
    "mysql": """
select '', table_name, 1 from information_schema.columns where column_name = 'version_num' and table_schema = database()""",
    "sqlite": """
select '', m.name, 1 from sqlite_master m join pragma_table_info(m.name) c where m.type = 'table' and c.name = 'version_num'""",
}
#: By what depends on the schema, for which there is an index; of pg_class all rows would be read, of all schemas.
_TABLES_OF_SCHEMA = """
select n.nspname::text, c.relname::text, has_schema_privilege(n.oid, 'usage') and has_table_privilege(c.oid, 'select')
from pg_namespace n
  join pg_depend d on d.refclassid = 'pg_namespace'::regclass and d.refobjid = n.oid and d.classid = 'pg_class'::regclass
  join pg_class c on c.oid = d.objid
where n.nspname = %s and c.relkind in ('r', 'p')
  and exists (select 1 from pg_attribute a where a.attrelid = c.oid and a.attname = 'version_num' and not a.attisdropped)
order by 1, 2"""
_WRITES_VERSION = re.compile(r"^\s*(insert\s+into|update|delete\s+from)\b.*\bversion_num\b", re.I | re.S)


class Watch:
    """What is known of each database from before we began."""

    def __init__(self) -> None:
        self.addresses: dict[str, tuple[str, ...] | None] = {}  # arguments of a driver → the database that they lead to
        self.first: dict[tuple[str, ...], Versions] = {}
        self.moves: dict[tuple[str, ...], dict[tuple[str, str], dict[str, Any]]] = {}
        self.written: set[tuple[str, ...] | None] = set()
        self.schema: str | None = None

    def listen(self) -> None:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine
        from sqlalchemy.pool import Pool

        event.listen(Engine, "do_connect", self._do_connect)
        event.listen(Pool, "checkout", self._checkout)
        event.listen(Engine, "before_cursor_execute", self._before)

    def forget(self, schema: str | None = None) -> None:
        self.__init__()  # type: ignore[misc]
        self.schema = schema

    def _do_connect(self, dialect: Any, record: Any, cargs: Any, cparams: Any) -> None:
        if record is not None:
            record.info[_MARK] = (_kind(dialect.name), repr((cargs, sorted(map(repr, cparams.items())))))

    def _checkout(self, dbapi: Any, record: Any, fairy: Any) -> None:
        kind, address = record.info.get(_MARK) or ("", "")
        if kind in _TABLES and address not in self.addresses:
            self.addresses[address] = None
            with contextlib.suppress(Exception), _aside(kind, dbapi):  # it only adds to what is told
                self.addresses[address] = database = tuple(str(part) for part in server.rows(dbapi, _IDENTITY[kind])[0])
                if database not in self.first:
                    self.first[database] = _versions(kind, dbapi, self.schema)

    def _before(self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        if _WRITES_VERSION.match(statement):
            self.written.add(self.addresses.get((conn.connection.info.get(_MARK) or ("", ""))[1]))

    def meet(self, visit: Any) -> None:
        """env.py hands over a context: whatever moved until now was not us. To be called before a lock is waited for."""
        kind = _kind(visit.connection.dialect.name)
        address = (visit.connection.connection.info.get(_MARK) or ("", ""))[1]
        database = self.addresses.get(address)
        if database is None or database in self.moves or database not in self.first:
            return
        self.moves[database] = {}
        with contextlib.suppress(Exception):
            before = self.first[database]
            with _aside(kind, visit.dbapi, visit.connection.in_transaction()):
                now = _versions(kind, visit.dbapi, self.schema)
            for name in {*before, *now}:
                old, new = before.get(name, []), now.get(name, [])
                if old != new and old is not None and new is not None:  # env.py may have become a role that sees more
                    self.moves[database][name] = {"from": old, "to": new, "by_project": database in self.written}

    def of(self, visit: Any) -> dict[str, Any] | None:
        """Return from where to where the context's version table moved before we began, and whether this process did it."""
        database = self.addresses.get((visit.connection.connection.info.get(_MARK) or ("", ""))[1])
        schema = visit.database["version_table_schema"] or visit.database["schema"] or ""
        name = (schema if visit.database["dialect"] == "postgresql" else "", visit.database["version_table"])
        return self.moves.get(database or ("",), {}).get(name)


def _kind(dialect: str) -> str:
    return "mysql" if dialect in server.MYSQL else dialect


@contextlib.contextmanager
def _aside(kind: str, dbapi: Any, begun: bool = False) -> Iterator[None]:
    """Read in a transaction of its own, or in the open one so that an error does not spoil it."""
    open_now = server.in_transaction(dbapi)
    inside = kind == "postgresql" and (begun if open_now is None else open_now)
    with server.looking(dbapi, begun):
        if inside:
            server.rows(dbapi, "savepoint dbops_alembic")
        try:
            yield
        finally:
            if inside:
                server.rows(dbapi, "rollback to savepoint dbops_alembic")


def _versions(kind: str, dbapi: Any, schema: str | None) -> Versions:
    """Return version table → its revisions.

    :param schema: the only one that matters; a database may have hundreds of them, each with a version table.
    """
    mark = "`" if kind == "mysql" else '"'
    query = _TABLES[kind] if schema is None or kind != "postgresql" else _TABLES_OF_SCHEMA % server.literal(schema)
    tables = server.rows(dbapi, query)[:_MAXIMUM_TABLES]
    hidden = {(str(schema), str(table)) for schema, table, readable in tables if not readable}
    names = [(str(schema), str(table)) for schema, table, readable in tables if readable]
    revisions: dict[tuple[str, str], list[str]] = {name: [] for name in names}
    if names:
        parts = []
        for number, name in enumerate(names):
            quoted = ".".join(mark + part.replace(mark, mark * 2) + mark for part in name if part)
            parts.append(f"select {number}, version_num from {quoted}")
        for number, revision in server.rows(dbapi, " union all ".join(parts)):
            revisions[names[int(number)]].append(str(revision))
    return {**{name: sorted(found) for name, found in revisions.items()}, **dict.fromkeys(hidden)}


#: The watch of this process, while it migrates or looks after that.
_WATCH: list[Watch] = []


def begin(request: dict[str, Any]) -> None:
    """Begin to watch, or begin anew: the project is about to be loaded."""
    if not _WATCH:
        _WATCH.append(Watch())
        _WATCH[0].listen()
    _WATCH[0].forget(request.get("version_schema"))
    if request.get("prelude"):
        _look_first(request)


def _look_first(request: dict[str, Any]) -> None:
    """Connect by ourselves before the prelude runs: what it starts in another process would not be seen otherwise."""
    import asyncio

    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool
    from sqlalchemy.util.concurrency import greenlet_spawn

    for url in project.asked_urls(request):
        with contextlib.suppress(Exception):  # what is wrong with it is told when the project connects
            if url.get_backend_name() == "sqlite" and not os.path.isfile(url.database or ""):
                continue  # it would be made
            engine = create_engine(url, poolclass=NullPool)
            if getattr(engine.dialect, "is_async", False):

                async def look(engine: Any = engine) -> None:
                    await greenlet_spawn(lambda: engine.raw_connection().close())

                asyncio.run(look())
            else:
                engine.raw_connection().close()


def meet(visit: Any) -> None:
    for watch in _WATCH:
        watch.meet(visit)


def place(visit: Any) -> str | None:
    """Return what PostgreSQL says of itself and of the context's database, by whatever name it was reached.

    When it began is its own to the microsecond; what MySQL says, its host's name and its port, two servers may have in common.
    """
    if visit.connection.dialect.name != "postgresql":
        return None
    address = (visit.connection.connection.info.get(_MARK) or ("", ""))[1]
    found = next((watch.addresses.get(address) for watch in _WATCH), None)
    return "|".join(found) if found else None


def of(visit: Any) -> dict[str, Any] | None:
    """Return from where to where a context's database moved before we began, if it did and somebody watched."""
    return _WATCH[0].of(visit) if _WATCH else None


def warn(send: Callable[[dict[str, Any]], None]) -> None:
    """Tell whoever only looks that a database moved meanwhile; no connection of this process could write."""
    for watch in _WATCH:
        for moves in watch.moves.values():
            for move in moves.values():
                way = " to ".join(", ".join(move[end]) or "base" for end in ("from", "to"))
                message = (
                    f"The database moved from {way} while the project was looked at, and not through a connection of ours: the "
                    "project starts a migration in another process, or somebody else migrated at that time."
                )
                send({"event": "warning", "message": message})
