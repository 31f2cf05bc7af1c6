# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Finds out whether a database can be reached from here, before there is a release that could ask it. Changes nothing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from typing import Any, Mapping, Sequence

from .._core.host_needs import DUMP_NEEDED, Database

#: Seconds that a program may take to say its version, and that a server may take for a connection.
PATIENCE, CONNECT = 20.0, 10
#: How often a connection is tried, and seconds between.
TRIES, PAUSE = 3, 1.0
_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
_DUMPS = {"postgresql": "pg_dump", "mysql": "mysqldump", "mariadb": "mysqldump"}
_QUESTION = "select current_setting('server_version'), (select rolcreatedb or rolsuper from pg_roles where rolname = current_user)"


def database_options() -> dict[str, Any]:
    return dict(
        dialect=dict(type="str", required=True),
        host=dict(type="str"),
        port=dict(type="int"),
        socket=dict(type="str"),
        environment=dict(type="dict", default={}),
        password=dict(type="str", no_log=True),
        connect=dict(type="bool", default=True),
        dump=dict(type="bool", default=False),
        dump_needed=dict(type="str", default="never", choices=list(DUMP_NEEDED)),
    )


def said(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Return exit status, output and errors of a program; the status is -1 and the errors say why where it could not be run."""
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False,
            stdin=subprocess.DEVNULL, env=None if environment is None else dict(environment),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as exc:
        return -1, "", str(getattr(exc, "strerror", None) or exc)
    return done.returncode, done.stdout, done.stderr


def look_at(options: Mapping[str, Any], path: str) -> Database:
    """Try the connection, and ask for what the programs of the database have to be.

    :param path: where programs are looked for, as PATH has it.
    """
    dialect, given = options["dialect"], {str(name): str(value) for name, value in options["environment"].items()}
    port = options["port"] or _PORTS.get(dialect, 0)
    elsewhere = {"PGSERVICE", "PGHOSTADDR"} & set(given) or str(options["socket"] or "").startswith("@")
    place = options["socket"] or options["host"]
    known = bool(options["connect"] and place and port and not elsewhere)
    unreached = _unreached(options, port) if known else ""
    answer, server, creates = "", "", None
    psql = shutil.which("psql", path=path)
    if psql and dialect == "postgresql" and options["connect"] and not unreached and (known or elsewhere):
        secret = {"PGPASSWORD": options["password"]} if options["password"] else {}
        environment = {**os.environ, "PGCONNECT_TIMEOUT": str(CONNECT), **given, **secret, "PATH": path}
        status, out, answer = said([psql, "-XAtw", "-F", "|", "-c", _QUESTION], environment)
        server, may = out.strip().partition("|")[::2]
        creates = {"t": True, "f": False}.get(may) if status == 0 else None
    dump = _DUMPS.get(dialect, "") if options["dump"] else ""
    return Database(
        dialect=dialect,
        where=str(place) if options["socket"] else f"{place}:{port}" if place else "",
        unreached=unreached,
        said=answer if "PGUSER" in given else "",  # else it was asked for as somebody who need not be meant
        server=server,
        creates=creates,
        dump=dump,
        dump_said=_version(dump, path) if dump else None,
        dump_needed=options["dump_needed"],
    )


def _version(name: str, path: str) -> str | None:
    program = shutil.which(name, path=path)
    status, out = said([program, "--version"])[:2] if program else (-1, "")
    return out.strip() if status == 0 else None


def _unreached(options: Mapping[str, Any], port: int) -> str:
    """Return why no connection can be made, or nothing. A server that is being restarted gets its time."""
    reason = ""
    for number in range(TRIES):
        if number:
            time.sleep(PAUSE)
        try:
            _connect(options, port)
            return ""
        except OSError as exc:
            reason = str(exc.strerror or exc)
    return reason


def _connect(options: Mapping[str, Any], port: int) -> None:
    folder = options["socket"]
    if not folder:
        socket.create_connection((options["host"], port), CONNECT).close()
        return
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(CONNECT)
        made.connect(os.path.join(folder, f".s.PGSQL.{port}") if options["dialect"] == "postgresql" else folder)
