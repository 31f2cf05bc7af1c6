# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The module alembic_fleet: its targets, the run in this process or in one that outlives it, and the answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Mapping, Sequence, cast

from .._background import Background, Tell, values_of
from .._bridge import Bridge, interpreter, is_alone
from .._core import fleet
from .._core import fleet_outcome as outcome
from .._core.fleet_ledger import Standing, Verdict, verdict, verdict_back
from .._core.fleet_outcome import Entry
from .._errors import MigrationError
from .._jobs import Followed, Unfinished, follow
from .._operations import project_request
from .._warm import load
from . import planning, query
from .hub import Hub
from .ledger import Ledger
from .recorded import Recorded
from .run import Fleet, values_of_run
from .targets import Params, Target, pace_of, refused, targets_of
from .work import RECORDED, Compared, work_on

OPERATION = "fleet"
#: The same with what copies and counts databases.
RECORDING = "database_fleet"


def run_fleet(params: Params, check: bool, shows: bool, warn: Callable[[str], None]) -> dict[str, Any]:
    """Do what ``params`` ask for, in this process or as a job in one that outlives it, and return the module's result.

    :raises MigrationError: ``targets_failed`` with what became of each, or why nothing could be begun.
    """
    reading = check or params["state"] in ("current", "planned")
    if params["ledger"] and params["state"] not in RECORDED:
        raise refused("ledger is for state=upgraded and state=returned.", "Leave it out.")
    bridge = Bridge(interpreter(params))
    if params["state"] == "listed":
        return {"changed": False, "found": query.listed_targets(bridge, params)}
    if not params["query"]:
        _prepared(params, [], reading)  # what can not be used is told at once

    def work(descriptor: int | None, tell: Tell) -> dict[str, Any]:
        found = query.found_targets(bridge, params) if params["query"] else []
        targets, pace = _prepared(params, found, reading)
        tell({"event": "targets", "found": found})
        recorded = _recorded(params, check) if params["ledger"] and not (check and params["state"] != "returned") else None
        own = [*([] if descriptor is None else [descriptor]), *([recorded.ledger.descriptor] if recorded and not check else [])]
        if params["state"] == "planned":
            load(RECORDING)  # which the plan needs besides its own
        hub = Hub(bridge, _first(params, targets), tuple(own))
        goes_on = (lambda: not is_alone()) if reading and descriptor is None else (lambda: True)
        compared = Compared() if _compares(params) else None
        run = Fleet(params, targets, pace, hub, check, tell, goes_on, recorded, compared)
        run.work()
        told: dict[str, Any] = {"drift": planning.drift_of(run)} if compared is not None else {}
        planned = run.sql() if check and shows else {}
        if params["state"] == "planned":
            told = planning.values_of_plan(run)
        elif recorded:
            told = _judged(run)
        hub.close()
        return {**values_of_run(run, planned, shows), **told}

    if reading or not params.get("job"):
        return _answer(work(None, lambda message: None), warn)
    for operation in (OPERATION, RECORDING, query.OPERATION):
        load(operation)
    request = {name: params.get(name) for name in ("environment", "x_arguments", "urls", "url")}
    followed = follow(Background(work), request, params)
    if isinstance(followed, Unfinished):
        return followed.as_result()
    if followed.reply:
        return _answer(values_of(followed.reply), warn)
    return _answer(_left(params, bridge, followed), warn)


def _compares(params: Params) -> bool:
    return params["state"] == "planned" or (params["state"] == "current" and bool(params["compare"]))


def _prepared(params: Params, found: Sequence[query.Found], reading: bool) -> tuple[dict[str, Target], fleet.Pace]:
    """Return the targets, and in which order they are worked on.

    :raises MigrationError: ``options_invalid``.
    """
    given = {**params, "targets": query.as_targets(found, params)} if params["query"] else params
    if not given["targets"]:
        raise refused("targets is empty.", "Give one at least, or none of the tasks that need them.")
    targets = targets_of(given)
    return targets, pace_of(given, targets, reading or params["state"] in ("returned", "pruned"))


def _first(params: Params, targets: Mapping[str, Target]) -> dict[str, Any]:
    """Return what the process that all are forked from is given: of the URL its kind alone."""
    url = next((target.params["url"] for target in targets.values() if target.params["url"]), None) or ""
    scheme, mark, _rest = url.partition("://")
    common = params["environment"]
    own = [item for target in targets.values() for item in target.params["environment"].items()]
    return {
        **{name: params[name] for name in ("config", "section", "prelude") if params.get(name) is not None},
        "operation": planning.OPERATION
        if _compares(params)
        else RECORDING
        if params["ledger"] or params["state"] == "pruned"
        else OPERATION,
        "environment": common,
        "chdir": project_request(params, OPERATION)["chdir"],
        "url": scheme + mark if mark else None,
        "varying": sorted({str(name) for name, value in own if common.get(name) != value}),
        "ahead": len(targets) > params["parallel"],
    }


def _recorded(params: Params, check: bool) -> Recorded:
    """Open the ledger, or in check mode only read it.

    :raises MigrationError: ``lock_unavailable`` and others.
    """
    ledger = Ledger(params["ledger"])
    if check:
        ledger.look()
    else:
        ledger.open(float(params["lock_wait"]))
    ways = tuple(way for way in params["way_back"] if way != "none")
    return Recorded(ledger, ways, params["on_failure"] == "one", params["rows_given_up"])


def _judged(run: Fleet) -> dict[str, Any]:
    """Say what all targets come to, after putting all back where that is wanted."""
    recorded = cast("Recorded", run.recorded)

    def standings() -> dict[str, Standing]:
        return {target.entry["name"]: recorded.ledger.of(target.entry["name"]) for target in run.targets.values()}

    if run.check:
        stays = [name for name, entry in run.entries.items() if entry["outcome"] == "failed"]
        told = f"{len(stays)} of {len(run.targets)} targets could not be put back: {outcome.listed(stays)}."
        found = Verdict("halt", told) if stays else Verdict("revert", "All targets could be put back.")
    elif run.params["state"] == "returned":
        found = verdict_back(standings())
    else:
        found = verdict(standings(), run.params["on_failure"], run.stopped())
        if found.action == "revert":
            run.put_back()
            after = verdict_back(standings())
            found = Verdict(after.action, f"{found.reason} {after.reason}")
    wrong = [name for name, entry in run.entries.items() if entry["outcome"] == "failed" and not recorded.ledger.of(name).failure]
    if wrong and found.action == "finish":
        found = Verdict("halt", f"Something is wrong with {outcome.listed(wrong)}, which its revision does not show.")
    recorded.ledger.close()
    return {"verdict": found.action, "verdict_reason": found.reason}


def _answer(values: dict[str, Any], warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the module's result.

    :raises MigrationError: ``targets_failed``.
    """
    for warning in values.pop("warnings_of_targets"):
        warn(f"{outcome.listed(warning['targets'])}: {warning['message']}")
    unjudged = [plan for plan in values.get("plans") or () if plan["failure"]]
    if not values["failed_targets"] and not values["not_begun"] and not unjudged:
        return values
    if unjudged and not values["failed_targets"]:
        first = unjudged[0]
        where = f"{first['rehearsed']}, which stands for {first['count']}" if first["count"] > 1 else first["rehearsed"]
        message = f"What is pending could not be judged for {len(unjudged)} of {len(values['plans'])} kinds of targets."
        message += f" {where}: {first['failure']['message']}"
        raise MigrationError(message, "targets_failed", first["failure"]["hint"], values)
    message = " ".join([outcome.sentence(values["targets"], values["stopped"]), values.get("verdict_reason") or ""]).strip()
    hint = "Each of targets says why. Mend that and run the task again: it goes on with those that are not there yet."
    raise MigrationError(message, "targets_failed", hint, values)


def _left(params: Params, bridge: Bridge, followed: Followed) -> dict[str, Any]:
    """Return what a run that is gone had done; where a target stands that it had begun is read anew.

    :raises MigrationError: ``worker_died``, when it had not begun any.
    """
    found = next((message["found"] for message in followed.messages if message["event"] == "targets"), None)
    if found is None:
        raise followed.death or refused("The run is gone.")
    targets, pace = _prepared(params, found, True)
    wanted = outcome.readable(params["state"], str(params["revision"] or "head"))
    reading = {name: replace(target, params={**target.params, "revision": wanted}) for name, target in targets.items()}
    names = {target.entry["name"]: name for name, target in targets.items()}
    hub = Hub(bridge, _first(params, targets))
    run = Fleet(params, reading, pace, hub, True, lambda message: None)
    begun: list[str] = []
    for message in followed.messages:
        if message["event"] == "target_start":
            begun.append(names[message["name"]])
        elif message["event"] == "target_end":
            run.entries[names[message["entry"]["name"]]] = message["entry"]
    open_still = [name for name in begun if name not in run.entries]

    def taken(name: str, entry: Entry) -> Sequence[str]:
        run.entries[name] = outcome.lost(entry, params["state"], str(params["revision"] or "head"))
        return ()

    run.each(open_still, lambda target: work_on(target, "current", run.bridge(target), False), taken)
    hub.close()
    return {**values_of_run(run, {}, False), "stopped": "worker_died"}
