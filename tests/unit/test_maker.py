# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose temporary folder it is, and whether that run is gone."""

from __future__ import annotations

import os
import subprocess

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal import maker
from ansible_collections.dbops.alembic.plugins.plugin_utils import _maker

NOW = 1_000_000.0
HOST, BOOT, PID, START = _maker.mark().split("-")


def found(mark: str, name: str = "dbops-release.{}.k3x9_a", age: float = 0, **more: object) -> list[str]:
    folder = {"path": "/tmp/" + name.format(mark), "isdir": True, "islnk": False, "mtime": NOW - age, **more}
    return _maker.left([folder], NOW)


def test_this_run_lives() -> None:
    assert int(PID) == os.getpid() and found(_maker.mark()) == [] == found(_maker.mark(), age=1e9)


def test_a_process_that_ended_a_number_that_was_given_again_and_another_boot() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        living = f"{HOST}-{BOOT}-{process.pid}-{_maker._started(process.pid)}"
        assert found(living) == []
        process.kill()
    assert found(living) == [f"/tmp/dbops-release.{living}.k3x9_a"]
    assert found(f"{HOST}-{BOOT}-{PID}-{int(START) + 1}") and found(f"{HOST}-00000000-{PID}-{START}")


def test_another_machine_is_given_a_day() -> None:
    other = f"00000000-{BOOT}-1-1"
    assert found(other, age=86000) == [] and found(other, age=86500) and found(other, "dbops-restore.{}.x", age=86500)


@pytest.mark.parametrize(
    "name",
    ["dbops-release.k3x9_a", "dbops-release.{}.", "x{}", "dbops-release.{}.a/..", "dbops-other.{}.a", "dbops-release.{}.a.b"],
)
def test_other_names_are_not_ours(name: str) -> None:
    assert found(f"{HOST}-00000000-1-1", name) == []


@pytest.mark.parametrize("more", [{"isdir": False}, {"islnk": True}])
def test_only_a_folder_is(more: dict[str, bool]) -> None:
    assert found(f"{HOST}-00000000-1-1", **more) == []


def test_names_of_copies() -> None:
    name = maker.new_name("dbops_rehearsal_0123abcd_")
    assert maker.is_copy(name) and maker.is_copy(name + "_back") and len(f"{name}_back") <= 63
    assert maker.is_copy("dbops_rehearsal_0123abcd_89abcdef") and maker.is_copy("dbops_rehearsal_0123abcd_89abcdef_back")
    for other in ("dbops_rehearsal_notes", f"x{name}", f"{name}_old", f"{name}\n", "dbops_rehearsal_0123abcd_1_2_89abcdef", ""):
        assert not maker.is_copy(other)


@pytest.mark.parametrize(
    "text", [None, "", "ours", "{}", "[]", '{"dbops.alembic.rehearsal": 1}', '{"dbops.alembic.rehearsal": {"of": 1}}']
)
def test_what_others_wrote_is_no_mark(text: str | None) -> None:
    assert maker.parsed(text) is None


def test_a_mark_is_read_back() -> None:
    mark = maker.parsed(maker.written("orders", backend=7))
    assert (
        mark
        and mark["of"] == "orders"
        and mark["backend"] == 7
        and mark["pid"] == os.getpid()
        and mark["started"]
        and mark["created"].endswith("Z")
    )
