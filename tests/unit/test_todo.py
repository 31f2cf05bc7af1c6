# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment has to do, by what its hosts have and what is pending; and how the filter reads it from facts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.filter.deployment_todo import deployment_todo
from ansible_collections.dbops.alembic.plugins.module_utils._core.todo import Asked, Host, Rolling, Window, rolling, window

STAMP = "20260301T220000Z"
DATABASE = {"dialect": "postgresql", "name": "shop"}
IDLE = {"pending": [], "from_revision": ["a1"], "to_revision": ["a1"], "database": DATABASE}
PENDING = {"pending": ["b2", "c3"], "from_revision": ["a1"], "to_revision": ["c3"], "database": DATABASE}
REVISIONS = [
    {"revision": "b2", "down_revision": "a1", "phase": "expand", "reversible": {"proved": True}},
    {"revision": "c3", "down_revision": "b2", "phase": "contract", "reversible": {"proved": False}},
]
REHEARSED = {"route": "rolling", "reason": "It can.", "before": ["b2"], "after": ["c3"], "revisions": REVISIONS}
STOPS = {"route": "maintenance_window", "reason": "b2 locks orders.", "before": [], "after": [], "revisions": REVISIONS}
OLD, NEW, NONE = Host("1.0", "1.1"), Host("1.1", "1.1"), Host("", "1.1")
POD = Host("1.0", "1.1", scale={"replicas": 2}, workload=True)


def asked(**more: Any) -> Asked:
    base: dict[str, Any] = {"application": "shop", "stamp": STAMP, "release": "1.1", "source": "git", "plan": IDLE}
    return Asked(**{**base, **more})


def hosts(*found: Host) -> dict[str, Host]:
    return {f"shop{number}": host for number, host in enumerate(found, 1)}


#: hosts, what is asked → whether anything is to be done, in a window and by a rolling deployment.
NEEDED: dict[str, tuple[list[Host], dict[str, Any], bool, bool]] = {
    "nothing": ([NEW, NEW], {}, False, False),
    "a release": ([OLD, OLD], {}, True, True),
    "on one host": ([NEW, OLD], {}, True, True),
    "on a new host": ([NEW, NONE], {}, True, True),
    "all the same": ([NEW, NEW], {"forced": True}, True, True),
    "revisions": ([NEW, NEW], {"plan": PENDING}, True, True),
    "code that is somebody else's": ([Host(), Host()], {"source": "none", "release": ""}, False, False),
    "revisions for such code": ([Host(), Host()], {"source": "none", "release": "", "plan": PENDING}, True, True),
    "such code by force": ([Host(), Host()], {"source": "none", "release": "", "forced": True}, True, True),
}


@pytest.mark.parametrize("case", NEEDED)
def test_whether_there_is_anything_to_do(case: str) -> None:
    found, given, in_window, in_rolling = NEEDED[case]
    wanted = asked(**given)
    assert window(wanted, hosts(*found), Window())["needed"] is in_window
    more = Rolling(rehearsal=REHEARSED if wanted.plan is PENDING else {})
    todo = rolling(wanted, hosts(*found), more)
    assert todo["needed"] is in_rolling and todo["refused"] == []


@pytest.mark.parametrize(
    ("found", "given", "ends"),
    [
        ([OLD, OLD], {}, ("1.0", "1.1", f"{STAMP}-1.1")),
        ([OLD, NONE], {}, ("1.0", "1.1", f"{STAMP}-1.1")),
        ([OLD, Host("0.9", "1.1"), OLD], {}, ("1.0, 0.9", "1.1", f"{STAMP}-1.1")),
        ([NONE], {}, ("", "1.1", f"{STAMP}-1.1")),
        ([Host()], {"release": "", "source": "none"}, ("", "same-code", f"{STAMP}-same-code")),
        ([Host("1.0", "1.1+git~3")], {"release": "1.1+git~3"}, ("1.0", "1.1+git~3", f"{STAMP}-1.1-git-3")),
    ],
)
def test_what_it_is_called(found: list[Host], given: dict[str, Any], ends: tuple[str, str, str]) -> None:
    for todo in (window(asked(**given), hosts(*found), Window()), rolling(asked(**given), hosts(*found), Rolling())):
        assert (todo["facts"]["from_release"], todo["facts"]["to_release"], todo["id"]) == ends


@pytest.mark.parametrize(
    ("given", "more", "facts"),
    [
        ({}, {}, {"snapshot": "", "way_back": "code only", "downgrade_trusted": False, "to_revision": ["a1"]}),
        ({}, {"database": "Shop", "way_back": "snapshot"}, {"snapshot": "Shop__snapshot_20260301t220000z", "way_back": "snapshot"}),
        ({"plan": PENDING}, {"proved": True}, {"downgrade_trusted": True, "to_revision": ["c3"], "from_revision": ["a1"]}),
        ({"trusted": True}, {}, {"downgrade_trusted": True}),
        ({"doubted": {"shop1": "it answered 404"}}, {}, {"doubted": {"shop1": "it answered 404"}}),
        ({"fleet": {"targets": 3, "on_failure": "one"}}, {}, {"fleet": {"targets": 3, "on_failure": "one"}}),
    ],
)
def test_what_the_record_of_a_window_begins_with(given: dict[str, Any], more: dict[str, Any], facts: dict[str, Any]) -> None:
    todo = window(asked(**given), hosts(OLD, POD), Window(**more))
    assert {key: todo["facts"][key] for key in facts} == facts
    assert todo["decision"]["stop"] is True
    assert todo["facts"]["hosts"]["shop1"] == {"from_release": "1.0", "to_release": "1.1"}
    assert todo["facts"]["workloads"] == {"shop2": {"replicas": 2}}


@pytest.mark.parametrize(
    ("found", "given", "more", "facts"),
    [
        ([OLD, OLD], {}, {}, {"batches": [["shop1"], ["shop2"]], "to_revision": ["a1"], "downgrade_trusted": True}),
        ([OLD, NEW, OLD], {}, {"batch": 5}, {"batches": [["shop1", "shop3"]]}),
        ([NEW, OLD], {"forced": True}, {}, {"batches": [["shop1"], ["shop2"]]}),
        ([Host(), Host()], {"source": "none", "release": ""}, {}, {"batches": []}),
        ([OLD, OLD], {"plan": PENDING}, {"rehearsal": REHEARSED}, {"to_revision": ["b2"], "downgrade_trusted": True}),
        ([OLD, OLD], {"plan": PENDING}, {"rehearsal": REHEARSED, "contract": "now"}, {"to_revision": ["c3"]}),
        (
            [OLD, OLD],
            {"plan": PENDING},
            {"rehearsal": STOPS, "override": {"b2": "few rows", "c3": "nobody reads it"}},
            {"to_revision": ["c3"], "downgrade_trusted": False},
        ),
    ],
)
def test_what_the_record_of_a_rolling_deployment_begins_with(
    found: list[Host], given: dict[str, Any], more: dict[str, Any], facts: dict[str, Any]
) -> None:
    todo = rolling(asked(**given), hosts(*found), Rolling(**more))
    assert todo["refused"] == [] and todo["decision"]["stop"] is False
    assert {key: todo["facts"][key] for key in facts} == facts
    assert todo["facts"]["plan"]["contract"] == more.get("contract", "later")
    assert ("accepted" in todo["facts"]["plan"]) and "snapshot" not in todo["facts"]


GAP = Host("1.0", "1.1", workload=True, gaps=["it has one replica"])
REFUSED: dict[str, tuple[list[Host], dict[str, Any], dict[str, Any], list[str]]] = {
    "a plan that stops": ([OLD, OLD], {"plan": PENDING}, {"rehearsal": STOPS}, ["The plan's route is maintenance_window"]),
    "one host": ([OLD], {}, {}, ["A batch takes all hosts at once (shop1)"]),
    "all hosts": ([OLD, OLD], {}, {"batch": "100%"}, ["A batch takes all hosts at once (shop1, shop2)"]),
    "all that are machines": ([OLD, POD], {}, {}, ["A batch takes all hosts at once (shop1)"]),
    "pods": ([POD], {}, {}, []),
    "the first release": ([NONE, NONE], {}, {"batch": 2}, []),
    "one that is left": ([NEW, OLD], {}, {}, []),
    "a gap": ([GAP, POD], {}, {}, ["The rollout of a workload would be noticed. shop1: it has one replica."]),
    "a gap that is allowed": ([GAP], {}, {"gaps_allowed": True}, []),
    "a gap, and nothing to do": ([Host("1.1", "1.1", workload=True, gaps=["it has one replica"])], {}, {}, []),
    "rows of many": ([OLD, OLD], {"fleet": {"targets": 2, "on_failure": "all"}}, {"backfill": True}, ["knows one database"]),
    "rows by Jobs": ([OLD, OLD], {}, {"backfill": True, "runner": "kubernetes_job"}, ["there is none"]),
    "rows": ([OLD, OLD], {}, {"backfill": True}, []),
    "two at once": ([GAP, OLD], {}, {}, ["A batch takes all hosts at once (shop2)", "The rollout of a workload"]),
    "no reason": (
        [OLD, OLD],
        {"plan": PENDING},
        {"rehearsal": STOPS, "override": {"b2": ""}},
        ["deployment_rolling_override gives no reason for b2"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_of_a_rolling_deployment(case: str) -> None:
    found, given, more, told = REFUSED[case]
    refused = rolling(asked(**given), hosts(*found), Rolling(**more))["refused"]
    assert len(refused) == len(told)
    assert all(part in line for part, line in zip(told, refused)), refused


VARIABLES = {
    "shop1": {"release_status": {"active_version": 1.0, "version": "1.1"}, "application_manager": "systemd"},
    "shop2": {
        "release_status": {"active_version": "1.0", "version": "1.1", "scale": {"replicas": 2}, "rollout_gaps": ["a gap"]},
        "application_manager": "kubernetes",
    },
    "db": {},
}


def test_the_filter_reads_the_facts_of_the_hosts() -> None:
    given = {"stamp": STAMP, "release": "1.1", "source": "git", "plan": IDLE, "owner": "", "fleet": {"targets": "3"}}
    todo = deployment_todo(VARIABLES, ["shop1", "shop2"], "maintenance_window", given, {})
    assert todo["facts"]["hosts"] == {host: {"from_release": "1.0", "to_release": "1.1"} for host in ("shop1", "shop2")}
    assert todo["facts"]["workloads"] == {"shop2": {"replicas": 2}} and todo["facts"]["fleet"] == {"targets": 3}
    refused = deployment_todo(VARIABLES, ["shop1", "shop2"], "rolling", given, {"batch": "1"})["refused"]
    assert len(refused) == 2 and "shop2: a gap" in refused[1]


@pytest.mark.parametrize(
    ("kind", "given", "more", "told"),
    [
        ("restore", {}, {}, "is none of maintenance_window, rolling"),
        ("rolling", {}, {"batch": "half"}, "rolling_batch: 'half' is no size of a batch."),
        ("rolling", {"when": "now"}, {}, "the input has to be a dictionary of application"),
        ("maintenance_window", {}, {"batch": 2}, "the input has to be a dictionary of database"),
    ],
)
def test_the_filter_refuses_what_it_does_not_know(kind: str, given: Any, more: Any, told: str) -> None:
    with pytest.raises(AnsibleFilterError, match=told):
        deployment_todo(VARIABLES, ["shop1"], kind, {"stamp": STAMP, "release": "1.1", "plan": IDLE, **given}, more)
