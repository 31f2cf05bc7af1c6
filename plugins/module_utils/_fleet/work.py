# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is done with one database of many: the same that a module does which has only that one."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from typing import Any, Callable

from .._core.fleet_outcome import Entry, looked_at, migrated
from .._core.fleet_plan import Objects, Way
from .._database import run_database
from .._errors import MigrationError
from .._operations import facts_of, project_request, run_downgrade, run_stamp, run_upgrade
from .._worker.standing import no_writes
from .hub import TargetBridge
from .recorded import Recorded, not_copied, place_of
from .targets import Target

#: What is done with a ledger at hand.
RECORDED = ("upgraded", "returned")
#: What is done without changing anything.
READ = ("current", "planned", "returned")
MIGRATE: dict[str, Callable[..., Any]] = {"upgraded": run_upgrade, "downgraded": run_downgrade, "stamped": run_stamp}


@dataclass
class Compared:
    """What is found out of targets that are compared.

    :param schemas: what is in them, by its fingerprint.
    :param aim: the revisions that they are to be at.
    :param ways: target → how it would go back.
    """

    schemas: dict[str, Objects] = field(default_factory=dict)
    aim: list[str] = field(default_factory=list)
    ways: dict[str, Way] = field(default_factory=dict)


def work_on(
    target: Target,
    state: str,
    bridge: TargetBridge,
    check: bool,
    recorded: Recorded | None = None,
    compared: Compared | None = None,
) -> Entry:
    """Return the target's entry in the result; whatever goes wrong is told in it.

    :param compared: gets what is in the target, where that is to be known and no other target had it.
    """
    try:
        if recorded is not None and state in RECORDED:
            entry = recorded.would_go(target, bridge) if check else _recorded(target, state, bridge, recorded)
        elif state == "pruned":
            entry = _prune(target, bridge, check)
        elif compared is not None:
            entry = _compared(target, bridge, compared)
        else:
            entry = _read(target, bridge) if state in READ else _migrate(target, state, bridge, check)
    except Exception as exc:  # ours: the other targets have nothing to do with it
        bridge.warn(f"{target.name}: {traceback.format_exc()}")
        failure = {"kind": "internal_error", "message": f"{type(exc).__name__}: {exc}"}
        entry = {**migrated(target.entry, {}, failure, check)}
    return target.redactor.clean(entry)  # type: ignore[no-any-return]


def _recorded(target: Target, state: str, bridge: TargetBridge, recorded: Recorded) -> Entry:
    try:
        return recorded.upgrade(target, bridge) if state == "upgraded" else recorded.put_back(target, bridge)
    except MigrationError as exc:
        recorded.refuse(target, exc)
        return migrated(target.entry, {}, _told(exc), False)


def _migrate(target: Target, state: str, bridge: TargetBridge, check: bool) -> Entry:
    failure: dict[str, Any] | None = None
    try:
        values = MIGRATE[state](bridge, target.params, dry=check).as_result()
    except MigrationError as exc:
        values, failure = exc.facts, _told(exc)
    return migrated(target.entry, values, failure, check)


def _read(target: Target, bridge: TargetBridge) -> Entry:
    request = dict(project_request(target.params, "info"), target=target.params["revision"], brief=True)
    try:
        return looked_at(target.entry, facts_of(bridge, request)["databases"], None)
    except MigrationError as exc:
        return looked_at(target.entry, exc.facts.get("databases") or [], _told(exc))


def _prune(target: Target, bridge: TargetBridge, check: bool) -> Entry:
    options = {"state": "pruned", "kinds": ["snapshot", "before_restore"], "terminate": False, "wait": 30.0}
    request = {**place_of(target), **options, "keep_count": target.params["keep_count"]}
    try:
        changed = bool(run_database(bridge, request, "database_snapshot", check)["changed"])
    except MigrationError as exc:
        if exc.kind != "archive_required":  # where none can be made none is left
            return looked_at(target.entry, [], _told(exc))
        changed = False
    return {**target.entry, "changed": changed, "outcome": "changed" if changed else "unchanged"}


def _compared(target: Target, bridge: TargetBridge, compared: Compared) -> Entry:
    request = dict(project_request(target.params, "plan_schema"), target=target.params["revision"], known=sorted(compared.schemas))
    try:
        found = facts_of(bridge, request)
    except MigrationError as exc:
        return looked_at(target.entry, exc.facts.get("databases") or [], _told(exc))
    if found["objects"] is not None:
        compared.schemas.setdefault(found["fingerprint"], target.redactor.clean(found["objects"]))
    compared.aim = found["aim"]
    closed = [no_writes(item["database"], item["read_only"]) for item in found["databases"] if item["pending"]]
    if any(closed):
        failure = {"kind": "database_read_only", "message": next(filter(None, closed)), "hint": None}
        return looked_at(target.entry, found["databases"], failure)
    if any(item["pending"] for item in found["databases"]) and set(target.params["way_back"]) != {"none"}:
        compared.ways[target.entry["name"]] = _way(target, bridge, found["databases"][0]["database"]["dialect"])
    return {**looked_at(target.entry, found["databases"], None), "schema_fingerprint": found["fingerprint"]}


def _way(target: Target, bridge: TargetBridge, dialect: str) -> Way:
    """Return how a target would go back, and what that needs."""
    ways = target.params["way_back"]
    why = not_copied(target, dialect) if "snapshot" in ways else ""
    if why or "snapshot" not in ways:
        return Way("downgrade" if "downgrade" in ways else "none", why, kind="archive_required")
    try:
        found = run_database(bridge, place_of(target), "database_snapshot_info")
    except MigrationError as exc:
        return Way("none", target.redactor.clean(exc.msg), kind=exc.kind)
    if found["refused"]:
        kind = " ".join(sorted(str(item["id"]) for item in found["refused"]))
        return Way("none", " ".join(str(item["message"]) for item in found["refused"]), kind=kind)
    space = found["space"] or {}
    return Way("snapshot", "", int(space.get("needed_bytes") or 0), space.get("free_bytes"))


def _told(exc: MigrationError) -> dict[str, Any]:
    return {"kind": exc.kind, "message": exc.msg, "hint": exc.hint}


def planned_sql(target: Target, state: str, bridge: TargetBridge) -> list[dict[str, Any]]:
    """Return the pending revisions of a target with their SQL."""
    try:
        values = MIGRATE[state](bridge, target.params, dry=True, diff=True).as_result()
    except MigrationError as exc:
        bridge.warn(f"The SQL for {target.name} was not rendered: {exc.msg}")
        return []
    steps = [step for database in values["databases"] for step in database["planned"]]
    return target.redactor.clean(steps)  # type: ignore[no-any-return]
