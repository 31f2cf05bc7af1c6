# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts take part in a deployment."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.deployment_hosts import deployment_hosts


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        ({"migrator": ["db1", "db2"], "application": ["a", "b"]}, ["db1", "a", "b"]),
        ({"migrator": ["b"], "application": ["a", "b"]}, ["b", "a"]),
        ({"application": ["a", "b"]}, ["a", "b"]),
        ({"migrator": [], "application": ["a"]}, ["a"]),
        ({"migrator": ["db1"]}, ["db1"]),
        ({"all": ["other"]}, []),
    ],
)
def test_the_migrator_is_first_and_each_is_there_once(groups, expected):
    assert deployment_hosts(groups) == expected


def test_groups_of_another_name():
    assert deployment_hosts({"m": ["x"], "web": ["y"], "application": ["z"]}, "m", "web") == ["x", "y"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [({"run": "second"}, ["db", "a"]), ({"run": "first"}, ["all:!all"]), ({"run": ""}, ["all:!all"]), (None, ["all:!all"])],
)
def test_a_play_of_a_pass_is_for_nobody_where_another_runs(state: dict[str, str] | None, expected: list[str]) -> None:
    groups = {"migrator": ["db"], "application": ["a"]}
    facts = {"db": {"_deployment_state": state} if state is not None else {}, "a": {"_deployment_state": {"run": "second"}}}
    assert deployment_hosts(groups, hostvars=facts, run="second") == expected
    assert deployment_hosts({}, hostvars={}, run="second") == ["all:!all"]
    assert deployment_hosts(groups, hostvars=None, run="second") == ["db", "a"]


#: step, the pass, what the migrator's facts say beside the run, what the hosts have taken, and who takes the step.
STEPS: list[tuple[str, str, dict[str, Any], dict[str, list[str]], list[str]]] = [
    ("stop", "first", {"stop": True, "action": "finish"}, {}, ["a", "b"]),
    ("stop", "first", {"stop": False, "action": "finish"}, {}, ["all:!all"]),
    ("stop", "second", {"stop": True, "action": "revert"}, {"a": ["first stop"]}, ["a", "b"]),
    ("stop", "second", {"stop": True, "action": "revert"}, {"a": ["second stop"]}, ["b"]),
    ("stop", "second", {"stop": True, "action": "revert"}, {"a": ["second stop"], "b": ["second stop"]}, ["all:!all"]),
    ("stop", "observe", {"stop": True}, {}, ["a", "b"]),
    ("start", "first", {"stop": True}, {"a": ["first stop"], "b": ["first stop"]}, ["all:!all"]),
    ("start", "first", {"stop": True}, {"db": ["first database"], "a": ["first stop"], "b": []}, ["a"]),
    ("start", "first", {"stop": False}, {"db": ["first database"]}, ["a", "b"]),
    ("start", "second", {"stop": True}, {"db": ["first database"], "a": ["second stop"]}, ["all:!all"]),
    ("start", "second", {"stop": False}, {"db": ["second database"], "a": ["serves"]}, ["b"]),
    ("start", "first", {"stop": False}, {"db": ["first database"], "a": ["serves"]}, ["a", "b"]),
    ("undrain", "first", {"action": "finish"}, {"a": ["first start"]}, ["all:!all"]),
    ("undrain", "first", {"action": "finish"}, {"a": ["first start"], "b": ["first start"]}, ["a", "b"]),
    ("undrain", "first", {"action": "finish"}, {host: ["first start", "first undrain"] for host in "ab"}, ["all:!all"]),
    ("undrain", "first", {"action": "finish"}, {"a": ["first start"], "b": ["serves"]}, ["all:!all"]),
    ("undrain", "second", {"action": "revert"}, {"a": ["second start"], "b": ["first start"]}, ["a"]),
    ("undrain", "second", {"action": "revert"}, {"a": ["second start"], "b": ["serves"]}, ["a", "b"]),
]


@pytest.mark.parametrize(("step", "run", "decision", "reached", "expected"), STEPS)
def test_a_play_of_a_step_is_for_those_who_take_it(
    step: str, run: str, decision: dict[str, Any], reached: dict[str, list[str]], expected: list[str]
) -> None:
    groups = {"migrator": ["db"], "application": ["a", "b"]}
    facts: dict[str, dict[str, Any]] = {"db": {"_deployment_state": {"run": run, "decision": decision}}, "a": {}, "b": {}}
    for host, steps in reached.items():
        facts[host]["_deployment_failed"] = {"serves": "serves" in steps}
        facts[host]["_deployment_reached"] = {name: 1.0 for name in steps if name != "serves"}
    assert deployment_hosts(groups, hostvars=facts, run=run, step=step) == expected
    assert deployment_hosts(groups, hostvars=None, run=run, step=step) == ["db", "a", "b"]
    assert deployment_hosts(groups, hostvars=facts, run="another", step=step) == ["all:!all"]
