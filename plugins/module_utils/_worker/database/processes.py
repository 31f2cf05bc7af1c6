# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which processes of this machine hold a file open: the sessions of an SQLite database (Linux)."""

from __future__ import annotations

import contextlib
import os
import pwd
from typing import Any

from ..failure import Failure


def plain_file(database: str) -> str:
    """Return the real path of an SQLite database, whether or not it exists."""
    if not database or database == ":memory:" or database.startswith("file:"):
        raise Failure("unsupported_database", f"The SQLite database {database!r} is not a plain file.", "Give its path in the URL.")
    return os.path.realpath(database)


def existing_file(database: str) -> str:
    path = plain_file(database)
    if not os.path.isfile(path):
        what = f"There is no SQLite database {path}."
        raise Failure("database_missing", what, "Check the URL; a relative path is relative to chdir.")
    return path


def holders(path: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the other processes that have ``path`` or its WAL open, and whether every process could be looked into."""
    wanted = {_identity(name) for name in (path, f"{path}-wal", f"{path}-shm") if os.path.exists(name)}
    found, complete = [], os.path.isdir("/proc/self/fd")
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()] if complete else []:
        try:
            if pid != os.getpid() and wanted & _open_files(pid):
                found.append(_describe(pid))
        except PermissionError:
            complete = False
        except (FileNotFoundError, ProcessLookupError):
            pass  # it ended while we looked
    return found, complete


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _open_files(pid: int) -> set[tuple[int, int]]:
    folder, found = f"/proc/{pid}/fd", set()
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed while we looked
            found.add(_identity(os.path.join(folder, name)))
    return found


def owner_of(path: str) -> str:
    """Return the name of the user who owns ``path``."""
    owner = os.stat(path).st_uid
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)


def _describe(pid: int) -> dict[str, Any]:
    with open(f"/proc/{pid}/comm") as handle:  # never the command line: it may hold secrets
        name = handle.read().strip()
    told = {"pid": pid, "user": owner_of(f"/proc/{pid}"), "application": name, "client": "local"}
    return dict(told, state=None, since=None, query=None)
