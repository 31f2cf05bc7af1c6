# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether a URL that came from elsewhere is that of the database that is meant: by its name, and by what the pods use.

Two URLs that read alike mean one database. Of others the servers are asked: one of them may be a proxy's.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

from . import server, urls
from .failure import Failure

CONNECT_SECONDS = 10
#: A copy of a server's files has its identifier too, but another process serves it; a standby is the same database.
_POSTGRESQL = """
select system_identifier::text, current_database()::text,
       case when pg_is_in_recovery() then '' else pg_postmaster_start_time()::text end
from pg_control_system()"""
#: Nodes of one cluster have names of their own, so only what is equal says something.
_MYSQL = "select database(), @@hostname, @@port, @@datadir"
_undecided: list[str] = []


def check(request: dict[str, Any]) -> None:
    """Compare the request's URL with what is known of the database that is meant.

    :raises Failure: ``wrong_database``.
    """
    others = [(who, os.environ.pop(variable, "")) for variable, who in (request.get("served") or {}).items()]
    if not request.get("url"):
        return
    try:
        _check_name(request["url"], request.get("url_names"))
        for who, other in others:
            if other:
                _compare(request["url"], other, who)
    except ImportError:
        return  # without SQLAlchemy nothing reaches a database, and who needs it says so


def warn(send: Callable[[dict[str, Any]], None]) -> None:
    """Tell what could not be compared."""
    for message in _undecided:
        send({"event": "warning", "message": message})


def _check_name(url: str, wanted: Any) -> None:
    found = server.named(urls.parsed(url)) if wanted else None
    if found not in (None, wanted):
        raise Failure(
            "wrong_database",
            f"The URL in the Secret names the database {found}, and this is about {wanted}.",
            "Give the Jobs the Secret of that database (secret in schema_kubernetes), or name the other one in schema_database_url."
            " Where it is the same by another name, a proxy's for one, say that in database of schema_kubernetes.",
        )


def _compare(url: str, other: str, who: str) -> None:
    """Compare the URL of a Job with the one that the pods of ``who`` have."""
    try:
        ours, theirs = urls.parsed(url), urls.parsed(other)
    except Failure:  # one that only the application understands; of ours it is told where it is used
        return
    if _place(ours) == _place(theirs) or "sqlite" in (ours.get_backend_name(), theirs.get_backend_name()):
        return
    same = _one_kind(ours, theirs) and _is_same(url, other)
    if same is None:
        _undecided.append(
            f"The Secret of the Jobs names {_told(ours)}, the pods of {who} have {_told(theirs)}, and whether that is one database"
            " could not be found out."
        )
    if same is False:
        raise Failure(
            "wrong_database",
            f"The Secret of the Jobs names {_told(ours)}, and the pods of {who} use another database, {_told(theirs)}.",
            "Give the Jobs the Secret of the database that the pods use (secret and secret_key in schema_kubernetes), or the pods"
            " that of the Jobs. Where the Jobs are to work on another one, say workload_urls: [] in schema_kubernetes.",
        )


def _place(url: Any) -> tuple[Any, ...]:
    host = url.host or url.query.get("host")
    port = url.port or url.query.get("port")
    return _family(url), str(host).lower() if host else None, int(port) if str(port or "x").isdigit() else port, server.named(url)


def _family(url: Any) -> str:
    name = str(url.get_backend_name())
    return "mysql" if name in server.MYSQL else name


def _one_kind(one: Any, other: Any) -> bool:
    return _family(one) == _family(other)


def _told(url: Any) -> str:
    host, port = url.host or url.query.get("host") or "its default server", url.port or url.query.get("port")
    return f"{server.named(url) or 'its default database'} on {host}{f':{port}' if port else ''}"


def _is_same(url: str, other: str) -> bool | None:
    """Tell whether two URLs lead to one database; None where a server does not say."""
    # Not in this thread: an event loop that has run here and ended would keep env.py from getting its own.
    with ThreadPoolExecutor(1) as thread:
        here, there = (thread.submit(_identity, text).result() for text in (url, other))
    if here is None or there is None:
        return None
    if len(here) == len(there) == 3:
        return here[:2] == there[:2] and (here[2] == there[2] or not here[2] or not there[2])
    return False if here[0] != there[0] else here == there or None


def _identity(text: str) -> tuple[Any, ...] | None:
    """Return what a server says of itself and of the database; who can't be asked has not said that it is another one."""
    try:
        url = urls.usable_url(text)
        return _driven(url, lambda: _asked(url))
    except Exception:  # whatever keeps a project's driver from connecting
        return None


def _asked(url: Any) -> tuple[Any, ...]:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    timed = url.get_driver_name() in ("psycopg2", "psycopg", "pymysql") and "connect_timeout" not in url.query
    arguments = {"connect_timeout": CONNECT_SECONDS} if timed else {}
    connection = create_engine(url, poolclass=NullPool, connect_args=arguments).raw_connection()
    try:
        return server.rows(server.dbapi_of(connection), {"postgresql": _POSTGRESQL, "mysql": _MYSQL}[_family(url)])[0]
    finally:
        connection.invalidate()


def _driven(url: Any, ask: Callable[[], tuple[Any, ...]]) -> tuple[Any, ...]:
    if not url.get_dialect().is_async:
        return ask()
    import asyncio

    from sqlalchemy.util.concurrency import greenlet_spawn

    async def main() -> Any:
        return await greenlet_spawn(ask)

    found: tuple[Any, ...] = asyncio.run(main())
    return found
