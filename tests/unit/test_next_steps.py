# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a deployment goes on that halted: commands that can be copied, each with what it does."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.next_steps import next_steps
from ansible_collections.dbops.alembic.plugins.module_utils._core.decision import Decision, Observed, Policy, decide
from ansible_collections.dbops.alembic.plugins.module_utils._core.record import Record
from ansible_collections.dbops.alembic.plugins.module_utils._core.rolling_decision import decide_rolling

PROGRAM = "ansible-playbook -i hosts.yml"
RECORD: dict[str, Any] = {"from_release": "1", "to_release": "2"}
HOW: Any = dict(id="d", application="shop", owner="me", from_revision=["a"], to_revision=["c"], from_release="1", to_release="2")
PLAN = {"before": ["b"], "after": ["c"], "expand_revision": ["b"]}
OBSERVED = [
    Observed(revisions, dirty, snapshot, False, rows)
    for revisions, dirty, snapshot, rows in itertools.product(
        (None, ("a",), ("b",), ("c",), ("x",)), (None, True, False), ("complete", "absent"), (None, 0, 3)
    )
]


def halted() -> list[Decision]:
    """Every decision to halt that there is."""
    found = []
    for observed, failure in itertools.product(OBSERVED, ({}, {"step": "upgrading", "message": "no"})):
        for step in ("stopping", "upgrading", "starting", "archiving", "restoring", "restarting"):
            for kind in ("maintenance_window", "rollback"):
                found.append(decide(Record(**HOW, kind=kind, step=step, failure=failure), observed, Policy()))
        for step in ("expanding", "rolling", "backfilling", "contracting", "downgrading", "returning"):
            record = Record(**HOW, kind="rolling", step=step, plan=PLAN, failure=failure)
            found.append(decide_rolling(record, observed, Policy()))
    return list(dict.fromkeys(decision for decision in found if decision.action == "halt"))


@pytest.mark.parametrize("decision", halted(), ids=lambda decision: decision.reason[:60])
def test_every_halt_has_commands_that_can_be_copied(decision: Decision) -> None:
    steps = next_steps(decision.as_dict(), RECORD, ["hosts.yml"])
    commands = [step["command"] for step in steps if step["command"]]
    assert len(commands) >= 2 and len(set(commands)) == len(commands), steps
    assert commands[-1] == f"{PROGRAM} dbops.alembic.status"
    assert all(command.startswith(f"{PROGRAM} dbops.alembic.recover") for command in commands[:-1])
    assert all(step["does"].endswith(".") and "run recover" not in step["does"] for step in steps), steps


def test_the_variables_of_a_command_are_in_it() -> None:
    record = Record(**HOW, kind="maintenance_window", step="starting", failure={"message": "no"})
    steps = next_steps(decide(record, Observed(("c",), False, "complete", False, 3), Policy()).as_dict(), RECORD, ["hosts.yml"])
    assert steps[0] == {
        "command": f"{PROGRAM} dbops.alembic.recover -e deployment_rows_given_up=3",
        "does": "gives up 3 rows, puts the backup back and starts release 1.",
    }


@pytest.mark.parametrize(
    ("decision", "does"),
    [
        (
            {"action": "revert", "database": "restore", "code": "from"},
            "goes on with the way back, once what failed is put right: puts the database back, starts release 1"
            " where it does not serve.",
        ),
        (
            {"action": "revert", "database": "keep", "code": "from", "remedies": ["Mend the host."]},
            "goes on with the way back, once what failed is put right: starts release 1 where it does not serve.",
        ),
        (
            {"action": "finish", "database": "keep", "code": "to"},
            "goes on, once what failed is put right: starts release 2 where it does not serve.",
        ),
        ({}, "looks at database and hosts, and finishes or puts back."),
    ],
)
def test_where_nothing_else_is_told_recover_goes_on(decision: dict[str, Any], does: str) -> None:
    steps = next_steps(decision, RECORD, ["hosts.yml"])
    assert {"command": f"{PROGRAM} dbops.alembic.recover", "does": does} in steps
    assert [step["does"] for step in steps if not step["command"]] == decision.get("remedies", [])


def test_inventories_and_groups_are_quoted_for_a_shell() -> None:
    steps = next_steps({}, RECORD, ["my hosts.yml", "b.yml"], {"deployment_application_group": "web shop"})
    assert steps[-1]["command"] == (
        "ansible-playbook -i 'my hosts.yml' -i b.yml -e 'deployment_application_group=web shop' dbops.alembic.status"
    )
