# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The migration lock, for projects that know nothing of it.

Alembic takes none (sqlalchemy/alembic#633). Ours is held on a connection of its own, made by the pool of the project's
engine, so that its credentials hooks apply. It is polled, never waited for inside the server: a session that waits in
pg_advisory_lock() holds a snapshot, and the holder's CREATE INDEX CONCURRENTLY would wait for that snapshot forever.

A process that is killed leaves the lock at once, and its session to the server, which goes on with the last statement. So that
session has a mark, a lock of its own that bars nobody; where one is left, whoever comes next waits for it too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import random
import socket
import stat
import time
from typing import Any, Callable, Protocol

from .failure import Failure
from .server import MYSQL, announced_pid, dbapi_of, literal, looking, rows, value, version_number

POLL_SECONDS = (0.05, 1.0)
NAMESPACE = "dbops.alembic"


class Lock(Protocol):
    """One way of locking: where it is held, who else holds it, and whether it is still ours."""

    mode: str

    def attempt(self) -> bool: ...

    def mark(self, dbapi: Any) -> None: ...

    def unmark(self, dbapi: Any) -> None: ...

    def holder(self) -> dict[str, Any] | None: ...

    def kept(self) -> bool: ...

    def release(self) -> None: ...


def _owner() -> str:
    return f"{NAMESPACE} {socket.gethostname()}:{os.getpid()}"


class PostgresLock:
    """An advisory lock: session level in autocommit, or behind a transaction pooler in one open transaction.

    The key is bigint, which pg_locks shows as classid (high half) and objid (low half) with objsubid 1 (PostgreSQL
    manual, "pg_locks"). Advisory locks are per database, so the database is not in the key.
    """

    def __init__(self, dialect: Any, dbapi: Any, fairy: Any, scope: str, pooled: bool, own: set[int]) -> None:
        self.dbapi, self.fairy, self.pooled, self.own = dbapi, fairy, pooled, own
        self.mode = "transaction" if pooled else "session"
        #: Another may use its connection when it is released; one of an async driver ends with the loop of env.py.
        self.lends = not pooled and not getattr(dialect, "is_async", False)
        digest = hashlib.sha256(f"{NAMESPACE}:{scope}".encode()).digest()
        self.key, self.work = (int.from_bytes(digest[start : start + 8], "big", signed=True) for start in (0, 8))
        dialect.set_isolation_level(dbapi, "READ COMMITTED" if pooled else "AUTOCOMMIT")
        if not pooled:
            self._set(application_name=_owner()[:63], **({"idle_session_timeout": "0"} if version_number(dbapi) >= 140000 else {}))

    def _set(self, **settings: str) -> None:
        local = "true" if self.pooled else "false"
        set_each = (f"set_config('{name}', {literal(setting)}, {local})" for name, setting in settings.items())
        value(self.dbapi, f"select {', '.join(set_each)}")

    def attempt(self) -> bool:
        if not self.pooled:
            got = bool(value(self.dbapi, f"select pg_try_advisory_lock({self.key})"))
            if got and value(self.dbapi, f"select count(*) from pg_locks l where {self._left()}"):
                value(self.dbapi, f"select pg_advisory_unlock({self.key})")
                return False
            return got
        got = bool(value(self.dbapi, f"select pg_try_advisory_xact_lock({self.key})"))
        if got:
            # asyncpg leaves the portal of the last query open, and with it a snapshot: these statements replace it
            self._set(application_name=_owner()[:63])
            value(self.dbapi, "set local idle_in_transaction_session_timeout = 0")
        else:
            self.dbapi.rollback()
        return got

    def mark(self, dbapi: Any) -> None:
        if not self.pooled:
            with looking(dbapi):
                self.own.add(int(rows(dbapi, f"select pg_backend_pid(), pg_try_advisory_lock_shared({self.work})")[0][0]))

    def unmark(self, dbapi: Any) -> None:
        if not self.pooled:
            with looking(dbapi):
                value(dbapi, f"select pg_advisory_unlock_shared({self.work})")

    def _left(self) -> str:
        own = "".join(f" and l.pid <> {pid}" for pid in sorted(self.own))
        return f"({self._where(self.work)}{own})"

    def _where(self, key: int) -> str:
        high, low = (key >> 32) & 0xFFFFFFFF, key & 0xFFFFFFFF
        return (
            f"l.locktype = 'advisory' and l.objsubid = 1 and l.classid = {high} and l.objid = {low} and l.granted"
            " and l.database = (select oid from pg_database where datname = current_database())"
        )

    def holder(self) -> dict[str, Any] | None:
        found = rows(
            self.dbapi,
            "select a.pid, a.usename::text, a.application_name, coalesce(host(a.client_addr), 'local'), a.state,"
            " to_char(coalesce(a.xact_start, a.state_change) at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
            f" from pg_locks l join pg_stat_activity a on a.pid = l.pid where ({self._where(self.key)}) or {self._left()}"
            " order by l.mode limit 1",  # ExclusiveLock, the lock itself, before ShareLock
        )
        if self.pooled:
            self.dbapi.rollback()
        return dict(zip(("pid", "user", "application", "client", "state", "since"), found[0])) if found else None

    def kept(self) -> bool:
        return bool(
            value(self.dbapi, f"select count(*) from pg_locks l where {self._where(self.key)} and l.pid = pg_backend_pid()")
        )

    def release(self) -> None:
        if not self.pooled:
            value(self.dbapi, f"select pg_advisory_unlock({self.key})")
        self.dbapi.rollback()


class MysqlLock:
    """GET_LOCK, whose names are the server's: the database is in the key. A name has at most 64 characters."""

    mode = "session"

    def __init__(self, dbapi: Any, fairy: Any, scope: str, own: set[int]) -> None:
        self.dbapi, self.fairy, self.own = dbapi, fairy, own
        database = str(value(dbapi, "select database()"))
        self.name = f"{NAMESPACE}:{hashlib.sha256(f'{database}:{scope}'.encode()).hexdigest()[:40]}"
        value(dbapi, "set session wait_timeout = 604800")

    def attempt(self) -> bool:
        got = bool(value(self.dbapi, f"select get_lock('{self.name}', 0)") == 1)
        if got and value(self.dbapi, f"select is_used_lock('{self.name}:work')") not in (None, *self.own):
            self.release()
            return False
        return got

    def mark(self, dbapi: Any) -> None:
        with looking(dbapi):
            self.own.add(int(rows(dbapi, f"select connection_id(), get_lock('{self.name}:work', 0)")[0][0]))

    def unmark(self, dbapi: Any) -> None:
        with looking(dbapi):
            value(dbapi, f"select release_lock('{self.name}:work')")

    def holder(self) -> dict[str, Any] | None:
        found = rows(
            self.dbapi,
            "select id, user, host, command, date_format(date_sub(utc_timestamp(), interval time second), '%Y-%m-%dT%TZ')"
            " from information_schema.processlist"
            f" where id = ifnull(is_used_lock('{self.name}'), is_used_lock('{self.name}:work'))",
        )
        return dict(zip(("pid", "user", "client", "state", "since"), found[0]), application=None) if found else None

    def kept(self) -> bool:
        return bool(value(self.dbapi, f"select is_used_lock('{self.name}') = connection_id()"))

    def release(self) -> None:
        value(self.dbapi, f"select release_lock('{self.name}')")


class FileLock:
    """flock on a file beside an SQLite database. It says who holds it, and is removed by its holder while still held."""

    mode = "file"

    def __init__(self, database: str) -> None:
        self.path = database + ".migrate.lock"
        self.file: Any = None

    def attempt(self) -> bool:
        import fcntl

        handle = self._open()
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle.fileno()).st_ino != os.stat(self.path).st_ino:
                raise FileNotFoundError(self.path)  # its last holder removed it between our open and our flock
        except (BlockingIOError, FileNotFoundError):
            handle.close()
            return False
        handle.truncate(0)
        handle.write(f"{os.getpid()} {socket.gethostname()} {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n")
        handle.flush()
        self.file = handle
        return True

    def mark(self, dbapi: Any) -> None:
        """No server goes on without the process."""

    def unmark(self, dbapi: Any) -> None: ...

    def _open(self) -> Any:
        """Open the file, and no link in its place: what it points to would be emptied. Open for as long as the lock is held."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        except OSError as exc:
            if exc.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise
            raise self._foreign() from exc
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._foreign()
        return os.fdopen(descriptor, "r+")

    def _foreign(self) -> Failure:
        return Failure("not_ours", f"{self.path} is no plain file, so it is no lock of ours.", "Look what it is, and remove it.")

    def holder(self) -> dict[str, Any] | None:
        try:
            with open(self.path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as handle:
                pid, host, since = handle.read().split()
        except (OSError, ValueError):
            return None
        return {"pid": int(pid), "user": None, "application": NAMESPACE, "client": host, "state": None, "since": since}

    def kept(self) -> bool:
        try:
            return self.file is not None and os.fstat(self.file.fileno()).st_ino == os.stat(self.path).st_ino
        except OSError:
            return False

    def release(self) -> None:
        if self.kept():
            os.unlink(self.path)
        self.file.close()


def make_lock(connection: Any, scope: str, own: set[int]) -> Lock | None:
    """Return the lock for the database of a SQLAlchemy connection, not taken yet; None where there is nothing to lock.

    :param own: sessions of this process that have a mark.
    """
    name = connection.dialect.name
    if name == "sqlite":
        path = connection.engine.url.database
        return FileLock(path) if path and path != ":memory:" and not path.startswith("file:") else None
    if name != "postgresql" and name not in MYSQL:
        return None
    fairy = connection.engine.pool.recreate().connect()  # referenced by the lock: collected, its connection would close
    dbapi = dbapi_of(fairy)
    if name != "postgresql":
        return MysqlLock(dbapi, fairy, scope, own)
    with looking(dbapi):
        pooled = is_pooled(dbapi)
    return PostgresLock(connection.dialect, dbapi, fairy, scope, pooled, own)


def is_pooled(dbapi: Any) -> bool:
    """Tell whether a transaction-pooling proxy stands before PostgreSQL: it announces another process than answers."""
    announced = announced_pid(dbapi)
    return announced is not None and announced != value(dbapi, "select pg_backend_pid()")


class Locks:
    """The locks that one run of env.py holds, each until the connection that it protects is returned to its pool.

    :param wait: seconds to wait for a lock that somebody else holds.
    :param tell: called once with the holder when a lock has to be waited for.
    """

    def __init__(self, wait: float, tell: Callable[[dict[str, Any]], None]) -> None:
        self.wait, self.tell = wait, tell
        self.held: list[dict[str, Any]] = []
        self.own: set[int] = set()
        self.last: dict[str, Any] | None = None  # the lock that was released last, if its session is still there

    def acquire(self, connection: Any, owner: Any, identity: str, scope: str) -> dict[str, Any]:
        """Take the lock ``scope`` of the database ``identity`` and tie it to the DBAPI connection ``owner``."""
        for entry in self.held:
            if entry["key"] == (identity, scope):
                return entry["report"]  # type: ignore[no-any-return]
        self.close()
        lock = make_lock(connection, scope, self.own)
        report: dict[str, Any] = {"mode": lock.mode if lock else "none", "waited_seconds": 0.0, "kept": None, "holder": None}
        if lock is None:
            return report
        self.poll(lock, report)
        lock.mark(owner)
        self.held.append({"key": (identity, scope), "lock": lock, "owner": owner, "report": report})
        return report

    def poll(self, lock: Lock, report: dict[str, Any]) -> None:
        started, pause = time.monotonic(), POLL_SECONDS[0]
        while not lock.attempt():
            waited = time.monotonic() - started
            if report["holder"] is None:
                report["holder"] = lock.holder()
                self.tell({"holder": report["holder"], "wait_seconds": self.wait})
            if waited >= self.wait:
                holder = lock.holder() or report["holder"]
                raise Failure(
                    "lock_unavailable",
                    f"Another run holds the migration lock, and lock_wait ({self.wait:g} s) is over: {_who(holder)}.",
                    "Wait for it to end, or end it if it hangs; the lock goes with its session.",
                    lock=dict(report, holder=holder, waited_seconds=round(waited, 3)),
                )
            time.sleep(min(pause * random.uniform(0.5, 1.0), max(0.01, self.wait - waited)))
            pause = min(pause * 1.5, POLL_SECONDS[1])
        report["waited_seconds"] = round(time.monotonic() - started, 3)

    def of(self, owner: Any) -> list[Lock]:
        """Return the locks tied to ``owner``."""
        return [entry["lock"] for entry in self.held if entry["owner"] is owner]

    def release(self, owner: Any = None) -> None:
        """Release the locks tied to ``owner``, or all, and note whether each was still ours."""
        for entry in [entry for entry in self.held if owner is None or entry["owner"] is owner]:
            self.held.remove(entry)
            lock = entry["lock"]
            if owner is not None:  # without one the process ends, and its sessions with it
                with contextlib.suppress(Exception):
                    lock.unmark(owner)
            try:
                entry["report"]["kept"] = lock.kept()
                lock.release()
            except Exception:  # the connection broke: the server has released the lock by itself
                entry["report"]["kept"] = False
            self.close()
            if entry["report"]["kept"] and getattr(lock, "lends", False):
                self.last = entry
            else:
                _close(lock)

    def session(self, report: dict[str, Any] | None) -> Any:
        """Return the connection on which the lock of ``report`` was held, which is our own and still open; None without one."""
        return self.last["lock"].fairy if self.last and self.last["report"] is report else None

    def close(self) -> None:
        """Close the connection of the lock that was released last."""
        last, self.last = self.last, None
        if last:
            _close(last["lock"])


def _close(lock: Lock) -> None:
    fairy = getattr(lock, "fairy", None)
    if fairy is not None:
        with contextlib.suppress(Exception):  # already broken is what we want of it
            fairy.invalidate()  # closes instead of pooling: nobody else may get a session with our settings


def _who(holder: dict[str, Any] | None) -> str:
    if not holder:
        return "the holder could not be seen"
    parts = [
        ("pid", holder.get("pid")),
        ("user", holder.get("user")),
        ("application", holder.get("application")),
        ("host", holder.get("client")),
        ("since", holder.get("since")),
    ]
    return ", ".join("{} {}".format(*part) for part in parts if part[1] is not None)
