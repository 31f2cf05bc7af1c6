#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs steps of the test run, all of them whatever fails, and says at the end what passed, what failed, what was skipped and why.

run.py [--slow] STEP… [-- ARGUMENT…]     the steps are in steps.py; arguments go to each command of pytest
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import PIPE, STDOUT
from xml.etree import ElementTree

import environments
import machine
from environments import say
from steps import STEPS, Command
from support.paths import CACHE, ROOT, TREE, VENVS
from support.venvs import NoInterpreter

RESULTS = CACHE / "results"


# How our tools say what they leave out, and how pytest does
SKIPPED = re.compile(r"^SKIPPED (?!\[)(.+)$", re.MULTILINE)
DESELECTED = re.compile(r"^=.* (\d+) deselected", re.MULTILINE)


@dataclass
class Outcome:
    """What one command came to. Counts are of tests for pytest, else of the command itself."""

    name: str
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> bool:
        return bool(self.counts["failed"])


def main() -> int:
    arguments, extra = split(sys.argv[1:], "--")
    slow, names = "--slow" in arguments, [name for name in arguments if name != "--slow"]
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        sys.exit(f"no step {', '.join(unknown)}: there are {', '.join(STEPS)}")
    begin = time.monotonic()
    environments.virtual_environment("dev", environments.controller_python())
    environments.tree()
    outcomes = {name: [run(name, command, slow, extra) for command in STEPS[name]] for name in names}
    report(outcomes, time.monotonic() - begin)
    return 1 if any(outcome.failed for step in outcomes.values() for outcome in step) else 0


def split(arguments: list[str], at: str) -> tuple[list[str], list[str]]:
    where = arguments.index(at) if at in arguments else len(arguments)
    return arguments[:where], arguments[where + 1 :]


def run(step: str, command: Command, slow: bool, extra: list[str]) -> Outcome:
    log, cases = RESULTS / f"{step}-{command.name}.log", RESULTS / f"{step}-{command.name}.xml"
    RESULTS.mkdir(parents=True, exist_ok=True)
    cases.unlink(missing_ok=True)
    argv = [part.format(tree=TREE) for part in command.argv]
    if command.pytest:
        paths = shlex.join([str(TREE), str(ROOT / "tests"), str(ROOT / "tests" / "tooling")])
        argv += [
            "--continue-on-collection-errors",
            "-o",
            f"pythonpath={paths}",
            f"--junitxml={cases}",
            *([] if slow else ["-m", "not slow"]),
            *extra,
        ]
    say(f"\n━━ {step}: {shlex.join(argv)}")
    begin = time.monotonic()
    status = follow(argv, environment(slow), log)
    outcome = Outcome(command.name, time.monotonic() - begin)
    if cases.exists():
        count(cases, outcome)
    left_out(log.read_text(errors="replace"), outcome)
    if status and not outcome.failed:
        outcome.counts["failed"] += 1
    elif not command.pytest:
        outcome.counts["passed"] += not status
    return outcome


def follow(argv: list[str], environment: dict[str, str], log: Path) -> int:
    """Run it to the end, its output on the terminal and in the log."""
    with open(log, "w", errors="replace") as copy:
        process = subprocess.Popen(
            argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=PIPE, stderr=STDOUT, errors="replace"
        )
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
            copy.write(line)
    return process.wait()


def environment(slow: bool) -> dict[str, str]:
    """Our programs first, no shims that choose a Python by folder, and Ansible's files below .cache."""
    path = [
        str(VENVS / "dev" / "bin"),
        *(part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if "shims" not in part),
    ]
    dropped = ("PYTHON", "VIRTUAL_ENV", "ANSIBLE_CONFIG", "ANSIBLE_INVENTORY")  # a setting of Python's may hide a fault of ours
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith(dropped)},
        "PATH": os.pathsep.join(path),
        "MYPYPATH": str(TREE),
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "DBOPS_CACHE": str(CACHE),
        **({"DBOPS_TEST_ALL": "1"} if slow else {}),
    }


def count(cases: Path, outcome: Outcome) -> None:
    for case in ElementTree.parse(cases).getroot().iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.counts["failed"] += 1
        elif skip is not None:
            outcome.counts["skipped"] += 1
            outcome.reasons[skip.get("message", "no reason given")] += 1
        else:
            outcome.counts["passed"] += 1


def left_out(text: str, outcome: Outcome) -> None:
    skipped = SKIPPED.findall(text)
    outcome.reasons.update(skipped)
    outcome.counts["skipped"] += len(skipped)
    outcome.counts["deselected"] += sum(map(int, DESELECTED.findall(text)))


def report(outcomes: dict[str, list[Outcome]], seconds: float) -> None:
    say("\n━━ Summary")
    total: Counter[str] = Counter()
    for step, commands in outcomes.items():
        for outcome in commands:
            total.update(outcome.counts)
            verdict = "FAILED" if outcome.failed else "passed" if outcome.counts["passed"] else "skipped"
            label = step if outcome.name == step else f"{step} {outcome.name}"
            say(f"{verdict:8} {label:28} {outcome.seconds:6.0f} s  {words(outcome.counts)}")
    reasons = [
        (reason, number) for commands in outcomes.values() for outcome in commands for reason, number in outcome.reasons.items()
    ]
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
    (RESULTS / "summary").write_text(last + "\n")


def words(counts: Counter[str]) -> str:
    return (
        ", ".join(f"{counts[name]} {name}" for name in ("failed", "passed", "skipped", "deselected") if counts[name])
        or "nothing ran"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NoInterpreter, environments.Failed) as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)
