# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What an upgrade of many databases would do: each kind of them is rehearsed once, and what differs is told."""

from __future__ import annotations

from typing import Any, Sequence

from .._core import fleet_plan, fleet_rolling
from .._core.fleet_outcome import Entry, listed
from .._errors import MigrationError
from .._plan import run_plan
from .run import Fleet
from .targets import Target
from .work import Compared

#: What is kept of the plan of a kind.
_KEPT = ("route", "reason", "before", "after", "rollback", "mode", "revisions")
#: Begin of the names of all operations that may be asked for.
OPERATION = "plan_fleet"
Plan = Entry


def values_of_plan(run: Fleet) -> dict[str, Any]:
    """Rehearse each kind of the targets that were read, and return what the module says of that."""
    groups = fleet_plan.kinds(run.all())
    plans = _rehearsed(run, [group for group in groups if group["pending"]])
    good = [plan for plan in plans if plan["failure"] is None]
    route, reason = fleet_plan.route(good)
    if len(good) < len(plans):
        route, reason = "refuse", f"What is pending on {listed(_names(plans))} could not be judged."
    compared = run.compared or Compared()
    servers = {target.entry["name"]: target.server for target in run.targets.values()}
    told = {"drift": drift_of(run, groups), "ways_back": fleet_plan.ways_back(compared.ways, servers)}
    return {"plans": plans, **fleet_rolling.merged(good, route, reason), "to_revision": compared.aim, **told}


def drift_of(run: Fleet, groups: Sequence[Entry] | None = None) -> list[Entry]:
    schemas = run.compared.schemas if run.compared else {}
    return fleet_plan.drift(fleet_plan.kinds(run.all()) if groups is None else groups, schemas)


def _names(plans: Sequence[Plan]) -> list[str]:
    return [name for plan in plans if plan["failure"] for name in plan["targets"]]


def _rehearsed(run: Fleet, groups: Sequence[Entry]) -> list[Plan]:
    names = {target.entry["name"]: name for name, target in run.targets.items()}
    waiting = [names[group["targets"][0]] for group in groups]
    found: dict[str, Plan] = {}

    def taken(name: str, plan: Plan) -> Sequence[str]:
        found[run.targets[name].entry["name"]] = plan
        following, waiting[:1] = waiting[:1], []
        return following

    given = run.params["rehearsal"]["scratch_url"]
    count = 1 if given else run.pace.parallel  # one rehearsal at a time has a database that is given
    begun, waiting[:count] = waiting[:count], []
    run.each(begun, lambda target: _plan(run, target), taken)
    return [{**group, "rehearsed": group["targets"][0], **found[group["targets"][0]]} for group in groups]


def _plan(run: Fleet, target: Target) -> Plan:
    params = {**target.params, **run.params["rehearsal"]}
    try:
        values = run_plan(run.bridge(target), params).as_result()
    except MigrationError as exc:
        failure = {"kind": exc.kind, "message": exc.msg, "hint": exc.hint}
        return target.redactor.clean({**dict.fromkeys(_KEPT), "revisions": [], "failure": failure})  # type: ignore[no-any-return]
    return target.redactor.clean({**{name: values[name] for name in _KEPT}, "failure": None})  # type: ignore[no-any-return]
