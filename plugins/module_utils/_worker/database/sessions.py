# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Operations on the sessions of an application: see who is connected, and make sure that nobody is."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Callable, Iterator, Sequence

from ..failure import Failure
from . import connected, processes
from .connected import Session, busy, visible
from .engine import MAINTENANCE_DATABASES, MYSQL, OUR_NAME, Connection, Server, as_failure, open_server

POOLER = (
    "The URL goes through a connection pooler: its connections to the server are what is seen, used by the application or not. "
    "Use the server's own address."
)


#: Who is still there after so many seconds is worth telling while it is waited for.
TELL_SECONDS = 3.0


@dataclass(frozen=True)
class Watch:
    """The sessions of an application on one database, on any kind of server.

    :param complete: whether sessions of every user can be seen.
    :param pooler: whether what is seen belongs to a pooler.
    """

    look: Callable[[], list[Session]]
    end: Callable[[Session], None]
    complete: bool = True
    pooler: bool = False


def sessions_info(request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Operation ``database_sessions_info``: who of the application is connected."""
    return _watched(request, lambda watch: {"sessions": watch.look()})


def sessions(request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Operation ``database_sessions``: make sure that nobody of the application is connected."""
    return _watched(request, lambda watch: _would_clear(watch, request) if request.get("check") else _clear(watch, request, send))


def _watched(request: dict[str, Any], work: Callable[[Watch], dict[str, Any]]) -> dict[str, Any]:
    server = open_server(request)
    name = request.get("database") or server.database

    def run() -> dict[str, Any]:
        with watching(server, name, matcher(request)) as watch:
            done = work(watch)
            left = done["sessions"]
            facts = {"complete": watch.complete, "pooler": watch.pooler, "dialect": server.dialect, "database": name}
            reply = dict(done, **facts, sessions=[visible(session) for session in left], count=len(left))
            reply.setdefault("changed", False)
            reply["warnings"] = server.warnings + ([POOLER] if watch.pooler else [])
            if left and done.get("must_be_none"):
                raise busy([name], left, **reply)
            reply.pop("must_be_none", None)
            return reply

    return server.drive(run)  # type: ignore[no-any-return]


def _would_clear(watch: Watch, request: dict[str, Any]) -> dict[str, Any]:
    found = watch.look()
    ended = [visible(session) for session in found] if request.get("terminate") else []
    return {"sessions": found, "changed": bool(ended), "terminated": ended, "waited_seconds": 0.0}


def _clear(watch: Watch, request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Wait until nobody is left; where that is allowed, terminate who does not go, and wait again."""
    started, ended = time.monotonic(), []
    limit, told = float(request.get("wait") or 0), False

    def look() -> list[Session]:
        nonlocal told
        found = watch.look()
        if found and not told and time.monotonic() - started >= TELL_SECONDS:
            told = True
            send({"event": "session_wait", "wait_seconds": limit, "count": len(found), "sessions": list(map(visible, found[:3]))})
        return found

    left = connected.wait_for_none(look, limit)
    if left and request.get("terminate"):
        for session in left:
            watch.end(session)
        ended = [visible(session) for session in left]
        left = connected.wait_for_none(watch.look, float(request.get("terminate_wait") or 0))
    waited = round(time.monotonic() - started, 3)
    return {"sessions": left, "changed": bool(ended), "terminated": ended, "waited_seconds": waited, "must_be_none": True}


def matcher(request: dict[str, Any]) -> Callable[[Session], bool]:
    """Return what tells by the request's globs whether a session is one of the application's; ours never is."""

    def matches(value: str | None, globs: Sequence[str] | None) -> bool:
        return any(fnmatchcase(value or "", glob) for glob in globs or ())

    def pick(session: Session) -> bool:
        if (session["application"] or "").startswith(OUR_NAME):
            return False
        for key in ("user", "application"):
            wanted, unwanted = request.get(f"{key}s"), request.get(f"exclude_{key}s")
            if (wanted and not matches(session[key], wanted)) or matches(session[key], unwanted):
                return False
        return True

    return pick


@contextlib.contextmanager
def watching(server: Server, name: str, pick: Callable[[Session], bool]) -> Iterator[Watch]:
    """Yield a watch on the sessions of database ``name`` that ``pick`` takes."""
    if server.dialect == "sqlite":
        path = processes.existing_file(name)
        complete = processes.holders(path)[1]
        yield Watch(lambda: [session for session in processes.holders(path)[0] if pick(session)], _refuse_to_end, complete)
        return
    connection = _somewhere(server)
    try:
        look, end = (connected.mysql, connected.end_mysql) if server.dialect in MYSQL else (_clients, connected.end_postgresql)
        yield Watch(
            lambda: [session for session in look(connection, name) if pick(session)],
            lambda session: end(connection, session),
            complete=connected.mysql_sees_all(connection) if server.dialect in MYSQL else True,
            pooler=server.dialect == "postgresql" and connection.is_pooled(),
        )
    finally:
        connection.close()


def _clients(connection: Connection, name: str) -> list[Session]:
    """Return the sessions of clients; background workers of the server and of extensions are none."""
    return [session for session in connected.postgresql(connection, [name]) if session["type"] in (None, "client backend")]


def _somewhere(server: Server) -> Connection:
    """Connect to the URL's database, or beside it when it lets nobody in: the sessions are seen from anywhere on the server."""
    try:
        return server.connect(purpose="sessions")
    except Exception as exc:
        failure = as_failure(exc)
        if failure.kind == "authentication_failed" or server.dialect != "postgresql":
            raise failure from exc
        for name in MAINTENANCE_DATABASES:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                return server.connect(name, "sessions")
        raise failure from exc


def _refuse_to_end(session: Session) -> None:
    raise Failure(
        "options_invalid",
        f"Process {session['pid']} has the SQLite file open, and processes are not ended here.",
        "Stop it by its service manager, and leave terminate off.",
    )
