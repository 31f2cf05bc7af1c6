# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What to do about a deployment that failed or was cut off: the table "where it failed" of the design, as a function."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Mapping

from .fleet_decision import SOURCE, ledger_of, move
from .fleet_ledger import Standing
from .next_steps import recover
from .record import Record

#: ``rows_given_up`` of an operator who gives up however many rows there are.
ANY_NUMBER = -1


@dataclass(frozen=True)
class Observed:
    """What was found just now. ``None`` is "could not be found out", which never counts as good news.

    ``dirty``: something of a failed revision is committed. ``new_rows``: rows written since the upgrade. ``standings``: of each of
    many databases, what the ledger says.
    """

    revisions: tuple[str, ...] | None = None
    dirty: bool | None = None
    snapshot: str = "unknown"
    archive: bool = False
    new_rows: int | None = None
    standings: Mapping[str, Standing] | None = None


@dataclass(frozen=True)
class Policy:
    """What the operator said: a direction (``auto``, ``finish``, ``revert``), whether the downgrade of this deployment is
    known to lose nothing, and how many rows may be lost (``-1``: any number)."""

    direction: str = "auto"
    downgrade_trusted: bool = False
    rows_given_up: int = 0


@dataclass(frozen=True)
class Decision:
    """What is done now: ``none``, ``finish``, ``revert`` or ``halt``; the database is kept, upgraded, downgraded or restored.

    ``source`` is what a restore takes (``snapshot`` or ``archive``), ``code`` the release that is started (``from`` or ``to``
    of the record), ``stop`` whether processes may run that have to be stopped first.
    """

    action: str
    reason: str
    database: str = "keep"
    source: str = ""
    code: str = ""
    stop: bool = True
    remedies: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "remedies": list(self.remedies)}


def decide(record: Record, observed: Observed, policy: Policy) -> Decision:
    """Return what to do about ``record``, which is open or halted and not a rolling one, given what was ``observed``."""
    if not record.is_open:
        return Decision("none", f"Deployment {record.id} is {record.status}.", stop=False)
    decision = _decide_fleet(record, observed, policy) if record.fleet else _decide(record, observed, policy)
    untouched = record.step == "stopping" or (record.step == "archiving" and decision.action == "finish")
    return replace(decision, stop=not untouched and decision.action != "halt")


def _decide_fleet(record: Record, observed: Observed, policy: Policy) -> Decision:
    if observed.standings is None:
        return without_ledger(record)
    found = move(record, observed.standings, policy.direction)
    source = SOURCE if found.database == "restore" else ""
    return Decision(found.action, found.reason, found.database, source, found.code, remedies=found.remedies)


def without_ledger(record: Record) -> Decision:
    """Return what is to be done where nobody knows what was done to each of many databases."""
    return Decision(
        "halt",
        f"The ledger {ledger_of(record)} is not there, which says what was done to each database.",
        remedies=(
            "Bring it back from a backup of the migrator, or see with dbops.alembic.status where each database stands.",
            recover("looks again."),
        ),
    )


def _decide(record: Record, observed: Observed, policy: Policy) -> Decision:
    if record.kind != "maintenance_window":
        return _decide_rollback(record, observed, policy)
    if record.step == "archiving" and policy.direction != "revert":
        return Decision("finish", "The new release serves; only the archive and the pruning were left.", code="to")
    return _STEPS[record.step](record, observed, policy)


def way_back(record: Record, observed: Observed, policy: Policy) -> Decision:
    """Return how code and database go back when new code has already run on the upgraded database."""
    if list(record.from_revision) == list(record.to_revision):
        return Decision("revert", "No revision was applied, so only the code goes back.", code="from")
    if observed.revisions is not None and _same(observed.revisions, record.from_revision) and observed.dirty is not True:
        return Decision("revert", "The database is at the from-revision already.", code="from")
    if policy.downgrade_trusted or record.downgrade_trusted:
        return Decision("revert", "The downgrade is known to restore the schema and to lose nothing.", "downgrade", code="from")
    lost = _rows_lost(record, observed, policy)
    if lost:
        return lost
    return _restore(record, observed, "The upgraded database is swapped for the backup from before the upgrade.")


def _decide_stopping(record: Record, observed: Observed, policy: Policy) -> Decision:
    if observed.revisions is not None and not _same(observed.revisions, record.from_revision):
        return Decision(
            "halt",
            f"The upgrade had not begun, yet the database is at {_names(observed.revisions)} "
            f"and not at {_names(record.from_revision)}: somebody else migrated it.",
            remedies=(
                f"Find out who migrated the database, and bring it to {_names(record.from_revision)}.",
                recover(f"looks again, and starts release {record.from_release or 'none'} where the database is there."),
            ),
        )
    return Decision("revert", "The upgrade had not begun, so the database is untouched.", code="from")


def _decide_upgrading(record: Record, observed: Observed, policy: Policy) -> Decision:
    if observed.revisions is None:
        return Decision(
            "halt",
            "Where the database stands could not be read.",
            remedies=(
                "Make the database reachable; the application stays stopped until then.",
                recover("looks where the database stands, and finishes or puts back."),
            ),
        )
    if _same(observed.revisions, record.to_revision) and not observed.dirty and _forward(record, policy):
        return Decision("finish", "The database is at the to-revision.", code="to")
    if record.rows and _same(observed.revisions, record.to_revision):
        return way_back(record, observed, policy)  # pods that upgrade the database as they start may have served since
    if _same(observed.revisions, record.from_revision) and observed.dirty is False:
        return Decision(
            "revert", "The database is at the from-revision and nothing of the failed upgrade is committed.", code="from"
        )
    if _same(observed.revisions, record.from_revision):
        why = "The database is at the from-revision, but something of a later revision may be committed."
    elif _same(observed.revisions, record.to_revision):
        why = "The database is at the to-revision, and the deployment failed."
    else:
        why = f"The database is at {_names(observed.revisions)}, between the from-revision and the to-revision."
    back = _restore(record, observed, why)
    if back.action == "halt" and (policy.downgrade_trusted or record.downgrade_trusted) and not observed.dirty:
        return Decision("revert", f"{why} The downgrade is known to restore the schema.", "downgrade", code="from")
    return back


def _decide_starting(record: Record, observed: Observed, policy: Policy) -> Decision:
    if not _forward(record, policy):
        return way_back(record, observed, policy)
    if observed.revisions is not None and not _same(observed.revisions, record.to_revision):
        return Decision(
            "halt",
            f"The upgrade was verified, yet the database is at {_names(observed.revisions)} "
            f"and not at {_names(record.to_revision)}.",
            remedies=(
                f"Find out who migrated the database, and bring it to {_names(record.to_revision)}.",
                recover(f"looks again, and starts release {record.to_release} where the database is there."),
                recover(
                    f"puts the backup back and starts release {record.from_release or 'none'}.",
                    deployment_recover_direction="revert",
                ),
            ),
        )
    return Decision("finish", "The database is upgraded and verified; the new release is to be started.", code="to")


def _decide_restoring(record: Record, observed: Observed, policy: Policy) -> Decision:
    """Nobody wrote rows since the decision to go back, so its guard on lost rows is not asked again."""
    if _swapped(record, observed, record.from_revision):
        return Decision("revert", "The database is back at the from-revision.", code="from")
    if record.decision.get("database") == "downgrade":
        return Decision("revert", "The downgrade was cut off and goes on.", "downgrade", code="from")
    return _restore(record, observed, _again(record))


def _decide_restarting(record: Record, observed: Observed, policy: Policy) -> Decision:
    return Decision("revert", "The database is as it was; the former release is to be started.", code="from")


def _decide_rollback(record: Record, observed: Observed, policy: Policy) -> Decision:
    """A rollback, or a restore, is a deployment of the former state: its to-release and to-revision are the old ones."""
    if record.step in ("stopping", "restarting"):
        return Decision("revert", "The database was not touched; the release that was serving is started again.", code="from")
    if record.step != "restoring":
        return Decision("finish", "The database is back; the former release is to be started.", code="to")
    if _swapped(record, observed, record.to_revision):
        return Decision("finish", "The database is back at the former revision.", code="to")
    if _untouched(record, observed, policy):
        return Decision("revert", f"{_failed(record)} The release that was serving is started again.", code="from")
    if _never_put_back(record, observed, policy):
        return Decision("revert", "The database was not put back; the release that was serving is started again.", code="from")
    if record.decision.get("database") == "downgrade":
        return Decision("finish", "The downgrade was cut off and goes on.", "downgrade", code="to")
    again = _restore(record, observed, _again(record))
    return again if again.action == "halt" else Decision("finish", again.reason, "restore", again.source, "to")


def _again(record: Record) -> str:
    """A restore that failed is not called cut off: it said why, and is begun anew."""
    if record.failure.get("step") == "restoring":
        return f"{_failed(record)} It is done again from the beginning."
    if record.status == "halted":
        return "The restore failed and is done again from the beginning."
    return "The restore was cut off and is done again from the beginning."


def _failed(record: Record) -> str:
    lines = str(record.failure.get("message") or "").strip().splitlines()  # the rest is told where the failure is
    return f"The restore failed: {lines[0] if lines else 'no reason given'}"


def _untouched(record: Record, observed: Observed, policy: Policy) -> bool:
    """The restore failed before it changed anything, which it wrote down, and the database is where it was."""
    if policy.direction == "finish" or not (record.failure.get("step") == "restoring" and record.failure.get("untouched") is True):
        return False
    return observed.revisions is not None and _same(observed.revisions, record.from_revision)


def _never_put_back(record: Record, observed: Observed, policy: Policy) -> bool:
    """It failed, or the operator gives it up, and the database is where it was. Equal revisions do not tell that."""
    given_up = policy.direction == "revert" or (
        policy.direction == "auto" and bool(record.failure) and not _same(tuple(record.from_revision), record.to_revision)
    )
    clean = observed.dirty is False or (record.decision.get("database") == "restore" and observed.dirty is None)
    return given_up and clean and observed.revisions is not None and _same(observed.revisions, record.from_revision)


def _restore(record: Record, observed: Observed, why: str) -> Decision:
    if observed.snapshot == "complete":
        return Decision("revert", why, "restore", "snapshot", "from")
    if observed.archive:
        return Decision("revert", why, "restore", "archive", "from")
    return Decision(
        "halt",
        f"{why} There is no complete backup to go back to (snapshot {record.snapshot or 'none'}: {observed.snapshot}).",
        remedies=(
            "Bring the database to one of the two revisions yourself, with a backup or its own scripts; then one of these goes on.",
            recover(
                f"where the database is at {_names(record.from_revision)}: starts release {record.from_release or 'none'}.",
                deployment_recover_direction="revert",
            ),
            recover(
                f"where the database is at {_names(record.to_revision)}: starts release {record.to_release}.",
                deployment_recover_direction="finish",
            ),
        ),
    )


def _rows_lost(record: Record, observed: Observed, policy: Policy) -> Decision | None:
    if policy.rows_given_up == ANY_NUMBER or observed.new_rows == 0:
        return None
    if observed.new_rows is not None and observed.new_rows <= policy.rows_given_up:
        return None
    count = "an unknown number of rows" if observed.new_rows is None else f"{observed.new_rows} rows"
    lift = ANY_NUMBER if observed.new_rows is None else observed.new_rows
    return Decision(
        "halt",
        f"Going back to the backup would lose {count} written since the upgrade.",
        remedies=(
            recover(
                f"gives up {count}, puts the backup back and starts release {record.from_release or 'none'}.",
                deployment_rows_given_up=lift,
            ),
            recover(
                f"keeps them: downgrades the database with the scripts of release {record.to_release}, which is right where that"
                " downgrade loses nothing, and starts the former release.",
                deployment_downgrade_trusted="true",
            ),
            recover(
                f"keeps release {record.to_release}, once you have mended what failed: starts it on every host and checks it.",
                deployment_recover_direction="finish",
            ),
        ),
    )


def _forward(record: Record, policy: Policy) -> bool:
    return policy.direction == "finish" or (policy.direction == "auto" and not record.failure)


def _swapped(record: Record, observed: Observed, target: Any) -> bool:
    """The snapshot has become the database: it is gone under its own name, and the database is where the snapshot was."""
    if record.decision.get("source") != "snapshot" or observed.snapshot != "absent" or observed.revisions is None or observed.dirty:
        return False
    return _same(observed.revisions, target)


def _same(left: tuple[str, ...], right: Any) -> bool:
    return sorted(left) == sorted(right)


def _names(revisions: Any) -> str:
    return ", ".join(revisions) or "base"


_STEPS = {
    "stopping": _decide_stopping,
    "upgrading": _decide_upgrading,
    "starting": _decide_starting,
    "archiving": way_back,
    "restoring": _decide_restoring,
    "restarting": _decide_restarting,
}
