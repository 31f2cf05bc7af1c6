# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Where the databases of a project stand, read on fresh connections; nothing is written."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Sequence

from . import moved, project, server, target
from .environment import EnvironmentRun, Send, Visit
from .failure import Failure, describe
from .refused import VARIABLE

_UNREACHABLE = ("connection_failed", "connection_lost")


def observe(request: dict[str, Any], send: Send) -> None:
    """Tell of each database or tenant as soon as it is read, and wait a while for a server that is just restarting.

    What env.py does after that can not make it untrue: it may fail, or end the process.

    :raises: what the last try raised.
    """
    os.environ[VARIABLE] = "1"  # a project that minds it writes nothing now
    moved.begin(request)
    until = time.monotonic() + float(request.get("observe_seconds") or 0)
    while True:
        try:
            read_databases(request, send, lambda found: send({"event": "observed", "observed": found}))
            return
        except (Exception, SystemExit) as exc:
            if describe(exc)["kind"] not in _UNREACHABLE or time.monotonic() > until:
                raise
        time.sleep(0.5)


def read_databases(
    request: dict[str, Any], send: Send, tell: Callable[[list[dict[str, Any]]], None] = lambda found: None
) -> dict[str, Any]:
    """Run env.py without writing; return its databases and the script directory's contents.

    :param tell: called with those read so far, after each.
    """
    found: list[dict[str, Any]] = []
    verb = request.get("verb") or (request["operation"] if request["operation"] in ("upgrade", "downgrade", "stamp") else "current")

    def read(visit: Visit) -> None:
        found.append(entry(request, environment.script, visit))
        tell(list(found))

    environment = EnvironmentRun(request, project.load(request, verb), _nothing, send, read)
    environment.run()
    return {"databases": found, "script": environment.script}


def _nothing(visit: Visit, heads: tuple[str, ...]) -> list[Any]:
    return []


def entry(request: dict[str, Any], script: Any, visit: Visit) -> dict[str, Any]:
    """Return what is seen of the database of ``visit``, which was just read."""
    _end_orphans(request, visit)
    unknown = target.unknown(script, visit.current)
    wanted = request.get("observe_target") or "heads"
    pending = [] if unknown else [target.describe_step(step) for step in target.upgrade_steps(script, wanted, visit.current)]
    move = moved.of(visit)
    return {
        **({"moved": move} if move else {}),
        "database": visit.database,
        "initialised": visit.initialised,
        "current": sorted(visit.current),
        "unknown": unknown,
        "pending": pending,
        "read_only": visit.read_only,
        "status": _status(script, visit, wanted, pending, unknown),
        "invalid_indexes": server.invalid_indexes(visit.database["dialect"], visit.dbapi),
    }


def _status(script: Any, visit: Visit, wanted: str, pending: Sequence[Any], unknown: Sequence[str]) -> str:
    if not visit.initialised:
        return "uninitialised"
    if unknown:
        return "unknown_revision"
    if pending:
        return "behind"
    aimed = {revision.revision for revision in script.get_revisions(wanted)} if wanted[:1] not in "+-" else set(visit.current)
    parents = target.graph(script)
    return "ahead" if target.ancestors(parents, visit.current) - target.ancestors(parents, aimed) else "at_target"


def _end_orphans(request: dict[str, Any], visit: Visit) -> None:
    """End the sessions of a migration process that died: the server may still run its last statement, unlocked."""
    orphans = [entry for entry in request.get("orphans") or () if visit.database["dialect"] == "postgresql"]
    for orphan in orphans:
        started = server.literal(orphan["started"])
        where = f"pid = {int(orphan['pid'])} and backend_start::text = {started} and datname = current_database()"
        for _attempt in range(100):
            with server.looking(visit.dbapi) as dbapi:
                gone = not server.rows(dbapi, "select pg_terminate_backend(pid) from pg_stat_activity where " + where)
            if gone:
                break
            time.sleep(0.1)
        else:
            raise Failure(
                "connection_lost",
                f"The session {int(orphan['pid'])} of the migration that died is still running.",
                "End it in the database, then look with alembic_info.",
            )


def info(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Return databases, heads, bases, branches and the history of the scripts; the last two unless ``request["brief"]``."""
    project.enter(request)
    versions = project.versions()
    moved.begin(request)
    seen: list[dict[str, Any]] = []
    request = dict(request, observe_target=request.get("target") or "heads")
    try:
        found = read_databases(request, send, lambda so_far: seen.append(so_far[-1]))
    except (Exception, SystemExit) as exc:
        if not seen:
            raise
        error = describe(exc)  # env.py failed after that: what was read is true all the same
        facts = {name: value for name, value in error.items() if name not in ("kind", "message", "hint")}
        raise Failure(error["kind"], error["message"], error["hint"], **facts, databases=seen) from exc
    script = found["script"]
    target.check_project(script)
    history = [] if request.get("brief") else [target.describe_revision(revision) for revision in script.walk_revisions()]
    return {
        "versions": versions,
        "databases": found["databases"],
        "heads": sorted(script.get_heads()),
        "bases": sorted(script.get_bases()),
        "history": history,
        "branches": [] if request.get("brief") else [item.revision for item in script.walk_revisions() if item.is_branch_point],
    }
