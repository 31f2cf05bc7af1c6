# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories that contradict themselves or the version table: each is told before anything runs, with the files and the remedy."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from support.application import Application, failed, ok
from support.projects import Project

REVISION = '''"""{name}"""
from alembic import op
import sqlalchemy as sa

revision, down_revision = {name!r}, {down!r}


def upgrade():
    op.create_table("t_{table}", sa.Column("id", sa.Integer, primary_key=True))


def downgrade():
    op.drop_table("t_{table}")
'''


def project_of(app: Application, database: Any, **files: tuple[str, Any]) -> Project:
    """A project with these revision files, name of the file → id and predecessor."""
    project = app.project("linear", database)
    for path in project.versions().glob("*.py"):
        path.unlink()
    for name, (revision, down) in files.items():
        (project.versions() / f"{name}.py").write_text(REVISION.format(name=revision, down=down, table=name))
    return project


@pytest.mark.parametrize(
    ("files", "said", "remedy"),
    [
        ({"f3_a": ("f3", None), "f4_b": ("f4", "f3_a")}, "is the id of no revision file. It is the name of a file", "= 'f3'."),
        ({"f3_a": ("f3", None), "f4_b": ("f4", "gone")}, "down_revision 'gone' in", "may not have been committed"),
        ({"f3": ("f3", None), "one": ("f4", "f3"), "two": ("f4", "f3")}, "have the same revision id 'f4'", "an id of its own"),
        (
            {"f3": ("f3", None), "one": ("f4", "f3"), "two": ("f4", "f3"), "f5": ("f5", "f4")},
            "have the same revision id 'f4'",
            "an id of its own",
        ),
        (
            {"f3": ("f3", "f5"), "f4": ("f4", "f3"), "f5": ("f5", "f4")},
            "f3 after f5 after f4 after f3",
            "name what has to run first",
        ),
        ({"f3": ("f3", None), "f4": (4, "f3")}, "is 4, which is no id", "text in quotes"),
    ],
    ids=["file name", "missing file", "doubled head", "doubled in the middle", "circle", "no text"],
)
def test_files_that_contradict_each_other(app: Application, sqlite: Any, files: dict[str, Any], said: str, remedy: str) -> None:
    project = project_of(app, sqlite, **files)
    asked = (app.run("check", project), app.run("plan", project))
    for result in (app.upgrade(project), app.upgrade(project, check=True), app.info(project), *asked):
        error = failed(result, "history_damaged")
        assert said in error["msg"] and remedy in error["hint"], error
        assert str(project.versions()) in error["msg"]
    assert sqlite.tables() == []


def test_a_version_table_that_holds_an_ancestor_too(app: Application, database: Any) -> None:
    project = project_of(app, database, f3=("f3", None), f4=("f4", "f3"), f5=("f5", "f4"))
    ok(app.upgrade(project, "f4"))
    database.fetch("insert into alembic_version (version_num) values ('f3')")
    before = database.dump()
    asked = (app.info(project), app.run("check", project), app.run("plan", project))
    for result in (app.upgrade(project), app.downgrade(project, "base"), app.stamp(project, "f5"), *asked):
        error = failed(result, "history_damaged")
        assert "holds f3, f4, and f3 comes before f4" in error["msg"] and "revision=f4 and purge=true" in error["hint"]
    assert database.dump() == before
    ok(app.stamp(project, "f4", purge=True))
    ok(app.upgrade(project))


def test_two_heads_and_a_revision_that_is_depended_on_are_no_damage(newest: Application, pg: Any) -> None:
    project = project_of(newest, pg, a1=("a1", None), b1=("b1", None), b2=("b2", "b1"))
    ok(newest.upgrade(project, "heads"))
    path = project.versions() / "a2.py"
    path.write_text(REVISION.format(name="a2", down="a1", table="a2") + "\n\ndepends_on = 'b1'\n")
    ok(newest.upgrade(project, "heads"))
    assert ok(newest.info(project))["databases"][0]["status"] == "at_target"


@pytest.fixture
def own(postgres: Any) -> Iterator[Any]:
    database = postgres.database(attributes="CREATEDB")
    yield database
    database.drop()


LONG = "0009_agent_ownership_public_channel_model"


def test_an_id_that_does_not_fit_is_found_before_its_revision_runs(newest: Application, pg: Any) -> None:
    project = project_of(newest, pg, f3=("f3", None), long=(LONG, "f3"))
    for result in (
        newest.upgrade(project, check=True),
        newest.upgrade(project),
        newest.run("plan", project),
        newest.run("check", project),
    ):
        error = failed(result, "history_damaged")
        assert LONG in error["msg"] and "holds 32" in error["msg"] and "widen the column" in error["hint"], error
    assert pg.tables() in ([], ["alembic_version"])
    ok(newest.upgrade(project, "f3"))
    pg.fetch("alter table alembic_version alter column version_num type varchar(64)")
    ok(newest.upgrade(project))
    assert pg.fetch("select version_num from alembic_version") == [(LONG,)]


WIDENS = REVISION.replace(
    '    op.create_table("t_{table}", sa.Column("id", sa.Integer, primary_key=True))', "    op.execute({sql!r})"
).replace('op.drop_table("t_{table}")', "pass")


@pytest.mark.parametrize("length", [64, 36])
def test_a_revision_before_it_may_widen_the_column(newest: Application, own: Any, length: int) -> None:
    """What the column holds counts when the turn of the long id comes; until then it is told."""
    project = project_of(newest, own, f3=("f3", None), long=(LONG, "w4"))
    sql = f"alter table alembic_version alter column version_num type varchar({length})"
    (project.versions() / "w4.py").write_text(WIDENS.format(name="w4", down="f3", sql=sql))
    for result in (newest.upgrade(project, check=True), newest.run("plan", project)):
        if length < len(LONG) and "error_kind" in result:
            assert LONG in result["msg"]
            continue
        warned = " ".join(str(item) for item in ok(result)["warnings"])
        assert f"{LONG!r}" in warned and "w4 speaks of that column" in warned, warned
    assert own.tables() == []
    result = newest.upgrade(project)
    if length > len(LONG):
        assert ok(result)["after"] == [LONG]
    else:
        error = failed(result, "history_damaged")
        assert "holds 36." in error["msg"] and error["failed_revision"]["revision"] == LONG
        assert (error["state"], error["after"], error["pending"]) == ("between", ["w4"], [LONG]) and "t_long" not in own.tables()


def test_connections_that_are_used_up_are_told(newest: Application, pg: Any) -> None:
    pg.fetch(f"alter role {pg.role} connection limit 1")
    project = project_of(newest, pg, f3=("f3", None))
    with pg.holding("select 1"):
        error = failed(newest.upgrade(project), "connection_failed")
    assert "no connection left" in error["hint"], error
    pg.fetch(f"alter role {pg.role} connection limit 5")
    ok(newest.upgrade(project))
