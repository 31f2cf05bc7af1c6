# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Several requests one after the other: each runs in a child of a process that has imported what all of them need."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any

from . import ahead, project, supervisor, urls

#: What every request imports sooner or later; the application's own code is left to each.
NEEDED = ("logging.config", "sqlalchemy", "alembic.command", "alembic.config", "alembic.autogenerate", "alembic.runtime.migration")
#: What drivers import when they first connect.
DRIVERS = {"psycopg2": ("psycopg2.extras",), "psycopg": ("psycopg.types.json", "psycopg.types.hstore")}


def serve(request: dict[str, Any], descriptor: int) -> None:
    """Carry out the requests that come as lines on the descriptor ``request["commands"]``, until it is closed.

    Each is answered on ``descriptor`` with its events and one reply.
    """
    supervisor.OWN.extend([request["commands"], *request["own"]])
    prepare(request)
    with os.fdopen(request["commands"], "rb") as commands:
        for line in commands:
            supervisor.serve(json.loads(line), descriptor)


def prepare(request: dict[str, Any]) -> None:
    """Load what the requests need, and with ``ahead`` what env.py begins with too."""
    _import(request)
    if request.get("ahead"):
        ahead.load(request)


def _import(request: dict[str, Any]) -> None:
    """Import under the environment that the requests have. What can't be imported is said by the request that needs it."""
    os.environ.update({str(name): str(value) for name, value in (request.get("environment") or {}).items()})
    if sys.path and sys.path[0] == "":  # python -c puts the folder there, the alembic program doesn't
        del sys.path[0]
    for name in NEEDED:
        try:
            importlib.import_module(name)
        except (Exception, SystemExit):
            return
    try:
        project.command()
        dialect = urls.usable_url(str(request.get("url") or "")).get_dialect()
        (getattr(dialect, "import_dbapi", None) or dialect.dbapi)()  # the latter is SQLAlchemy 1.4's
        for name in DRIVERS.get(dialect.driver, ()):
            importlib.import_module(name)
        _compile(dialect())
    except (Exception, SystemExit):
        return


def _compile(dialect: Any) -> None:
    """Let SQLAlchemy prepare what it prepares once in a process: what the version table is read and written with."""
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy import create_engine
    from sqlalchemy.schema import CreateTable

    table = MigrationContext.configure(dialect=dialect)._version
    for statement in (table.select(), table.insert(), table.update(), table.delete(), CreateTable(table)):
        statement.compile(dialect=dialect)
    create_engine(f"{dialect.name}+{dialect.driver}://").dispose()
