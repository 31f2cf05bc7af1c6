# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Archives, reports, journals and temporary folders on a host: removed or replaced only where they are shown to be ours."""

from __future__ import annotations

import json
import os
import stat
from typing import Any, Callable, Mapping

from ._argspec import ArgumentSpec
from ._core import owned
from ._core.archives import SUFFIX, age, described, doomed
from ._core.diff import text_diff
from ._errors import MigrationError
from ._owned import checked, demand, file_at, look, read, remove, usable

#: What a report of ours has in its first lines, and what those of the first version have instead.
REPORT = '<meta name="generator" content="dbops.alembic">'
#: The same in those for machines: JSON, JUnit XML, and metrics of Prometheus.
_REPORTS = (REPORT, '"generator": "dbops.alembic"', "<!-- dbops.alembic -->", "# dbops.alembic\n")
#: What the reports on a plan have there: Markdown, SARIF and JUnit XML.
_PLANS = ("<!-- dbops.alembic -->", '"name": "dbops.alembic"', '<testsuite name="alembic_plan"')
_FIRST_REPORT = ('<!doctype html>\n<html lang="en">', "<tr><th>Deployment</th><td>", "<tr><th>Revision</th>")
_JOURNALS = ("-wal", "-shm", "-journal")


def owned_path_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options=dict(
            path=dict(type="path", required=True),
            kind=dict(type="str", choices=list(KINDS), required=True),
            state=dict(type="str", choices=["absent", "replaceable"], default="absent"),
            database=dict(type="str"),
        ),
        required_if=(("kind", "archive", ("database",)),),
    )


def run_owned_path(params: Mapping[str, Any], dry: bool = False) -> dict[str, Any]:
    """Do what the module ``owned_path`` was asked for and return its result.

    :raises MigrationError: ``name_invalid``, ``not_ours``, ``folder_unusable``.
    """
    checked("path", "file", params["path"])
    path = os.path.normpath(params["path"])
    thing, proof = KINDS[params["kind"]]
    shows = proof(path, params) if file_at(path) != "absent" else ""
    found = look(path, shows or f"its name, {params['kind']}", shows)
    demand(thing, found)
    if params["kind"] == "archive" and params["state"] == "replaceable":
        beside = file_at(path + SUFFIX) != "absent"  # an archive is never without what is written beside it, which is replaced too
        demand(owned.DESCRIPTION, look(path + SUFFIX, "the archive", _archive(path, params) if beside else "nothing"))
    there = found.file != "absent"
    if params["state"] == "absent" and not dry:
        remove(thing, found)
    changed = there and params["state"] == "absent"
    lines = f"{path}\n" if there else ""
    return {"changed": changed, "exists": there, "diff": text_diff(path, lines, "" if changed else lines)}


def _temporary(path: str, params: Mapping[str, Any]) -> str:
    """A folder that is this user's alone, as mkdtemp makes it."""
    status = os.lstat(path)
    return "its mode" if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700 else ""


def _archive(path: str, params: Mapping[str, Any]) -> str:
    description = _description(path)
    return "what is written beside it" if description and description["database"] == params["database"] else ""


def _report(path: str, params: Mapping[str, Any]) -> str:
    text = (read(path) or "").lstrip()
    return "what it holds" if any(mark in text[:1000] for mark in _REPORTS) or all(part in text for part in _FIRST_REPORT) else ""


def _plan(path: str, params: Mapping[str, Any]) -> str:
    head = (read(path) or "")[:1000]
    return "what it holds" if any(mark in head for mark in (REPORT, *_PLANS)) else ""


def _journal(path: str, params: Mapping[str, Any]) -> str:
    """A journal belongs to the database whose name it has, by SQLite's own rule."""
    end = next((end for end in _JOURNALS if path.endswith(end)), None)
    base = path[: -len(end)] if end else ""
    return "its name" if base and file_at(base) in ("file", "link", "absent") else ""


#: kind → what it is, and what shows that it is ours.
KINDS: dict[str, tuple[owned.Thing, Callable[[str, Mapping[str, Any]], str]]] = {
    "archive": (owned.ARCHIVE, _archive),
    "journal": (owned.JOURNAL, _journal),
    "plan": (owned.REPORT, _plan),
    "report": (owned.REPORT, _report),
    "temporary_folder": (owned.TEMPORARY, _temporary),
}


def archive_folder_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options=dict(
            directory=dict(type="path", required=True),
            database=dict(type="str", required=True),
            state=dict(type="str", choices=["pruned"], default="pruned"),
            keep_count=dict(type="int", default=0),
            keep_seconds=dict(type="float", default=0),
        )
    )


def run_archive_folder(params: Mapping[str, Any], now: float, dry: bool = False) -> dict[str, Any]:
    """Remove the archives of a database that are too many or too old, never the last one.

    :param now: seconds since 1970.
    :raises MigrationError: ``name_invalid``, ``not_ours``, ``folder_unusable``.
    """
    checked("directory", "folder", params["directory"])
    folder = os.path.normpath(params["directory"])
    archives = [item for item in _archives(folder) if item["database"] == params["database"]]
    before = [_here(folder, item) for item in sorted(archives, key=age)]
    removed = [_here(folder, {"path": path}) for path in doomed(archives, params["keep_count"], params["keep_seconds"], now)]
    found = [look(path, "the archives in it", _archive(path, params)) for path in removed]
    for one in found:
        demand(owned.ARCHIVE, one)
    for path, one in zip(removed, found) if not dry else ():
        remove(owned.ARCHIVE, one)
        _remove_descriptions(path)
    after = [path for path in before if path not in removed]
    lines = ["".join(f"{path}\n" for path in paths) for paths in (before, after)]
    return {"changed": bool(removed), "removed": removed, "diff": text_diff(f"archives in {folder}", *lines)}


def _archives(folder: str) -> list[dict[str, Any]]:
    if file_at(folder) == "absent":
        return []
    with usable(folder):
        names = [name[: -len(SUFFIX)] for name in sorted(os.listdir(folder)) if name.endswith(SUFFIX) and not name.startswith(".")]
    return [found for found in (_description(os.path.join(folder, name)) for name in names) if found]


def _here(folder: str, item: Mapping[str, Any]) -> str:
    """Return where an archive is: its folder may have been moved since it was written."""
    return os.path.join(folder, str(item["path"]).rpartition("/")[2])


def _description(path: str) -> dict[str, Any] | None:
    """Return what is written beside an archive, or None."""
    try:
        text = read(path + SUFFIX)
        return described(json.loads(text or "null"), os.path.basename(path))
    except ValueError:
        return None
    except OSError as exc:
        raise MigrationError(f"{path + SUFFIX} can not be read: {exc}.", "folder_unusable") from exc


def _remove_descriptions(path: str) -> None:
    """Remove what is written beside an archive, which goes last, so that half a removal is still known to be ours."""
    folder, name = os.path.split(path)
    with usable(folder):
        beside = [item for item in os.listdir(folder) if item.startswith(f"{name}.") and item.endswith(SUFFIX)]
    for item in sorted(beside, key=lambda item: item == name + SUFFIX):
        remove(owned.DESCRIPTION, look(os.path.join(folder, item), "the archives in it", "the archive that was removed"))
