# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts and which revisions a rolling deployment takes in which order."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.filter.rolling_plan import rolling_plan
from ansible_collections.dbops.alembic.plugins.module_utils._core import rolling
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError

HOSTS = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1, ["a", "b", "c", "d", "e"]),
        (2, ["ab", "cd", "e"]),
        ("2", ["ab", "cd", "e"]),
        (9, ["abcde"]),
        ("40%", ["ab", "cd", "e"]),
        ("50%", ["ab", "cd", "e"]),
        ("50 %", ["ab", "cd", "e"]),
        ("1%", ["a", "b", "c", "d", "e"]),
        ("100%", ["abcde"]),
        ([1, 3], ["a", "bcd", "e"]),
        ([1, "40%"], ["a", "bc", "de"]),
        (["20%", 2, 1], ["a", "bc", "d", "e"]),
    ],
)
def test_batches_are_those_of_serial(size: Any, expected: list[str]) -> None:
    assert rolling.batches(HOSTS, size) == [list(batch) for batch in expected]


def test_no_hosts_are_no_batches() -> None:
    assert rolling.batches([], 3) == []


@pytest.mark.parametrize("size", [0, -1, "0%", "101%", "", "two", [], [1, 0], True, None, {"a": 1}, 1.5])
def test_a_wrong_size_is_told(size: Any) -> None:
    with pytest.raises(MigrationError) as caught:
        rolling.batches(HOSTS, size)
    assert caught.value.kind == "options_invalid" and "25%" in (caught.value.hint or "")
    with pytest.raises(AnsibleFilterError, match="rolling_batch"):
        rolling_plan(plan("e"), HOSTS, size)


def plan(phases: str, route: str = "rolling", reason: str = "Because.") -> dict[str, Any]:
    """A chain r1, r2, … with these phases, each by its first letter, cut where the first contract revision is."""
    names = {"e": "expand", "c": "contract", "b": "blocking", "u": "unknown"}
    revisions = [
        {"revision": f"r{n}", "down_revision": [f"r{n - 1}"], "phase": names[letter], "reversible": {"proved": letter == "e"}}
        for n, letter in enumerate(phases, 1)
    ]
    order = [item["revision"] for item in revisions]
    cut = phases.find("c") if "c" in phases else len(phases)
    before, after = (order[:cut], order[cut:]) if route == "rolling" else ([], [])
    return {"route": route, "reason": reason, "before": before, "after": after, "revisions": revisions}


@pytest.mark.parametrize(
    ("planned", "override", "before", "after"),
    [
        (plan(""), {}, "", ""),
        (plan("ee"), {}, "r1 r2", ""),
        (plan("eec"), {}, "r1 r2", "r3"),
        (plan("c"), {}, "", "r1"),
        (plan("ee"), {"r9": "of another release"}, "r1 r2", ""),
        (plan("ebe", "maintenance_window"), {"r2": "the table has 40 rows"}, "r1 r2 r3", ""),
        (plan("euc", "maintenance_window"), {"r2": "reads only"}, "r1 r2", "r3"),
        (plan("ece", "maintenance_window"), {"r2": "nobody reads it"}, "r1 r2 r3", ""),
        (plan("ec"), {"r2": "nobody reads it"}, "r1 r2", ""),
    ],
)
def test_the_chain_is_split(planned: dict[str, Any], override: dict[str, str], before: str, after: str) -> None:
    split = rolling.split(planned, override)
    assert (split.refused, " ".join(split.before), " ".join(split.after)) == ("", before, after)
    named = [name for name in override if name != "r9"]
    assert list(split.accepted) == [f"{name}: {override[name]}" for name in named]


@pytest.mark.parametrize(
    ("planned", "override", "told"),
    [
        (plan("eb", "maintenance_window", "r2 blocks."), {}, "route is maintenance_window and not rolling. r2 blocks."),
        (plan("ee", "refuse", "r2 fails."), {}, "route is refuse and not rolling. r2 fails."),
        (plan("eb", "maintenance_window"), {"r2": " "}, "gives no reason for r2"),
        (plan("ee"), {"r2": ""}, "gives no reason for r2"),
        (plan("ebu", "maintenance_window"), {"r2": "small"}, "does not name r3"),
        (plan("ecbe", "maintenance_window"), {"r3": "small"}, "r3, which has to run before the new code, follows r2"),
    ],
)
def test_what_does_not_roll_is_refused_with_the_reason(planned: dict[str, Any], override: dict[str, str], told: str) -> None:
    split = rolling.split(planned, override)
    assert told in split.refused and (split.before, split.after) == ((), ())


def test_the_filter_says_where_the_database_will_be() -> None:
    found = rolling_plan(plan("eec"), HOSTS, [1, 4], current=["r0"])
    assert found["batches"] == [["a"], ["b", "c", "d", "e"]]
    assert (found["before_targets"], found["after_targets"]) == (["r2"], ["r3"])
    assert (found["expand_revision"], found["to_revision"]) == (["r2"], ["r3"])
    assert found["downgrade_proved"] and not rolling_plan(plan("ee"), HOSTS, override={"r1": "x"})["refused"]


def test_branches_have_an_end_each_and_merges_one() -> None:
    fork = plan("eee")
    fork["revisions"][2]["down_revision"] = ["r1"]
    assert rolling.leaves(fork["revisions"], ["r1", "r2", "r3"]) == ["r2", "r3"]
    assert rolling.reached(["r0"], fork["revisions"], ["r1", "r2", "r3"]) == ["r2", "r3"]
    fork["revisions"].append({"revision": "r4", "down_revision": ["r2", "r3"], "phase": "expand"})
    assert rolling.leaves(fork["revisions"], ["r1", "r2", "r3", "r4"]) == ["r4"]
    assert rolling.reached(["r0", "other"], fork["revisions"], ["r1", "r2", "r3", "r4"]) == ["other", "r4"]
    assert not rolling.downgrade_proved(fork["revisions"], ["r4"]) and rolling.downgrade_proved(fork["revisions"], ["r1"])
