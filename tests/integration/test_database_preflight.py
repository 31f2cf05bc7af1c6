# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call before a deployment: what three modules find out alone, and what it does not ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.application import Application, failed, ok
from support.planned import scratches, sql, written
from support.postgres import Postgres
from support.runner import Run, run
from support.waiting import until

SHAPES = {"root": (sql("CREATE TABLE big (id int PRIMARY KEY)"), ""), "one": (sql("ALTER TABLE big ADD COLUMN a int"), "")}


@pytest.fixture
def own(postgres: Postgres) -> Iterator[Any]:
    database = postgres.database(attributes="CREATEDB")
    yield database
    assert not scratches(database.server)
    database.drop()


def at_root(app: Application, database: Any, shapes: Any) -> Any:
    project = written(app, database, shapes)
    ok(app.upgrade(project, "root"))
    return project


def asked(app: Application, project: Any, **parameters: Any) -> dict[str, Any]:
    given = {"python": str(app.python), **project.parameters(**parameters)}
    return run("database_preflight", {"rehearsal": {}, "backup": {}, **given})


def test_it_is_what_three_modules_find_out(newest: Application, own: Any) -> None:
    project = at_root(newest, own, SHAPES)
    programs = str(own.server.binaries)
    found = ok(asked(newest, project, url=own.url(), backup={"programs": programs, "check": "way_back"}))
    assert found["refusals"] == [] and not found["changed"]
    assert [step["revision"] for step in found["plan"]["pending"]] == ["one"]
    assert (found["plan"]["from_revision"], found["plan"]["to_revision"]) == (["root"], ["one"])
    alone = ok(newest.run("plan", project))
    assert {name: found["rehearsal"][name] for name in ("route", "reason", "before", "rollback")} == {
        name: alone[name] for name in ("route", "reason", "before", "rollback")
    }
    assert [item["revision"] for item in found["rehearsal"]["revisions"]] == ["one"]
    backup = {"url": own.url(), "python": str(newest.python), "programs": programs, "check": "way_back"}
    told = ok(run("database_backup_info", backup))
    assert {name: found["backup"][name] for name in ("way_back", "refused", "archive", "refusals")} == {
        name: told[name] for name in ("way_back", "refused", "archive", "refusals")
    }
    assert own.password not in str(found)


def test_with_nothing_pending_nobody_asks_further(newest: Application, own: Any) -> None:
    project = written(newest, own, SHAPES)
    ok(newest.upgrade(project))
    failed(asked(newest, project), "options_invalid")
    found = ok(asked(newest, project, url=own.url()))
    assert (found["plan"]["pending"], found["rehearsal"], found["backup"]) == ([], {}, {})
    assert found["plan"]["from_revision"] == found["plan"]["to_revision"] == ["one"]


def test_what_forbids_to_upgrade_is_told_first(newest: Application, own: Any) -> None:
    project = at_root(newest, own, {**SHAPES, "two": (sql("ALTER TABLE big ADD COLUMN b int"), "")})
    found = ok(asked(newest, project, url=own.url(), max_pending=1))
    assert found["refusals"] == ["2 revisions are pending and schema_max_pending allows 1."]
    assert (found["rehearsal"], found["backup"]) == ({}, {})


def test_a_way_back_that_is_of_no_use_forbids_it(newest: Application, own: Any) -> None:
    project = at_root(newest, own, SHAPES)
    own.server.fetch(f"alter role {own.role} nocreatedb")
    found = ok(asked(newest, project, url=own.url(), backup={"archive": False, "check": "never"}))
    (told,) = found["refusals"]
    assert found["backup"]["way_back"] == "none" and "leaves a way back" in told and found["rehearsal"]["route"] == "rolling"


def test_a_rehearsal_that_fails_is_a_warning(newest: Application, own: Any) -> None:
    project = at_root(newest, own, SHAPES)
    own.server.fetch(f"alter role {own.role} nocreatedb")
    found = ok(asked(newest, project, rehearsal={"mode": "rehearse", "throwaway_cluster": False}, backup=None))
    assert found["rehearsal"] == {} and found["backup"] == {}
    assert any("could not be rehearsed" in text for text in found["warnings"]), found["warnings"]


def test_a_revision_that_fails_in_it_is_one_too(newest: Application, own: Any) -> None:
    """Whoever asked decides, since one that counts on rows may fail on a copy without any."""
    project = at_root(newest, own, {**SHAPES, "two": (sql("ALTER TABLE nowhere ADD COLUMN b int"), "")})
    found = ok(asked(newest, project, backup=None))
    assert found["rehearsal"]["route"] == "refuse" and found["refusals"] == []
    (told,) = [text for text in found["warnings"] if "will not go well" in text]
    assert "Revision two" in told and "nowhere" in told, told


def test_a_database_that_nobody_can_reach_is_a_failure(newest: Application, own: Any) -> None:
    project = newest.project("linear", own)
    failed(asked(newest, project, url=own.url(port=1)), "connection_failed")


def test_who_is_gone_leaves_no_copy(newest: Application, own: Any) -> None:
    """Nobody reads the answer any more; the fixture looks for scratch databases."""
    project = at_root(newest, own, {**SHAPES, "one": (sql("SELECT pg_sleep(600)"), "")})
    given = {"python": str(newest.python), **project.parameters(), "rehearsal": {}}
    asleep = "select 1 from pg_stat_activity where query like 'SELECT pg_sleep(600)%%'"
    going = Run("database_preflight", given)
    until(lambda: own.server.fetch(asleep), "the rehearsal")
    going.process.kill()
    going.process.wait()
    until(lambda: not own.server.fetch(asleep) and not scratches(own.server), "the end of the rehearsal")
