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


def _entry(name: str, at: list[str] | None, failure: str = "", **more: Any) -> dict[str, Any]:
    told = {"kind": "connection_failed", "message": failure} if failure else None
    return {"name": name, "after": at, "state": "at_target", "pending": [], "failure": told, "applied": [], **more}


def _where(**more: Any) -> dict[str, Any]:
    entries = [_entry("a", ["r2"]), _entry("b", ["r2"]), _entry("c", ["r2"]), _entry("d", None, "no such host")]
    groups = [
        {"at": ["r2"], "state": "at_target", "pending": [], "count": 3, "targets": ["a", "b", "c"]},
        {"at": None, "state": "unknown", "pending": [], "count": 1, "targets": ["d"]},
    ]
    differences = [{"what": "missing", "kind": "index", "name": f"i{number}"} for number in range(5)]
    drift = [{"targets": ["b"], "count": 1, "compared_with": "a", "differences": differences}]
    return {"targets": entries, "groups": groups, "drift": drift, "plans": [], "route": "rolling", "reason": "", **more}


def test_a_line_for_all_that_are_equal_and_one_for_each_that_is_not():
    found = fleet_plan.lines(_where())
    assert [(line["count"], line["at"], line["targets"], line["remark"]) for line in found] == [
        (2, ["r2"], ["a", "c"], ""),
        (1, ["r2"], ["b"], "unlike a: missing index i0, missing index i1, missing index i2 and 2 more"),
        (1, None, ["d"], "no such host"),
    ]


FAILURE = {"kind": "timeout", "message": "too slow", "hint": None}


@pytest.mark.parametrize(
    ("found", "options", "told"),
    [
        ({"targets": [_entry("a", ["r1"])], "drift": []}, {}, []),
        ({"drift": []}, {}, ["1 of 4 databases could not be read. d: no such host"]),
        ({"drift": []}, {"on_failure": "one", "most": "1"}, []),
        ({"drift": []}, {"on_failure": "one", "most": "10%"}, ["1 of 4 databases could not be read. d: no such host"]),
        ({"drift": []}, {"on_failure": "all", "most": "1"}, ["1 of 4 databases could not be read. d: no such host"]),
        (
            {"targets": [{**_entry("a", ["r1"]), "failure": {"kind": "database_read_only", "message": "A standby."}}], "drift": []},
            {},
            ["1 of 1 databases take no writes. a: A standby."],
        ),
        ({"targets": []}, {"drift": "warn"}, []),
        ({"targets": []}, {"drift": "refuse"}, ["b is not as a"]),
        ({"targets": [], "drift": [], "route": "refuse", "reason": "It fails."}, {}, []),
        ({"targets": [], "drift": [], "route": "refuse", "reason": "It fails."}, {"binding": True}, ["It fails. Mend"]),
        (
            {"targets": [], "drift": [], "route": "refuse", "reason": "a could not be judged.", "plans": [{"failure": FAILURE}]},
            {"binding": True},
            ["a could not be judged. too slow"],
        ),
    ],
)
def test_why_nothing_is_begun(found, options, told):
    refused = fleet_plan.refusals(_where(**found), **options)
    assert len(refused) == len(told) and all(text.startswith(begin) for text, begin in zip(refused, told))


def test_what_the_record_is_told():
    steps = [{"revision": "r2", "message": "m", "seconds": 2.0}]
    entries = [
        _entry("a", ["r2"], applied=[{"revision": "r2", "message": "m", "seconds": 0.5}]),
        _entry("b", ["r2"], applied=steps),
        _entry("c", ["r1"], "it broke"),
    ]
    recorded = {"fleet": {"targets": 3, "on_failure": "one"}, "warnings": ["before"]}
    told = fleet_plan.facts(recorded, {"targets": entries, "counts": {"targets": 3, "changed": 2}})
    assert told["fleet"] == {"targets": 3, "on_failure": "one", "counts": {"targets": 3, "changed": 2}, "behind": ["c"]}
    assert told["applied"] == steps and told["warnings"][0] == "before"
    assert told["warnings"][1].startswith("1 of 3 databases is not at the release: c (connection_failed): it broke.")
    assert fleet_plan.facts(recorded, {})["warnings"] == ["before"]


def test_the_plan_as_text():
    findings = [
        {"rule": "C02", "object": "t.c", "message": "It is dropped.", "allowed": None},
        {"rule": "C03", "object": "t.d", "message": "It is not told.", "allowed": "known"},
    ]
    revisions = [{"revision": "r2", "message": "drop c", "phase": "contract", "findings": findings}]
    names = list("abcdefg")
    plans = [
        {"at": [], "count": 7, "targets": names, "failure": None, "revisions": revisions},
        {"at": ["r1"], "count": 1, "targets": ["h"], "failure": FAILURE, "revisions": []},
    ]
    assert fleet_plan.text(_where(plans=plans, route="maintenance_window", reason="It breaks."))[:-2] == [
        "maintenance window: It breaks.",
        "7 at base: a, b, c, d, e and 2 more",
        "  r2 drop c: contract",
        "    C02 t.c: It is dropped.",
        "1 at r1: h",
        "  could not be judged: too slow",
    ]


def test_how_all_would_go_back_and_whether_their_server_has_the_space():
    ways = {
        "a": fleet_plan.Way("snapshot", needed=3 << 20, free=5 << 20),
        "b": fleet_plan.Way("snapshot", needed=3 << 20),
        "c": fleet_plan.Way("snapshot", needed=9 << 20),
        "d": fleet_plan.Way("downgrade", "d is a schema.", kind="archive_required"),
        "e": fleet_plan.Way("none", "e may not.", kind="insufficient_privilege"),
        "f": fleet_plan.Way("none", "f may not.", kind="insufficient_privilege"),
        "g": fleet_plan.Way("snapshot", needed=9 << 20, free=1),
    }
    servers = {"a": "one:1", "b": "one:1", "c": "two:1", "d": "two:1", "e": "two:1", "f": "two:1", "g": ""}
    found = fleet_plan.ways_back(ways, servers)
    assert fleet_plan.ways_back(dict(reversed(ways.items())), servers) == found, "in the order of targets"
    assert [(entry["way"], entry["targets"], entry["reason"]) for entry in found] == [
        ("none", ["a", "b"], "one:1 has 5 MiB free, and the snapshots of 2 databases need 6 MiB."),
        ("none", ["e", "f"], "e may not."),
        ("snapshot", ["c", "g"], ""),
        ("downgrade", ["d"], ""),
    ]
    refused = fleet_plan.refusals(_where(targets=[], ways_back=found))
    assert len(refused) == 2 and refused[1].startswith("2 databases have no way back (e, f): e may not.")
