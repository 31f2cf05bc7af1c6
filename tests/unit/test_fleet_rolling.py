# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many databases in a rolling deployment: their plans as one, and what is done about what failed or was cut off."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.decision import Observed, Policy
from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet_ledger import Standing
from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet_rolling import merged
from ansible_collections.dbops.alembic.plugins.module_utils._core.record import Record
from ansible_collections.dbops.alembic.plugins.module_utils._core.rolling import downgrade_proved, leaves, reached, split
from ansible_collections.dbops.alembic.plugins.module_utils._core.rolling_decision import decide_rolling


def step(revision: str, down: str, phase: str = "expand", proved: bool = True) -> dict[str, Any]:
    return {"revision": revision, "down_revision": down, "phase": phase, "reversible": {"proved": proved}}


def plan(*steps: dict[str, Any]) -> dict[str, Any]:
    return {
        "revisions": list(steps),
        "before": [item["revision"] for item in steps if item["phase"] == "expand"],
        "after": [item["revision"] for item in steps if item["phase"] == "contract"],
    }


B, C, D = step("b", "a"), step("c", "b"), step("d", "c", "contract")


def test_databases_that_are_further_have_less_to_do() -> None:
    found = merged([plan(D), plan(C, D), plan(B, C, D)], "rolling", "fine")
    assert [item["revision"] for item in found["revisions"]] == ["b", "c", "d"]
    way = split(found, {})
    assert (way.before, way.after, way.refused) == (("b", "c"), ("d",), "")
    assert leaves(found["revisions"], way.before) == ["c"] and leaves(found["revisions"], way.after) == ["d"]
    assert reached(["a"], found["revisions"], way.before) == ["c"]


def test_a_revision_counts_as_what_it_is_where_it_is_worst() -> None:
    found = merged([plan(B, C), plan(step("c", "b", proved=False))], "rolling", "fine")
    assert not downgrade_proved(found["revisions"], ["b", "c"]) and downgrade_proved(found["revisions"], ["b"])
    torn = merged([plan(B, C), plan(step("c", "b", "contract"))], "rolling", "fine")
    assert torn["route"] == "maintenance_window" and "Revision c has to run before" in torn["reason"]
    assert "not rolling" in split(torn, {}).refused
    kept = merged([plan(B, C), plan(step("c", "b", "contract"))], "refuse", "because")
    assert (kept["route"], kept["reason"]) == ("refuse", "because")


def test_nothing_is_pending_anywhere() -> None:
    assert split(merged([], "rolling", "Nothing is pending."), {}).refused == ""


WHY = {"kind": "lock_timeout", "message": "no"}
UP = Standing("upgraded", ("a",), ("c",))
BACK = Standing("returned", ("a",), failure=WHY)
FAILED = Standing("failed", ("a",), failure=WHY, clean=True)
DIRTY = Standing("failed", ("a",), failure=WHY)
HALFWAY = Standing("upgrading", ("a",))
CONTRACTED = Standing("upgraded", ("a",), ("d",))
CUT_OFF = Standing("upgrading", ("a",), ("c",))
UNCONTRACTED = Standing("failed", ("a",), ("c",), failure=WHY, clean=True)
AHEAD = Standing("upgraded", ("d",), ("d",))
ON, DONE, KEEP = ("finish", "upgrade", "to"), ("finish", "keep", "to"), ("revert", "keep", "from")
DOWN, HALT = ("revert", "downgrade", "from"), ("halt", "keep", "")

CASES: list[tuple[str, str, str, bool, str, bool, list[Standing], tuple[str, str, str]]] = [
    ("cut off, and nothing was wrong", "expanding", "all", False, "auto", True, [UP, HALFWAY], ON),
    ("one failed before it was cut off", "expanding", "all", False, "auto", True, [UP, FAILED], DOWN),
    ("which may be behind", "expanding", "one", False, "auto", True, [UP, BACK], ON),
    ("what was proved is taken back", "expanding", "all", True, "auto", True, [UP, FAILED], DOWN),
    ("what was not stays", "expanding", "all", True, "auto", False, [UP, FAILED], KEEP),
    ("none was done", "expanding", "all", True, "auto", True, [], KEEP),
    ("all went back already", "expanding", "one", True, "auto", True, [BACK, BACK], KEEP),
    ("what is half done waits for somebody", "expanding", "all", True, "auto", True, [UP, DIRTY], HALT),
    ("who leaves it so", "expanding", "all", True, "revert", False, [UP, DIRTY], KEEP),
    ("or goes on", "expanding", "all", True, "finish", False, [UP, DIRTY], ON),
    ("halt is the policy", "expanding", "halt", True, "auto", True, [UP, FAILED], HALT),
    ("a hook failed and no database", "expanding", "all", True, "auto", True, [UP, UP], KEEP),
    ("the downgrade goes on", "downgrading", "all", True, "auto", True, [UP, BACK], DOWN),
    ("and has ended", "downgrading", "all", True, "auto", True, [BACK, BACK], KEEP),
    ("cut off in a batch", "rolling", "all", False, "auto", True, [UP, UP], ON),
    ("a host failed", "rolling", "all", True, "auto", True, [UP, UP], KEEP),
    ("cut off on the way back", "returning", "all", True, "auto", True, [UP, UP], KEEP),
    ("one that was further than others", "rolling", "all", True, "auto", True, [UP, AHEAD], KEEP),
    ("cut off in the contract part", "contracting", "all", False, "auto", True, [CONTRACTED, CUT_OFF], ON),
    ("one could not be contracted", "contracting", "all", True, "auto", True, [CONTRACTED, UNCONTRACTED], DONE),
    ("half done", "contracting", "all", True, "auto", True, [CONTRACTED, CUT_OFF], HALT),
    ("no code goes back then", "contracting", "all", True, "revert", True, [CONTRACTED, UP], HALT),
    ("nor where it was only begun", "contracting", "all", True, "revert", True, [CUT_OFF, UP], HALT),
    ("before that it does", "backfilling", "all", True, "revert", True, [UP, UP], KEEP),
    ("only the pruning was left", "archiving", "all", False, "auto", True, [UP, UP], DONE),
    ("and the code goes back", "archiving", "all", False, "revert", True, [UP, UP], KEEP),
    ("unless it is contracted", "archiving", "all", False, "revert", True, [CONTRACTED, UP], HALT),
]


@pytest.mark.parametrize(
    ("at", "policy", "failed", "direction", "trusted", "standings", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_what_follows(
    at: str, policy: str, failed: bool, direction: str, trusted: bool, standings: list[Standing], expected: tuple[str, str, str]
) -> None:
    record = Record(
        "d1",
        "shop",
        "rolling",
        "me",
        step=at,
        from_release="1",
        to_release="2",
        failure={"step": at, "message": "no"} if failed else {},
        fleet={"targets": 3, "on_failure": policy},
        plan={"before": ["b", "c"], "after": ["d"], "expand_revision": ["c"], "contract": "now"},
        downgrade_trusted=trusted,
    )
    observed = Observed(standings={f"t{number}": standing for number, standing in enumerate(standings)})
    found = decide_rolling(record, observed, Policy(direction))
    assert (found.action, found.database, found.code) == expected and found.reason and not found.stop
    if found.action == "halt":
        assert any("deployment_recover_direction=finish" in remedy for remedy in found.remedies)


def test_without_its_ledger_nobody_knows() -> None:
    record = Record("d1", "shop", "rolling", "me", step="rolling", fleet={"targets": 3})
    found = decide_rolling(record, Observed(), Policy())
    assert found.action == "halt" and "d1.targets.jsonl is not there" in found.reason
