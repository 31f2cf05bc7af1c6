#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs steps of the test run, all of them whatever fails, and says at the end what passed, what failed, what was skipped and why.

run.py [--slow] STEP… [-- ARGUMENT…]     the steps are in steps.py; arguments go to each command of pytest
run.py --shard K/N                       the Kth of N parts of everything; see shards.py

Two lanes run side by side, so that no core is idle: the commands that use several processes themselves, and all others, in the
order in which they are given; who has none left takes from the other. The output of the first is shown as it comes, that of
the others when a command has ended.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import Deque, Iterable, Tuple

import environments
import shards
from environments import say
from outcome import Outcome, report
from shards import Shard
from steps import ALL, STEPS, Command
from support.paths import CACHE, ROOT, TREE, VENVS
from support.venvs import NoInterpreter

RESULTS = CACHE / "results"
INTERRUPTED = 130
Commands = Deque[Tuple[str, Command]]


class Runner:
    def __init__(self, slow: bool, extra: list[str], results: Path, shard: Shard | None = None):
        self.slow, self.extra, self.results, self.shard = slow, extra, results, shard
        self.stopped = threading.Event()
        self._printing = threading.Lock()

    def all(self, commands: list[tuple[str, Command]]) -> list[Outcome]:
        """The outcomes in the order of the commands; after an interruption those that did not run have failed."""
        wide = deque(entry for entry in commands if entry[1].wide)
        narrow = deque(entry for entry in commands if not entry[1].wide)
        lanes = [[wide, narrow], [narrow]] if wide else [[narrow]]
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(self._lane, kinds, lanes[0][0]) for kinds in lanes]
            try:
                found = [outcome for future in futures for outcome in future.result()]
            except KeyboardInterrupt:  # the commands get the signal too, since they are in our process group
                self.stopped.set()
                found = [outcome for future in futures for outcome in future.result()]
        order = [(step, command.name) for step, command in commands]
        return sorted(found, key=lambda outcome: order.index((outcome.step, outcome.name)))

    def _lane(self, kinds: list[Commands], live: Commands) -> list[Outcome]:
        """One command after the other: those of the first kind, and then what the other lane has not begun."""
        found = []
        for commands in kinds:
            while entry := taken(commands):
                found.append(self._run(*entry, commands is live))
        return found

    def _run(self, step: str, command: Command, live: bool) -> Outcome:
        outcome = Outcome(step, command.name)
        if self.stopped.is_set():
            outcome.counts["failed"] += 1
            outcome.reasons["interrupted before it began"] += 1
            return outcome
        log, cases = self.results / f"{step}-{command.name}.log", self.results / f"{step}-{command.name}.xml"
        cases.unlink(missing_ok=True)
        argv = self._argv(command, cases)
        head = f"\n━━ {step}: {shlex.join(argv)}"
        if live:
            self._say(head)
        begin = time.monotonic()
        chosen = shards.told((self.shard.chosen(step, command) or []) if self.shard else [])
        status = self._follow(argv, {**environment(self.slow), **chosen}, log, live)
        outcome.seconds = time.monotonic() - begin
        text = log.read_text(errors="replace")
        if not live:
            self._say(f"{head}\n{text.rstrip()}")
        if cases.exists():
            outcome.count(cases)
        outcome.left_out(text)
        if status and not outcome.failed:
            outcome.counts["failed"] += 1
        elif not command.pytest:
            outcome.counts["passed"] += not status
        return outcome

    def _argv(self, command: Command, cases: Path) -> list[str]:
        argv = [part.format(tree=TREE) for part in command.argv]
        if not command.pytest:
            return argv
        chosen = [] if self.slow else ["-m", "not slow"]
        return [
            *argv,
            *("--continue-on-collection-errors", *paths(), f"--junitxml={cases}"),
            *("-o", f"cache_dir={CACHE / 'pytest' / command.name}"),  # two at a time would write to one
            *chosen,
            *self.extra,
        ]

    def _follow(self, argv: list[str], variables: dict[str, str], log: Path, live: bool) -> int:
        """Run it to the end, its output in the log, and on the terminal where it is shown as it comes."""
        place = tempfile.mkdtemp(prefix="dbt-")  # pytest takes rights from a folder for its files that another one uses
        own = {**variables, "PYTEST_DEBUG_TEMPROOT": place}
        options = {"cwd": ROOT, "env": own, "stdin": subprocess.DEVNULL, "errors": "replace"}
        try:
            with open(log, "w", buffering=1, errors="replace") as copy:  # read by who can not wait
                process = subprocess.Popen(argv, stdout=PIPE, stderr=STDOUT, **options)  # type: ignore[call-overload]
                for line in process.stdout or ():
                    copy.write(line)
                    if live:
                        self._say(line.rstrip("\n"))
            return int(process.wait())
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _say(self, text: str) -> None:
        with self._printing:
            say(text)


def main() -> int:
    arguments, extra = split(sys.argv[1:], "--")
    begin = time.monotonic()
    environments.virtual_environment("dev", environments.controller_python())
    environments.tree()
    if arguments[:1] == ["--shard"]:
        commands, runner = of_shard(*shards.cut(arguments[1]))
    else:
        slow, names = "--slow" in arguments, [name for name in arguments if name != "--slow"]
        unknown = [name for name in names if name not in STEPS]
        if unknown or not names:
            sys.exit(f"no step {', '.join(unknown)}: there are {', '.join(STEPS)}")
        commands, runner = commands_of(names), Runner(slow, extra, RESULTS)
    runner.results.mkdir(parents=True, exist_ok=True)
    outcomes = runner.all(commands)
    report(outcomes, time.monotonic() - begin, runner.results)
    if runner.stopped.is_set():
        return INTERRUPTED
    return 1 if any(outcome.failed for outcome in outcomes) else 0


def taken(commands: Commands) -> tuple[str, Command] | None:
    with contextlib.suppress(IndexError):  # the other lane may take the last one
        return commands.popleft()
    return None


def commands_of(names: Iterable[str]) -> list[tuple[str, Command]]:
    return [(name, command) for name in names for command in STEPS[name]]


def of_shard(number: int, of: int) -> tuple[list[tuple[str, Command]], Runner]:
    """The commands that have a part in that shard, and what runs that part of them."""
    shard = shards.divided(shards.units(environment(True), paths, ROOT), of)[number - 1]
    say(f"Shard {number}/{of}, about {shard.seconds / 60:.0f} minutes:")
    say("\n".join(f"  {unit.seconds:5.0f} s  {unit.step} {unit.name}" for unit in shard.units))
    commands = [(step, command) for step, command in commands_of(ALL) if shard.chosen(step, command)]
    return commands, Runner(True, [], RESULTS / f"shard-{number}-of-{of}", shard)


def paths() -> list[str]:
    """Where pytest finds what tests import."""
    return ["-o", f"pythonpath={shlex.join([str(TREE), str(ROOT / 'tests'), str(ROOT / 'tests' / 'tooling')])}"]


def split(arguments: list[str], at: str) -> tuple[list[str], list[str]]:
    where = arguments.index(at) if at in arguments else len(arguments)
    return arguments[:where], arguments[where + 1 :]


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


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NoInterpreter, environments.Failed, ValueError) as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
