# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The column "rolling" of the table "where it failed", for every state the database can be found in."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.decision import Decision, Observed, Policy
from ansible_collections.dbops.alembic.plugins.module_utils._core.record import STEPS, Record
from ansible_collections.dbops.alembic.plugins.module_utils._core.rolling_decision import decide_rolling

FROM, BETWEEN, EXPANDED, PARTLY, TO, ELSEWHERE = ("a1",), ("b2",), ("c3",), ("d4",), ("e5",), ("x9",)
FAILED = {"step": "expanding", "message": "boom"}
PLAN = {"before": ["b2", "c3"], "after": ["d4", "e5"], "expand_revision": ["c3"], "contract": "now"}
#: The steps that a rolling deployment has, and the one that it shares with a maintenance window.
ROLLING = {"expanding", "rolling", "backfilling", "contracting", "downgrading", "returning", "archiving"}


def record(step: str, **more: object) -> Record:
    known = dict(id="d", application="shop", kind="rolling", owner="me", step=step, plan=PLAN)
    ends = {"from_revision": list(FROM), "to_revision": list(TO)}
    return Record(**{**known, **ends, **more})  # type: ignore[arg-type]


def told(decision: Decision) -> tuple[str, str, str]:
    return decision.action, decision.database, decision.code


ON = ("finish", "upgrade", "to")
DONE = ("finish", "keep", "to")
BACK = ("revert", "keep", "from")
DOWN = ("revert", "downgrade", "from")
HALT = ("halt", "keep", "")
F, LATER = {"failure": FAILED}, {"to_revision": list(EXPANDED), "plan": {**PLAN, "contract": "later"}}
AUTO, FINISH, REVERT, TRUSTED = Policy(), Policy("finish"), Policy("revert"), Policy("auto", True)

# step, what the record says, what is observed, the policy → the decision
CASES = [
    # cut off in the expand part: it disturbs nobody, so it goes on; the lock waits for a migration that still runs
    ("expanding", {}, Observed(FROM), AUTO, ON),
    ("expanding", {}, Observed(BETWEEN), AUTO, ON),
    ("expanding", {}, Observed(EXPANDED), AUTO, ON),
    ("expanding", {}, Observed(None), AUTO, HALT),
    ("expanding", {}, Observed(ELSEWHERE), FINISH, HALT),
    ("expanding", {}, Observed(FROM), REVERT, BACK),
    ("expanding", {}, Observed(BETWEEN), REVERT, BACK),
    # it failed at the from-revision: nothing to undo
    ("expanding", F, Observed(FROM, False), AUTO, BACK),
    ("expanding", F, Observed(FROM, None), AUTO, BACK),
    ("expanding", F, Observed(FROM, True), AUTO, HALT),
    ("expanding", F, Observed(FROM, True), TRUSTED, HALT),
    ("expanding", F, Observed(FROM, True), FINISH, ON),
    ("expanding", F, Observed(FROM, True), REVERT, BACK),
    # it failed between: a downgrade if the rehearsal proved it, else the operator
    ("expanding", F, Observed(BETWEEN, False), AUTO, HALT),
    ("expanding", F, Observed(BETWEEN, False), TRUSTED, DOWN),
    ("expanding", {**F, "downgrade_trusted": True}, Observed(BETWEEN, False), AUTO, DOWN),
    ("expanding", {**F, "downgrade_trusted": True}, Observed(BETWEEN, True), AUTO, HALT),
    ("expanding", {**F, "downgrade_trusted": True}, Observed(BETWEEN, False), REVERT, DOWN),
    ("expanding", F, Observed(BETWEEN, False), REVERT, BACK),
    ("expanding", F, Observed(BETWEEN, False), FINISH, ON),
    ("expanding", F, Observed(EXPANDED, False), AUTO, BACK),
    # hosts: code only
    ("rolling", {}, Observed(EXPANDED), AUTO, ON),
    ("rolling", {}, Observed(EXPANDED), REVERT, BACK),
    ("rolling", {}, Observed(FROM), AUTO, HALT),
    ("rolling", {}, Observed(None), AUTO, HALT),
    ("rolling", F, Observed(EXPANDED), AUTO, BACK),
    ("rolling", F, Observed(None), AUTO, BACK),
    ("rolling", F, Observed(TO), AUTO, HALT),
    ("rolling", F, Observed(EXPANDED), FINISH, ON),
    ("returning", F, Observed(EXPANDED), AUTO, BACK),
    ("returning", {}, Observed(EXPANDED), AUTO, BACK),
    ("returning", F, Observed(EXPANDED), FINISH, ON),
    ("returning", F, Observed(BETWEEN), AUTO, BACK),
    # the new release serves everywhere
    ("backfilling", {}, Observed(EXPANDED), AUTO, ON),
    ("backfilling", LATER, Observed(EXPANDED), AUTO, ON),
    ("backfilling", F, Observed(EXPANDED), AUTO, DONE),
    ("backfilling", F, Observed(EXPANDED), REVERT, BACK),
    ("contracting", {}, Observed(EXPANDED), AUTO, ON),
    ("contracting", {}, Observed(PARTLY), AUTO, ON),
    ("contracting", {}, Observed(TO), AUTO, ON),
    ("contracting", {}, Observed(BETWEEN), AUTO, HALT),
    ("contracting", {}, Observed(None), AUTO, HALT),
    ("contracting", F, Observed(EXPANDED, False), AUTO, DONE),
    ("contracting", F, Observed(PARTLY, False), AUTO, DONE),
    ("contracting", F, Observed(PARTLY, True), AUTO, HALT),
    ("contracting", F, Observed(PARTLY, True), FINISH, ON),
    ("contracting", F, Observed(TO, False), AUTO, DONE),
    ("contracting", F, Observed(EXPANDED, False), REVERT, BACK),
    ("contracting", F, Observed(PARTLY, False), REVERT, HALT),
    ("archiving", {}, Observed(TO), AUTO, DONE),
    ("archiving", {}, Observed(None), FINISH, DONE),
    ("archiving", {}, Observed(TO), REVERT, HALT),
    ("archiving", LATER, Observed(EXPANDED), REVERT, BACK),
    # cut off on the way back
    ("downgrading", F, Observed(BETWEEN), AUTO, DOWN),
    ("downgrading", F, Observed(FROM), AUTO, BACK),
    ("downgrading", F, Observed(None), AUTO, HALT),
]


@pytest.mark.parametrize(("step", "says", "observed", "policy", "expected"), CASES)
def test_rolling(step: str, says: dict[str, object], observed: Observed, policy: Policy, expected: tuple[str, ...]) -> None:
    assert told(decide_rolling(record(step, **says), observed, policy)) == expected


def test_the_table_names_every_step() -> None:
    assert {row[0] for row in CASES} == ROLLING and set(STEPS) >= ROLLING


@pytest.mark.parametrize("status", ["finished", "reverted"])
def test_nothing_is_done_about_a_closed_one(status: str) -> None:
    assert decide_rolling(record("rolling", status=status), Observed(EXPANDED), REVERT).action == "none"


def test_in_no_state_at_all_does_anything_stop_serving() -> None:
    """The rules that hold in all of the states that there are."""
    places = (None, FROM, BETWEEN, EXPANDED, PARTLY, TO, ELSEWHERE)
    everything = itertools.product(
        sorted(ROLLING), places, (None, False, True), ("auto", "finish", "revert"), (False, True), ({}, FAILED)
    )
    for step, revisions, dirty, direction, trusted, failure in everything:
        decision = decide_rolling(record(step, failure=failure), Observed(revisions, dirty), Policy(direction, trusted))
        case = (step, revisions, dirty, direction, trusted, failure, decision)
        assert not decision.stop and decision.reason and decision.database != "restore", case
        assert (decision.code == "") == (decision.action == "halt") == bool(decision.remedies), case
        if decision.action == "revert":  # the former code runs on nothing that the contract part changed
            assert revisions not in (PARTLY, TO, ELSEWHERE) or step == "downgrading", case
        if decision.database == "downgrade":
            assert step == "downgrading" or (step == "expanding" and trusted), case
        if step in ("rolling", "returning") and decision.action == "finish":
            assert revisions == EXPANDED, case
