# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts take part in a deployment."""

from __future__ import annotations

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


REACHED: list[tuple[dict[str, dict[str, float]], list[str]]] = [
    ({}, ["db", "a", "b"]),
    ({"a": {"first undrain": 1.0}}, ["db", "a", "b"]),
    ({"a": {"first undrain": 1.0}, "b": {"second undrain": 1.0}}, ["db", "a", "b"]),
    ({"a": {"first undrain": 1.0}, "b": {"first undrain": 1.0}}, ["all:!all"]),
]


@pytest.mark.parametrize(("reached", "expected"), REACHED)
def test_a_play_of_a_step_is_for_nobody_where_all_have_taken_it(reached: dict[str, dict[str, float]], expected: list[str]) -> None:
    groups = {"migrator": ["db"], "application": ["a", "b"]}
    facts: dict[str, dict[str, object]] = {"db": {"_deployment_state": {"run": "first"}}, "a": {}, "b": {}}
    for host, steps in reached.items():
        facts[host]["_deployment_reached"] = steps
    assert deployment_hosts(groups, hostvars=facts, run="first", step="undrain") == expected
    assert deployment_hosts(groups, hostvars=None, run="first", step="undrain") == ["db", "a", "b"]
