# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An env.py that fails when the migrations are done: what is said of the database is true, also where env.py runs only once."""

from __future__ import annotations

from typing import Any

import pytest

from support.application import Application, failed, ok, revisions
from support.projects import Project
from support.quick import some

ALL = ["r001", "r002", "r003", "r004", "r005"]
#: Put before the rest of env.py: a second run of it fails before it connects.
ONCE = """
import pathlib
_mark = pathlib.Path(__file__).with_name("ran")
if _mark.exists():
    raise RuntimeError("it has run already")
_mark.touch()
"""
RAISE = "raise RuntimeError('the cache could not be emptied')"
END = "\n" + RAISE + "\n"
BLOCK = "            context.run_migrations()\n"
CONFIGURED = "        context.configure(connection=connection, target_metadata=target_metadata)\n"


def with_env(project: Project, *changes: tuple[str, str], first: str = "", last: str = "") -> Project:
    path = project.folder / "migrations" / "env.py"
    head, online, text = path.read_text().partition("def run_migrations_online():")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(head.replace('"""\n', '"""\n' + first, 1) + online + text + last)
    return project


def heads(database: Any) -> list[str]:
    return sorted(row[0] for row in database.fetch("select version_num from alembic_version"))


def stands_at_the_target(result: dict[str, Any], database: Any, kind: str = "environment_failed") -> None:
    failed(result, kind)
    assert heads(database) == ["r005"]
    assert (result["state"], result["after"], result["pending"], result["changed"]) == ("to_revision", ["r005"], [], True)
    assert revisions(result["applied"]) == ALL and result["rolled_back"] == []
    assert "The database is at the target (r005)." in result["msg"]


AFTERWARDS = {
    "at its end": ((), END),
    "beside the connection": (((BLOCK, BLOCK + "        " + RAISE + "\n"),), ""),
    "by its exit": ((), "\nimport os; os._exit(3)\n"),
}


@pytest.mark.parametrize("when", some(AFTERWARDS, "at its end", "by its exit"))
def test_what_is_committed_is_told(app: Application, database: Any, when: str) -> None:
    changes, last = AFTERWARDS[when]
    project = with_env(app.project("linear", database), *changes, last=last)
    result = app.upgrade(project)
    stands_at_the_target(result, database, "worker_died" if "exit" in when else "environment_failed")
    if "exit" not in when:
        assert "failed after it had run the migrations: RuntimeError: the cache" in result["msg"]
    again = app.upgrade(project)
    assert again["failed"] and not again["changed"] and (again["before"], again["after"]) == (["r005"], ["r005"])
    back = app.downgrade(project, "r003")
    assert (back["failed"], back["state"], back["after"]) == (True, "to_revision", ["r003"]) and heads(database) == ["r003"]
    stamped = app.stamp(project, "r004")
    assert (stamped["failed"], stamped["state"], stamped["after"], stamped["changed"]) == (True, "to_revision", ["r004"], True)


@pytest.mark.parametrize("when", some(["at its end", "beside the connection"], "at its end"))
def test_a_look_of_our_own_where_env_py_runs_only_once(app: Application, database: Any, when: str) -> None:
    changes, last = AFTERWARDS[when]
    project = with_env(app.project("linear", database), *changes, first=ONCE, last=last)
    stands_at_the_target(app.upgrade(project), database)


def test_a_look_of_our_own_with_an_async_driver(app: Application, pg: Any) -> None:
    project = with_env(app.project("async_env", pg, driver="asyncpg"), first=ONCE, last=END)
    stands_at_the_target(app.upgrade(project), pg)


def test_a_look_of_our_own_sees_what_the_migration_saw(app: Application, pg: Any) -> None:
    """By the search path and the role of the connection alone there is no version table, and none that may be read."""
    owner = f"{pg.role}_owner"
    for statement in (f"create role {owner}", f"grant {owner} to {pg.role}", f"alter role {pg.role} noinherit"):
        pg.fetch(statement)
    pg.fetch(f"create schema hidden authorization {owner}")
    setting = (
        f"        connection.exec_driver_sql('set role {owner}')\n        connection.exec_driver_sql('set search_path to hidden')\n"
    )
    commit = "        getattr(connection, 'commit', lambda: None)()\n"
    project = with_env(app.project("linear", pg), (CONFIGURED, setting + commit + CONFIGURED), first=ONCE, last=END)
    try:
        result = failed(app.upgrade(project), "environment_failed")
        assert pg.fetch("select version_num from hidden.alembic_version") == [("r005",)] and "alembic_version" not in pg.tables()
        assert (result["state"], result["after"], result["pending"]) == ("to_revision", ["r005"], [])
    finally:
        pg.fetch(f"drop owned by {owner} cascade")
        pg.fetch(f"drop role {owner}")


def test_nothing_is_claimed_of_what_env_py_took_back(app: Application, database: Any) -> None:
    """All revisions share a transaction that env.py began, and it fails before it commits that."""
    inside = (BLOCK, BLOCK + "            " + RAISE + "\n")
    own = ("with context.begin_transaction():", "with connection.begin():")
    project = with_env(app.project("linear", database), own, inside, first=ONCE)
    result = failed(app.upgrade(project), "environment_failed")
    there = heads(database) if "alembic_version" in database.tables() else []
    assert result["after"] == there
    if database.dialect == "postgresql":
        assert there == [] and (result["state"], result["applied"], result["changed"]) == ("from_revision", [], False)
        assert revisions(result["pending"]) == ALL and "The database is as it was, at base." in result["msg"]


UNREACHABLE = """
from sqlalchemy import create_engine as _make
import pathlib as _pathlib
def engine_from_config(options, prefix, **more):
    engine = _make(options[prefix + "url"], **more)
    made = engine.pool._creator
    def creator(*given):
        if _pathlib.Path(__file__).with_name("gone").exists():
            raise RuntimeError("the token is over")
        return made(*given)
    engine.pool._creator = creator
    return engine
"""
GONE = "\n_pathlib.Path(__file__).with_name('gone').touch()\n" + RAISE + "\n"


@pytest.mark.parametrize("shared", [False, True], ids=["each", "together"])
def test_what_the_run_saw_committed_counts_where_nobody_can_look(app: Application, pg: Any, shared: bool) -> None:
    """Neither env.py nor its engine connects again: what is known is that each transaction was committed."""
    project = app.project("linear", pg)
    changed = (("with context.begin_transaction():", "with connection.begin():"),) if shared else ()
    text = (project.folder / "migrations" / "env.py").read_text()
    (project.folder / "migrations" / "env.py").write_text(
        text.replace("target_metadata = None\n", "target_metadata = None\n" + UNREACHABLE)
    )
    result = failed(app.upgrade(with_env(project, *changed, first=ONCE, last=GONE)), "environment_failed")
    assert heads(pg) == ["r005"] and revisions(result["applied"]) == ALL
    assert (result["state"], result["after"], result["pending"], result["changed"]) == ("unknown", None, [], True)
    assert "could not be read. This run committed r001, r002, r003, r004, r005." in result["msg"]


def test_a_commit_that_the_server_refuses_is_no_commit(app: Application, pg: Any) -> None:
    """A constraint that is looked at when env.py commits, where nobody can look any more."""
    project = app.project("linear", pg)
    (project.versions() / "r006_late.py").write_text(
        '"""late"""\nfrom alembic import op\nrevision, down_revision = "r006", "r005"\n\ndef upgrade():\n'
        '    op.execute("create table a (x int primary key)")\n'
        '    op.execute("create table b (x int references a deferrable initially deferred)")\n'
        '    op.execute("insert into b values (1)")\n'
    )
    env = project.folder / "migrations" / "env.py"
    text = env.read_text().replace("target_metadata = None\n", "target_metadata = None\n" + UNREACHABLE)
    own = text.replace(
        "        with context.begin_transaction():\n            context.run_migrations()\n\n\nif",
        """        try:
            with connection.begin():
                context.run_migrations()
        finally:
            _pathlib.Path(__file__).with_name('gone').touch()


if""",
    )
    assert own != text
    env.write_text(own)
    result = app.upgrade(with_env(project, first=ONCE))
    assert result["failed"] and pg.tables() == []
    assert (result["applied"], result["after"], result["changed"]) == ([], None, False)


def test_info_shows_what_it_read_before_env_py_failed(app: Application, pg: Any) -> None:
    project = with_env(
        app.project("linear", pg), last="\nimport pathlib\nif pathlib.Path(__file__).with_name('bad').exists():\n    " + RAISE
    )
    ok(app.upgrade(project, "r002"))
    (project.folder / "migrations" / "bad").touch()
    result = failed(app.info(project), "environment_failed")
    assert [entry["current"] for entry in result["databases"]] == [["r002"]]
