# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What to do about a deployment of many databases that failed or was cut off: what its ledger says of each decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Sequence

from .fleet_ledger import Standing, listed
from .next_steps import recover
from .record import Record

#: What :class:`.decision.Decision` calls the way back of each target that its ledger has.
SOURCE = "fleet"


#: Ends the file beside the records in which what was done to each database is written.
LEDGER = ".targets.jsonl"


def ledger_of(record: Record) -> str:
    """Return the name of the ledger that a deployment writes: what is rolled back goes on in the one that it undoes."""
    return f"{record.undoes if record.kind == 'rollback' else record.id}{LEDGER}"


@dataclass(frozen=True)
class Move:
    """What is done now, in the words of :class:`.decision.Decision`."""

    action: str
    reason: str
    database: str = "keep"
    code: str = ""
    remedies: tuple[str, ...] = ()


def move(record: Record, standings: Mapping[str, Standing], direction: str) -> Move:
    """Return what is to be done.

    :param standings: target → what the ledger says of it; targets that were not begun may be missing.
    :param direction: what the operator said: ``auto``, ``finish`` or ``revert``.
    """
    if record.kind == "rollback":
        return _undone(record, standings, direction)
    if record.step == "archiving" and direction != "revert":
        return Move("finish", "The new release serves; only the pruning was left.", code="to")
    if record.step == "restarting":
        return Move("revert", "The databases are as they were; the former release is to be started.", code="from")
    begun = [name for name, standing in standings.items() if standing.begun and standing.step != "returned"]
    if record.step == "restoring":
        return Move("revert", "The way back was not done for all databases, and goes on.", "restore", "from")
    if not begun and direction != "finish" and (record.step == "stopping" or record.failure or direction == "revert"):
        closed = [name for name, standing in standings.items() if standing.cut_off]
        if closed:
            told = f"Every database is where it was. A copy that was cut off may keep everybody out of {listed(closed)}."
            return Move("revert", told, "restore", "from")
        return Move("revert", "Every database is where it was.", code="from")
    if direction == "finish" or (direction == "auto" and not record.failure and not gone_wrong(record, standings)):
        return _on(record, standings)
    return _back(record, standings, begun, direction)


def _undone(record: Record, standings: Mapping[str, Standing], direction: str) -> Move:
    """A rollback is a deployment of the former state: its to-release is the old one, and its ledger that of what it undoes."""
    if record.step in ("stopping", "restarting"):
        return Move("revert", "No database was touched; the release that was serving is started again.", code="from")
    if record.step != "restoring":
        return Move("finish", "The databases are back; the former release is to be started.", code="to")
    begun = [name for name, standing in standings.items() if standing.begun]
    there = [name for name in begun if standings[name].step in ("returned", "returning")]
    left = [name for name in begun if standings[name].step != "returned"]
    if not left:
        return Move("finish", "The databases are back; the former release is to be started.", code="to")
    if direction == "finish" or (direction == "auto" and not record.failure):
        return Move("finish", f"{len(left)} of {len(begun)} databases are still to be put back.", "restore", "to")
    if not there:
        return Move("revert", "No database was put back; the release that was serving is started again.", code="from")
    told = f"{len(left)} of {len(begun)} databases could not be put back ({listed(left)}), and the others were."
    goes_on = recover("puts back those that are left, once you have mended what failed.", deployment_recover_direction="finish")
    return Move("halt", told, remedies=("The ledger says of each why it could not.", goes_on))


def _on(record: Record, standings: Mapping[str, Standing]) -> Move:
    if record.step in ("starting", "archiving"):
        return Move("finish", "The databases are upgraded; the new release is to be started.", code="to")
    done = sum(standing.step == "upgraded" for standing in standings.values())
    return Move("finish", f"{done} of {_count(record, standings)} databases are upgraded; the rest is done now.", "upgrade", "to")


def gone_wrong(record: Record, standings: Mapping[str, Standing]) -> bool:
    """Tell whether the run had already seen that it can not go on: one failed that may not, or those that had not were put back."""
    failed = any(standing.failure for standing in standings.values())
    if record.fleet.get("on_failure") != "one":
        return failed
    return any(standing.step in ("returning", "returned", "stuck") and not standing.failure for standing in standings.values())


def _back(record: Record, standings: Mapping[str, Standing], begun: Sequence[str], direction: str) -> Move:
    failed = [name for name, standing in standings.items() if standing.failure]
    told = "The deployment failed."
    if failed:
        told = f"{len(failed)} of {_count(record, standings)} databases failed ({listed(failed)})."
    if direction == "auto" and record.step in ("stopping", "upgrading"):
        stuck = [name for name, standing in standings.items() if standing.step == "stuck"]
        if record.fleet.get("on_failure") == "halt":
            return Move("halt", f"{told} It was begun with fleet_on_failure=halt.", remedies=_remedies(record))
        if stuck:
            return Move("halt", f"{told} {len(stuck)} can not go back ({listed(stuck)}).", remedies=_remedies(record))
    why = told if failed else "The operator said so." if direction == "revert" else told
    return Move("revert", f"{why} {len(begun)} go back to where they were.", "restore", "from")


def _count(record: Record, standings: Mapping[str, Standing]) -> int:
    return max(int(record.fleet.get("targets") or 0), len(standings))


def _remedies(record: Record) -> tuple[str, ...]:
    former = f"release {record.from_release}" if record.from_release else "what was there"
    return (
        "dbops.alembic.status says of each database where it stands, and the ledger why it failed.",
        recover(
            f"upgrades those that are not there, once you have mended what failed, and starts release {record.to_release}.",
            deployment_recover_direction="finish",
        ),
        recover(f"brings each back as fleet_way_back says, and starts {former}.", deployment_recover_direction="revert"),
    )
