# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Many databases in a rolling deployment: what is pending on all as one plan, and what to do about one that failed or was cut off.

The former release serves on what the expand part left, whole or in part, so that a database that is expanded may stay so.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .fleet_decision import Move, gone_wrong
from .fleet_ledger import Standing, listed
from .next_steps import recover
from .record import Record

Standings = Mapping[str, Standing]
Plan = Mapping[str, Any]


def merged(plans: Sequence[Plan], route: str, reason: str) -> dict[str, Any]:
    """Return the plans of several kinds of databases as one, in the words of a plan for one.

    A revision counts as what it is on the kind where it is worst. One that has to run before the rollout on some and after it
    on others makes the route ``maintenance_window``.

    :param plans: ``revisions``, ``before`` and ``after`` of each kind that has something pending.
    :param route: of all of them, as :func:`.fleet_plan.route` says.
    :returns: ``route``, ``reason``, ``revisions``, ``before`` and ``after``, in the order in which they run.
    """
    steps: dict[str, dict[str, Any]] = {}
    for plan in plans:
        for step in plan["revisions"]:
            known = steps.setdefault(step["revision"], dict(step))
            if step["phase"] != "expand":
                known["phase"] = step["phase"]
            if not (step.get("reversible") or {}).get("proved"):
                known["reversible"] = step.get("reversible")
    ordered = _in_order(steps)
    before = {name for plan in plans for name in plan["before"] or ()}
    after = {name for plan in plans for name in plan["after"] or ()}
    torn = [name for name in ordered if name in before & after]
    if torn and route == "rolling":
        route = "maintenance_window"
        reason = f"Revision {torn[0]} has to run before the new code on some databases, and after it on others."
    found = {"before": [name for name in ordered if name in before], "after": [name for name in ordered if name in after]}
    return {"route": route, "reason": reason, "revisions": [steps[name] for name in ordered], **found}


def _in_order(steps: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the revisions so that each follows those that it is built on."""
    found: list[str] = []
    left = list(steps)
    while left:
        ready = [name for name in left if not set(_downs(steps[name])) & set(left)] or left[:1]
        found += ready
        left = [name for name in left if name not in ready]
    return found


def _downs(step: Mapping[str, Any]) -> Sequence[str]:
    down = step.get("down_revision")
    return [down] if isinstance(down, str) else list(down or ())


def roll(record: Record, standings: Standings, direction: str, trusted: bool) -> Move:
    """Return what is to be done about an open rolling deployment of many databases.

    :param standings: target → what the ledger says of it; targets that were not begun may be missing.
    :param direction: what the operator said: ``auto``, ``finish`` or ``revert``.
    :param trusted: the downgrade of what the expand part made is known to lose nothing.
    """
    if record.step == "expanding":
        return _expanding(record, standings, direction, trusted)
    if record.step == "downgrading":
        left = [name for name, standing in standings.items() if standing.begun and standing.step != "returned"]
        if left:
            return Move("revert", f"{len(left)} databases are still to be downgraded.", "downgrade", "from")
        return Move("revert", "Every database is where it was, and no host was touched.", code="from")
    if direction == "revert":
        return _code_back(record, standings)
    if record.step == "archiving":
        return Move("finish", "The new release serves; only the pruning was left.", code="to")
    if record.step in ("backfilling", "contracting"):
        return _after(record, standings, direction)
    if direction == "finish" or (not record.failure and record.step != "returning"):
        return Move("finish", "The databases are expanded; the rollout goes on.", "upgrade", "to")
    return _code_back(record, standings)


def _expanding(record: Record, standings: Standings, direction: str, trusted: bool) -> Move:
    if direction == "finish" or (direction == "auto" and not record.failure and not gone_wrong(record, standings)):
        return Move(
            "finish", "The revisions of the expand part disturb nobody, so the deployment goes on with them.", "upgrade", "to"
        )
    failed = [name for name, standing in standings.items() if standing.failure and not standing.served]
    dirty = [name for name, standing in standings.items() if _half_done(standing)]
    total = max(int(record.fleet.get("targets") or 0), len(standings))
    told = f"{len(failed)} of {total} databases failed ({listed(failed)})." if failed else "The deployment failed."
    if direction == "auto" and failed and record.fleet.get("on_failure") == "halt":
        told += " It was begun with fleet_on_failure=halt, and the former release serves."
        return Move("halt", told, remedies=_remedies(record))
    if direction == "auto" and dirty:
        why = f"Something of a revision may be half done in {len(dirty)} ({listed(dirty)}). The former release serves."
        return Move("halt", f"{told} {why}", remedies=_remedies(record))
    left = [name for name, standing in standings.items() if standing.begun and standing.step != "returned"]
    if not left:
        return Move("revert", f"{told} Every database is where it was, and no host was touched.", code="from")
    told += f" What was begun in {len(left)} of them"
    if trusted and (failed or direction == "revert"):
        vouched = "is taken back by downgrades, which lose nothing as the rehearsal or the operator vouches"
        return Move("revert", f"{told} {vouched}.", "downgrade", "from")
    return Move("revert", f"{told} stays, and the former release serves on it; no host was touched.", code="from")


def _after(record: Record, standings: Standings, direction: str) -> Move:
    """After the rollout: the new release serves everywhere, on the expanded schema and on the contracted one."""
    dirty = [name for name, standing in standings.items() if _half_done(standing)]
    if direction == "finish" or not record.failure:
        return Move("finish", "The new release serves everywhere; what follows the rollout goes on.", "upgrade", "to")
    if dirty:
        told = f"The new release serves, and something of a contract revision may be half done in {len(dirty)} ({listed(dirty)})."
        return Move("halt", told, remedies=_remedies(record)[:2])
    return Move("finish", "The new release serves everywhere; what failed after the rollout is left for a later run.", code="to")


def _code_back(record: Record, standings: Standings) -> Move:
    """The former release runs on what the expand part left, and on nothing after it."""
    gone = [name for name, standing in standings.items() if _contracted(record, standing)]
    if gone:
        told = f"The contract part was begun in {len(gone)} databases ({listed(gone)}), so the former release can not serve."
        keeps = recover("keeps the new release, and brings it to every host.", deployment_recover_direction="finish")
        return Move("halt", told, remedies=(keeps,))
    return Move("revert", "Only the code goes back, host by host; the former release runs on the expanded schemas.", code="from")


def _contracted(record: Record, standing: Standing) -> bool:
    if standing.step in ("upgrading", "failed", "returning", "stuck"):
        return True
    within = {*(standing.from_revision or ()), *(record.plan.get("before") or ())}
    return not set(standing.to_revision or ()) <= within


def _half_done(standing: Standing) -> bool:
    return standing.step in ("upgrading", "failed", "returning", "stuck") and not standing.clean


def _remedies(record: Record) -> tuple[str, ...]:
    former = f"release {record.from_release}" if record.from_release else "what was there"
    return (
        "dbops.alembic.status says of each database where it stands, and the ledger why it failed. Remove what is half done there.",
        recover(
            "goes on with those that are not there yet, once you have mended what failed.", deployment_recover_direction="finish"
        ),
        recover(f"leaves the databases as they are; {former} serves on.", deployment_recover_direction="revert"),
    )
