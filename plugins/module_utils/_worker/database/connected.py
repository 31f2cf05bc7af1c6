# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The sessions on a database, as PostgreSQL, MySQL and MariaDB show them, and how one is ended."""

from __future__ import annotations

import re
import time
from typing import Any, Callable, Dict, Pattern, Sequence

from ..failure import Failure, causes
from .engine import Connection, as_failure, literal

Session = Dict[str, Any]
POLL_SECONDS = (0.1, 1.0)
MAXIMUM_QUERY = 200
#: What a reply shows of a session; PostgreSQL's have type and database besides.
KEYS = ("pid", "user", "application", "client", "state", "since", "query")
#: Literals, and what must not be taken for one: names in quotes, and numbers inside words.
_POSTGRESQL_LITERALS = re.compile(
    r"""(?P<name>"(?:[^"]|"")*"|[a-z_]\w*(?!\w|'))|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)"""
    r"""|\be'(?:[^'\\]|''|\\.)*(?:'|\Z)|'(?:[^']|'')*(?:'|\Z)|\b\d[\w.]*""",
    re.S | re.I,
)
_MYSQL_LITERALS = re.compile(
    r"""(?P<name>`(?:[^`]|``)*`|[a-z_]\w*)|'(?:[^'\\]|''|\\.)*(?:'|\Z)|"(?:[^"\\]|""|\\.)*(?:"|\Z)|\b\d[\w.]*""", re.S | re.I
)
_POSTGRESQL = """
select a.pid, a.usename::text, a.application_name,
       case when a.client_addr is null then 'local' else host(a.client_addr) end, a.state,
       to_char(coalesce(a.xact_start, a.state_change, a.backend_start) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
       left(a.query, 4000), a.backend_type, a.datname::text
from pg_stat_activity a
where a.datname in (%s) and a.pid <> pg_backend_pid() and a.backend_type is distinct from 'autovacuum worker'
order by a.backend_start, a.pid"""
_HIDDEN = "<insufficient privilege>"
_MYSQL_SERVER_THREADS = ("Daemon", "Binlog Dump", "Binlog Dump GTID", "Slave_IO", "Slave_SQL", "Connect")
_MYSQL_SEES_ALL = re.compile(r"(\bPROCESS\b|ALL PRIVILEGES)[^;]*? ON \*\.\*")


def shortened(query: str | None, literals: Pattern[str] = _POSTGRESQL_LITERALS) -> str | None:
    """Return a statement of somebody else in one short line, without the literals that may be personal data."""
    if query is None or query == _HIDDEN:
        return None
    text = " ".join(literals.sub(lambda found: found.group("name") or "?", query).split())
    return text if len(text) <= MAXIMUM_QUERY else text[: MAXIMUM_QUERY - 1] + "…"


def visible(session: Session) -> Session:
    """Return what a reply shows of a session."""
    return {key: session.get(key) for key in KEYS}


def postgresql(connection: Connection, databases: Sequence[str]) -> list[Session]:
    """Return every session on ``databases`` that stands in the way of a copy or a rename; the server itself ends autovacuum.

    What belongs to a role whose details ours may not see has only pid, user and application.
    """
    keys = (*KEYS, "type", "database")
    found = [dict(zip(keys, row)) for row in connection.rows(_POSTGRESQL % ", ".join(literal(name) for name in databases))]
    for session in found:
        if session["query"] == _HIDDEN:
            session.update(client=None, since=None)
        session["query"] = shortened(session["query"])
    return found


def end_postgresql(connection: Connection, session: Session) -> None:
    try:
        connection.value(f"select pg_terminate_backend({int(session['pid'])})")
    except Exception as exc:
        if as_failure(exc).kind != "insufficient_privilege":
            raise
        raise Failure(
            "insufficient_privilege",
            f"The role may not end the session of {session['user']} (pid {session['pid']}).",
            f"Grant it pg_signal_backend, or the role {session['user']}; a superuser's sessions only a superuser can end.",
        ) from exc


def mysql(connection: Connection, database: str) -> list[Session]:
    own, now = connection.rows("select connection_id(), unix_timestamp()")[0]
    found = []
    for pid, user, client, name, command, seconds, state, query in (row[:8] for row in connection.rows("show full processlist")):
        if name == database and pid != own and command not in _MYSQL_SERVER_THREADS:
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(now) - int(seconds or 0)))
            shown = "idle" if command == "Sleep" else state or command
            found.append(dict(zip(KEYS, (pid, user, None, client, shown, since, shortened(query, _MYSQL_LITERALS)))))
    return found


def mysql_sees_all(connection: Connection) -> bool:
    """Tell whether the user sees the sessions of other users: that takes the privilege PROCESS."""
    grants = " ; ".join(str(row[0]) for row in connection.rows("show grants for current_user()"))
    return _MYSQL_SEES_ALL.search(grants.upper()) is not None


def end_mysql(connection: Connection, session: Session) -> None:
    try:
        connection.run(f"kill {int(session['pid'])}")
    except Exception as exc:
        if not any(cause.args[:1] == (1094,) for cause in causes(exc)):  # "Unknown thread id": gone by itself
            raise


def wait_for_none(look: Callable[[], list[Session]], seconds: float) -> list[Session]:
    """Return the sessions that are left: none, or those of when ``seconds`` were over."""
    deadline, pause = time.monotonic() + seconds, POLL_SECONDS[0]
    while True:
        found = look()
        left = deadline - time.monotonic()
        if not found or left <= 0:
            return found
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, POLL_SECONDS[1])


def busy(databases: Sequence[str], left: Sequence[Session], **facts: Any) -> Failure:
    """Return the failure that names who is still connected."""
    names = "; ".join(_name(session) for session in left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
    count = "1 session is" if len(left) == 1 else f"{len(left)} sessions are"
    return Failure(
        "database_busy",
        f"{count} left on {' and '.join(databases)}: {names}.",
        "Stop what is connected there, or set terminate.",
        **dict({"sessions": [visible(session) for session in left], "count": len(left), "terminated": []}, **facts),
    )


def _name(session: Session) -> str:
    return ", ".join(f"{key} {session[key]}" for key in KEYS if key != "query" and session[key])
