# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories that are no line, two databases of one env.py, and a table that the role may not read: the plan of each, rehearsed."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from support.application import Application, failed, ok
from support.planned import rules, scratches, sql, written

GATING = ("fails", "unknown", "blocks", "breaks")
BASE = sql("CREATE TABLE t (id int PRIMARY KEY, old text)")


@pytest.fixture
def own(postgres: Any) -> Iterator[Any]:
    made = postgres.database(attributes="createdb")
    yield made
    made.drop()


def forked(app: Application, database: Any, *more: tuple[str, tuple[str, ...]]) -> Any:
    """A project at its root, from which a left and a right branch go."""
    bodies: dict[str, tuple[str, ...]] = {
        "root": (BASE, ""),
        "left": ("op.add_column('t', sa.Column('l', sa.Text))", "op.drop_column('t', 'l')"),
        "right": ("op.create_table('r', sa.Column('id', sa.Integer))", "op.drop_table('r')", 'down_revision = "root"'),
        **dict(more),
    }
    project = written(app, database, bodies)
    ok(app.upgrade(project, "root"))
    return project


def phases(plan: dict[str, Any]) -> dict[str, str]:
    return {item["revision"]: item["phase"] for item in plan["revisions"]}


def test_two_heads_are_planned_when_both_are_asked_for(newest: Application, own: Any) -> None:
    project = forked(newest, own)
    told = failed(newest.run("plan", project), "multiple_heads")
    assert "left" in told["msg"] and "right" in told["msg"]
    plan = ok(newest.run("plan", project, revision="heads"))
    assert phases(plan) == {"left": "expand", "right": "expand"} and plan["route"] == "rolling"
    assert all(item["reversible"]["proved"] for item in plan["revisions"]), plan["revisions"]
    assert own.tables() == ["alembic_version", "t"] and scratches(own.server) == []


def test_what_follows_a_merge_is_planned_after_both_branches(newest: Application, own: Any) -> None:
    merged = "op.drop_column('t', 'old')", "op.add_column('t', sa.Column('old', sa.Text))", 'down_revision = ("left", "right")'
    plan = ok(newest.run("plan", forked(newest, own, ("merged", merged))))
    assert list(phases(plan).items())[-1] == ("merged", "contract") and set(phases(plan)) == {"left", "right", "merged"}
    assert rules(plan, "merged", *GATING) == ["C02:public.t.old"]
    assert plan["route"] == "rolling" and set(plan["before"]) == {"left", "right"} and plan["after"] == ["merged"]
    steps = {item["revision"]: item for item in plan["revisions"]}
    assert steps["merged"]["down_revision"] == ["left", "right"] and steps["merged"]["reversible"]["schema_restored"]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("core@head", ["5a1c0e7d2b31", "5a1c9f20c4d8"]),
        ("plugin@head", ["5a1c0e7d2b31", "c77e41a09d12", "5a1c9f20c4d8", "c77e86b3f05e"]),
    ],
)
def test_a_branch_is_planned_with_what_it_depends_on(newest: Application, own: Any, target: str, expected: list[str]) -> None:
    project = newest.project("branches", own)
    plan = ok(newest.run("plan", project, revision=target))
    order = [item["revision"] for item in plan["revisions"]]
    assert sorted(order) == sorted(expected) and plan["mode"] == "rehearsal"
    if target.startswith("plugin"):
        assert order.index("5a1c0e7d2b31") < order.index("c77e41a09d12") and order[-1] == "c77e86b3f05e"
    assert set(phases(plan).values()) == {"expand"} and own.tables() == []
    ok(newest.upgrade(project, target))
    assert ok(newest.run("plan", project, revision=target))["mode"] == "none"


def test_two_databases_of_one_env_file_are_planned_each_on_its_copy(newest: Application, postgres: Any, own: Any) -> None:
    second = postgres.database(attributes="createdb")
    project = newest.project("multidb", own, second_url=second.url())
    plan = ok(newest.run("plan", project))
    assert [entry["database"]["name"] for entry in plan["databases"]] == ["engine1", "engine2"]
    assert [(entry["mode"], entry["copy"]) for entry in plan["databases"]] == [("rehearsal", "database")] * 2
    told = [(item["database"], item["revision"]) for item in plan["revisions"]]
    assert told == [(name, revision) for name in ("engine1", "engine2") for revision in ("w001", "w002")]
    assert not [item for item in plan["revisions"] if item["phase"] != "expand"], plan["revisions"]
    made = {statement["sql"] for item in plan["revisions"] for statement in item["statements"]}
    assert len(made) >= 3  # each revision has a part of its own for each
    assert own.tables() == second.tables() == [] and scratches(postgres) == []
    second.drop()


def test_a_table_that_may_not_be_read_leaves_the_rest_to_be_rehearsed(newest: Application, own: Any) -> None:
    bodies = {
        "root": (BASE, ""),
        "one": (sql("ALTER TABLE t DROP COLUMN old"), ""),
        "two": (sql("ALTER TABLE secret ADD a int"), ""),
    }
    project = written(newest, own, bodies)
    ok(newest.upgrade(project, "root"))
    own.server.fetch('create table "Se cret" (id int); create table secret (id int)', name=own.name)
    plan = ok(newest.run("plan", project, throwaway_cluster=False))
    (told,) = [warning for warning in plan["warnings"] if "not complete" in warning]
    assert "permission denied for table secret" in told and "permission denied for table Se cret" in told
    assert plan["mode"] == "rehearsal" and rules(plan, "one", *GATING) == ["C02:public.t.old"]
    assert rules(plan, "two", *GATING) == ["X01:two"] and plan["route"] == "refuse"
    own.server.fetch('drop table "Se cret", secret', name=own.name)
