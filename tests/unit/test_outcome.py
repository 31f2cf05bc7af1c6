# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a migration did is derived from heads read anew: each way in which a run and the database can disagree."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.diff import migration_diff
from ansible_collections.dbops.alembic.plugins.module_utils._core.graph import ancestors
from ansible_collections.dbops.alembic.plugins.module_utils._core.outcome import migration

GRAPH = {"a1": [], "a2": ["a1"], "a3": ["a2"], "p1": ["a2"], "m1": ["a3", "p1"]}
DATABASE = {"name": None, "database": "shop", "schema": "public", "version_table_schema": None}


def step(revision):
    return {
        "revision": revision,
        "message": f"message of {revision}",
        "path": f"/m/{revision}.py",
        "down_revision": GRAPH[revision],
    }


def ran(revision, finished=True, committed=False):
    return {
        "revision": revision,
        "seconds": 0.5 if finished else None,
        "sql": ["SELECT 1"],
        "finished": finished,
        "committed": committed,
    }


def reply(before, after, planned, runs, error=None, lock=None, invalid_before=(), invalid=()):
    observed = None if after is None else {"current": after, "invalid_indexes": list(invalid)}
    context = {
        "database": DATABASE,
        "before": before,
        "planned": [step(name) for name in planned],
        "ran": runs,
        "lock": lock,
        "observed": observed,
        "invalid_before": list(invalid_before),
    }
    return {"error": error, "graph": GRAPH, "contexts": [context], "attempts": [], "warnings": [], "output": "", "versions": None}


ERROR = {
    "kind": "migration_failed",
    "message": "ProgrammingError: no such table.",
    "revision": "a3",
    "file": "/m/a3.py",
    "line": 7,
    "statement": "x",
    "sqlstate": "42P01",
}

# before, after, planned, ran, error → state, changed, applied, rolled back, error kind
UPGRADES = [
    pytest.param(
        ["a1"], ["a3"], ["a2", "a3"], [ran("a2"), ran("a3")], None, "to_revision", True, ["a2", "a3"], [], None, id="all applied"
    ),
    pytest.param(["a3"], ["a3"], [], [], None, "to_revision", False, [], [], None, id="nothing pending"),
    pytest.param(
        ["a1"],
        ["a2"],
        ["a2", "a3"],
        [ran("a2"), ran("a3", False)],
        ERROR,
        "between",
        True,
        ["a2"],
        ["a3"],
        "migration_failed",
        id="second fails",
    ),
    pytest.param(
        ["a2"], ["a2"], ["a3"], [ran("a3", False)], ERROR, "from_revision", False, [], ["a3"], "migration_failed", id="first fails"
    ),
    pytest.param(
        ["a2"],
        ["a2"],
        ["a3"],
        [ran("a3", False, True)],
        ERROR,
        "dirty",
        True,
        [],
        [],
        "migration_failed",
        id="committed before failing",
    ),
    pytest.param(
        ["a1"],
        ["a1"],
        ["a2", "a3"],
        [ran("a2"), ran("a3", False)],
        ERROR,
        "from_revision",
        False,
        [],
        ["a2", "a3"],
        "migration_failed",
        id="one transaction around all",
    ),
    pytest.param(
        ["a1"], ["a1"], ["a2"], [ran("a2")], None, "from_revision", False, [], ["a2"], "not_persisted", id="env.py did not commit"
    ),
    pytest.param(
        ["a1"],
        ["a2"],
        ["a2", "a3"],
        [ran("a2")],
        None,
        "between",
        True,
        ["a2"],
        [],
        "verification_failed",
        id="ended well, one missing",
    ),
    pytest.param(["a1"], None, ["a2"], [ran("a2", False)], ERROR, "unknown", False, [], [], "migration_failed", id="server gone"),
    pytest.param(["a2"], ["a2"], [], [], ERROR, "from_revision", False, [], [], "migration_failed", id="refused before planning"),
    pytest.param(
        ["a3"], ["m1"], ["p1", "m1"], [ran("p1"), ran("m1")], None, "to_revision", True, ["p1", "m1"], [], None, id="merge"
    ),
]


@pytest.mark.parametrize("before, after, planned, runs, error, state, changed, applied, rolled_back, kind", UPGRADES)
def test_upgrade(before, after, planned, runs, error, state, changed, applied, rolled_back, kind):
    outcome = migration(reply(before, after, planned, runs, error), "upgrade")
    [database] = outcome.databases
    assert (outcome.state, outcome.changed) == (state, changed)
    assert [entry["revision"] for entry in database.applied] == applied
    assert database.rolled_back == rolled_back
    assert (outcome.failure.kind if outcome.failure else None) == kind


def test_a_downgrade_is_done_when_the_revision_is_gone():
    outcome = migration(reply(["a3"], ["a1"], ["a3", "a2"], [ran("a3"), ran("a2")]), "downgrade")
    assert (outcome.state, outcome.changed, outcome.failure) == ("to_revision", True, None)


def test_a_downgrade_that_stops_is_between():
    outcome = migration(reply(["a3"], ["a2"], ["a3", "a2"], [ran("a3"), ran("a2", False)], dict(ERROR, revision="a2")), "downgrade")
    assert (outcome.state, [entry["revision"] for entry in outcome.databases[0].applied]) == ("between", ["a3"])


def test_what_was_seen_committed_counts_where_nothing_can_be_read():
    runs = [dict(ran("a1"), kept=True), dict(ran("a2"), kept=False)]
    answer = reply([], None, ["a1", "a2"], runs, error={"kind": "environment_failed", "message": "no", "revision": None})
    result = migration(answer, "upgrade").as_result()
    assert (result["state"], result["after"], result["changed"], result["pending"]) == ("unknown", None, True, ["a2"])
    assert [item["revision"] for item in result["applied"]] == ["a1"] and result["rolled_back"] == []


@pytest.mark.parametrize(
    ("to", "after", "state"),
    [
        ("a2", ["a2"], "to_revision"),
        ("a2", ["a1"], "from_revision"),
        ("base", [], "to_revision"),
        ("base", ["a1"], "from_revision"),
    ],
)
def test_a_stamp_after_which_env_py_failed(to, after, state):
    planned = {"revision": to, "message": "stamp", "down_revision": ["a1"], "path": None}
    answer = reply(["a1"], after, [], [], error={"kind": "environment_failed", "message": "no", "revision": None})
    answer["contexts"][0]["planned"] = [planned]
    result = migration(answer, "stamp").as_result()
    assert (result["state"], result["changed"], result["pending"] == []) == (state, after != ["a1"], after != ["a1"])


@pytest.mark.parametrize(
    ("operation", "status", "state"),
    [("upgrade", "at_target", "to_revision"), ("upgrade", "behind", "unknown"), ("downgrade", "at_target", "unknown")],
)
def test_where_nobody_knows_what_was_before(operation, status, state):
    found = reply(["a3"], ["a3"], [], [], ERROR)
    found["contexts"][0].update(unseen=operation, observed={**found["contexts"][0]["observed"], "status": status})
    result = migration(found, operation).as_result()
    assert (result["state"], result["after"]) == (state, ["a3"])


def test_the_failure_says_what_where_and_how_it_stands():
    outcome = migration(reply(["a2"], ["a2"], ["a3"], [ran("a3", False)], ERROR), "upgrade")
    assert outcome.failure.message == (
        "Revision a3 (message of a3) failed: ProgrammingError: no such table (/m/a3.py:7). The database is as it was, at a2."
    )
    assert outcome.failure.failed_revision["sqlstate"] == "42P01"


def test_revisions_that_share_a_transaction_are_undone_together():
    told = reply(["a1"], ["a1"], ["a2", "a3"], [ran("a2"), ran("a3", False)], ERROR)
    told["contexts"][0]["database"] = dict(DATABASE, transaction_per="run")
    outcome = migration(told, "upgrade")
    assert (outcome.state, outcome.changed, outcome.databases[0].rolled_back) == ("from_revision", False, ["a2", "a3"])
    assert outcome.failure.message.endswith(
        "The database is as it was, at a1. All revisions of this run share a transaction of env.py, so a2, a3 were undone together."
    )


def test_the_blocker_is_named():
    blocker = {
        "pid": 41,
        "user": "report",
        "application": "",
        "state": "active",
        "since": "2026-01-01T00:00:00Z",
        "locks": "orders AccessShareLock",
    }
    outcome = migration(
        reply(["a2"], ["a2"], ["a3"], [ran("a3", False)], dict(ERROR, kind="lock_timeout", blockers=[blocker])), "upgrade"
    )
    assert (
        "Blocked by pid 41 (report, unnamed, active since 2026-01-01T00:00:00Z: orders AccessShareLock)" in outcome.failure.message
    )


def test_only_new_invalid_indexes_fail_the_verification():
    old = migration(reply(["a2"], ["a3"], ["a3"], [ran("a3")], invalid_before=["public.old"], invalid=["public.old"]), "upgrade")
    new = migration(
        reply(["a2"], ["a3"], ["a3"], [ran("a3")], invalid_before=["public.old"], invalid=["public.old", "public.new"]), "upgrade"
    )
    assert old.failure is None
    assert (new.failure.kind, new.databases[0].invalid_indexes) == ("verification_failed", ["public.new"])


def test_a_lost_lock_and_a_pooler_are_warned_of():
    lost = migration(reply(["a2"], ["a3"], ["a3"], [ran("a3")], lock={"mode": "transaction", "kept": False}), "upgrade")
    assert len(lost.warnings) == 2


def test_check_mode_changes_nothing_and_says_what_would():
    outcome = migration(reply(["a1"], ["a1"], ["a2", "a3"], []), "upgrade", dry=True)
    assert (outcome.changed, outcome.state, outcome.failure) == (True, "from_revision", None)
    assert migration(reply(["a3"], ["a3"], [], []), "upgrade", dry=True).changed is False


def test_one_database_stands_at_the_top_and_several_do_not():
    one = migration(reply(["a1"], ["a2"], ["a2"], [ran("a2")]), "upgrade")
    assert one.as_result()["after"] == ["a2"]
    two = reply(["a1"], ["a2"], ["a2"], [ran("a2")])
    two["contexts"].append(reply(["a2"], ["a2"], [], [])["contexts"][0])
    result = migration(two, "upgrade").as_result()
    assert "after" not in result
    assert [entry["after"] for entry in result["databases"]] == [["a2"], ["a2"]]


def test_the_worst_state_of_several_databases_counts():
    both = reply(["a1"], ["a2"], ["a2"], [ran("a2")], ERROR)
    both["contexts"].append(reply(["a2"], ["a2"], ["a3"], [ran("a3", False, True)])["contexts"][0])
    assert migration(both, "upgrade").state == "dirty"


def test_the_diff_shows_heads_and_in_check_mode_the_sql():
    entry = {
        "database": DATABASE,
        "before": ["a1"],
        "after": ["a1"],
        "planned": [dict(step("a2"), sql="CREATE TABLE t ();"), dict(step("a3"), sql=None, reason="it reads")],
    }
    heads, created, opaque = migration_diff([entry], dry=True)
    assert (heads["before"], heads["after"]) == ("a1\n", "a2 message of a2\na3 message of a3\n")
    assert created["prepared"] == "-- a2 message of a2\nCREATE TABLE t ();\n"
    assert opaque["prepared"] == "-- a3 message of a3\n-- not previewable: it reads\n"
    assert migration_diff([dict(entry, after=["a3"])], dry=False) == [
        {"before_header": "shop (revision)", "after_header": "shop (revision)", "before": "a1\n", "after": "a3\n"}
    ]


@pytest.mark.parametrize("revisions, expected", [([], set()), (["a2"], {"a1", "a2"}), (["m1"], set(GRAPH)), (["zz"], {"zz"})])
def test_ancestors(revisions, expected):
    assert ancestors(GRAPH, revisions) == expected


MOVE = {"from": [], "to": ["a3"], "by_project": True}


def test_a_project_that_migrated_before_us_is_told_and_is_not_ours():
    answer = reply(["a3"], ["a3"], [], [])
    answer["contexts"][0]["moved"] = MOVE
    outcome = migration(answer, "upgrade")
    result = outcome.as_result()
    assert outcome.changed and outcome.failure is None and result["applied"] == [] and result["before"] == ["a3"]
    assert result["other_moves"] == [dict(MOVE, when="before")] and "from base to a3" in outcome.warnings[0]


def test_somebody_who_may_not_be_the_project_changed_nothing_of_ours():
    answer = reply(["a3"], ["a3"], [], [])
    answer["contexts"][0]["moved"] = dict(MOVE, by_project=False)
    outcome = migration(answer, "upgrade")
    assert not outcome.changed and "or somebody else" in outcome.warnings[0]


def test_a_project_that_takes_back_what_the_run_did():
    answer = reply(["a3"], ["a3"], ["a3", "a2"], [ran("a3"), ran("a2")])
    answer["contexts"][0]["observed"]["moved"] = {"from": ["a1"], "to": ["a3"], "by_project": True}
    outcome = migration(answer, "downgrade")
    assert outcome.failure.kind == "verification_failed" and "from a1 to a3" in outcome.failure.message
    assert outcome.databases[0].rolled_back == []
