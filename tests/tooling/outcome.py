# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What commands of a test run came to, in numbers and in words."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable
from xml.etree import ElementTree

import machine
from environments import say

# How our tools say what they leave out, and how pytest does
SKIPPED = re.compile(r"^SKIPPED (?!\[)(.+)$", re.MULTILINE)
DESELECTED = re.compile(r"^=.* (\d+) deselected", re.MULTILINE)


@dataclass
class Outcome:
    """What one command came to. Counts are of tests for pytest, else of the command itself."""

    step: str
    name: str
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> bool:
        return bool(self.counts["failed"])

    @property
    def verdict(self) -> str:
        return "FAILED" if self.failed else "passed" if self.counts["passed"] else "skipped"

    def count(self, cases: Path) -> None:
        """Take over what pytest wrote down of each test."""
        for case in ElementTree.parse(cases).getroot().iter("testcase"):
            skip = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                self.counts["failed"] += 1
            elif skip is not None:
                self.counts["skipped"] += 1
                self.reasons[skip.get("message", "no reason given")] += 1
            else:
                self.counts["passed"] += 1

    def left_out(self, text: str) -> None:
        """Take over what the output says was left out."""
        skipped = SKIPPED.findall(text)
        self.reasons.update(skipped)
        self.counts["skipped"] += len(skipped)
        self.counts["deselected"] += sum(map(int, DESELECTED.findall(text)))


def report(outcomes: Iterable[Outcome], seconds: float, folder: Path) -> None:
    """Print the summary; write its last line to the folder's file summary, and the numbers to counts.json."""
    outcomes = list(outcomes)
    say("\n━━ Summary")
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.counts)
        label = outcome.step if outcome.name == outcome.step else f"{outcome.step} {outcome.name}"
        say(f"{outcome.verdict:8} {label:28} {outcome.seconds:6.0f} s  {words(outcome.counts)}")
    reasons = [(reason, number) for outcome in outcomes for reason, number in outcome.reasons.items()]
    if reasons:
        say("\nSkipped, and why:")
    for reason, number in reasons:
        say(f"  {number:4} × {reason}")
    if total["deselected"]:
        say("\nDeselected tests are slow ones; make test-all runs them.")
    if lacking := machine.lacks():
        say("\nThis machine lacks, so that tests may have been skipped:")
        say("\n".join(f"  {thing}" for thing in lacking))
    last = f"===== {words(total)} in {seconds:.2f}s ====="
    say(f"\n{last}")
    (folder / "summary").write_text(last + "\n")
    skipped = {reason: number for reason, number in reasons}
    (folder / "counts.json").write_text(json.dumps({"seconds": round(seconds), "counts": total, "skipped": skipped}))


def words(counts: Counter[str]) -> str:
    return (
        ", ".join(f"{counts[name]} {name}" for name in ("failed", "passed", "skipped", "deselected") if counts[name])
        or "nothing ran"
    )
