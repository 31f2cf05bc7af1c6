#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs steps of the test run, all of them whatever fails, and says at the end what passed, what failed, what was skipped and why.

run.py [--slow] STEP… [-- ARGUMENT…]     the steps are in steps.py; arguments go to each command of pytest
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import environments
from environments import say
from steps import STEPS, Command
from support.paths import CACHE, ROOT, TREE, VENVS
from support.venvs import NoInterpreter

RESULTS = CACHE / "results"
SKIPPED = "SKIPPED "  # how a tool of ours says what it leaves out; pytest tells in its report


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
    summary(outcomes, time.monotonic() - begin)
    return 1 if any(outcome.failed for step in outcomes.values() for outcome in step) else 0


def split(arguments: list[str], at: str) -> tuple[list[str], list[str]]:
    where = arguments.index(at) if at in arguments else len(arguments)
    return arguments[:where], arguments[where + 1 :]


def run(step: str, command: Command, slow: bool, extra: list[str]) -> Outcome:
    log, report = RESULTS / f"{step}-{command.name}.log", RESULTS / f"{step}-{command.name}.xml"
    RESULTS.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    argv = [part.format(root=ROOT, tree=TREE) for part in command.argv]
    if command.pytest:
        paths = shlex.join([str(TREE), str(ROOT / "tests")])
        argv += ["-o", f"pythonpath={paths}", f"--junitxml={report}", *([] if slow else ["-m", "not slow"]), *extra]
    say(f"\n━━ {step}: {' '.join(argv)}")
    begin = time.monotonic()
    status, reasons = follow(argv, Path(command.cwd.format(root=ROOT, tree=TREE)), log)
    outcome = Outcome(command.name, time.monotonic() - begin, reasons=reasons)
    if command.pytest and report.exists():
        count(report, outcome)
    if status and not outcome.failed:
        outcome.counts["failed"] += 1
    elif not outcome.counts:
        outcome.counts["passed"] += 1
    outcome.counts["skipped"] += 0 if command.pytest else sum(reasons.values())
    return outcome


def follow(argv: list[str], cwd: Path, log: Path) -> tuple[int, Counter[str]]:
    """Run it, show what it prints, keep that in the log, and collect what it says that it skips."""
    reasons: Counter[str] = Counter()
    with open(log, "w", errors="replace") as copy:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            errors="replace",
        )
        try:
            for line in process.stdout or ():
                sys.stdout.write(line)
                sys.stdout.flush()
                copy.write(line)
                if line.startswith(SKIPPED) and not line.startswith(SKIPPED + "["):
                    reasons[line[len(SKIPPED) :].strip()] += 1
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    return process.wait(), reasons


def environment() -> dict[str, str]:
    """Our programs first, no shims that choose a Python by folder, and Ansible's files below .cache."""
    path = [
        str(VENVS / "dev" / "bin"),
        *(part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if "shims" not in part),
    ]
    dropped = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "ANSIBLE_CONFIG", "ANSIBLE_INVENTORY")
    return {
        **{key: value for key, value in os.environ.items() if key not in dropped},
        "PATH": os.pathsep.join(path),
        "MYPYPATH": str(TREE),
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "DBOPS_CACHE": str(CACHE),
    }


def count(report: Path, outcome: Outcome) -> None:
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.counts["failed"] += 1
        elif skip is not None:
            outcome.counts["skipped"] += 1
            outcome.reasons[skip.get("message", "no reason given")] += 1
        else:
            outcome.counts["passed"] += 1


def summary(outcomes: dict[str, list[Outcome]], seconds: float) -> None:
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
    say(f"\n===== {words(total)} in {seconds:.2f}s =====")


def words(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[name]} {name}" for name in ("failed", "passed", "skipped") if counts[name]) or "nothing ran"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NoInterpreter, environments.Failed) as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)
