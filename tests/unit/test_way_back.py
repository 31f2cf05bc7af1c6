# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a finished deployment is undone, or a backup restored, because the operator asks for it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.filter.way_back import way_back

UNDONE: dict[str, Any] = {
    "database": {"host": "db1", "port": 5432},
    **{"id": "d1", "from_revision": ["a1"], "to_revision": ["c3"], "downgrade_trusted": False, "fleet": {}, "snapshot": "shop__s"},
    "hosts": {"a": {"from_release": "1", "to_release": "2"}, "b": {"from_release": "1", "to_release": "2"}},
    **{"plan": {"expand_revision": ["b2"], "after": ["c3"]}, "batches": [["a"], ["b"]]},
}
THERE: dict[str, Any] = {
    "hosts": ["a", "b"],
    "revisions": ["c3"],
    "rows": 0,
    "rows_given_up": "0",
    "snapshot": True,
    "archive": True,
}
SAME = {"to_revision": ["a1"]}
MANY = {"fleet": {"targets": 9}}
#: what the record says besides, what is there besides, how it goes back, and a part of each refusal.
WINDOW: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, str, int | None], list[str]]] = {
    "a snapshot": ({}, {}, ("restore", "snapshot", 0), []),
    "an archive where there is none": ({}, {"snapshot": False}, ("restore", "archive", 0), []),
    "neither": ({}, {"snapshot": False, "archive": False}, ("restore", "none", 0), ["Neither the snapshot shop__s nor"]),
    "downgrades that the operator trusts": ({}, {"downgrade_trusted": True, "rows": 7}, ("downgrade", "", 0), []),
    "downgrades that were proved": ({"downgrade_trusted": True}, {"rows": ""}, ("downgrade", "", 0), []),
    "code alone": (SAME, {"revisions": ["a1"], "rows": 7, "snapshot": False, "archive": False}, ("keep", "", 0), []),
    "rows that would be lost": (
        {},
        {"rows": 7},
        ("restore", "snapshot", 7),
        ["7 rows were written since the upgrade and would be"],
    ),
    "which are given up": ({}, {"rows": 7, "rows_given_up": "7"}, ("restore", "snapshot", 7), []),
    "rows that nobody has counted": (
        {},
        {"rows": ""},
        ("restore", "snapshot", None),
        ["How many rows were written since the upgrade"],
    ),
    "which are given up too": ({}, {"rows": None, "rows_given_up": "-1"}, ("restore", "snapshot", None), []),
    "another revision": ({}, {"revisions": ["d4"]}, ("restore", "snapshot", 0), ["at d4 and not where deployment d1 left it (c3)"]),
    "no revision": ({}, {"revisions": []}, ("restore", "snapshot", 0), ["The database is at base and"]),
    "one that is not known": ({}, {"revisions": ""}, ("restore", "snapshot", 0), ["at an unknown revision and"]),
    "one that could not be read": (
        {},
        {"revisions": "", "problem": "It is not there."},
        ("restore", "snapshot", 0),
        ["could not be read: It is not there."],
    ),
    "a standby": ({}, {"read_only": "standby"}, ("restore", "snapshot", 0), ["db1:5432 is a standby, which takes no writes. Use"]),
    "of which nothing goes back": ({**SAME}, {"read_only": "standby", "revisions": ["a1"]}, ("keep", "", 0), []),
    "nobody could look": (
        {},
        {"snapshot": False, "archive": False, "unread": "No answer."},
        ("restore", "none", 0),
        ["What there is to go back to could not be found out: No answer."],
    ),
    "hosts that are away": ({}, {"missing": "b: gone"}, ("restore", "snapshot", 0), ["b: gone"]),
    "hosts that are no more": ({}, {"hosts": ["a"]}, ("restore", "snapshot", 0), ["not in the inventory: b."]),
    "many databases": (MANY, {"revisions": None, "rows": None, "snapshot": False, "archive": False}, ("restore", "fleet", 0), []),
    "of which some stay": (MANY, {"stays": {"t1": "It has no snapshot."}}, ("restore", "fleet", 0), ["t1: It has no snapshot."]),
}


def told(found: dict[str, Any], expected: list[str]) -> None:
    assert len(found["refused"]) == len(expected), found["refused"]
    assert all(part in text for part, text in zip(expected, found["refused"], strict=True)), found["refused"]


@pytest.mark.parametrize("case", WINDOW)
def test_a_window_is_undone(case: str) -> None:
    record, there, expected, refused = WINDOW[case]
    found = way_back({**UNDONE, **record}, "maintenance_window", {**THERE, **there})
    assert (found["database"], found["source"], found["rows"]) == expected
    told(found, refused)
    assert found["hosts"]["a"] == {"from_release": "2", "to_release": "1"}


ROLLING: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "host by host": ({"to_revision": ["b2"]}, {"revisions": ["b2"], "rows": None, "snapshot": False}, []),
    "after the contract part": ({}, {}, ["The contract part of deployment d1 (c3) ran"]),
    "from another revision": ({"to_revision": ["b2"]}, {}, ["at c3 and not where deployment d1 left it (b2)"]),
    "many databases": ({"to_revision": ["b2"], **MANY}, {"revisions": ""}, []),
    "no host": ({"to_revision": ["b2"], "batches": []}, {"revisions": ["b2"]}, ["Deployment d1 changed no host."]),
    "a first deployment": (
        {"to_revision": ["b2"], "hosts": {"a": {"from_release": "", "to_release": "2"}}},
        {"revisions": ["b2"]},
        ["There is no former release on every host."],
    ),
    "hosts that are no more": ({"to_revision": ["b2"]}, {"revisions": ["b2"], "hosts": ["b"]}, ["not in the inventory: a."]),
}


@pytest.mark.parametrize("case", ROLLING)
def test_a_rolling_deployment_is_undone(case: str) -> None:
    record, there, refused = ROLLING[case]
    told(way_back({**UNDONE, **record}, "rolling", {**THERE, **there}), refused)


ARCHIVE = {"path": "/a.pgc", "sha256": "e3b0"}
RESTORES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "a snapshot": ({}, {"archive": False}, []),
    "rows that are not in it": ({}, {"rows": 3}, ["3 rows that are here now are not in it and would be lost."]),
    "an archive": (ARCHIVE, {"rows": None}, ["how much that is can not be known. To give it up, set deployment_rows_given_up=-1."]),
    "where all is given up": (ARCHIVE, {"rows": None, "rows_given_up": -1}, []),
    "one that is damaged": (
        ARCHIVE,
        {"archive": False, "rows_given_up": -1},
        ["/a.pgc is damaged or gone: its checksum is not e3b0"],
    ),
    "hosts that are away": ({}, {"missing": "b: gone"}, ["b: gone"]),
}


@pytest.mark.parametrize("case", RESTORES)
def test_a_backup_is_restored(case: str) -> None:
    archive, there, refused = RESTORES[case]
    told(way_back(archive, "restore", {**THERE, **there}, "it"), refused)


def test_nothing_else_is_undone() -> None:
    with pytest.raises(AnsibleFilterError, match="none of maintenance_window, rolling, restore"):
        way_back(UNDONE, "rollback", THERE)
