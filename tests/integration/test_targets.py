# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that Alembic understands as a target, and what we refuse of it, the same with every Alembic."""

from __future__ import annotations

from typing import Any

import pytest

from support.application import Application, failed, ok, revisions
from support.quick import some

CORE_1, CORE_2, PLUGIN_1, PLUGIN_2 = "5a1c0e7d2b31", "5a1c9f20c4d8", "c77e41a09d12", "c77e86b3f05e"

# project, where to start, operation, target, and where it ends or the error kind
MOVES = [
    ("linear", "base", "upgrade", "head", ["r005"]),
    ("linear", "base", "upgrade", "heads", ["r005"]),
    ("linear", "base", "upgrade", "r003", ["r003"]),
    ("linear", "r002", "upgrade", "+1", ["r003"]),
    ("linear", "r002", "upgrade", "+2", ["r004"]),
    ("linear", "r002", "upgrade", "r003+1", ["r004"]),
    ("linear", "r005", "upgrade", "r005", ["r005"]),
    ("linear", "r005", "upgrade", "heads", ["r005"]),
    ("linear", "r003", "upgrade", "-1", "target_invalid"),
    ("linear", "r003", "upgrade", "base", "target_invalid"),
    ("linear", "r003", "upgrade", "+9", "target_invalid"),
    ("linear", "r003", "upgrade", "r004+9", "target_invalid"),
    ("linear", "r003", "upgrade", "", "target_invalid"),
    ("linear", "r003", "downgrade", " ", "target_invalid"),
    ("linear", "r003", "upgrade", "nothing", "revision_unknown"),
    ("linear", "r005", "downgrade", "-1", ["r004"]),
    ("linear", "r005", "downgrade", "-2", ["r003"]),
    ("linear", "r005", "downgrade", "r002", ["r002"]),
    ("linear", "r005", "downgrade", "r003-1", ["r002"]),
    ("linear", "r003", "downgrade", "base", []),
    ("linear", "base", "downgrade", "base", []),
    ("linear", "r003", "downgrade", "+1", "target_invalid"),
    ("linear", "r003", "downgrade", "head", "target_invalid"),
    ("linear", "r003", "downgrade", "-9", "target_invalid"),
    ("linear", "r003", "downgrade", "nothing", "revision_unknown"),
    ("linear", "base", "stamp", "head", ["r005"]),
    ("linear", "r005", "stamp", "r002", ["r002"]),
    ("linear", "r005", "stamp", "base", []),
    ("linear", "r003", "stamp", "+1", "target_invalid"),
    ("linear", "r003", "stamp", "nothing", "revision_unknown"),
    ("two_heads", "base", "upgrade", "head", "multiple_heads"),
    ("two_heads", "base", "upgrade", "heads", ["t002a", "t002b"]),
    ("two_heads", "t001", "upgrade", "t002b", ["t002b"]),
    ("two_heads", "base", "stamp", "head", "multiple_heads"),
    ("two_heads", "base", "stamp", "heads", ["t002a", "t002b"]),
    ("two_heads", "base", "stamp", "t002a,t002b", ["t002a", "t002b"]),
    ("two_heads", "heads", "downgrade", "-1", "target_invalid"),
    ("two_heads", "heads", "downgrade", "t001", ["t001"]),
    ("branches", "base", "upgrade", "core@head", [CORE_2]),
    ("branches", "base", "upgrade", "core@+1", [CORE_1]),
    ("branches", "base", "upgrade", "plugin@head", [PLUGIN_2]),
    ("branches", "base", "upgrade", "5a1c9", [CORE_2]),
    ("branches", "base", "upgrade", "heads", [PLUGIN_2]),
    ("branches", "base", "upgrade", "nobody@head", "revision_unknown"),
    ("branches", "heads", "downgrade", "plugin@-1", [CORE_2, PLUGIN_1]),
    ("branches", "heads", "downgrade", "plugin@base", [CORE_2]),
]
#: A relative, a partial and an absolute one of each operation, each way to be refused, and branches.
QUICK = [
    move
    for move in MOVES
    if move[:4]
    in (
        ("linear", "r002", "upgrade", "r003+1"),
        ("linear", "r003", "upgrade", "-1"),
        ("linear", "r003", "upgrade", ""),
        ("linear", "r003", "upgrade", "nothing"),
        ("linear", "r005", "downgrade", "-2"),
        ("linear", "r003", "downgrade", "base"),
        ("linear", "r003", "downgrade", "head"),
        ("linear", "base", "stamp", "head"),
        ("linear", "r003", "stamp", "+1"),
        ("two_heads", "base", "upgrade", "head"),
        ("two_heads", "base", "upgrade", "heads"),
        ("two_heads", "base", "stamp", "t002a,t002b"),
        ("two_heads", "heads", "downgrade", "-1"),
        ("branches", "base", "upgrade", "core@+1"),
        ("branches", "base", "upgrade", "5a1c9"),
        ("branches", "heads", "downgrade", "plugin@base"),
    )
]


@pytest.mark.parametrize(
    ("name", "start", "operation", "target", "end"), some(MOVES, *QUICK), ids=lambda value: str(value).replace(" ", "")
)
def test_target(app: Application, sqlite: Any, name: str, start: str, operation: str, target: str, end: Any) -> None:
    project = app.project(name, sqlite)
    if start != "base":
        done = app.cli(project, "upgrade", start)
        assert done.returncode == 0, done.stderr
    before = sqlite.dump()
    result = app.run(operation, project, revision=target)
    if isinstance(end, str):
        failed(result, end)
        assert sqlite.dump() == before and not result["changed"]
    else:
        ok(result)
        assert result["after"] == sorted(end) and heads(sqlite) == sorted(end)
        assert result["changed"] == (result["before"] != result["after"])
        assert result["state"] == "to_revision"


def heads(database: Any) -> list[str]:
    if "alembic_version" not in database.tables():
        return []
    return sorted(row[0] for row in database.fetch("select version_num from alembic_version"))


def test_an_upgrade_to_an_older_revision_does_nothing(app: Application, sqlite: Any) -> None:
    """The database is past the target: nothing to do, and nothing undone."""
    project = app.project("linear", sqlite)
    ok(app.upgrade(project))
    result = ok(app.upgrade(project, "r003"))
    assert not result["changed"] and heads(sqlite) == ["r005"]
    assert ok(app.info(project, target="r003"))["status"] == "ahead"


def test_stamp_purge_leaves_a_revision_that_nobody_knows(app: Application, sqlite: Any) -> None:
    project = app.project("linear", sqlite)
    ok(app.upgrade(project, "r002"))
    sqlite.fetch("update alembic_version set version_num = 'from_another_life'")
    failed(app.stamp(project, "r002"), "database_ahead")
    result = ok(app.stamp(project, "r002", purge=True))
    assert result["changed"] and heads(sqlite) == ["r002"]
    assert ok(app.upgrade(project))["after"] == ["r005"]


def test_expect_current(app: Application, sqlite: Any) -> None:
    project = app.project("linear", sqlite)
    ok(app.upgrade(project, "r002", expect_current=["base"]))
    failed(app.upgrade(project, expect_current=["r003"]), "unexpected_revision")
    assert heads(sqlite) == ["r002"]
    assert ok(app.upgrade(project, expect_current=["r002"]))["after"] == ["r005"]
    assert not ok(app.upgrade(project, expect_current=["r002"]))["changed"]
    failed(app.downgrade(project, "-1", expect_current=["r001"]), "unexpected_revision")
    failed(app.stamp(project, "r001", expect_current=["r001"]), "unexpected_revision")
    assert heads(sqlite) == ["r005"]


def test_max_pending(app: Application, sqlite: Any) -> None:
    project = app.project("linear", sqlite)
    failed(app.upgrade(project, max_pending=4), "too_many_pending")
    assert heads(sqlite) == [] and "users" not in sqlite.tables()
    assert ok(app.upgrade(project, max_pending=5))["after"] == ["r005"]
    failed(app.downgrade(project, "base", max_pending=3), "too_many_pending")
    assert heads(sqlite) == ["r005"]


@pytest.mark.core(quick=True)
def test_info(app: Application, pg: Any) -> None:
    project = app.project("linear", pg)
    fresh = ok(app.info(project))
    assert (
        fresh["status"] == "uninitialised"
        and fresh["initialised"] is False
        and revisions(fresh["pending"]) == revisions(fresh["history"])[::-1]
    )
    assert pg.tables() == []
    ok(app.upgrade(project, "r002"))
    behind = ok(app.info(project))
    assert (
        behind["status"] == "behind"
        and behind["current"] == ["r002"]
        and behind["heads"] == ["r005"]
        and behind["bases"] == ["r001"]
    )
    third = behind["pending"][0]
    assert (third["revision"], third["message"], third["down_revision"]) == ("r003", "create orders", ["r002"])
    assert third["path"].endswith("r003_create_orders.py")
    assert revisions(ok(app.info(project, target="+1"))["pending"]) == ["r003"]
    shown = behind["database"]
    assert (shown["dialect"], shown["driver"], shown["host"], shown["port"]) == (
        "postgresql",
        "psycopg2",
        "127.0.0.1",
        pg.server.port,
    )
    assert (shown["database"], shown["user"], shown["schema"], shown["version_table"]) == (
        pg.name,
        pg.role,
        "public",
        "alembic_version",
    )
    assert (
        shown["server_version"].startswith(str(pg.server.version[0])) and shown["transactional_ddl"] is True and not shown["pooler"]
    )
    pg.fetch("update alembic_version set version_num = 'r999'")
    unknown = ok(app.info(project))
    assert unknown["status"] == "unknown_revision" and unknown["unknown"] == ["r999"] and unknown["pending"] == []


def test_info_of_a_database_without_revisions(app: Application, pg: Any) -> None:
    """With a version table that is empty the database is initialised and at base."""
    project = app.project("linear", pg)
    pg.fetch("create table alembic_version (version_num varchar(32))")
    pg.fetch(f"alter table alembic_version owner to {pg.role}")
    assert ok(app.info(project))["status"] == "behind"


def test_info_of_branches(app: Application, sqlite: Any) -> None:
    project = app.project("branches", sqlite)
    ok(app.upgrade(project, "heads"))
    info = ok(app.info(project))
    assert (
        info["status"] == "at_target"
        and info["pending"] == []
        and info["heads"] == [CORE_2, PLUGIN_2]
        and info["current"] == [PLUGIN_2]
    )
    labels = {entry["revision"]: entry["branch_labels"] for entry in info["history"]}
    assert "plugin" in labels[PLUGIN_1] and "core" in labels[CORE_1]
    assert ok(app.info(app.project("two_heads", sqlite)))["branches"] == ["t001"]
