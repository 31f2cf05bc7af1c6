# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is done with one database of many: the same that a module does which has only that one."""

from __future__ import annotations

import traceback
from typing import Any, Callable, MutableMapping

from .._core.fleet_outcome import Entry, looked_at, migrated
from .._core.fleet_plan import Objects
from .._errors import MigrationError
from .._operations import facts_of, project_request, run_downgrade, run_stamp, run_upgrade
from .hub import TargetBridge
from .recorded import Recorded
from .targets import Target

#: What is done with a ledger at hand.
RECORDED = ("upgraded", "returned")
#: What is done without changing anything.
READ = ("current", "planned", "returned")
#: Fingerprint of a schema → what is in it.
Schemas = MutableMapping[str, Objects]
MIGRATE: dict[str, Callable[..., Any]] = {"upgraded": run_upgrade, "downgraded": run_downgrade, "stamped": run_stamp}


def work_on(
    target: Target, state: str, bridge: TargetBridge, check: bool, recorded: Recorded | None = None, schemas: Schemas | None = None
) -> Entry:
    """Return the target's entry in the result; whatever goes wrong is told in it.

    :param schemas: gets what is in the target, where that is to be known and no other target had it.
    """
    try:
        if recorded is not None and state in RECORDED:
            entry = _recorded(target, state, bridge, recorded)
        elif schemas is not None:
            entry = _compared(target, bridge, schemas)
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


def _compared(target: Target, bridge: TargetBridge, schemas: Schemas) -> Entry:
    request = dict(project_request(target.params, "plan_schema"), target=target.params["revision"], known=sorted(schemas))
    try:
        found = facts_of(bridge, request)
    except MigrationError as exc:
        return looked_at(target.entry, exc.facts.get("databases") or [], _told(exc))
    if found["objects"] is not None:
        schemas.setdefault(found["fingerprint"], target.redactor.clean(found["objects"]))
    return {**looked_at(target.entry, found["databases"], None), "schema_fingerprint": found["fingerprint"]}


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
