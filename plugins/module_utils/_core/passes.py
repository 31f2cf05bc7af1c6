# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the hosts of the application have said of themselves in a pass of a deployment, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from . import failure

#: The passes in which a host that could not be stopped serves on.
WINDOW = ("first", "second")
LOST = "it could not be reached"
#: The steps that change what serves, or the database.
_WORK = ("stop", "start", "roll", "database")


@dataclass(frozen=True)
class Said:
    """What one host has said in this run.

    :param reached: a pass and a step, such as ``first stop`` → when it was taken, seconds since 1970.
    :param failed: the ``pass`` and ``step`` that it did not take, when (``at``), why (``message``), and whether it
        ``serves``, since nothing was stopped.
    :param runs: the release that its application has ``said`` to be, and the one that is ``active``.
    """

    reached: Mapping[str, float] = field(default_factory=dict)
    failed: Mapping[str, Any] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)

    def took(self, run: str, step: str) -> bool:
        return f"{run} {step}" in self.reached

    def worked(self) -> bool:
        """Tell whether it was stopped, started or worked on, and not only looked at or prepared."""
        return any(taken.rpartition(" ")[2] in _WORK for taken in self.reached)

    def refused(self, run: str) -> bool:
        """Tell whether it failed in this pass; one that is lost says nothing."""
        return bool(self.failed) and self.failed.get("pass") == run


def serving(said: Mapping[str, Said], run: str) -> list[str]:
    """Return the hosts whose stop failed before anything was stopped: what was there serves on, and the way back starts nothing."""
    return [host for host, one in said.items() if one.failed.get("serves")] if run in WINDOW else []


def state(said: Mapping[str, Said], run: str, step: str) -> dict[str, Any]:
    """Return who has not taken a step, and why. A host counts when it says so itself, so an unreachable one does not.

    :param said: host of the application → what it has said.
    :param run: the pass.
    :param step: the step.
    """
    left = serving(said, run)
    excused = left if run == "second" and step == "start" else []
    missing = [host for host, one in said.items() if host not in excused and not one.took(run, step)]
    refusing = [host for host in missing if said[host].refused(run)]
    reasons = {host: str(said[host].failed.get("message", "")) if host in refusing else LOST for host in missing}
    return {
        "missing": missing,
        "refusing": refusing,
        "lost": [host for host in missing if host not in refusing],
        "reasons": reasons,
        "told": failure.by_host(reasons),
        "brief": " ".join(failure.brief(reasons)),
        "stopped_nothing": len(left) == len(said),
    }


def judged_step(said: Mapping[str, Said], run: str) -> str:
    """Return the step that is judged at the end of a pass: ``undrain``, or ``start`` where a host was not even started."""
    done = sum(one.took(run, "start") for one in said.values()) + (len(serving(said, run)) if run == "second" else 0)
    return "undrain" if done == len(said) else "start"


def ended(said: Mapping[str, Said], run: str, step: str) -> float | None:
    """Return when the last host had taken a step or had said why not, in seconds since 1970; None where none was to."""
    taken = [one.reached[f"{run} {step}"] for one in said.values() if one.took(run, step)]
    # before ansible-core 2.19 a number that is a fact by itself has become a text
    failed = [float(one.failed["at"]) for one in said.values() if one.refused(run) and one.failed.get("step") == step]
    return max([*taken, *failed], default=None)


def rolling(said: Mapping[str, Said], run: str, record: Mapping[str, Any], turn: int = 0) -> dict[str, Any]:
    """Return where a rolling deployment is: its ``turns``, who is ``unrolled``, and what keeps a turn from its beginning.

    The batches are taken in order, and on the way back those that were begun, the last one first. There a host that can't be
    reached does not keep the others from theirs; one that was reached and failed does, as what still serves is better left alone.

    :param record: of the deployment, with its ``batches`` and how many of them were begun.
    :param turn: number of the batch that ``held_by`` is about.
    """
    batches, begun = record.get("batches") or [], record.get("batches_begun") or 0
    back = run == "returning"
    turns = list(enumerate(batches, 1))
    turns = turns[:begun][::-1] if back else turns
    unrolled = [host for _number, hosts in turns for host in hosts if not _of(said, host).took(run, "roll")]
    refusing = [host for host in unrolled if _of(said, host).refused(run)]
    before = [host for hosts in batches[: max(turn - 1, 0)] for host in hosts]
    return {
        "turns": [{"number": number, "hosts": list(hosts)} for number, hosts in turns],
        "touched": [host for hosts in batches[:begun] for host in hosts],
        "unrolled": unrolled,
        "held_by": refusing if back else [host for host in before if not _of(said, host).took(run, "roll")],
    }


def unproved(said: Mapping[str, Said], run: str, record: Mapping[str, Any]) -> dict[str, str]:
    """Return host → what it runs, where that is not what it was to get. What the application says counts, else what is active."""
    found = {}
    for host, one in said.items():
        aimed = ((record.get("hosts") or {}).get(host) or {}).get("to_release", record.get("to_release"))
        spoken, active = one.runs.get("said") or "", one.runs.get("active") or ""
        runs = spoken or active
        if not one.took(run, "runs"):
            found[host] = "it could not be asked"
        elif runs != aimed or (active and active != aimed):
            found[host] = "it runs " + (f"release {runs}" if runs else "an unknown release; set health_release_key")
    return found


def _of(said: Mapping[str, Said], host: str) -> Said:
    return said.get(host) or Said()
