# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A dump of a PostgreSQL database and the rows that it holds, counted in the very snapshot that pg_dump reads."""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import Any

from ..failure import Failure
from ..urls import ASYNCPG_SSL
from . import rows
from .engine import Server, open_server

#: Parameters of a URL → variables of libpq, where that is not PG and the name without underscores.
_VARIABLES = {"application_name": "PGAPPNAME", "connect_timeout": "PGCONNECT_TIMEOUT", "ssl": "PGSSLMODE"}
_PLACED = ("dbname", "host", "port", "user", "password")
_FILES = ("PGPASSFILE", "PGSERVICEFILE")
_SAID = 3000


def dump(request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Operation ``database_dump``: write an archive of a database to ``path``, which is not there yet."""
    server = open_server(request)
    if server.dialect != "postgresql":
        raise Failure("unsupported_database", f"{server.dialect} has another dump program.", "Use that.")
    database, started = request.get("database") or server.database, time.monotonic()
    tables = server.drive(lambda: _dump(server, database, request))
    return {
        "changed": True,
        "dialect": server.dialect,
        "database": database,
        "path": request["path"],
        "tables": tables,
        "warnings": server.warnings,
        "seconds": round(time.monotonic() - started, 3),
    }


def _dump(server: Server, database: str, request: dict[str, Any]) -> Any:
    with server.connected(database, "dump") as connection:
        if not request.get("count"):
            _run(server, database, request, [])
            return None
        reader = rows.postgresql(connection, request)
        snapshot = str(connection.value("select pg_export_snapshot()"))
        _run(server, database, request, [f"--snapshot={snapshot}"])
        return rows.counted(reader, request)


def _run(server: Server, database: str, request: dict[str, Any], more: list[str]) -> None:
    """Run pg_dump; what it says when it fails is the message.

    :raises Failure: ``archive_failed``, ``config_missing``.
    """
    folder = request.get("programs")
    program = os.path.join(folder, "pg_dump") if folder else "pg_dump"
    form = request.get("format") or "custom"
    command = [program, f"--format={form}", f"--file={request['path']}", *more]
    command += [f"--jobs={int(request.get('jobs') or 1)}"] if form == "directory" else []
    os.umask(0o077)  # nobody else reads what is in an archive
    try:
        done = subprocess.run(  # pylint: disable=ansible-bad-function  # there is no Ansible here
            command,
            env=libpq_environment(server, database),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    except OSError as exc:
        raise Failure(
            "archive_failed", f"{program} can not be run: {exc.strerror}.", "Install it, or set programs to its folder."
        ) from exc
    said = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode:
        raise Failure("archive_failed", f"pg_dump of {database} failed: {said[-_SAID:] or done.returncode}")
    if said:
        server.warnings.append(f"pg_dump: {said[-_SAID:]}")


def libpq_environment(server: Server, database: str) -> dict[str, str]:
    """Return the environment in which pg_dump reaches the server as we do; the password is nowhere else."""
    url = server.url
    query = {str(key): value if isinstance(value, str) else ",".join(value) for key, value in url.query.items()}
    found = {_VARIABLES.get(key, "PG" + key.upper().replace("_", "")): text for key, text in query.items() if key not in _PLACED}
    if "PGSSLMODE" in found:
        found["PGSSLMODE"] = ASYNCPG_SSL.get(found["PGSSLMODE"].lower(), found["PGSSLMODE"])
    named = [name.rpartition(":") if re.search(r":\d+$", name) else (name, "", "") for name in query.get("host", "").split(",")]
    hosts, ports = ",".join(name[0] for name in named), ",".join(name[2] for name in named).strip(",")
    user, password = url.username or query.get("user"), url.password or query.get("password")
    parts = {"PGHOST": hosts or url.host, "PGPORT": ports or query.get("port") or url.port, "PGUSER": user, "PGPASSWORD": password}
    found.update({name: str(value) for name, value in parts.items() if value})
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG") or name in _FILES}
    return {**kept, "LC_ALL": "C", **found, "PGDATABASE": database, "PGAPPNAME": "dbops.alembic dump"}
