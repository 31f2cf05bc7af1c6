# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The module database_restore_info: what an archive needs, and what it can be restored into."""

from __future__ import annotations

from typing import Any, Mapping

from ._argspec import ArgumentSpec
from ._bridge import Bridge
from ._core import archive_list, dumpable, restorable
from ._core.finding import Finding
from ._database import FORMATS, Run, archive_contents, database_spec, run_database

#: Kind of database → the program that writes its archives.
PROGRAMS = {"postgresql": "pg_dump", "mysql": "mysqldump", "mariadb": "mysqldump"}


def restore_info_spec() -> ArgumentSpec:
    return database_spec() + ArgumentSpec(
        options=dict(
            database=dict(type="str"),
            format=dict(type="str", default="custom", choices=FORMATS),
            needs=dict(type="dict"),
            archive=dict(type="path"),
            programs=dict(type="path"),
            program_check=dict(type="bool", default=True),
        )
    )


def run_restore_info(bridge: Bridge, params: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return the module's result.

    :param run: ``run_command`` of the module.
    :raises MigrationError: what kept the facts from being found out.
    """
    own = ("needs", "format", "archive", "programs", "program_check")
    request = {name: value for name, value in params.items() if name not in own}
    needs = params.get("needs") or None
    extensions = [str(item["name"]) for item in (needs or {}).get("extensions", ())]
    values = run_database(bridge, {**request, "extensions": extensions}, "database_restore_info")
    facts = values.pop("facts")
    found = _judge(values["dialect"], facts, needs, params["format"])
    program = PROGRAMS.get(values["dialect"])
    said = None
    if program and needs is None and params["program_check"] and not params.get("kubernetes"):
        said = version_of(program, params.get("programs"), run)
        server = facts["server"] if values["dialect"] == "postgresql" else None
        more = tuple(dumpable.program_findings(program, said, server))
        found = restorable.Judgement(more + found.findings, found.way, found.needs)
    told = {**values, **found.as_result(), "server": facts.get("server"), "program": said, "kept": facts.get("present", [])}
    if params.get("archive"):
        told["listed"], told["left_out"] = list_without(params["archive"], facts, params.get("programs"), run)
    return told


def list_without(path: str, facts: Mapping[str, Any], folder: str | None, run: Run) -> tuple[str, list[str]]:
    """Return the list of an archive without what the database has already, and what was left out.

    :raises MigrationError: ``archive_failed``, with the words of pg_restore.
    """
    said = archive_contents(path, folder, run)
    return archive_list.without(said, facts.get("present", ()), facts.get("roles", ()))


def _judge(dialect: str, facts: Mapping[str, Any], needs: Mapping[str, Any] | None, form: str) -> restorable.Judgement:
    if dialect == "postgresql":
        return restorable.judge(facts, needs, form)
    found: tuple[Finding, ...] = tuple(dumpable.mysql_findings(facts)) if dialect in PROGRAMS else ()
    needs_too = {"server": facts["server"], "events": len(facts["events"])} if dialect in PROGRAMS else {}
    return restorable.Judgement(found, restorable.IN_PLACE, needs_too)


def version_of(program: str, folder: str | None, run: Run) -> str | None:
    """Return what ``program`` says of its version, or None when it can not be run."""
    try:
        status, said, _errors = run([f"{folder}/{program}" if folder else program, "--version"], handle_exceptions=False)
    except (OSError, ValueError):
        return None
    return said.strip() if status == 0 else None
