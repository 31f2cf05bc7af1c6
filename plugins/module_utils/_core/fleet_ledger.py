# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a deployment did with each of many databases, and what follows from it: which way back each has, and what all come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, Mapping, Sequence

#: What is written of a target before it is done, in this order; a run that was cut off shows what it had begun. ``refused`` is
#: one that failed before anything was done to it.
STEPS = ("saving", "refused", "upgrading", "upgraded", "failed", "returning", "returned", "stuck")
#: Steps after which a target stands where its deployment wants it, or where it was.
SETTLED = ("upgraded", "returned", "refused")
POLICIES = ("one", "all", "halt")
#: What a target can go back by.
WAYS = ("snapshot", "downgrade", "none")
Line = Dict[str, Any]


@dataclass(frozen=True)
class Standing:
    """What is known of one target.

    :param step: the last one of ``STEPS``; empty for a target that was not begun.
    :param from_revision: its heads before the first step; None where they were never read.
    :param failure: kind and message of what went wrong.
    :param clean: nothing is half done: of a revision that failed nothing is committed.
    :param copies: how many snapshots were begun.
    """

    step: str = ""
    from_revision: tuple[str, ...] | None = None
    to_revision: tuple[str, ...] | None = None
    snapshot: str = ""
    rows: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    clean: bool = False
    copies: int = 0

    @property
    def begun(self) -> bool:
        return self.step not in ("", "saving", "refused")

    @property
    def cut_off(self) -> bool:
        """Tell whether its snapshot may have been cut off in the making or in being put back; the step after it was not written."""
        return bool(self.snapshot) and self.step in ("saving", "refused", "returning", "stuck")

    @property
    def served(self) -> bool:
        """Tell whether it was upgraded to the end, so that rows may have been written to it since, whatever went wrong later."""
        return self.to_revision is not None

    @property
    def dirty(self) -> bool:
        """Tell whether a part of a revision may be committed in it."""
        return self.step in ("upgrading", "failed", "stuck", "returning") and not self.clean

    def begins_anew(self, current: Sequence[str]) -> bool:
        """Tell whether nothing of an earlier run is left in a target whose heads are ``current``, so that it is saved anew."""
        if not self.begun:
            return True
        back = self.from_revision is not None and sorted(current) == sorted(self.from_revision)
        return self.step == "returned" or (self.step == "failed" and self.clean and back)


def folded(lines: Iterable[Line]) -> dict[str, Standing]:
    """Return what the lines of a ledger say of each target; a later line adds to what an earlier one said.

    :raises ValueError: a line is not understood.
    """
    found: dict[str, Line] = {}
    for line in lines:
        if line.get("step") not in STEPS or not isinstance(line.get("target"), str):
            raise ValueError(f"{line!r} is no line of a ledger")
        known = found.setdefault(line["target"], {"copies": 0})
        known.update(line, copies=known["copies"] + (line["step"] == "saving"))
    return {name: _standing(line) for name, line in found.items()}


def _standing(line: Line) -> Standing:
    def heads(name: str) -> tuple[str, ...] | None:
        return None if line.get(name) is None else tuple(line[name])

    failure = line.get("failure") if line["step"] != "upgraded" else None
    snapshot, clean = line.get("snapshot") or "", bool(line.get("clean"))
    return Standing(
        line["step"], heads("from_revision"), heads("to_revision"), snapshot, line.get("rows"), failure, clean, line["copies"]
    )


@dataclass(frozen=True)
class Way:
    """How a target goes back: ``stay`` (it is there), ``restore``, ``downgrade``, or ``stuck`` with the reason."""

    how: str
    reason: str = ""


def way_back(
    standing: Standing, current: Sequence[str] | None, ways: Sequence[str], written: int | None = 0, given_up: int = 0
) -> Way:
    """Return how a target gets back to where it was.

    :param current: its heads now; None where they can not be read.
    :param ways: what may be used, the first one first.
    :param written: rows written since it was upgraded; None where that is not known.
    :param given_up: rows that may be lost; -1 for any number.
    """
    if not standing.begun:
        return Way("stay")
    if current is None:
        return Way("stuck", "Where it stands can not be read.")
    back = standing.from_revision is not None and sorted(current) == sorted(standing.from_revision)
    if back and not standing.dirty:
        return Way("stay")
    why = "It has no way back."
    for way in ways:
        if way == "snapshot" and standing.snapshot:
            if given_up == -1 or (written is not None and written <= given_up):
                return Way("restore")
            count = "An unknown number of rows" if written is None else f"{written} rows"
            why = f"{count} written since the upgrade would be lost with its snapshot."
        elif way == "downgrade" and standing.from_revision is not None:
            if not standing.dirty:
                return Way("downgrade")
            why = "Something of the revision that failed or was cut off may be committed, which no downgrade takes back."
    return Way("stuck", why)


@dataclass(frozen=True)
class Verdict:
    """What all come to: ``finish`` (the new release starts), ``revert`` (all go back, the former one starts) or ``halt``."""

    action: str
    reason: str


def verdict(standings: Mapping[str, Standing], policy: str, stopped: str | None) -> Verdict:
    """Return what is to be done after a run.

    :param standings: of all targets.
    :param policy: ``one``: a target that failed goes back by itself; ``all``: then all go back; ``halt``: nothing does.
    :param stopped: why no further target was begun.
    """
    failed = [name for name, standing in standings.items() if standing.failure]
    stuck = [name for name, standing in standings.items() if standing.step in ("stuck", "failed", "returning")]
    rest = [name for name, standing in standings.items() if standing.step not in SETTLED]
    if not failed and not rest:
        return Verdict("finish", "All targets are upgraded.")
    told = f"{len(failed)} of {len(standings)} targets failed: {listed(failed)}."
    if failed and policy == "halt":
        return Verdict("halt", told)  # a rolling deployment asks for that under each policy, and decides by itself
    if failed and policy == "all":
        return Verdict("revert", f"{told} on_failure is all.")
    if failed and stopped:
        return Verdict("revert", f"{told} That is more than max_failures and canary allow.")
    if stuck:
        return Verdict("halt", f"{len(stuck)} of {len(standings)} targets are neither upgraded nor back: {listed(stuck)}.")
    if rest:
        return Verdict("halt", f"{len(rest)} of {len(standings)} targets were not begun: {listed(rest)}.")
    return Verdict("finish", f"{told} They have gone back by themselves, as on_failure allows.")


def verdict_back(standings: Mapping[str, Standing]) -> Verdict:
    """Return what all come to after they were put back."""
    left = [name for name, standing in standings.items() if standing.begun and standing.step != "returned"]
    if left:
        return Verdict("halt", f"{len(left)} of {len(standings)} targets could not be put back: {listed(left)}.")
    return Verdict("revert", "All targets are where they were.")


def listed(names: Sequence[str], shown: int = 5) -> str:
    """Return the names in a few words."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
