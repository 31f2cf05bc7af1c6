# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many databases compared, as tables: which are of a kind, how the others differ, and which way all can go."""

from __future__ import annotations

from typing import Any, Sequence

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet_plan


def _read(name: str, at: list[str], sign: str | None, pending: Sequence[str] = ()) -> dict[str, Any]:
    return {
        "name": name,
        "after": at,
        "state": "behind" if pending else "at_target",
        "pending": list(pending),
        "schema_fingerprint": sign,
    }


USERS = [["column", "users.id", "users", "integer, not null"], ["table", "users", "", ""]]
EMAIL = [*USERS, ["column", "users.email", "users", "text"]]
ORDERS = [
    *USERS,
    ["column", "orders.id", "orders", "integer"],
    ["index", "orders_ix", "orders", "CREATE INDEX"],
    ["table", "orders", "", ""],
]


def test_targets_of_a_kind_stand_at_the_same_place_with_the_same_schema():
    entries = [
        _read("a", ["r1"], "x", ["r2"]),
        _read("b", ["r2"], "y"),
        _read("c", ["r1"], "x", ["r2"]),
        _read("d", ["r1"], "z", ["r2"]),
        _read("e", [], "x", ["r1", "r2"]),
        {**_read("f", ["r1"], None), "after": None},
    ]
    assert [(kind["at"], kind["count"], kind["targets"]) for kind in fleet_plan.kinds(entries)] == [
        (["r1"], 2, ["a", "c"]),
        (["r2"], 1, ["b"]),
        (["r1"], 1, ["d"]),
        ([], 1, ["e"]),
    ]


def test_drift_is_told_of_the_fewer_and_only_at_the_same_revisions():
    entries = [_read("odd", ["r1"], "z"), _read("a", ["r1"], "x"), _read("b", ["r1"], "x"), _read("on", ["r2"], "y")]
    (told,) = fleet_plan.drift(fleet_plan.kinds(entries), {"x": USERS, "z": EMAIL, "y": ORDERS})
    assert (told["targets"], told["compared_with"], told["equal"]) == (["odd"], "a", 2)
    assert told["differences"] == [{"what": "extra", "kind": "column", "name": "users.email", "expected": None, "found": "text"}]


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        (USERS, USERS, []),
        (EMAIL, USERS, [("missing", "column", "users.email", "text", None)]),
        (ORDERS, USERS, [("missing", "table", "orders", "", None)]),
        (USERS, ORDERS, [("extra", "table", "orders", None, "")]),
        (
            EMAIL,
            [*USERS, ["column", "users.email", "users", "integer"]],
            [("different", "column", "users.email", "text", "integer")],
        ),
    ],
)
def test_what_differs_between_two_schemas(expected, found, told):
    assert [tuple(item.values()) for item in fleet_plan.differences(expected, found)] == told


@pytest.mark.parametrize(
    ("routes", "found"),
    [
        ([], "rolling"),
        (["rolling", "rolling"], "rolling"),
        (["rolling", "maintenance_window"], "maintenance_window"),
        (["maintenance_window", "refuse", "rolling"], "refuse"),
    ],
)
def test_all_go_the_way_of_the_worst(routes, found):
    assert fleet_plan.route([{"route": route, "reason": route} for route in routes])[0] == found
