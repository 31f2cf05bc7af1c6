# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a ledger says of each target, how each goes back, and what all of them come to: tables of cases."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet_ledger
from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet_ledger import Standing

FROM, TO = ("r1",), ("r2",)
BAD = {"kind": "migration_failed", "message": "no"}


def at(step: str, **more: Any) -> Standing:
    return Standing(step, FROM, **more)


def test_a_later_line_adds_to_what_an_earlier_one_said() -> None:
    lines = [
        {"target": "a", "step": "saving", "from_revision": ["r1"], "snapshot": "s", "failure": None},
        {"target": "a", "step": "upgrading"},
        {"target": "b", "step": "refused", "failure": BAD},
        {"target": "a", "step": "failed", "failure": BAD, "clean": True},
    ]
    found = fleet_ledger.folded(lines)
    assert found == {"a": Standing("failed", FROM, None, "s", None, BAD, True, 1), "b": Standing("refused", failure=BAD)}
    again = fleet_ledger.folded([*lines, {"target": "a", "step": "upgraded", "to_revision": ["r2"]}])["a"]
    assert (again.step, again.from_revision, again.to_revision, again.failure) == ("upgraded", FROM, TO, None)


@pytest.mark.parametrize("line", [{"target": "a", "step": "dancing"}, {"step": "saving"}, {"target": 1, "step": "saving"}])
def test_a_line_that_is_not_understood_is_an_error(line: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no line of a ledger"):
        fleet_ledger.folded([line])


BOTH = ("snapshot", "downgrade")
WAYS: list[tuple[str, Standing, tuple[str, ...] | None, tuple[str, ...], int | None, int, str]] = [
    ("nothing was done", Standing(), None, (), 0, 0, "stay"),
    ("only its copy was begun", at("saving", snapshot="s"), FROM, BOTH, 0, 0, "stay"),
    ("it was refused", Standing("refused", failure=BAD), None, BOTH, 0, 0, "stay"),
    ("it failed and is where it was", at("failed", clean=True), FROM, (), 0, 0, "stay"),
    ("it may be dirty where it was", at("failed", snapshot="s"), FROM, BOTH, 0, 0, "restore"),
    ("dirty, and no copy", at("failed"), FROM, ("downgrade",), 0, 0, "stuck"),
    ("cut off where it was", at("upgrading", snapshot="s"), FROM, BOTH, 0, 0, "restore"),
    ("cut off, and no copy", at("upgrading"), FROM, BOTH, 0, 0, "stuck"),
    ("between", at("failed", clean=True), ("r15",), ("downgrade",), 0, 0, "downgrade"),
    ("between, the copy first", at("failed", clean=True, snapshot="s"), ("r15",), BOTH, 0, 0, "restore"),
    ("between, and no way", at("failed", clean=True), ("r15",), (), 0, 0, "stuck"),
    ("upgraded", at("upgraded", snapshot="s"), TO, ("snapshot",), 0, 0, "restore"),
    ("upgraded by nobody", at("upgraded"), FROM, (), None, 0, "stay"),
    ("rows were written", at("upgraded", snapshot="s"), TO, ("snapshot",), 3, 2, "stuck"),
    ("and are given up", at("upgraded", snapshot="s"), TO, ("snapshot",), 3, 3, "restore"),
    ("nobody knows how many", at("upgraded", snapshot="s"), TO, ("snapshot",), None, 9, "stuck"),
    ("however many", at("upgraded", snapshot="s"), TO, ("snapshot",), None, -1, "restore"),
    ("a downgrade keeps them", at("upgraded", snapshot="s"), TO, BOTH, 3, 0, "downgrade"),
    ("it stayed for its rows", at("stuck", snapshot="s", clean=True, to_revision=TO), TO, ("snapshot",), 3, 0, "stuck"),
    ("and goes another way then", at("stuck", snapshot="s", clean=True, to_revision=TO), TO, BOTH, 3, 0, "downgrade"),
    ("its downgrades were cut off", at("returning", clean=True, to_revision=TO), ("r15",), ("downgrade",), 0, 0, "downgrade"),
    ("at the end of them", at("returning", clean=True, to_revision=TO), FROM, ("downgrade",), 0, 0, "stay"),
    ("it can not be read", at("upgraded", snapshot="s"), None, BOTH, 0, 0, "stuck"),
    ("it was never read", Standing("failed", failure=BAD, clean=True), TO, ("downgrade",), 0, 0, "stuck"),
]


@pytest.mark.parametrize(
    ("standing", "current", "ways", "written", "given_up", "how"), [case[1:] for case in WAYS], ids=[case[0] for case in WAYS]
)
def test_how_a_target_goes_back(standing: Standing, current: Any, ways: Any, written: int | None, given_up: int, how: str) -> None:
    found = fleet_ledger.way_back(standing, current, ways, written, given_up)
    assert found.how == how and bool(found.reason) == (how == "stuck")


FAILED, BACK, DONE = at("failed", failure=BAD), at("returned", failure=BAD), at("upgraded")
VERDICTS: list[tuple[str, list[Standing], str, str | None, str]] = [
    ("all are there", [DONE, DONE], "halt", None, "finish"),
    ("one went back by itself", [DONE, BACK], "one", None, "finish"),
    ("one was never touched", [DONE, Standing("refused", failure=BAD)], "one", None, "finish"),
    ("one could not go back", [DONE, at("stuck", failure=BAD)], "one", None, "halt"),
    ("too many failed", [DONE, BACK, Standing()], "one", "max_failures", "revert"),
    ("a canary failed", [BACK, Standing()], "one", "canary", "revert"),
    ("one failed, all go back", [DONE, FAILED], "all", None, "revert"),
    ("one was refused, all go back", [DONE, Standing("refused", failure=BAD)], "all", "max_failures", "revert"),
    ("one failed, nothing does", [DONE, FAILED], "halt", None, "halt"),
    ("one failed, nothing does, although too many", [DONE, FAILED, Standing()], "halt", "max_failures", "halt"),
    ("one was not begun", [DONE, Standing()], "one", None, "halt"),
    ("one was cut off", [DONE, at("upgrading")], "one", None, "halt"),
]


@pytest.mark.parametrize(
    ("standings", "policy", "stopped", "action"), [case[1:] for case in VERDICTS], ids=[case[0] for case in VERDICTS]
)
def test_what_all_come_to(standings: list[Standing], policy: str, stopped: str | None, action: str) -> None:
    found = fleet_ledger.verdict(dict(zip("abcd", standings)), policy, stopped)
    assert found.action == action and found.reason.endswith(".")
    assert "on_failure is halt" not in found.reason  # who asks for halt may decide by another policy


@pytest.mark.parametrize(
    ("standings", "action"),
    [([BACK, at("returned")], "revert"), ([BACK, Standing()], "revert"), ([BACK, at("stuck")], "halt"), ([DONE], "halt")],
)
def test_what_all_come_to_after_they_were_put_back(standings: list[Standing], action: str) -> None:
    assert fleet_ledger.verdict_back(dict(zip("abcd", standings))).action == action


@pytest.mark.parametrize(
    ("standing", "current", "anew"),
    [
        (Standing(), FROM, True),
        (at("saving", snapshot="s"), FROM, True),
        (at("returned", snapshot="s"), FROM, True),
        (at("failed", clean=True), FROM, True),
        (at("failed", clean=True), ("r15",), False),
        (at("failed"), FROM, False),
        (at("upgrading", snapshot="s"), FROM, False),
        (at("upgraded", snapshot="s"), FROM, False),
    ],
)
def test_a_copy_of_before_is_only_kept_where_something_is_left(standing: Standing, current: Any, anew: bool) -> None:
    assert standing.begins_anew(current) is anew
