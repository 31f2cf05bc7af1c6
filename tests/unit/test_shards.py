# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole is split into shards without losing anything, and what is green is not run again."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import sanity
import shards
import whole
from shards import Shard, Unit
from steps import Command

UNITS = [Unit("integration", f"tests/integration/test_{number}.py", 40.0 * number) for number in range(1, 30)]
UNITS += [Unit("scenarios", f"tests/scenarios/test_scenarios.py::test[{number}]", 600.0) for number in range(8)]
UNITS += [Unit("lint", "ruff", 5.0), Unit("kubernetes", "tests/kubernetes/test_jobs.py", 700.0)]


@pytest.mark.parametrize("number", [1, 2, 5, 7, 60])
def test_every_unit_is_in_one_shard(number: int) -> None:
    made = shards.divided(UNITS, number)
    assert len(made) == number
    assert sorted((unit for shard in made for unit in shard.units), key=repr) == sorted(UNITS, key=repr)


def test_the_shards_are_the_same_in_whatever_order_the_units_are_found() -> None:
    assert shards.divided(UNITS, 5) == shards.divided(list(reversed(UNITS)), 5)


def test_the_shards_are_of_about_the_same_length() -> None:
    lengths = [shard.seconds for shard in shards.divided(UNITS, 5)]
    assert max(lengths) < 1.2 * min(lengths)


def test_what_a_step_takes_before_its_first_test_is_counted_once_for_each_shard() -> None:
    shard = Shard()
    for unit in UNITS[-10:-8]:  # one of integration, one scenario
        shard.add(unit)
    assert shard.with_unit(Unit("scenarios", "another", 10.0)) == shard.seconds + 10
    assert shard.with_unit(Unit("kubernetes", "another", 10.0)) == shard.seconds + 10 + shards.BEFORE["kubernetes"]


def test_there_are_as_many_shards_as_there_are_hours() -> None:
    assert shards.wanted([]) == 1
    assert shards.wanted([Unit("unit", "a", 3600.0)]) == 1
    assert shards.wanted([Unit("unit", "a", 3600.0), Unit("unit", "b", 1.0)]) == 2


def test_a_file_that_nobody_has_measured_has_an_estimate() -> None:
    found = shards.estimated(
        "integration",
        {"tests/integration/test_new.py": 4, "tests/integration/test_known.py": 4},
        {"tests/integration/test_known.py": 100.0},
    )
    assert [unit.seconds for unit in found] == [4 * shards.PER_TEST["integration"], 100.0]


def test_a_shard_knows_which_part_of_a_command_is_its_own() -> None:
    shard = Shard()
    shard.add(Unit("lint", "ruff", 1.0))
    shard.add(Unit("unit", "tests/unit", 1.0))
    pytest_command = Command("unit", ("pytest", "tests/unit"))
    assert shard.chosen("unit", pytest_command) == ["tests/unit"]
    assert shard.chosen("integration", Command("integration", ("pytest", "tests/integration"))) is None
    assert shard.chosen("lint", Command("ruff", ("ruff", "check"))) == ["ruff"]
    assert shard.chosen("lint", Command("docs", ("antsibull-docs",))) is None


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "a/b", "1/3/5", "-1/3"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no K/N"):
        shards.cut(text)


def test_what_names_a_shard() -> None:
    assert shards.cut("2/7") == (2, 7)


GREEN: dict[str, Any] = {"status": 0, "commit": "abc"}


@pytest.mark.parametrize(
    ("entry", "commit", "expected"),
    [
        (GREEN, "abc", True),
        (GREEN, "other", False),
        (GREEN, "", False),  # something differs from the commit
        ({**GREEN, "status": 1}, "abc", False),
        ({**GREEN, "commit": ""}, "", False),  # something differed then
        ({}, "abc", False),
    ],
)
def test_a_shard_is_green_for_one_commit(entry: dict[str, Any], commit: str, expected: bool) -> None:
    assert whole.green({"1/2": entry}, "1/2", commit) is expected
    assert not whole.green({"1/3": entry}, "1/2", commit)


@pytest.mark.parametrize("text", [None, "", "{ half wri"])
def test_a_table_that_can_not_be_read_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "table").write_text(text)
    assert whole.load(tmp_path / "table") == {}


def test_all_shards_are_run_and_those_that_are_green_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    status = {"1/3": 0, "2/3": 1, "3/3": 0}

    def shard(name: str) -> dict[str, Any]:
        ran.append(name)
        return {"status": status[name], "commit": "abc", "seconds": 1, "counts": {"passed": 2}, "skipped": {"no root": 1}}

    for name, value in {"virtual_environment": str, "controller_python": str, "tree": str}.items():
        monkeypatch.setattr(whole.environments, name, lambda *_, value=value: value())
    monkeypatch.setattr(whole, "TABLE", tmp_path / "shards.json")
    monkeypatch.setattr(whole, "run_shard", shard)
    monkeypatch.setattr(whole, "state", lambda: "abc")
    monkeypatch.setattr(whole.shards, "units", lambda *_: [Unit("unit", "a", 3600.0 * 3)])
    monkeypatch.setattr(whole.sys, "argv", ["whole.py"])
    assert whole.main() == 1 and ran == ["1/3", "2/3", "3/3"]
    ran.clear()
    status["2/3"] = 0
    assert whole.main() == 0 and ran == ["2/3"]
    ran.clear()
    assert whole.main() == 0 and ran == []
    monkeypatch.setattr(whole.sys, "argv", ["whole.py", "3/3"])
    assert whole.main() == 0 and ran == ["3/3"]  # whoever names one wants it run


def test_what_is_not_committed_is_never_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "ROOT", tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    assert whole.state() == ""
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "first"], check=True)
    assert len(whole.state()) == 40
    (tmp_path / "new").touch()
    assert whole.state() == ""


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        (["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"], ["3.8", "3.13"]),
        (["3.8", "3.11", "3.12", "3.14"], ["3.8", "3.12"]),
        (["3.11"], ["3.11"]),
        ([], []),
    ],
)
def test_a_few_pythons_are_the_oldest_and_the_newest_that_ansible_test_knows(versions: list[str], expected: list[str]) -> None:
    assert sanity.ends(versions) == expected


def test_pytest_runs_the_units_that_it_is_told_and_no_other(tmp_path: Path) -> None:
    """By way of the tests' own conftest, in a process of its own."""
    environment = {**whole.run.environment(True), **shards.told(["tests/unit"])}
    told = tmp_path / "units.json"
    argv = [
        "pytest",
        "tests/unit/test_outcome.py",
        "tests/packaging/test_archive.py",
        "--collect-only",
        "--quiet",
        *whole.run.paths(),
    ]
    done = subprocess.run(
        argv, cwd=whole.ROOT, env={**environment, shards.UNITS_TO: str(told)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(json.loads(told.read_text())) == ["tests/unit"]
