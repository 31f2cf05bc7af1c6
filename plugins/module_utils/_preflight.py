# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The module database_preflight: what is pending, what it does, and how to go back, asked of one process before a deployment."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from ._argspec import ArgumentSpec, plan_spec, project_spec
from ._backup_info import backup_facts, backup_info_spec, part_of
from ._backup_info import bridge_of as bridge_for_questions
from ._bridge import Bridge
from ._core.preflight import pending_plan, plan_refusals
from ._database import Run, database_spec
from ._errors import MigrationError
from ._operations import run_info
from ._plan import run_plan
from ._steps.run import stand_by
from ._warm import ended


def preflight_spec() -> ArgumentSpec:
    project = project_spec().options
    rehearsal = {name: option for name, option in plan_spec().options.items() if name not in (*project, "revision")}
    backup = {name: option for name, option in backup_info_spec().options.items() if name not in database_spec().options}
    return project_spec() + ArgumentSpec(
        options=dict(
            revision=dict(type="str", default="head"),
            max_pending=dict(type="int", default=0),
            expect_current=dict(type="list", elements="str", default=[]),
            initialise=dict(type="str", default="upgrade", choices=["upgrade", "command", "stamp", "refuse"]),
            rehearsal=dict(type="dict", options=rehearsal),
            backup=dict(type="dict", options=backup),
            ready=dict(type="str", default="nothing", choices=["nothing", "libraries", "project"]),
        )
    )


def bridge_of(module: Any) -> Bridge:
    """Return a way to the application's Python, which ends with whoever asked for it."""
    return bridge_for_questions(module, besides=("plan",), outlives=False)


def run_preflight(bridge: Bridge, params: Mapping[str, Any], run: Run, check: bool) -> dict[str, Any]:
    """Return the module's result; afterwards the bridge is closed.

    :param run: ``run_command`` of the module.
    :param check: whether no process is left ready.
    :raises MigrationError: ``options_invalid``, and what keeps the scripts or the database from being read. A rehearsal that fails
        is told in the result.
    """
    if params.get("backup") and not (params.get("url") or params.get("kubernetes")):
        raise MigrationError(
            "How the database could be put back is asked with the URL of the database, and url is not given.",
            "options_invalid",
            "Give url, or leave backup out.",
        )
    wanted = params["ready"] != "nothing" and not check and not params.get("kubernetes")
    # It is there before the worker, of which it then keeps nothing open, and loads while the revisions are rehearsed.
    session, ready = stand_by(params, params["ready"] == "project") if wanted else ("", None)
    kept = False
    try:
        with ended(bridge):
            result = _asked(bridge, params, run, ready.load if ready else lambda: None)
        kept = bool(result["plan"]["pending"] and not result["refusals"])
        return dict(result, session=session if kept else "")
    finally:
        if ready:
            ready.leave(kept)


def _asked(bridge: Bridge, params: Mapping[str, Any], run: Run, pending: Callable[[], None]) -> dict[str, Any]:
    """:param pending: called when it is known that something will be done."""
    project = part_of(project_spec(), params)
    info = run_info(bridge, {**project, "target": params["revision"]}).as_result()
    place = params.get("chdir") or params.get("config") or "."
    revision, most, initialise = params["revision"], params["max_pending"], params["initialise"]
    refusals = plan_refusals(info["databases"], info["heads"], revision, most, place, initialise, params["expect_current"])
    plan = pending_plan(info["databases"], info["heads"], params["revision"])
    result: dict[str, Any] = {"changed": False, "plan": plan, "refusals": refusals, "rehearsal": {}, "backup": {}}
    if refusals or not plan["pending"]:
        return result
    pending()
    if params.get("rehearsal"):
        result["rehearsal"] = _rehearsed(bridge, {**project, **params["rehearsal"], "revision": params["revision"]})
    if params.get("backup"):
        database = part_of(database_spec(), params)
        result["backup"] = backup_facts(bridge, {**database, **params["backup"]}, run)
        result["refusals"] += result["backup"]["refusals"]
        for remark in result["backup"]["remarks"]:
            bridge.warn(remark)
    return result


def _rehearsed(bridge: Bridge, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        plan = run_plan(bridge, params).as_result()
    except MigrationError as exc:
        bridge.warn(f"The pending revisions could not be rehearsed, so nothing is proved of them. {exc.msg}")
        return {}
    if plan["route"] == "refuse":
        bridge.warn(f"The rehearsal says that this will not go well. {plan['reason']}")
    return plan
