# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The drivers, made to open sessions that the server itself keeps from writing.

A driver is changed in this process when the project imports it, at the one place through which each of its connections goes. So
it does not matter who connects: an engine of SQLAlchemy, a pool of the driver's own, or the application by hand.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import os
import struct
import sys
from typing import Any, Callable, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from . import pooled, server

OPTION = "-c default_transaction_read_only=on"
READ_ONLY = {"default_transaction_read_only": "on"}
#: Both say who answers, and whether the option has arrived: behind a pooler another process answers, or none of ours listened.
ASK = "select pg_backend_pid(), current_setting('default_transaction_read_only')"
SET_POSTGRESQL = "set default_transaction_read_only = on"
SET_MYSQL = "set session transaction read only"
_REFUSED_BY_POOLER = "unsupported startup parameter"
_MEMORY = ("", ":memory:")
_FACTORY = 5  # where the class of the connection stands among the arguments of sqlite3.connect after the file


class Keeper(Protocol):
    """Who says whether a connection that is opened now may write."""

    @property
    def writable(self) -> bool: ...

    def withdraw(self) -> None:
        """Take the option out of the environment again: a pooler on the way refuses it."""


def install(keeper: Keeper) -> None:
    """Change the drivers that are imported already, and each other one as soon as it is."""
    sys.meta_path.insert(0, _Imports(keeper))
    for name, change in CHANGES.items():
        if name in sys.modules:
            change(sys.modules[name], keeper)


class _Imports(importlib.abc.MetaPathFinder):
    """Changes a driver's module right after its own code has run."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper, self.looking = keeper, False

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in CHANGES or self.looking:
            return None
        self.looking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self.looking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Changed(spec.loader, lambda module: CHANGES[fullname](module, self.keeper))
        return spec


class _Changed(importlib.abc.Loader):
    def __init__(self, loader: Any, change: Callable[[Any], None]) -> None:
        self.loader, self.change = loader, change

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self.loader  # whoever asks the module for its resources asks this one
        self.loader.exec_module(module)
        self.change(module)


def _refused(exc: BaseException) -> bool:
    return _REFUSED_BY_POOLER in str(exc)


def _libpq_options(given: dict[str, Any]) -> str | None:
    """Return the ``options`` that a connection was meant to have, with ours; a service's may hold some that we can't see."""
    if given.get("service") or os.environ.get("PGSERVICE"):
        return None
    own = given.get("options")
    meant = own if own is not None else (os.environ.get("PGOPTIONS") or "").replace(OPTION, "")
    return f"{meant} {OPTION}".strip()


def _psycopg2(module: Any, keeper: Keeper) -> None:
    original, extensions = module._connect, module.extensions

    def _connect(dsn: str, *args: Any, **keywords: Any) -> Any:
        if keeper.writable:
            return original(dsn, *args, **keywords)
        ours = _libpq_options(extensions.parse_dsn(dsn))
        try:
            connection = original(dsn if ours is None else extensions.make_dsn(dsn, options=ours), *args, **keywords)
        except module.OperationalError as exc:
            if not _refused(exc):
                raise
            keeper.withdraw()
            connection = original(dsn, *args, **keywords)
        if not getattr(connection, "async_", 0):
            _settle_psycopg2(connection, extensions)
        return connection

    module._connect = _connect


def _settle_psycopg2(connection: Any, extensions: Any) -> None:
    cursor = extensions.connection.cursor(connection, cursor_factory=extensions.cursor)  # not by a class of the project's own
    try:
        with server.each_by_itself(connection):
            cursor.execute(ASK)
            pid, setting = cursor.fetchone()
        connection.rollback()
        if pid != connection.info.backend_pid:
            connection.readonly = True  # each transaction begins with BEGIN READ ONLY; a SET would stay for other clients
        elif setting != "on":
            cursor.execute(SET_POSTGRESQL)
            connection.commit()
    finally:
        cursor.close()


def _psycopg(module: Any, keeper: Keeper) -> None:
    make = module.conninfo.conninfo_to_dict

    def options(conninfo: str, keywords: dict[str, Any]) -> dict[str, Any]:
        named = {name: keywords[name] for name in ("options", "service") if keywords.get(name) is not None}
        ours = _libpq_options(make(conninfo, **named))
        return keywords if ours is None else dict(keywords, options=ours)

    sync, original = module.Connection, module.Connection.connect.__func__

    def connect(cls: Any, /, conninfo: str = "", **keywords: Any) -> Any:
        if keeper.writable:
            return original(cls, conninfo, **keywords)
        try:
            connection = original(cls, conninfo, **options(conninfo, keywords))
        except module.OperationalError as exc:
            if not _refused(exc):
                raise
            keeper.withdraw()
            connection = original(cls, conninfo, **keywords)
        if _settle_psycopg(connection.pgconn):
            connection.read_only = True
        return connection

    asynchronous = module.AsyncConnection
    original_async = asynchronous.connect.__func__

    async def connect_async(cls: Any, /, conninfo: str = "", **keywords: Any) -> Any:
        if keeper.writable:
            return await original_async(cls, conninfo, **keywords)
        try:
            connection = await original_async(cls, conninfo, **options(conninfo, keywords))
        except module.OperationalError as exc:
            if not _refused(exc):
                raise
            keeper.withdraw()
            connection = await original_async(cls, conninfo, **keywords)
        if _settle_psycopg(connection.pgconn):
            await connection.set_read_only(True)
        return connection

    sync.connect, asynchronous.connect = classmethod(connect), classmethod(connect_async)
    module.connect = sync.connect


def _settle_psycopg(pgconn: Any) -> bool:
    """Ask below psycopg, which so begins no transaction; tell whether each has to be begun as one that only reads."""
    found = pgconn.exec_(ASK.encode())
    pid, setting = found.get_value(0, 0), found.get_value(0, 1)
    if pid is None or int(pid) != pgconn.backend_pid:
        return True
    if setting != b"on":
        pgconn.exec_(SET_POSTGRESQL.encode())
    return False


def _asyncpg(module: Any, keeper: Keeper) -> None:
    original = module._connect

    async def _connect(**keywords: Any) -> Any:
        if keeper.writable:
            return await original(**keywords)
        settings = dict(keywords.get("server_settings") or {}, **READ_ONLY)
        try:
            connection = await original(**dict(keywords, server_settings=settings))
        except Exception as exc:
            if not _refused(exc):
                raise
            connection = await original(**keywords)
        where = f"select 1 where pg_backend_pid() = {int(connection.get_server_pid())}"
        if str(await connection._protocol.query(where, None)) != "SELECT 1":  # the tag says how many rows there are
            connection._protocol = pooled.Protocol(connection._protocol)
        return connection

    module._connect = _connect


def _pg8000(module: Any, keeper: Keeper) -> None:
    original = module.CoreConnection.__init__
    knows = "startup_params" in inspect.signature(original).parameters

    def initialise(self: Any, *args: Any, **keywords: Any) -> None:
        if keeper.writable:
            return original(self, *args, **keywords)  # type: ignore[no-any-return]
        params = dict(keywords.get("startup_params") or {}, **READ_ONLY)
        try:
            original(self, *args, **(dict(keywords, startup_params=params) if knows else keywords))
        except Exception as exc:
            if not _refused(exc):
                raise
            original(self, *args, **keywords)
        announced = struct.unpack("!i", self._backend_key_data[:4])[0]
        pid, setting = self.execute_simple(ASK).rows[0]
        if int(pid) != announced:
            pooled.pg8000(self)
        elif setting != "on":
            self.execute_simple(SET_POSTGRESQL)
        return None

    module.CoreConnection.__init__ = initialise


def _all(*changes: Callable[[Any, Keeper], None]) -> Callable[[Any, Keeper], None]:
    def change(module: Any, keeper: Keeper) -> None:
        for one in changes:
            one(module, keeper)

    return change


def _after(name: str, owner: str, run: Callable[[Any], Any]) -> Callable[[Any, Keeper], None]:
    """Return a change that runs something on each connection when the method ``name`` of the class ``owner`` has connected it."""

    def change(module: Any, keeper: Keeper) -> None:
        cls = getattr(module, owner)
        original = getattr(cls, name)

        def connected(self: Any, *args: Any, **keywords: Any) -> Any:
            found = original(self, *args, **keywords)
            if not keeper.writable:
                run(self)
            return found

        async def connected_async(self: Any, *args: Any, **keywords: Any) -> Any:
            writable = keeper.writable
            found = await original(self, *args, **keywords)
            if not writable:
                await run(self)
            return found

        setattr(cls, name, connected_async if inspect.iscoroutinefunction(original) else connected)

    return change


def _by_cursor(connection: Any) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(SET_MYSQL)
    finally:
        cursor.close()


async def _by_query(connection: Any) -> None:
    await connection.cmd_query(SET_MYSQL)


def _forgetting(owner: str, run: Callable[[Any], Any]) -> Callable[[Any, Keeper], None]:
    """Return a change of mysql.connector for what begins a connection anew, as its pool does with each."""
    return _all(*(_after(name, owner, run) for name in ("cmd_reset_connection", "cmd_change_user")))


def _sqlite3(module: Any, keeper: Keeper) -> None:
    """Change the class too: a connection can be made by its class alone, and copied into by another one."""
    import _sqlite3 as below

    if hasattr(below.Connection, "dbops_original"):  # another name of the same module
        module.connect, module.Connection = below.connect, below.Connection
        return
    original: Any = below.Connection
    connect_original: Any = below.connect

    class Connection(original):  # type: ignore[misc]
        dbops_original = original
        dbops_keeps = False

        def __init__(self, database: Any, *args: Any, **keywords: Any) -> None:
            if keeper.writable:
                super().__init__(database, *args, **keywords)
                return
            name, memory = os.fsdecode(database), False
            if _would_make(name, bool(keywords.get("uri"))):
                database, memory = ":memory:", True  # looking at a file that is not there must not make it
            super().__init__(database, *args, **keywords)
            self.dbops_keeps = memory or name not in _MEMORY
            if self.dbops_keeps:
                original.execute(self, "pragma query_only = on").close()
            self.set_authorizer(_authorize(below, name not in _MEMORY))

        def backup(self, target: Any, *args: Any, **keywords: Any) -> None:
            if getattr(target, "dbops_keeps", False):  # SQLite copies pages, and asks neither the pragma nor the authorizer
                raise below.OperationalError("attempt to write a readonly database")
            super().backup(target, *args, **keywords)

    def connect(database: Any, *args: Any, **keywords: Any) -> Any:
        if len(args) < _FACTORY:
            keywords.setdefault("factory", Connection)
        return connect_original(database, *args, **keywords)

    Connection.__qualname__, Connection.__module__ = original.__qualname__, original.__module__
    places: tuple[Any, ...] = (below, module)
    for where in places:
        where.connect, where.Connection = connect, Connection


def _would_make(name: str, uri: bool) -> bool:
    """Tell whether opening this file of SQLite would make it."""
    if uri and name.startswith("file:"):
        parts = urlsplit(name)
        mode = (parse_qs(parts.query).get("mode") or [""])[0]
        name = unquote(parts.path)
        if mode in ("memory", "ro", "rw"):
            return False
    if name in _MEMORY or os.path.lexists(name):
        return False
    return os.access(os.path.dirname(os.path.abspath(name)), os.W_OK | os.X_OK)  # otherwise SQLite says what is wrong


def _authorize(sqlite3: Any, file: bool) -> Callable[..., int]:
    """Return what SQLite asks before each statement: whether it may run.

    The journal's mode is in the file, and changing it is not kept back by query_only: it is left as it is, without an error.
    """

    def authorize(action: int, first: str | None, second: str | None, *_more: Any) -> int:
        if action == sqlite3.SQLITE_PRAGMA and second is not None:
            if (first or "").lower() == "journal_mode":
                return int(sqlite3.SQLITE_IGNORE) if file else int(sqlite3.SQLITE_OK)
            if (first or "").lower() == "query_only" and second.lower() not in ("1", "on", "true", "yes"):
                return int(sqlite3.SQLITE_DENY)
        if action == sqlite3.SQLITE_ATTACH and not file and first not in _MEMORY:
            return int(sqlite3.SQLITE_DENY)  # a database in memory may be written to, and so could what is attached to it
        return int(sqlite3.SQLITE_OK)

    return authorize


#: Module of a driver → how it is changed.
CHANGES: dict[str, Callable[[Any, Keeper], None]] = {
    "psycopg2": _psycopg2,
    "psycopg": _psycopg,
    "asyncpg.connect_utils": _asyncpg,
    "pg8000.core": _pg8000,
    "pymysql.connections": _after("connect", "Connection", lambda self: self.query(SET_MYSQL)),
    "aiomysql.connection": _after("_connect", "Connection", lambda self: self.query(SET_MYSQL)),
    "asyncmy.connection": _after("connect", "Connection", lambda self: self.query(SET_MYSQL)),
    "MySQLdb.connections": _after("__init__", "Connection", _by_cursor),
    "mysql.connector.abstracts": _after("connect", "MySQLConnectionAbstract", _by_cursor),
    "mysql.connector.connection": _forgetting("MySQLConnection", _by_cursor),
    "mysql.connector.connection_cext": _forgetting("CMySQLConnection", _by_cursor),
    "mysql.connector.aio.connection": _all(
        _after("connect", "MySQLConnection", _by_query), _forgetting("MySQLConnection", _by_query)
    ),
    "mariadb.connections": _after("__init__", "Connection", _by_cursor),
    "sqlite3": _sqlite3,
    "sqlite3.dbapi2": _sqlite3,
}
