# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Reports, journals, temporary folders and archives on a host: removed or replaced only where they are shown to be ours."""

from __future__ import annotations

import os
import stat
from typing import Any, Callable, Mapping

from ._archives import replaceable, shows_archive
from ._argspec import ArgumentSpec
from ._core import owned
from ._core.diff import text_diff
from ._errors import MigrationError
from ._owned import checked, demand, file_at, look, make_folder, read, remove, write

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
            folder_made=dict(type="bool", default=False),
        ),
        required_if=(("kind", "archive", ("database",)),),
    )


def owned_files_spec() -> ArgumentSpec:
    file = dict(
        path=dict(type="path", required=True), content=dict(type="str", required=True), mode=dict(type="str", default="0600")
    )
    return ArgumentSpec(
        options=dict(
            files=dict(type="list", elements="dict", required=True, options=file),
            kind=dict(type="str", choices=["plan", "report"], default="report"),
        )
    )


def run_owned_files(params: Mapping[str, Any], dry: bool = False) -> dict[str, Any]:
    """Do what the module ``owned_files`` was asked for and return its result.

    :raises MigrationError: the kind of the first file that can not be written, when all the others are.
    """
    results: dict[str, list[str]] = {"written": [], "same": []}
    refused: list[tuple[str, MigrationError]] = []
    for file in params["files"]:
        try:
            changed = _put(file, params["kind"], dry)
        except MigrationError as exc:
            refused.append((file["path"], exc))
        else:
            results["written" if changed else "same"].append(file["path"])
    if refused:
        told = [{"path": path, "msg": exc.msg} for path, exc in refused]
        first = refused[0][1]
        raise MigrationError(" ".join(item["msg"] for item in told), first.kind, first.hint, {**results, "refused": told})
    diff = [text_diff(path, "", f"{path}\n") for path in results["written"]]
    return {"changed": bool(results["written"]), **results, "refused": [], "diff": diff}


def _put(file: Mapping[str, Any], kind: str, dry: bool) -> bool:
    """Write a file where there is none or one of ours, and say whether that changed anything."""
    checked("path", "file", file["path"])
    path, thing = os.path.normpath(file["path"]), KINDS[kind][0]
    mode = _mode(file["mode"])
    shows = _shows(path, kind, {})
    found = look(path, shows or f"its name, {kind}", shows)
    demand(thing, found)
    if found.file != "absent" and read(path) == file["content"] and stat.S_IMODE(os.lstat(path).st_mode) == mode:
        return False
    if not dry:
        if file_at(found.folder) == "absent":
            make_folder(found.folder)
        write(thing, found, file["content"], mode)
    return True


def _mode(text: str) -> int:
    """:raises MigrationError: ``options_invalid``."""
    try:
        return int(text, 8)
    except ValueError as exc:
        raise MigrationError(f"{text} is no mode.", "options_invalid", 'Write it in octal digits, such as "0600".') from exc


def _shows(path: str, kind: str, params: Mapping[str, Any]) -> str:
    return KINDS[kind][1](path, params) if file_at(path) != "absent" else ""


def run_owned_path(params: Mapping[str, Any], dry: bool = False) -> dict[str, Any]:
    """Do what the module ``owned_path`` was asked for and return its result.

    :raises MigrationError: ``name_invalid``, ``not_ours``, ``folder_unusable``.
    """
    checked("path", "file", params["path"])
    path = os.path.normpath(params["path"])
    thing = KINDS[params["kind"]][0]
    if params["kind"] == "archive" and params["state"] == "replaceable":
        found = replaceable(path, params["database"])
    else:
        shows = _shows(path, params["kind"], params)
        found = look(path, shows or f"its name, {params['kind']}", shows)
        demand(thing, found)
    there = found.file != "absent"
    made = bool(params["state"] == "replaceable" and params.get("folder_made")) and file_at(found.folder) == "absent"
    if params["state"] == "absent" and not dry:
        remove(thing, found)
    if made and not dry:
        make_folder(found.folder)
    changed = there and params["state"] == "absent"
    lines = f"{path}\n" if there else ""
    diff = text_diff(found.folder, "", f"{found.folder}\n") if made else text_diff(path, lines, "" if changed else lines)
    return {"changed": changed or made, "exists": there, "diff": diff}


def _temporary(path: str, params: Mapping[str, Any]) -> str:
    """A folder that is this user's alone, as mkdtemp makes it."""
    status = os.lstat(path)
    return "its mode" if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700 else ""


def _archive(path: str, params: Mapping[str, Any]) -> str:
    return shows_archive(path, params["database"])


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
