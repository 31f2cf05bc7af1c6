# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What env.py sets up holds for every revision: each kind ends where the alembic program ends, by catalogue and by row.

The program runs in the same application environment on databases of its own. After a failure in the second of three revisions a
project whose revisions share a transaction is where the program left it, at the start; one that has a transaction for each
revision is where the program would be that had been told to stop before the one that fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support import venvs
from support.application import Application, failed, ok, revisions
from support.environments import ENVIRONMENTS, Environment
from support.projects import Project
from support.quick import some
from support.runner import cli_heads
from support.sqlite import SqliteDatabase

HEAD = ["e3"]


class Side:
    """A project with databases of its own; equal sides have equal states."""

    def __init__(self, app: Application, kind: Environment, made: list[Any], folder: Path):
        self.app, self.kind, self.made = app, kind, made
        for database in made:
            for statement in kind.prepared:
                database.fetch(statement.format(role=database.role))
        urls = [database.url(kind.driver) if kind.driver else database.url() for database in made]
        self.project: Project = kind.project(folder, ",".join(urls))

    def program(self, *arguments: str, fail: str | None = None) -> None:
        done = self.app.cli(self.project, *arguments, environment={"FAIL": fail} if fail else None)
        assert bool(done.returncode) == bool(fail), done.stderr

    def module(self, operation: str, revision: str | None = None, fail: str | None = None) -> dict[str, Any]:
        given = {"revision": revision} if revision else {}
        return self.app.run(operation, self.project, **given, **({"environment": {"FAIL": fail}} if fail else {}))

    def state(self) -> list[str]:
        return [_anonymous(database) for database in self.made]

    def drop(self) -> None:
        for database in self.made:
            database.drop()
            if any("create role" in statement for statement in self.kind.prepared):
                database.server.fetch(f"drop role own_{database.role}")


def _anonymous(database: Any) -> str:
    text = database.dump()
    for name, sign in (("role", "ROLE"), ("name", "DATABASE")):
        text = text.replace(getattr(database, name, None) or "\0", sign)
    return str(text)


@pytest.fixture
def sides(app: Application, kind: Environment, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Makes one side after the other."""
    if venvs.ALEMBICS.index(app.name) < venvs.ALEMBICS.index(kind.least):
        pytest.skip(f"needs {kind.least}")
    fixture = {"postgresql": "postgres", "mysql": "mariadb"}.get(kind.dialect)
    server = request.getfixturevalue(fixture) if fixture else None
    made: list[Side] = []

    def make(like: Environment = kind) -> Side:
        folder = tmp_path / f"side{len(made)}"
        folder.mkdir()
        databases = [server.database() if server else SqliteDatabase(folder / "data.sqlite") for _one in range(kind.databases)]
        made.append(Side(app, like, databases, folder / "project"))
        return made[-1]

    yield make
    for side in made:
        side.drop()


def ways(*quick: str) -> Any:
    """Every kind, of which these are quick."""
    return pytest.mark.parametrize("kind", some(ENVIRONMENTS, *quick), ids=str)


@ways("set_local_by_a_raw_cursor", "search_path_and_schema", "goes_on_afterwards")
def test_upgrade(sides: Any, kind: Environment) -> None:
    """And what is seen of it afterwards, by the program and by a second run."""
    ours, theirs = sides(), sides()
    result = ok(ours.module("upgrade", "head"))
    theirs.program("upgrade", "head")
    assert ours.state() == theirs.state()
    for entry in result["databases"]:
        assert (entry["before"], entry["after"], entry["state"]) == ([], HEAD, "to_revision")
        assert revisions(entry["applied"]) == ["e1", "e2", "e3"] and entry["rolled_back"] == []
        assert entry["database"]["transaction_per"] == kind.transaction_per
    assert len(result["databases"]) == kind.databases
    for side in (ours, theirs):
        assert cli_heads(side.project, python=ours.app.python) == HEAD * kind.databases
    again = ok(ours.module("upgrade", "head"))
    theirs.program("upgrade", "head")
    assert not again["changed"] and all(entry["before"] == entry["after"] == HEAD for entry in again["databases"])
    if kind.reads:
        told = ok(theirs.module("info"))
        assert [(entry["current"], entry["status"]) for entry in told["databases"]] == [(HEAD, "at_target")] * kind.databases
    assert ours.state() == theirs.state()


@ways("plain", "set_local")
def test_failure(sides: Any, kind: Environment) -> None:
    """In the second of three revisions; what was begun can be finished afterwards."""
    ours, theirs = sides(), sides()
    result = failed(ours.module("upgrade", "head", fail="up"), "migration_failed")
    theirs.program("upgrade", "head", fail="up")
    first = result["databases"][0]
    assert result["failed_revision"]["revision"] == "e2"
    compare(kind, sides, ours, theirs, first, "upgrade", "e1")
    if kind.transaction_per == "run":
        assert (first["before"], first["after"], first["state"]) == ([], [], "from_revision")
        assert first["applied"] == [] and first["rolled_back"] == ["e1", "e2"] and not result["changed"]
        assert "undone together" in result["msg"]
    elif first["state"] != "dirty":
        assert (first["after"], first["state"]) == (["e1"], "between")
        assert revisions(first["applied"]) == ["e1"] and first["rolled_back"] == ["e2"]
    if first["state"] != "dirty":
        ok(ours.module("upgrade", "head"))
        theirs.program("upgrade", "head")
        assert ours.state() == theirs.state()


@ways("set_local")
def test_downgrade(sides: Any, kind: Environment) -> None:
    """One that fails in the second of three, then one that does not."""
    ours, theirs = sides(), sides()
    ours.program("upgrade", "head")
    theirs.program("upgrade", "head")
    assert ours.state() == theirs.state(), "the program does not do the same twice"
    result = failed(ours.module("downgrade", "base", fail="down"), "migration_failed")
    theirs.program("downgrade", "base", fail="down")
    first = result["databases"][0]
    compare(kind, sides, ours, theirs, first, "downgrade", "e2")
    if kind.transaction_per == "run":
        assert (first["after"], first["state"], first["rolled_back"]) == (HEAD, "from_revision", ["e3", "e2"])
    if first["state"] == "dirty":
        return
    ok(ours.module("downgrade", "base"))
    theirs.program("downgrade", "base")
    assert ours.state() == theirs.state()


@ways("set_local_role")
def test_stamp(sides: Any, kind: Environment) -> None:
    ours, theirs = sides(), sides()
    result = ok(ours.module("stamp", "e2"))
    theirs.program("stamp", "e2")
    assert ours.state() == theirs.state() and all(entry["after"] == ["e2"] for entry in result["databases"])


def compare(kind: Environment, sides: Any, ours: Side, theirs: Side, first: dict[str, Any], operation: str, stop: str) -> None:
    """Hold what a failure left against what the program left, or would have left that had stopped before the revision."""
    if kind.failing == "program":
        assert ours.state() == theirs.state()
        return
    assert first["after"] == [stop]
    if kind.failing == "unclaimed":
        other = sides(replace(kind, configure=""))
        if operation == "downgrade":
            other.program("upgrade", "head")
        other.program(operation, "head" if operation == "upgrade" else "base", fail="up" if operation == "upgrade" else "down")
        assert ours.state() == other.state()
        return
    stopped = sides()
    if operation == "downgrade":
        stopped.program("upgrade", "head")
    stopped.program(operation, stop)
    # of several databases the failing one ends the run, so the others were not reached
    assert ours.state()[0] == stopped.state()[0] and ours.state()[1:] == theirs.state()[1:]
