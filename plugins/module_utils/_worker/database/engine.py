# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Connections to a database server, made by the application's own SQLAlchemy and driver, and its errors in our words.

An async driver is used as it is: the whole operation then runs in a greenlet inside an event loop, where SQLAlchemy's
adapters of async drivers look like synchronous ones.
"""

from __future__ import annotations

import contextlib
import errno
import sys
from typing import Any, Callable, Iterator

from .. import drivers, learned, project, readonly, urls
from ..failure import DRIVER_MODULES, HINTS, MYSQL_ERRORS, Failure, causes, describe, sqlstate_of
from ..server import MYSQL, announced_pid, dbapi_of, literal, rows

OUR_NAME = "dbops.alembic"
MAINTENANCE_DATABASES = ("postgres", "template1")
CONNECT_SECONDS = 30
MINIMUM_POSTGRESQL = 110000
#: SQLSTATE → kind, where an operation on databases means another thing than a migration. PostgreSQL manual, appendix A.
KINDS = {"3D000": "database_missing", "42P04": "name_invalid", "55006": "database_busy", "53100": "insufficient_space"}
#: Limits that a role may have for the application's statements are none for ours.
POSTGRESQL_SETTINGS = {
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_read_only": "off",
}
FILE_ERRORS = {
    errno.ENOSPC: "insufficient_space",
    errno.EDQUOT: "insufficient_space",
    errno.EACCES: "insufficient_privilege",
    errno.EPERM: "insufficient_privilege",
    errno.EROFS: "insufficient_privilege",
}
SQLITE_MESSAGES = (
    ("full", "insufficient_space"),
    ("locked", "database_busy"),
    ("readonly", "insufficient_privilege"),
    ("unable to open", "connection_failed"),
)
#: What PostgreSQL says when a connection is refused; some drivers give no code then.
NOT_LET_IN = ("too many c", "permission denied for database", "remaining connection slots")
ENCRYPTED = ("sqlite+pysqlcipher",)

__all__ = ["MYSQL", "OUR_NAME", "Connection", "Server", "classified", "identifier", "literal", "open_server"]


def identifier(name: str) -> str:
    """Quote a name for PostgreSQL."""
    return '"' + name.replace('"', '""') + '"'


class Connection:
    """One connection in autocommit; a transaction is begun and ended by statements."""

    def __init__(self, engine: Any) -> None:
        self._fairy = engine.raw_connection()
        self.dbapi, self.dialect = dbapi_of(self._fairy), engine.dialect
        engine.dialect.set_isolation_level(self.dbapi, "AUTOCOMMIT")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return rows(self.dbapi, sql)

    def value(self, sql: str) -> Any:
        found = self.rows(sql)
        return found[0][0] if found else None

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.rows(statement)

    @contextlib.contextmanager
    def transaction(self, begin: str = "begin", end: str = "commit") -> Iterator[None]:
        """Run the body in one transaction; ``end`` "rollback" leaves no trace of it."""
        self.run(begin)
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):  # the first error is the one to tell; a broken connection rolls back by itself
                self.run("rollback")
            raise
        self.run(end)

    def is_pooled(self) -> bool:
        """Tell whether a pooler such as PgBouncer answers: it announces another process than the one that runs our statements."""
        announced = announced_pid(self.dbapi)
        return announced is not None and announced != self.value("select pg_backend_pid()")

    def close(self) -> None:
        with contextlib.suppress(Exception):  # broken already
            self._fairy.invalidate()


class Server:
    """A database URL that can be connected to, and to other databases of the same server.

    :param reading: the server itself keeps the sessions from writing.
    """

    def __init__(self, url: Any, reading: bool = False) -> None:
        self.url, self.reading = url, reading
        self.dialect: str = url.get_backend_name()
        self.database: str = url.database or url.query.get("dbname") or ""
        if self.dialect == "postgresql" and not self.database:
            self.database = _own_database(url)
        self.warnings: list[str] = []

    def connect(self, database: str | None = None, purpose: str = "") -> Connection:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        url = self.url.difference_update_query(["dbname"]).set(database=database or self.database)
        timed = url.get_driver_name() in ("psycopg2", "psycopg", "pymysql") and "connect_timeout" not in url.query
        arguments = {"connect_timeout": CONNECT_SECONDS} if timed else {}
        connection = Connection(create_engine(url, poolclass=NullPool, connect_args=arguments))
        if self.dialect == "postgresql":
            settings = {"application_name": f"{OUR_NAME} {purpose}".strip(), **POSTGRESQL_SETTINGS}
            calls = [f"set_config('{name}', {literal(value)}, false)" for name, value in settings.items()]
            connection.run(f"select {', '.join(calls)}")
            if int(connection.value("select current_setting('server_version_num')")) < MINIMUM_POSTGRESQL:
                raise Failure("unsupported_database", "This PostgreSQL is older than version 11.", "Upgrade the server.")
            if self.reading and not connection.is_pooled():  # behind a pooler it would stay for other clients
                connection.run(drivers.SET_POSTGRESQL)
        elif self.reading and self.dialect in MYSQL:
            connection.run(drivers.SET_MYSQL)
        return connection

    @contextlib.contextmanager
    def connected(self, database: str | None = None, purpose: str = "") -> Iterator[Connection]:
        connection = self.connect(database, purpose)
        try:
            yield connection
        finally:
            connection.close()

    def connect_beside(self, wanted: str | None, purpose: str) -> Connection:
        """Connect to another database than the URL's: ``wanted``, or the first of the usual ones that lets us in."""
        names = [wanted] if wanted else [name for name in MAINTENANCE_DATABASES if name != self.database]
        problems = []
        for name in names:
            try:
                return self.connect(name, purpose)
            except Exception as exc:
                failure = as_failure(exc)
                if failure.kind in ("authentication_failed", "driver_missing", "unsupported_database"):
                    raise failure from exc
                problems.append(f"{name}: {failure.message}")
        raise Failure(
            "connection_failed",
            f"No other database of the server, which copying {self.database} takes, could be connected to: {'; '.join(problems)}.",
            "Name one that the role may connect to as maintenance_database.",
        )

    def drive(self, work: Callable[[], Any]) -> Any:
        """Run ``work``, which connects, in the way that the driver needs."""
        if self.dialect == "sqlite" or not self.url.get_dialect().is_async:
            return work()
        import asyncio

        from sqlalchemy.util.concurrency import greenlet_spawn

        async def main() -> Any:
            return await greenlet_spawn(work)

        return asyncio.run(main())


def open_server(request: dict[str, Any]) -> Server:
    """Return the server of the request's URL, with a driver that is installed where the URL names none."""
    project.enter(request)
    try:
        import sqlalchemy  # noqa: F401
    except ImportError as exc:
        what = f"{sys.executable} can not import SQLAlchemy: {exc}."
        raise Failure("alembic_missing", what, HINTS["alembic_missing"]) from exc
    learned.watch_connections()
    url = urls.parsed(str(request["url"]))
    dialect = url.get_backend_name()
    if dialect not in ("postgresql", "sqlite", *MYSQL) or url.drivername in ENCRYPTED:
        raise Failure("unsupported_database", f"{url.drivername} is not PostgreSQL, MySQL, MariaDB or plain SQLite.")
    url = urls.usable_url(str(request["url"]))
    return Server(url, readonly.only_reads(request))


def _own_database(url: Any) -> str:
    """Return the database that a user has without naming one; what a service says is known to libpq alone."""
    if url.username and "service" not in url.query:
        return str(url.username)
    what = "The database URL names no database" + (", only a service." if "service" in url.query else ".")
    raise Failure("options_invalid", what, "Write its name too, such as postgresql:///orders?service=orders.")


def as_failure(exc: BaseException) -> Failure:
    """Return ``exc`` as a classified failure; an error of the server without a kind of its own is a ``database_error``."""
    if isinstance(exc, Failure):
        return exc
    told = describe(exc)
    kind = KINDS.get(sqlstate_of(exc) or "") or _plain_kind(exc) or told["kind"]
    if kind == "environment_failed":
        if not any(type(cause).__module__.split(".")[0] in DRIVER_MODULES for cause in causes(exc)):
            raise exc
        kind = "connection_failed" if any(part in told["message"] for part in NOT_LET_IN) else "database_error"
    return Failure(kind, told["message"], HINTS.get(kind), sqlstate=told["sqlstate"])


def _plain_kind(exc: BaseException) -> str | None:
    """Return the kind of an error of the file system, of SQLite, or of MySQL by its number, which says more than its SQLSTATE."""
    for cause in causes(exc):
        number = cause.args[0] if cause.args else None
        if "mysql" in type(cause).__module__.lower() and isinstance(number, int) and number in MYSQL_ERRORS:
            return MYSQL_ERRORS[number]
    if isinstance(exc, OSError):
        return FILE_ERRORS.get(exc.errno or 0, "database_error")
    if not type(exc).__module__.startswith("sqlite3"):
        return None
    return next((kind for part, kind in SQLITE_MESSAGES if part in str(exc)), "database_error")


def classified(operation: Callable[[dict[str, Any], Any], dict[str, Any]]) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Make every error of the database that leaves ``operation`` a classified failure."""

    def run(request: dict[str, Any], send: Any) -> dict[str, Any]:
        try:
            return operation(request, send)
        except Failure:
            raise
        except Exception as exc:
            raise as_failure(exc) from exc

    return run
