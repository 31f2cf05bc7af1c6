# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a killed call left on a PostgreSQL server, read from the marks, and how it is undone.

While a call works on the application's database, the comment of that database says so:

    {"dbops.alembic": {"kind": "at_work", "by": …, "closed": true, "allow_connections": true, "comment": …, "making": …}}

It is written in the transaction that refuses new connections, and taken away in the one that allows them again. So whoever
comes next reads there what has to be undone, however the call ended.
"""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Sequence

from . import attributes, marks
from .engine import Connection, identifier, literal

Problem = Dict[str, Any]
_LIST = """
select d.datname::text, shobj_description(d.oid, 'pg_database'), d.datallowconn, d.datconnlimit = -2,
       pg_get_userbyid(d.datdba)::text
from pg_database d order by 1"""


def databases(connection: Connection) -> list[dict[str, Any]]:
    """Return every database with its mark, or None for one that has none."""
    keys = ("name", "mark", "open", "invalid", "owner")
    return [dict(zip(keys, (row[0], marks.parsed(row[1]), *row[2:]))) for row in connection.rows(_LIST)]


def at_work_mark(connection: Connection, database: str) -> marks.Mark | None:
    mark = next((entry["mark"] for entry in databases(connection) if entry["name"] == database), None)
    return mark if mark and mark["kind"] == marks.AT_WORK else None


def worker_on(connection: Connection, database: str) -> str | None:
    """Return the application name of the living session that works on ``database``, if there is one."""
    mark = at_work_mark(connection, database)
    sql = f"select application_name from pg_stat_activity where application_name = {literal((mark or {}).get('by') or '')} limit 1"
    found = connection.value(sql) if mark and mark["by"] else None
    return None if found is None else str(found)


def interrupted(connection: Connection, database: str, own: str | None = None) -> list[Problem]:
    """Return what a call that is no longer alive left on ``database`` and its snapshots, each with the SQL that undoes it.

    Connections come first, since the application waits for those, and the mark that tells of the rest goes last.

    :param own: the ``by`` of a call that looks at its own work.
    """
    if worker_on(connection, database) not in (None, own):
        return []
    everything = databases(connection)
    ours = next((entry for entry in everything if entry["name"] == database), None)
    mark = at_work_mark(connection, database)
    closed, unfinished, marked = [], [], []
    if ours and mark:
        if mark["closed"] and not ours["open"]:
            closed.append(_closed(database, mark))
        undo = attributes.comment_statement(database, mark["comment"])
        marked.append(_problem("marked", database, "with our mark in its comment", undo))
    for entry in everything:
        name, of = entry["name"], (entry["mark"] or {}).get("of")
        # the owner of a database writes its comment: what it says of another database holds for the owner's own ones only
        making = mark is not None and ours is not None and name == mark["making"] and of is None and entry["owner"] == ours["owner"]
        if making or (of == database and entry["invalid"]):
            unfinished.append(_problem("unfinished", name, "unfinished", f"drop database {identifier(name)}"))
        elif of == database and not entry["open"] and entry["mark"]["allow_connections"]:
            closed.append(_closed(name, entry["mark"]))
    return closed + unfinished + marked


def _closed(name: str, mark: marks.Mark) -> Problem:
    return _problem("closed", name, "closed to new connections", allowing(name, mark["allow_connections"]))


def _problem(what: str, name: str, how: str, undo: str) -> Problem:
    return {"what": what, "database": name, "message": f"A call that was cut off left the database {name} {how}.", "undo": undo}


def repair(connection: Connection, database: str, own: str | None = None) -> list[Problem]:
    """Undo what a call left half done, and return what that was."""
    with contextlib.suppress(Exception):  # a failure may have left the connection inside a transaction
        connection.run("rollback")
    found = interrupted(connection, database, own)
    connection.run(*[problem["undo"] for problem in found])
    return shown(found)


def shown(problems: Sequence[Problem]) -> list[Problem]:
    """Return what a reply says of problems."""
    return [{key: problem[key] for key in ("what", "database", "message")} for problem in problems]


def allowing(name: str, connections: bool) -> str:
    return f"alter database {identifier(name)} allow_connections {'true' if connections else 'false'}"
