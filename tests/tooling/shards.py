# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Splits everything that there is to test into shards: the same ones each time, for the same tests.

What can't be split is a unit: a command, a file of tests, or a single test where one takes long. seconds.json says how long a unit
takes on two cores; what is not in it is estimated by its number of tests. A new file needs no entry.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Mapping

from steps import ALL, STEPS, Command

#: Seconds that the units of one shard take, all in all.
WANTED = 3600
#: Seconds of a test in a file that is not in seconds.json.
PER_TEST = {
    "unit": 0.02,
    "integration": 3.0,
    "packaging": 0.3,
    "demo": 15.0,
    "scenarios": 600.0,
    "projects": 120.0,
    "kubernetes": 100.0,
}
#: Seconds that a step takes before its first test: hosts that are made, a cluster that is started.
BEFORE = {"integration": 30.0, "demo": 20.0, "scenarios": 300.0, "projects": 60.0, "kubernetes": 300.0}
#: The steps that are one unit, and those whose tests are units by themselves.
WHOLE = ("unit", "packaging")
SINGLE = ("scenarios", "projects")
#: Tells pytest to write its units there, and to run these alone; see tests/conftest.py.
UNITS_TO, UNITS = "DBOPS_UNITS_TO", "DBOPS_UNITS"


@dataclass(frozen=True)
class Unit:
    step: str
    name: str
    seconds: float


@dataclass
class Shard:
    units: list[Unit] = field(default_factory=list)
    seconds: float = 0.0

    def with_unit(self, unit: Unit) -> float:
        """Seconds that it would take with this unit too."""
        begins = not any(unit.step == other.step for other in self.units)
        return self.seconds + unit.seconds + (BEFORE.get(unit.step, 0.0) if begins else 0.0)

    def add(self, unit: Unit) -> None:
        self.seconds = self.with_unit(unit)
        self.units.append(unit)

    def chosen(self, step: str, command: Command) -> list[str] | None:
        """Of a command of pytest the names of its units here; nothing for one that is not here."""
        return [unit.name for unit in self.units if unit.step == step and (command.pytest or unit.name == command.name)] or None


def divided(units: Iterable[Unit], number: int) -> list[Shard]:
    """The shards, of about the same length; the longest unit first, each to where it makes the shortest shard."""
    shards = [Shard() for _ in range(number)]
    for unit in sorted(units, key=lambda unit: (-unit.seconds, unit.step, unit.name)):
        min(shards, key=lambda shard: shard.with_unit(unit)).add(unit)
    return shards


def wanted(units: Iterable[Unit]) -> int:
    """How many shards there are unless somebody says so."""
    return max(1, math.ceil(sum(unit.seconds for unit in units) / WANTED))


def estimated(step: str, tests: Mapping[str, int], known: Mapping[str, float]) -> list[Unit]:
    """The units of a step of pytest; `tests` is unit → number of its tests, `known` unit → seconds."""
    return [Unit(step, name, known.get(name, number * PER_TEST[step])) for name, number in tests.items()]


def units(environment: Mapping[str, str], pythonpath: Callable[[], list[str]], root: Path) -> list[Unit]:
    """All that there is. :raises RuntimeError: a step's tests can't be collected."""
    known: dict[str, float] = json.loads(Path(__file__).with_name("seconds.json").read_text())
    found = []
    for step in ALL:
        for command in STEPS[step]:
            if command.pytest:
                found += estimated(step, _collected(command, environment, pythonpath(), root), known)
            else:
                found.append(Unit(step, command.name, known.get(f"{step} {command.name}", 30.0)))
    return found


def _collected(command: Command, environment: Mapping[str, str], options: list[str], root: Path) -> dict[str, int]:
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        argv = ["pytest", command.argv[1], "--collect-only", "--quiet", *options]
        own = {**environment, UNITS_TO: file.name}
        done = subprocess.run(argv, cwd=root, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
        tests: dict[str, int] = json.load(file)
    return tests


def cut(text: str) -> tuple[int, int]:
    """K and N of K/N. :raises ValueError: it says something else."""
    number, _, of = text.partition("/")
    if not (number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of)):
        raise ValueError(f"{text!r} is no K/N, such as 2/7")
    return int(number), int(of)


def told(chosen: list[str]) -> dict[str, str]:
    """The variable that has pytest run these units alone."""
    return {UNITS: json.dumps(chosen)} if chosen else {}


def asked() -> tuple[str, list[str] | None]:
    """In pytest: the file to write units to, and the units to run; empty and none where all is run as usual."""
    return os.environ.get(UNITS_TO, ""), json.loads(os.environ[UNITS]) if os.environ.get(UNITS) else None
