# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Where databases stand when env.py can not be run again to show it: read over connections of our own.

They are made by the engine that env.py connected with, and look with what env.py had set when it ran the migrations. Where the lock
was held on such a connection, and is released, that one looks.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from . import history, server
from .environment import EnvironmentRun, Visit
from .observe import entry

_OPTIONS = ("version_table", "version_table_schema", "version_table_pk")


def look(request: dict[str, Any], environment: EnvironmentRun | None) -> list[dict[str, Any]]:
    """Return what an observation would say of each database whose migrations were run; one that does not answer is left out."""
    found: list[dict[str, Any]] = []
    for visit in environment.visits if environment else ():
        if visit.ran:
            with contextlib.suppress(Exception):
                found.append(_look(request, environment, visit))  # type: ignore[arg-type]
    return found


def _look(request: dict[str, Any], environment: EnvironmentRun, visit: Visit) -> dict[str, Any]:
    script = environment.script
    if not getattr(visit.engine.dialect, "is_async", False):  # the loop that the lock's connection belongs to is over
        return _read(request, script, visit, environment.locks.session(visit.facts.get("lock")))
    from sqlalchemy.util.concurrency import greenlet_spawn

    async def read() -> dict[str, Any]:
        return await greenlet_spawn(_read, request, script, visit)

    return asyncio.run(read())


def _read(request: dict[str, Any], script: Any, visit: Visit, session: Any = None) -> dict[str, Any]:
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.engine import Connection, Engine

    # a pool of its own: that of env.py may hand out the connection that is still in a transaction
    engine = Engine(visit.engine.pool.recreate(), visit.engine.dialect, visit.engine.url)
    options: dict[str, Any] = {"schema_translate_map": visit.session.get("translate")}
    if visit.database["dialect"] == "postgresql":
        options["isolation_level"] = "READ COMMITTED"  # one that commits by itself would forget each SET LOCAL
    try:
        with contextlib.nullcontext(Connection(engine, session)) if session else engine.connect() as plain:
            connection = plain.execution_options(**options)
            with connection.begin():
                _set_up(visit, server.dbapi_of(connection.connection))
                kept = {name: visit.context.opts[name] for name in _OPTIONS if name in visit.context.opts}
                seen = Visit(visit.number, MigrationContext.configure(connection=connection, opts=kept))
                seen.database = visit.database
                seen.initialised = seen.context._has_version_table()
                seen.current = history.heads_of(seen.context) if seen.initialised else ()
                return entry(request, script, seen)
    finally:
        engine.dispose()


def _set_up(visit: Visit, dbapi: Any) -> None:
    """Only read, and see what the migration saw."""
    if visit.database["dialect"] == "sqlite":
        server.rows(dbapi, "pragma query_only = on")
    if visit.database["dialect"] != "postgresql":
        return
    server.rows(dbapi, "set transaction read only")
    session = visit.session
    if session["user"] != session["login"]:
        server.rows(dbapi, f"select set_config('role', {server.literal(session['user'])}, true)")
    server.rows(dbapi, f"select set_config('search_path', {server.literal(session['search_path'])}, true)")
