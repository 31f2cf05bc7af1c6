# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Reading is reading: while a project is only looked at, the servers keep every session of this process from writing.

The drivers open such sessions (:mod:`.drivers`). What SQLAlchemy tells of is watched besides: a connection that came another way
is closed to writing before its first statement, and one who opens it again on purpose is stopped. A pooler that gives each
transaction another session is told with every transaction.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from typing import Any, Callable, Dict, Iterator

from . import drivers, programs, server
from .failure import sqlstate_of
from .refused import (
    CONSEQUENCES,
    REFUSED,
    SQLITE_REFUSED,
    VARIABLE,
    bare,
    begins_writing,
    failure,
    is_refusal,
    is_there,
    opens,
    place,
    reads,
)

Send = Callable[[Dict[str, Any]], None]
READING = ("info", "check", "revision", "preview", "plan", "plan_schema", "plan_clean")
DATABASE_READING = (
    "database_sessions_info",
    "database_snapshot_info",
    "database_rows",
    "database_restore_info",
    "database_schema_info",
    "database_targets",
)
#: Key, in what SQLAlchemy keeps of a connection, of how it is kept from writing; and what is there of one that may write.
MARK = "dbops.alembic reading"
WRITABLE = {"writable": True, "pooled": False, "told": False}


class Keeper:
    """Keeps what this process connects to from being written to."""

    def __init__(self) -> None:
        self._writable = 0
        self.refused: list[dict[str, Any]] = []  # what was refused, whether or not the project has told anybody
        self.before = os.environ.get("PGOPTIONS")

    @property
    def writable(self) -> bool:
        return self._writable > 0

    def start(self) -> None:
        """From now on sessions only read."""
        self.begin()
        drivers.install(self)
        programs.install(self.stop)

    def begin(self) -> None:
        """Begin anew, with the environment as it is now."""
        self.refused.clear()
        os.environ[VARIABLE] = "1"
        self.before = os.environ.get("PGOPTIONS")
        # for programs that the project starts, and for bindings of libpq that we don't know
        os.environ["PGOPTIONS"] = f"{self.before or ''} {drivers.OPTION}".strip()

    def stop(self, command: str) -> None:
        """Stop a program that would migrate; it has connections of its own, also where this process works on a copy.

        :raises Failure: ``environment_writes``.
        """
        self.note(command)
        raise failure(self.refused[-1], "We stopped it")

    def listen(self) -> None:
        """Watch SQLAlchemy, once it can be imported."""
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        event.listen(Engine, "begin", self._begin)
        event.listen(Engine, "before_cursor_execute", self._before, retval=True)
        event.listen(Engine, "handle_error", self._error)

    def withdraw(self) -> None:
        if self.before is None:
            os.environ.pop("PGOPTIONS", None)
        else:
            os.environ["PGOPTIONS"] = self.before

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Connections that are opened inside may write: they go to a copy, or to where copies are made."""
        ours = os.environ.get("PGOPTIONS")
        self._writable += 1
        self.withdraw()
        try:
            yield
        finally:
            self._writable -= 1
            if ours is not None:
                os.environ["PGOPTIONS"] = ours

    def _kept(self, conn: Any) -> dict[str, Any]:
        """Return how this connection of SQLAlchemy is kept; one that we have not seen before is closed to writing first."""
        info: dict[str, Any] = conn.connection.info
        if MARK not in info:
            dbapi = server.dbapi_of(conn.connection)
            pooled = _close(conn.dialect.name, dbapi)
            info[MARK] = {"writable": False, "pooled": pooled, "told": pooled and _begins_reading(conn.dialect.driver, dbapi)}
        return info[MARK]  # type: ignore[no-any-return]

    def _begin(self, conn: Any) -> None:
        kept = self._kept(conn)
        if kept["pooled"] and not kept["told"]:
            server.value(server.dbapi_of(conn.connection), "set transaction read only")

    def _before(self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> Any:
        kept = self._kept(conn)
        if kept["writable"]:
            return statement, parameters
        text = bare(statement)
        autocommits = kept["pooled"] and server.in_transaction(server.dbapi_of(conn.connection)) is False
        unknown = conn.dialect.name not in ("postgresql", "cockroachdb", "sqlite", *server.MYSQL)
        if opens(text) or _opened(conn) or ((unknown or autocommits) and not reads(text)):
            self.note(statement)
            raise failure(self.refused[-1], "We stopped it")
        if conn.dialect.name == "sqlite" and begins_writing(text):
            return "begin", parameters
        if is_there(conn.dialect.name, server.dbapi_of(conn.connection), text):
            return "select 1 where 1 = 0" if conn.dialect.name != "mysql" else "do 0", ()
        return statement, parameters

    def _error(self, context: Any) -> None:
        exc, connection = context.original_exception, context.connection
        if connection is not None and not connection.closed and connection.connection.info.get(MARK, {}).get("writable"):
            return  # of a copy, or where copies are made: nobody has kept that from being written to
        if is_refusal(exc) and context.statement:
            self.note(context.statement, sqlstate_of(exc))

    def note(self, statement: str, sqlstate: str | None = None) -> None:
        """Note what was refused, and where in the project it came from."""
        told = place("".join(traceback.format_stack()))
        self.refused.append(dict(told, statement=statement.strip()[:4000], sqlstate=sqlstate))

    def explained(self, error: dict[str, Any]) -> dict[str, Any]:
        """Return ``error`` as our own kind if it comes from something that was refused."""
        text = str(error.get("message"))
        direct = error.get("sqlstate") in REFUSED or any(part in text for part in SQLITE_REFUSED)
        if error["kind"] == "environment_writes" or not (direct or (self.refused and error["kind"] in CONSEQUENCES)):
            return error
        found = self.refused[-1] if self.refused else dict(place(str(error.get("traceback") or "")), statement=None)
        if not found.get("statement"):
            found = dict(found, statement=error.get("statement"), sqlstate=error.get("sqlstate"))
        told = failure(found, "The server refused it" if direct else "It was refused", text)
        message = told.message if direct else f"{told.message} What came of it: {text}"
        return dict(error, kind=told.kind, message=message, hint=told.hint, **told.facts)

    def warnings(self) -> list[str]:
        """Return what is to be told of refusals that the project has passed over."""
        return [failure(found, "It was refused").message for found in self.refused]


def _close(dialect: str, dbapi: Any) -> bool:
    """Close a session to writing; tell whether a pooler stands before the server, which is told with each transaction."""
    if dialect == "sqlite":
        server.rows(dbapi, "pragma query_only = on")
    elif dialect in server.MYSQL:
        server.rows(dbapi, drivers.SET_MYSQL)
    elif dialect in ("postgresql", "cockroachdb"):
        with server.looking(dbapi):
            pid, setting = server.rows(dbapi, drivers.ASK)[0]
        if setting != "on" and server.announced_pid(dbapi) != pid:
            return True  # of a driver that does not say which process it was announced we suppose the worst
        if setting != "on":
            server.value(dbapi, drivers.SET_POSTGRESQL)
            dbapi.commit()  # without it the setting ends with the transaction
    return False


def _begins_reading(driver: str, dbapi: Any) -> bool:
    """Tell whether the driver itself begins each transaction as one that only reads; a SET would begin it before it is needed."""
    if driver == "asyncpg":
        dbapi.readonly = True
    return bool(server.first_of(lambda: dbapi.readonly, lambda: dbapi.read_only, lambda: dbapi._connection.read_only))


def _opened(conn: Any) -> bool:
    """Tell whether the driver was told to begin each transaction as one that writes."""
    name = {"psycopg2": "readonly", "psycopg": "read_only"}.get(conn.dialect.driver)
    return name is not None and getattr(server.dbapi_of(conn.connection), name, None) is False


#: The keeper of this process while it only reads.
KEEPER: list[Keeper] = []


def only_reads(request: dict[str, Any]) -> bool:
    """Tell whether an operation on a whole database only looks at it."""
    operation = str(request.get("operation"))
    return operation in DATABASE_READING or (operation.startswith("database_") and bool(request.get("check")))


def start(request: dict[str, Any]) -> None:
    """Begin to keep sessions from writing, if the operation of ``request`` only reads."""
    os.environ.pop(VARIABLE, None)
    for keeper in KEEPER:
        keeper.begin()
    if request.get("operation") in READING and not KEEPER:
        KEEPER.append(Keeper())
        KEEPER[0].start()


def listen() -> None:
    for keeper in KEEPER:
        keeper.listen()


def telling(send: Send) -> Send:
    """Return ``send`` with errors that come from a refusal told as what they are."""

    def tell(message: dict[str, Any]) -> None:
        error = message.get("error")
        if error and message["event"] in ("failed", "error"):
            for keeper in KEEPER:
                message = dict(message, error=keeper.explained(error))
        send(message)

    return tell


def warn(send: Send) -> None:
    """Tell of refusals that the project has passed over; all is as it was, so what was read is true."""
    for keeper in KEEPER:
        for message in keeper.warnings():
            send({"event": "warning", "message": message})


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Let connections that are opened inside write, if this process only reads otherwise."""
    with contextlib.ExitStack() as stack:
        for keeper in KEEPER:
            stack.enter_context(keeper.writing())
        yield
