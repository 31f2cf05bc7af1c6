# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects from PyPI, unmodified: from a release of some years ago to the newest, and where their own command line ends."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.sqlite import SqliteDatabase

from .known import DATABASES, PROJECTS, Place, Project

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
CASES = [(name, kind) for name in PROJECTS for kind in DATABASES.get(name, ("pg", "sqlite"))]


@pytest.fixture
def both(request: pytest.FixtureRequest, python_of: Callable[[str], Path], tmp_path: Path) -> Iterator[tuple[Project, Project]]:
    """The project twice, each time with a database that its older release has made and filled: ours, and for its own command."""
    name, kind = request.param
    old, new = python_of(f"{name}-old"), python_of(name)
    made: list[Any] = []
    projects = []
    for whose in ("ours", "theirs"):
        folder = tmp_path / whose
        folder.mkdir()
        server = None if kind == "sqlite" else request.getfixturevalue("mariadb" if kind == "mariadb" else "postgres")
        database = server.database() if server else SqliteDatabase(folder / f"{name}.db")
        made.append(database)
        projects.append(PROJECTS[name](Place(old, new, folder, database)))
        projects[-1].make()
    yield projects[0], projects[1]
    for database in made:
        database.drop()


def revision(database: Any) -> list[str]:
    return sorted(row[0] for row in database.fetch("select version_num from alembic_version"))


def schema(database: Any) -> list[str]:
    """All that is in the database but rows, as lines in an order that says nothing."""
    if database.dialect == "sqlite":
        made = [row[0] for row in database.fetch("select sql from sqlite_master where sql is not null")]
        return sorted(" ".join(sorted(re.findall(r"[^\s,()]+", sql))) for sql in made)  # constraints come in any order
    if database.dialect != "postgresql":
        kinds = "table_name, column_name, column_type, is_nullable, column_default, column_key"
        made = database.fetch(f"select {kinds} from information_schema.columns where table_schema = database()")
        return sorted(" ".join(map(str, row)) for row in made)
    server = database.server
    command = [str(server.binaries / "pg_dump"), "-h", server.host, "-p", str(server.port), "-U", "postgres", database.name]
    done = subprocess.run(
        [*command, "--schema-only", "--no-owner", "--no-privileges"],
        env={**os.environ, "PGPASSWORD": server.password},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return [line for line in done.stdout.splitlines() if line and not re.match(r"--|\\(un)?restrict|SET |SELECT pg_catalog", line)]


def rows(database: Any) -> dict[str, int]:
    quote = '"' if database.dialect in ("sqlite", "postgresql") else "`"
    names = [name for name in database.tables() if name != "alembic_version"]
    return {name: count for name in names if (count := database.fetch(f"select count(*) from {quote}{name}{quote}")[0][0])}


@pytest.mark.parametrize("both", CASES, ids=lambda case: "-".join(case), indirect=True)
def test_from_an_old_release_to_the_newest(both: tuple[Project, Project]) -> None:
    ours, theirs = both
    database = ours.place.database
    old, kept, before = revision(database), rows(database), database.dump()
    assert kept, "nothing was filled in"

    info = ours.run("info", target=ours.revision)
    assert info["status"] == "behind" and info["current"] == old
    plan = ours.run("plan", revision=ours.revision)
    pending = [step["revision"] for step in info["databases"][0]["pending"]]
    assert [step["revision"] for step in plan["revisions"]] == pending and pending
    assert database.dump() == before, "what only looks has changed something"

    result = ours.run("upgrade", revision=ours.revision, initialise="refuse")
    new = revision(database)
    assert result["changed"] and sorted(result["after"]) == new != old
    assert ours.run("info", target=ours.revision)["status"] == "at_target"
    assert not ours.run("upgrade", revision=ours.revision)["changed"]
    assert set(kept) & set(rows(database)), "all rows are gone"

    theirs.migrate_its_own_way()
    assert revision(theirs.place.database) == new, "their own command line ends elsewhere"
    assert schema(theirs.place.database) == schema(database)
    before = database.dump()
    ours.migrate_its_own_way()
    assert (revision(database), schema(database)) == (new, schema(theirs.place.database)), "their command line did something more"

    if ours.down:
        back = ours.run("downgrade", revision=",".join(old))
        assert back["changed"] and revision(database) == old
        if ours.again:
            assert ours.run("upgrade", revision=ours.revision)["changed"] and revision(database) == new
        assert set(kept) & set(rows(database))
