# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The module database_backup_info: how a database can be put back, and what keeps a backup from being of use, in one process."""

from __future__ import annotations

from typing import Any, Mapping

from ._argspec import ArgumentSpec
from ._bridge import Bridge, interpreter
from ._core.preflight import backup_refusals, backup_remarks
from ._database import Run, run_database, snapshot_info_spec
from ._errors import MigrationError
from ._kubernetes.runner import bridge_for
from ._restore import restore_info_spec, run_restore_info
from ._warm import WarmBridge, ended

#: Options that mean the same for the archive alone.
_ARCHIVE = ("format", "programs", "program_check")


def backup_info_spec() -> ArgumentSpec:
    archive = restore_info_spec().options
    return snapshot_info_spec() + ArgumentSpec(
        options=dict(
            snapshot=dict(type="bool", default=True),
            archive=dict(type="bool", default=True),
            check=dict(type="str", default="always", choices=["always", "way_back", "never"]),
            window=dict(type="bool", default=True),
            binding=dict(type="bool", default=False),
            careless=dict(type="bool", default=False),
            **{name: archive[name] for name in _ARCHIVE},
        )
    )


def bridge_of(module: Any, **options: Any) -> Bridge:
    """Return a way to the application's Python on which several questions are asked: one process for all, or a Job for each.

    :param options: more of :class:`._warm.WarmBridge`.
    """
    if module.params.get("kubernetes"):
        return bridge_for(module)
    first = {name: module.params.get(name) for name in ("url", "environment")}
    return WarmBridge(interpreter(module.params), module.warn, first, **options)


def run_backup_info(bridge: Bridge, params: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return the module's result; afterwards the bridge is closed.

    :param run: ``run_command`` of the module.
    :raises MigrationError: what kept it from being found out, but for a kind of database that has archives only.
    """
    with ended(bridge):
        return backup_facts(bridge, params, run)


def backup_facts(bridge: Bridge, params: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return what :func:`run_backup_info` does, over a bridge that stays open."""
    possible = _snapshot(bridge, part_of(snapshot_info_spec(), params))
    way = "snapshot" if params["snapshot"] and possible["possible"] else "archive" if params["archive"] else "none"
    asked = params["check"] == "always" or (params["check"] == "way_back" and way == "archive")
    wanted = {**part_of(restore_info_spec(), params), "archive": None}  # there it is the path of one
    check = _archive(bridge, wanted, run) if asked else {}
    plan = {"way_back": way, "refused": possible["refused"]}
    return {
        "changed": False,
        **plan,
        "needed_bytes": (possible["space"] or {}).get("needed_bytes") or 0,
        "archive": check,
        "refusals": backup_refusals(plan, check, params["window"], params["binding"], params["careless"]),
        "remarks": backup_remarks(plan, check, params["window"]),
    }


def part_of(spec: ArgumentSpec, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the module of this spec has too."""
    return {name: params[name] for name in spec.options if name in params}


def _snapshot(bridge: Bridge, request: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return run_database(bridge, request, "database_snapshot_info")
    except MigrationError as exc:
        if exc.kind != "archive_required":
            raise
        return {"possible": False, "refused": [{"id": "unsupported", "message": _words(exc)}], "space": {}}


def _archive(bridge: Bridge, request: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return what is known of an archive. Where nothing can be found out, that is what keeps it from being of use."""
    try:
        found = run_restore_info(bridge, request, run)
    except MigrationError as exc:
        problem = (
            f"Whether an archive can be written and restored could not be found out: {_words(exc)}"
            " Set backup_restore_check_enabled to false to go on without knowing."
        )
        unknown = {"dump_problem": problem, "restore_problem": "", "remarks": [problem]}
        return {"dumpable": False, "restorable": False, "needs": {}, "findings": [], "way": "none", **unknown}
    return {name: value for name, value in found.items() if name not in ("changed", "kept")}


def _words(failure: MigrationError) -> str:
    return f"{failure.msg} {failure.hint}" if failure.hint else failure.msg
