# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The module database_archive: an archive of PostgreSQL is written, read back, given its name and described in one call."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from typing import Any, Callable, Iterator, Mapping

from ._archives import run_archive_folder
from ._argspec import ArgumentSpec, follow_spec
from ._background import Background, Tell, growing, values_of
from ._bridge import Bridge, interpreter
from ._core.archives import PARTIAL
from ._core.diff import text_diff
from ._database import FORMATS, Run, archive_contents, database_spec, run_database
from ._errors import MigrationError
from ._jobs import Jobs, Unfinished, follow
from ._warm import load

#: What pg_dump writes last into a plain archive.
_LAST_WORDS = b"dump complete"
_OPERATION = "database_dump"


def dump_spec() -> ArgumentSpec:
    return (
        follow_spec()
        + database_spec()
        + ArgumentSpec(
            options=dict(
                path=dict(type="path"),
                directory=dict(type="path"),
                name=dict(type="str"),
                described_as=dict(type="str"),
                servers=dict(type="list", elements="str", default=[]),
                facts=dict(type="dict", default={}),
                space_needed=dict(type="int", default=0),
                format=dict(type="str", default="custom", choices=FORMATS),
                jobs=dict(type="int", default=1),
                database=dict(type="str"),
                programs=dict(type="path"),
                count=dict(type="bool", default=False),
                checksum=dict(type="bool", default=False),
            ),
            required_one_of=(("path", "directory"),),
            mutually_exclusive=(("path", "directory"),),
            required_by={"directory": ("name", "described_as")},
        )
    )


def take_dump(params: Mapping[str, Any], run: Run, warn: Callable[[str], None], dry: bool = False) -> dict[str, Any]:
    """Write the archive in this process, or as a job that tells how much is written, and return the module's result.

    :raises MigrationError: as :func:`run_dump`, and ``worker_died``.
    """
    python = interpreter(params)
    if dry or not params.get("job"):
        return run_dump(Bridge(python, warn), params, run, time.time(), dry)

    def work(descriptor: int, tell: Tell) -> Mapping[str, Any]:
        warnings: list[str] = []
        with _alone(_target(params)), growing(_target(params), tell):
            done = run_dump(Bridge(python, warnings.append), params, run, time.time())
        return {**done, "warnings": warnings}

    load(_OPERATION)
    request = {name: params.get(name) for name in ("url", "environment")}
    followed = follow(Background(work), request, params)
    if isinstance(followed, Unfinished):
        return followed.as_result()
    hint = "Run the task again; what is not whole has another name than an archive."
    values = values_of(followed.answer(f"wrote {_target(params)}", hint))
    for warning in values.pop("warnings"):
        warn(warning)
    return values


def _target(params: Mapping[str, Any]) -> str:
    """Return the path that is written to until the archive is whole."""
    return str(params.get("path") or os.path.join(os.path.normpath(params["directory"]), PARTIAL + params["name"]))


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    """Keep another run of this user from writing to the path: one whose controller was lost goes on by itself.

    :raises MigrationError: ``archive_failed``.
    """
    name = hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:32]
    descriptor = os.open(os.path.join(Jobs.default().folder, f"archive-{name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            said = f"Another run is still writing {path}."
            raise MigrationError(said, "archive_failed", "Run the task again when that has ended.") from exc
        yield
    finally:
        os.close(descriptor)


def run_dump(bridge: Bridge, params: Mapping[str, Any], run: Run, now: float, dry: bool = False) -> dict[str, Any]:
    """Write the archive and return the module's result.

    :param run: ``run_command`` of the module.
    :param now: seconds since 1970.
    :raises MigrationError: ``archive_failed`` with the words of pg_dump or pg_restore, ``insufficient_space``, what keeps a
        folder of archives from being used, and what can happen on the way to the database.
    """
    if params.get("path"):
        if dry:
            return {"changed": True, "path": params["path"]}
        return _written(bridge, params, params["path"])
    return _kept(bridge, params, run, now, dry)


def _written(bridge: Bridge, params: Mapping[str, Any], path: str) -> dict[str, Any]:
    asked = {name: params.get(name) for name in (*database_spec().options, "format", "jobs", "database", "programs", "checksum")}
    return run_database(bridge, {**asked, "path": path, "count": "exact" if params["count"] else ""}, _OPERATION)


def _kept(bridge: Bridge, params: Mapping[str, Any], run: Run, now: float, dry: bool) -> dict[str, Any]:
    """Write it under a temporary name, which it keeps until it is known that it can be read."""
    place = {
        "directory": params["directory"],
        "database": params["described_as"],
        "name": params["name"],
        "servers": params["servers"],
    }
    room = run_archive_folder({**place, "state": "present"}, now, dry)
    _demand_room(params["directory"], room["free_bytes"], params["space_needed"])
    path = os.path.join(os.path.normpath(params["directory"]), params["name"])
    if dry:
        return {"changed": True, "path": path, "archive": None, "diff": text_diff(path, "", f"{path}\n")}
    told = _written(bridge, params, room["partial"])
    _read_back(room["partial"], params, run)
    kept = run_archive_folder({**place, "state": "kept", "facts": params["facts"]}, now)
    return {**told, "path": path, "archive": kept["archive"], "diff": kept["diff"]}


def _demand_room(folder: str, free: int, needed: int) -> None:
    if free < needed:
        raise MigrationError(
            f"{folder} has {_size(free)} free; the archive may need up to {_size(needed)}.",
            "insufficient_space",
            "Free some, keep archives in another folder (backup_archive_directory), or ask for less (backup_archive_space_factor).",
        )


def _size(number: int) -> str:
    return f"{number // 1_000_000} MB"


def _read_back(path: str, params: Mapping[str, Any], run: Run) -> None:
    """:raises MigrationError: ``archive_failed`` when what was written has no table of contents, or no end."""
    if params["format"] == "plain":
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - 4096))
            if _LAST_WORDS not in file.read():
                raise MigrationError(f"{path} does not end as pg_dump ends an archive, so it is not whole.", "archive_failed")
        return
    archive_contents(path, params.get("programs"), run, "read back")
