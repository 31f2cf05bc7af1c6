# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How the project reaches a database, noted when it did, so that the rehearsal reaches its copy in just the same way.

What SQLAlchemy's ``do_connect`` event hands to the driver is kept: whatever env.py, a settings class or a hook for
credentials has put there, certificates included, is good for another database of the same server too.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any, Callable, Iterable, Iterator

from .. import readonly, server, urls

#: A plan is made once (since PostgreSQL 12), and for few of many objects: they are found by their indexes.
_GENERIC = "select set_config(name, 'force_generic_plan', false) from pg_settings where name = 'plan_cache_mode'"
_BY_INDEX = "select set_config(name, '{}', false) from unnest(array['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) name"
_LOOPBACK = ("127.0.0.1", "::1", "")
#: Connect argument of libpq → the variable that its programs read it from. PostgreSQL manual, "Environment Variables".
_LIBPQ = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


def endpoint(cargs: Any, cparams: dict[str, Any], dialect: str = "") -> tuple[str, ...]:
    """Return what tells one database from another in the arguments that a driver is given."""
    if dialect == "sqlite":
        name = str(cargs[0] if cargs else cparams.get("database") or "")
        return ("", "", name if name in ("", ":memory:") or name.startswith("file:") else os.path.realpath(name))
    host = str(cparams.get("host") or cparams.get("unix_socket") or "")
    name = cparams.get("dbname") or cparams.get("database") or cparams.get("db") or cparams.get("user") or ""
    return (
        "localhost" if host in _LOOPBACK else host,
        str(cparams.get("port") or ""),
        str(name),
        str(cparams.get("dsn") or cparams.get("conninfo") or cparams.get("service") or ""),
        " ".join(str(item) for item in cargs),
    )


class Access:
    """The way to one database.

    :param dialect: SQLAlchemy's dialect of the project's engine.
    :param cargs: what the driver's ``connect()`` was given.
    """

    def __init__(self, dialect: Any, cargs: Any, cparams: dict[str, Any]) -> None:
        self.dialect, self.cargs, self.cparams = dialect, cargs, cparams
        self.endpoint = endpoint(cargs, cparams, dialect.name)

    def connect(self, database: str, purpose: str, reading: bool = False) -> Session:
        """Connect to another database of the server, or to another file; ``reading`` goes to an original, which stays as it is."""
        return Session(self.dialect, *aimed(self.dialect.name, self.cargs, self.cparams, database), purpose, reading)

    def variables(self, database: str) -> dict[str, str]:
        """Return the environment in which PostgreSQL's programs reach ``database``; the password is nowhere else."""
        found = {variable: str(self.cparams[name]) for name, variable in _LIBPQ.items() if self.cparams.get(name)}
        ssl = self.cparams.get("ssl")
        if isinstance(ssl, str):
            found["PGSSLMODE"] = ssl
        return dict(found, PGDATABASE=database, PGCONNECT_TIMEOUT="30", PGAPPNAME="dbops.alembic rehearsal")


def access_to(text: str) -> Access:
    """Return the way to the database of a URL."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine(urls.usable_url(text), poolclass=NullPool)
    cargs, cparams = engine.dialect.create_connect_args(engine.url)
    return Access(engine.dialect, list(cargs), dict(cparams))


def aimed(dialect: str, cargs: Any, cparams: dict[str, Any], database: str) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments with which a driver reaches ``database`` instead."""
    return ([database, *cargs[1:]], dict(cparams)) if dialect == "sqlite" else (list(cargs), redirected(cparams, database))


def redirected(cparams: dict[str, Any], database: str) -> dict[str, Any]:
    name = next((name for name in ("dbname", "database", "db") if name in cparams), "database")
    rest = {key: value for key, value in cparams.items() if key not in ("dbname", "database", "db")}
    return dict(rest, **{name: database})


class _Loop(threading.Thread):
    """An event loop of our own, in which connections of an async driver live as long as we want."""

    def __init__(self) -> None:
        import asyncio

        super().__init__(daemon=True)
        self.loop = asyncio.new_event_loop()
        self.start()

    def run(self) -> None:
        self.loop.run_forever()

    def call(self, work: Callable[[], Any]) -> Any:
        import asyncio

        from sqlalchemy.util.concurrency import greenlet_spawn

        return asyncio.run_coroutine_threadsafe(greenlet_spawn(work), self.loop).result()


_LOOP: list[_Loop] = []


def drive(dialect: Any, work: Callable[[], Any]) -> Any:
    """Run ``work``, which talks to a driver, in the way that this driver needs; what it drives itself runs where it does."""
    if not getattr(dialect, "is_async", False) or threading.current_thread() in _LOOP:  # waiting for one's own loop has no end
        return work()
    if not _LOOP:
        _LOOP.append(_Loop())
    return _LOOP[0].call(work)


class Session:
    """A connection of ours in autocommit; one that is for ``reading`` is kept from writing by the server."""

    def __init__(self, dialect: Any, cargs: Any, cparams: dict[str, Any], purpose: str, reading: bool = False) -> None:
        self.dialect = dialect
        self._prepared: dict[str, str] = {}
        with contextlib.ExitStack() as stack:
            if not reading:
                stack.enter_context(readonly.writing())
            self.dbapi = drive(dialect, lambda: dialect.connect(*cargs, **cparams))
        drive(dialect, lambda: dialect.set_isolation_level(self.dbapi, "AUTOCOMMIT"))
        if dialect.name == "postgresql":
            settings = {
                "application_name": f"dbops.alembic {purpose}",
                "statement_timeout": "0",
                "lock_timeout": "0",
                "idle_in_transaction_session_timeout": "0",
                "jit": "off",  # which takes longer than all that is asked here
                "default_transaction_read_only": "on" if reading else "off",
            }
            self.rows(
                "select " + ", ".join(f"set_config('{name}', {server.literal(value)}, false)" for name, value in settings.items())
            )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return drive(self.dialect, lambda: server.rows(self.dbapi, sql))  # type: ignore[no-any-return]

    def again(self, sql: str, oids: Iterable[str] = ()) -> list[tuple[Any, ...]]:
        """Ask PostgreSQL what is asked again and again, and takes longer to plan than to run.

        :param oids: the array of OIDs that ``$1`` stands for.
        """
        known = self._prepared.get(sql)
        name = known or f"dbops_{len(self._prepared)}"
        execute = f"execute {name}('{{{','.join(oids)}}}')"
        if known:
            return self.rows(execute)
        if not self._prepared:
            self.rows(_GENERIC)
        self._prepared[sql] = name
        self.rows(f"prepare {name}(oid[]) as {sql}")
        self.rows(_BY_INDEX.format("off"))
        try:
            return self.rows(execute)
        finally:
            self.rows(_BY_INDEX.format("on"))

    def value(self, sql: str) -> Any:
        found = self.rows(sql)
        return found[0][0] if found else None

    def by_index(self) -> contextlib.AbstractContextManager[None]:
        """Read no table from end to end where there is an index, since such scans are counted."""
        return self._set("enable_seqscan", "off", "on")

    def hurrying(self) -> contextlib.AbstractContextManager[None]:
        """Wait for no lock meanwhile."""
        return self._set("lock_timeout", "200", "0")

    @contextlib.contextmanager
    def _set(self, name: str, value: str, after: str) -> Iterator[None]:
        self.rows(f"select set_config('{name}', '{value}', false)")
        try:
            yield
        finally:
            self.rows(f"select set_config('{name}', '{after}', false)")

    def close(self) -> None:
        with contextlib.suppress(Exception):  # broken already
            drive(self.dialect, self.dbapi.close)

    @contextlib.contextmanager
    def closing(self) -> Iterator[Session]:
        try:
            yield self
        finally:
            self.close()


def quoted(name: str, mark: str = '"') -> str:
    """Quote an identifier; MySQL's mark is the backtick."""
    return mark + name.replace(mark, mark * 2) + mark


def qualified(name: str) -> str:
    """Quote the name of an object of PostgreSQL that comes with its schema, as the catalogue gives it."""
    schema, _dot, own = name.partition(".")
    return f"{quoted(schema)}.{quoted(own)}"
