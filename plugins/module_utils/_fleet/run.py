# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Many databases in one call: one process with its imports done, a child for each, as many at a time as allowed."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Collection, Mapping, Sequence

from .._background import Tell
from .._bridge import Event
from .._core import fleet
from .._core import fleet_outcome as outcome
from .._core.fleet_outcome import Entry
from .hub import Hub, TargetBridge
from .recorded import Recorded
from .targets import Params, Target
from .work import Compared, planned_sql, work_on

#: Events of a target that are shown while it runs; its revisions are too many for that.
SHOWN = ("lock_wait", "retry", "initialise")


@dataclass
class Fleet:
    """The targets of one call, and what became of them so far.

    :param tell: takes the events that are worth keeping.
    :param goes_on: tells whether somebody still waits for the answer.
    :param compared: what is in the targets, where that is compared.
    """

    params: Params
    targets: Mapping[str, Target]
    pace: fleet.Pace
    hub: Hub
    check: bool
    tell: Tell
    goes_on: Callable[[], bool] = lambda: True
    recorded: Recorded | None = None
    compared: Compared | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    warnings: dict[str, list[str]] = field(default_factory=dict)
    claimed: dict[str, str] = field(default_factory=dict)

    def bridge(self, target: Target) -> TargetBridge:
        def tell(event: Event) -> None:
            if event["event"] in SHOWN:
                self.tell({**event, "database": target.entry["name"]})

        def warn(message: str) -> None:
            self.warnings.setdefault(message, []).append(target.entry["name"])

        return TargetBridge("", warn, self.hub, tell)

    def each(self, names: Sequence[str], work: Callable[[Target], Any], taken: Callable[[str, Any], Sequence[str]]) -> None:
        """Do ``work`` for ``names``, each in a thread of its own, and then for those that ``taken`` returns for what came of it.

        :raises: what ``work`` raises, which is a defect.
        """
        done: queue.Queue[tuple[str, Any]] = queue.Queue()
        running: set[str] = set()

        def run(target: Target) -> None:
            try:
                done.put((target.name, work(target)))
            except BaseException as exc:
                done.put((target.name, exc))

        while True:
            for name in names:
                running.add(name)
                threading.Thread(target=run, args=(self.targets[name],), daemon=True).start()
            if not running:
                return
            while True:
                try:
                    name, result = done.get(timeout=0.5)
                    break
                except queue.Empty:
                    if not self.goes_on():
                        raise SystemExit(1) from None  # which closes the pipes, and so ends what only reads
            if isinstance(result, BaseException):
                raise result
            running.discard(name)
            names = taken(name, result)

    def work(self) -> None:
        """Work on the targets in their order, until all are done or too many have failed."""
        running: set[str] = set()

        def begin() -> Sequence[str]:
            due = fleet.due(self.pace, self.progress(running))
            running.update(due)
            for name in due:
                self.tell({"event": "target_start", "name": self.targets[name].entry["name"]})
            return due

        def work(target: Target) -> tuple[Entry, list[str]]:
            bridge = self.bridge(target)
            return work_on(target, self.params["state"], bridge, self.check, self.recorded, self.compared), bridge.identities

        def taken(name: str, result: tuple[Entry, list[str]]) -> Sequence[str]:
            running.discard(name)
            self._note(name, *result)
            return begin()

        self.each(begin(), work, taken)

    def _note(self, name: str, entry: Entry, identities: Sequence[str]) -> None:
        """Keep what came of a target; two that are the same database are a mistake, and one of them was never reached."""
        other = next((self.claimed[item] for item in identities if self.claimed.get(item, name) != name), None)
        if other is not None and entry["outcome"] != "failed":
            entry = outcome.clashing(entry, self.targets[other].entry["name"])
        self.claimed.update({item: name for item in identities if item not in self.claimed})
        self.entries[name] = entry
        self.tell({"event": "target_end", "number": len(self.entries), "total": len(self.targets), "entry": entry})

    def put_back(self) -> None:
        """Put every target back that anything was done to."""
        recorded = self.recorded
        if recorded is None:
            raise TypeError("only what is recorded can be put back")
        waiting = [name for name, target in self.targets.items() if recorded.ledger.of(target.entry["name"]).begun]
        # what went back by itself says so already
        waiting = [name for name in waiting if recorded.ledger.of(self.targets[name].entry["name"]).step != "returned"]

        def taken(name: str, back: Entry) -> Sequence[str]:
            self.entries[name] = outcome.put_back(self.entries.get(name, self.targets[name].entry), back)
            following, waiting[:1] = waiting[:1], []
            return following

        begun, waiting[: self.pace.parallel] = waiting[: self.pace.parallel], []
        self.each(begun, lambda target: work_on(target, "returned", self.bridge(target), False, recorded), taken)

    def sql(self) -> dict[str, list[dict[str, Any]]]:
        """Render the SQL of the pending revisions, once for all targets that make the same move."""
        first = {names[0] for names, _entry in outcome.moves(self.all())}
        waiting = [name for name, target in self.targets.items() if target.entry["name"] in first]
        found: dict[str, list[dict[str, Any]]] = {}

        def taken(name: str, steps: list[dict[str, Any]]) -> Sequence[str]:
            found[self.targets[name].entry["name"]] = steps
            following, waiting[:1] = waiting[:1], []
            return following

        begun, waiting[: self.pace.parallel] = waiting[: self.pace.parallel], []
        self.each(begun, lambda target: planned_sql(target, self.params["state"], self.bridge(target)), taken)
        return found

    def all(self) -> list[Entry]:
        return [self.entries.get(name, target.entry) for name, target in self.targets.items()]

    def progress(self, running: Collection[str] = ()) -> fleet.Progress:
        failed = frozenset(name for name, entry in self.entries.items() if entry["outcome"] == "failed")
        return fleet.Progress(frozenset(running), frozenset(self.entries), failed)

    def stopped(self) -> str | None:
        return fleet.stopped(self.pace, self.progress())


def values_of_run(run: Fleet, planned: Mapping[str, Any], shows: bool) -> dict[str, Any]:
    entries, stop = run.all(), run.stopped()
    values: dict[str, Any] = {
        "changed": any(entry["changed"] for entry in entries),
        "targets": entries,
        "counts": outcome.counted(entries),
        "groups": outcome.grouped(entries),
        "failed_targets": [entry["name"] for entry in entries if entry["outcome"] == "failed"],
        "not_begun": [entry["name"] for entry in entries if entry["outcome"] == "not_begun"],
        "stopped": stop,
        "warnings_of_targets": [{"message": text, "targets": names} for text, names in run.warnings.items()],
    }
    if shows:
        values["diff"] = outcome.diffs(entries, planned, run.check)
    return values
