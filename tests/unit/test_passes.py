# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts have said in a pass, and what the flows make of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.pass_state import pass_state
from ansible_collections.dbops.alembic.plugins.filter.refused_hosts import refused_hosts
from ansible_collections.dbops.alembic.plugins.filter.rolling_state import rolling_state

HOSTS = ["a", "b", "c"]


def facts(said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The facts of hosts of which each took steps, such as ``first stop``, or did not: ``!first stop``, and ``serves`` on."""
    found: dict[str, dict[str, Any]] = {}
    for host, steps in said.items():
        found[host] = {"_deployment_reached": {step: float(n) for n, step in enumerate(steps, 1) if "!" not in step}}
        for step in steps:
            if step.startswith("!"):
                run, name, *serves = step[1:].split()
                found[host]["_deployment_failed"] = {
                    **{"pass": run, "step": name, "at": 9.0, "message": "It is\nbroken."},
                    "serves": bool(serves),
                }
    return found


def each(steps: list[str]) -> dict[str, list[str]]:
    return {host: steps for host in HOSTS}


STATES: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "nobody has begun": ("first", "stop", {}, {"missing": HOSTS, "refusing": [], "lost": HOSTS, "stopped_nothing": False}),
    "all did": ("first", "stop", each(["first stop"]), {"missing": [], "told": [], "brief": "", "reasons": {}}),
    "one says why, one says nothing": (
        "first",
        "stop",
        {"a": ["first stop"], "b": ["!first stop"], "c": []},
        {
            **{"missing": ["b", "c"], "refusing": ["b"], "lost": ["c"]},
            "reasons": {"b": "It is\nbroken.", "c": "it could not be reached"},
            "told": ["b: It is", "broken.", "c: it could not be reached"],
            "brief": "b: It is c: it could not be reached",
        },
    ),
    "what failed in another pass is of no concern": (
        "second",
        "stop",
        {"a": ["!first start"], "b": ["second stop"], "c": ["second stop"]},
        {"missing": ["a"], "refusing": [], "lost": ["a"]},
    ),
    "no host was stopped": ("first", "stop", each(["!first stop serves"]), {"missing": HOSTS, "stopped_nothing": True}),
    "who serves on has still to be stopped on the way back": (
        "second",
        "stop",
        {"a": ["!first stop serves"], "b": ["second stop"], "c": ["second stop"]},
        {"missing": ["a"]},
    ),
    "and has nothing to start there": (
        "second",
        "start",
        {"a": ["!first stop serves"], "b": ["second start"], "c": ["second start"]},
        {"missing": []},
    ),
    "the last step of a pass": ("first", "", each(["first start"]), {"step": "undrain", "missing": HOSTS, "start_ended": 1.0}),
    "where one was not started": (
        "first",
        "",
        {"a": ["first stop", "first start"], "b": ["!first start"], "c": []},
        {"step": "start", "missing": ["b", "c"], "start_ended": 9.0},
    ),
    "where nobody came to it": ("first", "", each(["first stop"]), {"step": "start", "start_ended": None}),
    "on the way back beside one that serves": (
        "second",
        "",
        {"a": ["!first stop serves"], "b": ["second start"], "c": ["second start", "second undrain"]},
        {"step": "undrain", "missing": ["a", "b"]},
    ),
    "a rolling pass leaves nobody serving": (
        "rolling",
        "roll",
        each(["!rolling roll serves"]),
        {"stopped_nothing": False, "refusing": HOSTS},
    ),
}


@pytest.mark.parametrize("case", STATES)
def test_who_has_not_taken_a_step(case: str) -> None:
    run, step, said, expected = STATES[case]
    found = pass_state(facts(said), HOSTS, run, step)
    assert {key: found[key] for key in expected} == expected


BATCHES = {"batches": [["a"], ["b", "c"]], "batches_begun": 1, "to_release": "2"}
#: the pass, the number of the batch, how many were begun, what hosts have said, and the state.
ROLLING: dict[str, tuple[str, int, int, dict[str, Any], dict[str, Any]]] = {
    "the first batch waits for nobody": ("rolling", 1, 0, {}, {"held_by": [], "unrolled": HOSTS, "touched": []}),
    "the second waits for the first": ("rolling", 2, 1, {"a": []}, {"held_by": ["a"], "touched": ["a"]}),
    "and begins after it": ("rolling", 2, 1, {"a": ["rolling roll"]}, {"held_by": [], "unrolled": ["b", "c"]}),
    "all are done": ("rolling", 0, 2, each(["rolling roll"]), {"unrolled": [], "touched": HOSTS}),
    "back go those that were begun": ("returning", 1, 1, {}, {"turns": [{"number": 1, "hosts": ["a"]}], "unrolled": ["a"]}),
    "the last one first": (
        "returning",
        2,
        2,
        {},
        {"turns": [{"number": 2, "hosts": ["b", "c"]}, {"number": 1, "hosts": ["a"]}], "held_by": []},
    ),
    "where one that fails keeps the others from it": ("returning", 1, 2, {"b": ["!returning roll"]}, {"held_by": ["b"]}),
    "and what failed on the way there does not": ("returning", 1, 2, {"b": ["!rolling roll"]}, {"held_by": []}),
}


@pytest.mark.parametrize("case", ROLLING)
def test_how_far_a_rolling_deployment_is(case: str) -> None:
    run, turn, begun, said, expected = ROLLING[case]
    found = rolling_state(facts(said), HOSTS, run, {**BATCHES, "batches_begun": begun}, turn)
    assert {key: found[key] for key in expected} == expected


#: what the application says, which release is active, what the host was to get, and what is said of it.
PROOFS = [
    ("2", "2", "2", None),
    ("2", "", "2", None),
    ("", "2", "2", None),
    ("1", "2", "2", "it runs release 1"),
    ("2", "1", "2", "it runs release 2"),
    ("", "", "2", "it runs an unknown release; set health_release_key"),
    ("1", "1", "1", None),
]


@pytest.mark.parametrize(("spoken", "active", "aimed", "expected"), PROOFS)
def test_who_is_not_proved_to_run_the_release(spoken: str, active: str, aimed: str, expected: str | None) -> None:
    variables = {"_deployment_reached": {"rolling runs": 1.0}, "_deployment_runs": {"said": spoken, "active": active}}
    record = {**BATCHES, "hosts": {"a": {"to_release": aimed}}}
    assert rolling_state({"a": variables}, ["a"], "rolling", record)["unproved"].get("a") == expected
    assert rolling_state({"a": {}}, ["a"], "rolling", record)["unproved"] == {"a": "it could not be asked"}


def test_what_services_have_noted_counts() -> None:
    """A call that stops or starts a host says so itself, and what it says later does not take away what it said before."""
    found = {
        "a": {"_deployment_reached": {"first prepare": 1.0}, "application_stopped": {"noted": {"first stop": 2.0}}},
        "b": {"application_stopped": {"noted": {"first stop": 3.0}}, "application_serves": {"noted": {"first start": 5.0}}},
        "c": {"application_stopped": {"failed": True}},
    }
    lost = {**found, "b": {"application_stopped": {"unreachable": True}}}
    told = pass_state(lost, HOSTS, "second", "stop", {"b": {"first stop": 3.0}})
    assert told["reached"]["b"] == {"first stop": 3.0} and told["missing"] == HOSTS
    state = pass_state(found, HOSTS, "first", "stop")
    assert (state["missing"], state["stop_ended"], state["start_ended"]) == (["c"], 3.0, 5.0)
    assert state["reached"] == {
        "a": {"first prepare": 1.0, "first stop": 2.0},
        "b": {"first stop": 3.0, "first start": 5.0},
        "c": {},
    }


@pytest.mark.parametrize("at", [9.0, "9.0"], ids=["a number", "a text, before ansible-core 2.19"])
def test_when_the_last_host_was_done(at: float | str) -> None:
    found = {
        "a": {"_deployment_reached": {"first start": 7.5}},
        "b": {"_deployment_failed": {"pass": "first", "step": "start", "at": at, "message": "x"}},
    }
    assert pass_state(found, ["a", "b"], "first")["start_ended"] == 9.0


@pytest.mark.parametrize(
    ("facts_of", "refused"),
    [
        ({}, ""),
        ({"db": {"_deployment_reached": {"first look": 1.0, "first prepare": 2.0}}}, ""),
        ({"other": {"_deployment_reached": {"first stop": 1.0}}}, ""),
        ({"db": {"_deployment_reached": {"first database": 1.0}}}, "has worked on db, and"),
        (
            {"a": {"application_stopped": {"noted": {"first stop": 1.0}}}, "b": {"_deployment_reached": {"rolling roll": 1.0}}},
            "on a, b, and",
        ),
    ],
)
def test_a_deployment_after_another_one_of_the_same_run(facts_of: dict[str, Any], refused: str) -> None:
    groups = {"migrator": ["db"], "application": ["a", "b"], "all": ["db", "a", "b", "other"]}
    found = refused_hosts(groups, "migrator", "application", hostvars=facts_of)
    assert refused in found and bool(found) == bool(refused), found
