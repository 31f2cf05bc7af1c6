# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The column "rolling" of the table "where it failed": old code runs on the expanded schema, so going back is a matter of the code.

No process is stopped for a decision here: something always serves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Sequence

from .decision import Decision, Observed, Policy, without_ledger
from .fleet_rolling import roll
from .next_steps import recover
from .record import Record


def decide_rolling(record: Record, observed: Observed, policy: Policy) -> Decision:
    """Return what to do about a rolling deployment; ``database`` says ``upgrade`` where the rest of its revisions may run."""
    if not record.is_open:
        return Decision("none", f"Deployment {record.id} is {record.status}.", stop=False)
    decided = _fleet(record, observed, policy) if record.fleet else _STEPS[record.step](record, observed, policy)
    return replace(decided, stop=False)


def _fleet(record: Record, observed: Observed, policy: Policy) -> Decision:
    if observed.standings is None:
        return without_ledger(record)
    found = roll(record, observed.standings, policy.direction, _trusted(record, policy))
    return Decision(found.action, found.reason, found.database, "", found.code, remedies=found.remedies)


def _expanding(record: Record, observed: Observed, policy: Policy) -> Decision:
    if observed.revisions is None:
        return _unreadable()
    if not _within(observed.revisions, record.from_revision, record.plan.get("before") or ()):
        return _migrated(record, observed)
    if policy.direction == "finish" or (policy.direction == "auto" and not record.failure):
        return _forward("The revisions of the expand part disturb nobody, so the deployment goes on with them.")
    if _same(observed.revisions, record.plan.get("expand_revision") or ()):
        return _back("The database is expanded, which the former release does not mind; no host was touched.")
    if policy.direction == "revert" and not _trusted(record, policy):
        return _back(
            f"The database stays at {_names(observed.revisions)}, on which the former release serves; no host was touched."
        )
    if observed.dirty:
        return Decision(
            "halt",
            f"The database is at {_names(observed.revisions)}, and something of a failed revision is committed. "
            "The former release serves.",
            remedies=(
                "Remove what the failed revision left, such as an invalid index.",
                recover("tries the rest of the upgrade again, and rolls the release out.", deployment_recover_direction="finish"),
                recover("leaves the database as it is; the former release serves on.", deployment_recover_direction="revert"),
            ),
        )
    if _same(observed.revisions, record.from_revision):
        return _back("The database is at the from-revision and no host was touched: there is nothing to undo.")
    if _trusted(record, policy):
        return Decision("revert", "The downgrade was proved to restore the schema and to lose nothing.", "downgrade", code="from")
    return Decision(
        "halt",
        f"The database is at {_names(observed.revisions)}, between the from-revision and the end of the expand part. "
        "The former release serves on it.",
        remedies=(
            recover(
                "goes on with the upgrade from there, once you have mended what failed.", deployment_recover_direction="finish"
            ),
            recover(
                f"leaves the database at {_names(observed.revisions)}; the former release serves on.",
                deployment_recover_direction="revert",
            ),
            recover(
                f"downgrades the database to {_names(record.from_revision)}, which is right where that loses nothing.",
                deployment_recover_direction="revert",
                deployment_downgrade_trusted="true",
            ),
        ),
    )


def _rolling(record: Record, observed: Observed, policy: Policy) -> Decision:
    if policy.direction == "finish" or (policy.direction == "auto" and not record.failure and record.step != "returning"):
        if observed.revisions is None:
            return _unreadable()
        if not _same(observed.revisions, record.plan.get("expand_revision") or ()):
            return _migrated(record, observed)
        return _forward("The database is expanded; the rollout goes on.")
    return _code_back(record, observed)


def _filling(record: Record, observed: Observed, policy: Policy) -> Decision:
    """After the rollout: the new release serves everywhere, on the expanded schema and on the contracted one."""
    if policy.direction == "revert":
        return _code_back(record, observed)
    if observed.revisions is None:
        return _unreadable()
    if not _within(observed.revisions, record.plan.get("expand_revision") or (), record.plan.get("after") or ()):
        return _migrated(record, observed)
    if policy.direction == "finish" or not record.failure:
        return _forward("The new release serves everywhere; what follows the rollout goes on.")
    if _same(observed.revisions, record.to_revision) and not observed.dirty:
        return Decision("finish", "The new release serves and the database is at the to-revision.", code="to")
    if observed.dirty:
        return Decision(
            "halt",
            f"The new release serves, and something of a failed contract revision is committed; "
            f"the database is at {_names(observed.revisions)}.",
            remedies=(
                "Remove what the failed revision left.",
                recover("goes on with what follows the rollout.", deployment_recover_direction="finish"),
            ),
        )
    return Decision(
        "finish", "The new release serves everywhere; what failed after the rollout is left for a later run.", code="to"
    )


def _archiving(record: Record, observed: Observed, policy: Policy) -> Decision:
    if policy.direction == "revert":
        return _code_back(record, observed)
    return Decision("finish", "The new release serves; only the archive and the pruning were left.", code="to")


def _downgrading(record: Record, observed: Observed, policy: Policy) -> Decision:
    if observed.revisions is None:
        return _unreadable()
    if _same(observed.revisions, record.from_revision):
        return _back("The database is back at the from-revision and no host was touched.")
    return Decision("revert", "The downgrade was cut off and goes on.", "downgrade", code="from")


def _code_back(record: Record, observed: Observed) -> Decision:
    """The former release runs on what the expand part left, and on nothing after it."""
    if observed.revisions is not None and not _within(observed.revisions, record.from_revision, record.plan.get("before") or ()):
        return Decision(
            "halt",
            f"The database is at {_names(observed.revisions)}: a contract revision ran, so the former release can not serve.",
            remedies=(
                recover("keeps the new release, and brings it to every host.", deployment_recover_direction="finish"),
                "To go back all the same, finish it first; then the playbook restore puts an archive back, in a window.",
            ),
        )
    return _back("Only the code goes back, host by host; the former release runs on the expanded schema.")


def _forward(reason: str) -> Decision:
    return Decision("finish", reason, "upgrade", code="to")


def _back(reason: str) -> Decision:
    return Decision("revert", reason, code="from")


def _unreadable() -> Decision:
    return Decision(
        "halt",
        "Where the database stands could not be read.",
        remedies=(
            "Make the database reachable; what serves goes on serving.",
            recover("looks where the database stands, and goes on or back."),
        ),
    )


def _migrated(record: Record, observed: Observed) -> Decision:
    return Decision(
        "halt",
        f"The database is at {_names(observed.revisions or ())}, where this deployment never puts it: somebody else migrated it.",
        remedies=(
            f"Find out who migrated the database, and bring it to {_names(record.plan.get('expand_revision') or ())}.",
            recover("looks again, and goes on where the database is there."),
        ),
    )


def _trusted(record: Record, policy: Policy) -> bool:
    return policy.downgrade_trusted or record.downgrade_trusted


def _within(revisions: Sequence[str], ends: Sequence[str], path: Sequence[str]) -> bool:
    """The database is at ``ends`` or somewhere on the ``path`` that begins there."""
    return set(revisions) <= set(ends) | set(path)


def _same(left: Sequence[str], right: Sequence[str]) -> bool:
    return sorted(left) == sorted(right)


def _names(revisions: Sequence[str]) -> str:
    return ", ".join(revisions) or "base"


_STEPS: dict[str, Callable[[Record, Observed, Policy], Decision]] = {
    "expanding": _expanding,
    "rolling": _rolling,
    "returning": _rolling,
    "backfilling": _filling,
    "contracting": _filling,
    "archiving": _archiving,
    "downgrading": _downgrading,
}
