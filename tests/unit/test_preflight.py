# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a deployment or a backup from beginning, and what is said of one that may."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.plan_refusals import plan_refusals
from ansible_collections.dbops.alembic.plugins.module_utils._backup_info import run_backup_info
from ansible_collections.dbops.alembic.plugins.module_utils._core.preflight import backup_refusals, backup_remarks
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._worker.server import read_only
from ansible_collections.dbops.alembic.plugins.module_utils._worker.standing import no_writes

NO_RIGHT = {"id": "insufficient_privilege", "message": "The role may not create databases.", "hint": "GRANT it."}
SUBSCRIPTION = {"id": "subscriptions", "message": "A subscription is fed.", "hint": "Drop it."}
PREPARED = {"id": "prepared_transactions", "message": "One is prepared."}
GOOD: dict[str, Any] = {"dumpable": True, "restorable": True, "dump_problem": "", "restore_problem": "", "remarks": []}
UNREADABLE: dict[str, Any] = {**GOOD, "dumpable": False, "dump_problem": "t can not be read.", "remarks": ["t can not be read."]}
UNRESTORABLE: dict[str, Any] = {**GOOD, "restorable": False, "restore_problem": "No extension.", "remarks": ["No extension."]}


def plan(way_back: str, *refused: dict[str, Any]) -> dict[str, Any]:
    return {"way_back": way_back, "refused": list(refused)}


#: What there is, what was asked for, and what each refusal says.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, bool], list[str]]] = {
    "a snapshot": (plan("snapshot"), GOOD, {}, []),
    "a snapshot, and nobody looked": (plan("snapshot"), {}, {}, []),
    "a snapshot; an archive is of no use": (plan("snapshot"), UNRESTORABLE, {}, []),
    "an archive has to be of use": (
        plan("snapshot"),
        UNRESTORABLE,
        {"binding": True},
        ["No extension. Set backup_restore_check_b"],
    ),
    "an archive, and the window is longer": (plan("archive", NO_RIGHT), GOOD, {}, []),
    "an archive, and nobody looked": (plan("archive", NO_RIGHT), {}, {}, []),
    "only an archive, and none can be written": (
        plan("archive", NO_RIGHT),
        UNREADABLE,
        {},
        ["it would not: t can not be read. Set"],
    ),
    "only an archive, and none can be restored": (plan("archive", NO_RIGHT), UNRESTORABLE, {}, ["it would not: No extension. Set"]),
    "that is accepted": (plan("archive", NO_RIGHT), UNRESTORABLE, {"careless": True}, []),
    "the way back breaks something": (
        plan("archive", SUBSCRIPTION),
        GOOD,
        {},
        ["A subscription is fed. Drop it. To deploy all the same, put this into backup_snapshot_accept: subscriptions."],
    ),
    "that is not for an operator to accept": (plan("archive", PREPARED), GOOD, {"careless": True}, ["has: One is prepared."]),
    "what was only slower is not told of": (
        plan("archive", NO_RIGHT, SUBSCRIPTION),
        GOOD,
        {},
        ["has: A subscription is fed. Drop"],
    ),
    "no way back": (plan("none", NO_RIGHT), {}, {}, ["The role may not create databases. Neither backup_snapshot_enabled nor"]),
    "no way back, and no reason": (plan("none"), {}, {}, ["Neither backup_snapshot_enabled nor"]),
    "no way back is accepted": (plan("none", NO_RIGHT), {}, {"careless": True}, []),
    "a backup alone": (plan("none", SUBSCRIPTION), GOOD, {"window": False}, []),
    "a backup alone that can not be written": (plan("none"), UNREADABLE, {"window": False}, ["No archive was written. t can not"]),
    "a backup alone that can not be restored here": (plan("none"), UNRESTORABLE, {"window": False}, []),
    "all that is wrong, the strictest first": (
        plan("none", SUBSCRIPTION),
        UNREADABLE,
        {"binding": True},
        ["backup_restore_check_binding_enabled", "subscriptions", "Neither"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_why_a_backup_is_refused(case: str) -> None:
    found, check, asked, expected = CASES[case]
    told = backup_refusals(found, check, **asked)
    assert len(told) == len(expected), told
    assert all(part in text for part, text in zip(expected, told)), told
    if "backup_snapshot_accept" in "".join(told):
        assert "prepared_transactions" not in "".join(told)


def test_what_is_said_of_one_that_may_begin() -> None:
    said = backup_remarks(plan("archive", NO_RIGHT), UNRESTORABLE)
    assert said[0] == "No extension." and said[1].endswith("dumped in the window: The role may not create databases.")
    assert backup_remarks(plan("archive"), {})[0].endswith("backup_snapshot_enabled is false")
    assert backup_remarks(plan("archive", NO_RIGHT), {}, window=False) == backup_remarks(plan("snapshot"), {}) == []


def _database(
    unknown: tuple[str, ...] = (), pending: tuple[str, ...] = (), initialised: bool = True, current: tuple[str, ...] = ()
) -> dict[str, Any]:
    steps = [{"revision": name} for name in pending]
    return {"unknown": list(unknown), "pending": steps, "initialised": initialised, "current": list(current)}


PLANS: dict[str, tuple[list[dict[str, Any]], list[str], dict[str, Any], list[str]]] = {
    "nothing is pending": ([_database()], ["a"], {}, []),
    "as many as may be": ([_database(pending=("a", "b"))], ["b"], {"most": 2}, []),
    "more": ([_database(pending=("a", "b"))], ["b"], {"most": 1}, ["2 revisions are pending and schema_max_pending allows 1"]),
    "the same in two databases counts once": ([_database(pending=("a",)), _database(pending=("a",))], ["a"], {"most": 1}, []),
    "ahead": (
        [_database(("x",)), _database(("x", "y"))],
        ["a"],
        {"scripts": "/srv/shop"},
        ["holds x, y, which the scripts in /srv/shop"],
    ),
    "two heads": ([_database()], ["a", "b"], {}, ["The scripts have 2 heads (a, b)"]),
    "two heads, one of them asked for": ([_database()], ["a", "b"], {"revision": "a"}, []),
    "without a version table": ([_database(initialised=False)], ["a"], {"initialise": "upgrade"}, []),
    "where that is refused": ([_database(), _database(initialised=False)], ["a"], {"initialise": "refuse"}, ["no version table"]),
    "all have one": ([_database()], ["a"], {"initialise": "refuse"}, []),
    "a standby": (
        [{**_database(pending=("b",)), "read_only": "standby", "database": {"host": "db1", "port": None}}],
        ["b"],
        {},
        ["db1 is a standby, which takes no writes."],
    ),
    "a standby where nothing is pending": ([{**_database(), "read_only": "standby"}], ["b"], {}, []),
    "where it was expected": ([_database(pending=("b",), current=("a1",))], ["b"], {"expected": ["a1"]}, []),
    "named by its beginning": ([_database(pending=("b",), current=("a1",))], ["b"], {"expected": ["a"]}, []),
    "nothing is applied, as was expected": ([_database(pending=("b",))], ["b"], {"expected": ["base"]}, []),
    "elsewhere": (
        [_database(pending=("b",), current=("a1",))],
        ["b"],
        {"expected": ["c"]},
        ["at a1, and schema_expect_current is c."],
    ),
    "nothing is applied": ([_database(pending=("b",))], ["b"], {"expected": ["a"]}, ["The database is at base, and"]),
    "one of two": ([_database(pending=("b",), current=("a", "c"))], ["b"], {"expected": ["a"]}, ["The database is at a, c, and"]),
    "elsewhere, where nothing is pending any more": ([_database(current=("b",))], ["b"], {"expected": ["a"]}, []),
    "all at once": ([_database(("x",), ("a", "b"))], ["a", "b"], {"most": 1}, ["holds x", "2 heads", "2 revisions"]),
}


@pytest.mark.parametrize("case", PLANS)
def test_why_a_plan_is_refused(case: str) -> None:
    databases, heads, asked, expected = PLANS[case]
    told = plan_refusals({"databases": databases, "heads": heads}, **asked)
    assert len(told) == len(expected) and all(part in text for part, text in zip(expected, told)), told


def test_the_result_of_a_rehearsal_is_asked_too() -> None:
    plan = {"databases": [{"initialised": True, "current": ["a1"], "revisions": [{"revision": "b"}, {"revision": "c"}]}]}
    assert [text[:33] for text in plan_refusals(plan, most=1, expected=["c"])] == [
        "2 revisions are pending and schem",
        "The database is at a1, and schema",
    ]
    assert plan_refusals(plan, most=2, expected=["a"]) == []


@pytest.mark.parametrize("closed", ["", "file", "folder"])
def test_a_file_that_may_not_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    """Root may write to all of them, so the tests ask on behalf of somebody else."""
    path = tmp_path / "shop.db"
    path.touch()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        refused = {"file": str(path), "folder": str(tmp_path)}.get(closed)
        monkeypatch.setattr(os, "access", lambda path, mode: path != refused)
        reason = read_only("sqlite", connection)
    assert reason == ("file" if closed else None)
    assert (f"may not write to the file {path}" in no_writes({"database": str(path)}, reason)) is bool(closed)
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        assert read_only("sqlite", connection) is None


class _Bridge:
    """Answers as the worker does, with what a database of the kind says."""

    def __init__(self, **replies: Any) -> None:
        self.replies, self.asked = replies, list[str]()

    def call(self, request: dict[str, Any], *_: Any) -> dict[str, Any]:
        self.asked.append(request["operation"])
        found = self.replies[request["operation"]]
        return {"facts": {}, "error": found} if "kind" in found else {"facts": {**found, "warnings": []}, "error": None}


SQLITE = {"dialect": "sqlite", "database": "/x", "facts": {}}
OPTIONS: dict[str, Any] = {
    "snapshot": True,
    "archive": True,
    "check": "always",
    "window": True,
    "binding": False,
    "careless": False,
}
OPTIONS.update(format="custom", programs=None, program_check=True, accept=[], url="sqlite:////x", python="/usr/bin/python3")
POSSIBLE = {"possible": True, "refused": [], "space": {"needed_bytes": 7}}
IMPOSSIBLE = {"possible": False, "refused": [NO_RIGHT], "space": {}}
ONLY_ARCHIVES = {"kind": "archive_required", "message": "MySQL has none.", "hint": "Dump it."}
LOST = {"kind": "connection_failed", "message": "No answer."}


@pytest.mark.parametrize(
    ("possible", "asked", "way", "operations"),
    [
        (POSSIBLE, {}, "snapshot", 2),
        (POSSIBLE, {"check": "way_back"}, "snapshot", 1),
        (POSSIBLE, {"check": "never", "snapshot": False}, "archive", 1),
        (IMPOSSIBLE, {"check": "way_back"}, "archive", 2),
        (IMPOSSIBLE, {"archive": False, "check": "way_back"}, "none", 1),
        (ONLY_ARCHIVES, {}, "archive", 2),
    ],
)
def test_which_way_back_there_is(possible: dict[str, Any], asked: dict[str, Any], way: str, operations: int) -> None:
    bridge: Any = _Bridge(database_snapshot_info=possible, database_restore_info=SQLITE)
    programs: list[list[str]] = []
    found = run_backup_info(bridge, {**OPTIONS, **asked}, lambda argv, **_options: programs.append(argv) or (0, "", ""))
    assert programs == [], "no archive of an SQLite database is read, and no program dumps one"
    assert found["way_back"] == way and len(bridge.asked) == operations, found
    assert found["needed_bytes"] == (possible.get("space") or {}).get("needed_bytes", 0)
    if possible is ONLY_ARCHIVES:
        assert found["refused"] == [{"id": "unsupported", "message": "MySQL has none. Dump it."}]


def test_what_can_not_be_found_out_of_an_archive_refuses_it_and_no_more() -> None:
    bridge: Any = _Bridge(database_snapshot_info=IMPOSSIBLE, database_restore_info=LOST)
    found = run_backup_info(bridge, OPTIONS, lambda *_arguments, **_options: (0, "", ""))
    assert "could not be found out: No answer. Set backup_restore_check_enabled" in found["refusals"][0]
    with pytest.raises(MigrationError, match="No answer"):
        run_backup_info(_Bridge(database_snapshot_info=LOST), OPTIONS, lambda *_arguments, **_options: (0, "", ""))  # type: ignore[arg-type]
