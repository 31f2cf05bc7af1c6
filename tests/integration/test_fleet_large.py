# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many databases in numbers that people have: all arrive, a second run does nothing, and no process is left."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from support.application import Application, failed, ok
from support.fleet import Fleet, Watch, databases, outcomes, schemas
from support.pgbouncer import PgBouncer
from support.postgres import Postgres, PostgresDatabase
from support.runner import process_tree
from support.sqlite import SqliteDatabase
from support.waiting import PATIENCE, Gate, until

pytestmark = pytest.mark.slow


class Tree:
    """How many processes there are at a time below a run, seen while it goes on."""

    def __init__(self, pid: int):
        self.pid, self.processes, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self.over.wait(0.05):
            self.processes = max(self.processes, len(process_tree(self.pid)))

    def __enter__(self) -> Tree:
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        self.thread.join()


def test_two_hundred_files_of_which_twenty_fail(newest: Application, tmp_path: Path) -> None:
    files = [SqliteDatabase(tmp_path / f"{number:03}.sqlite") for number in range(200)]
    fleet = Fleet(newest, newest.project("linear"), None, tmp_path, query={"list": "files", "match": [f"{tmp_path}/*.sqlite"]})
    for file in files:
        file.fetch("create table mine (id integer)")
    assert ok(fleet.run(revision="r004", parallel=6))["counts"]["changed"] == 200
    bad = {file.path.stem for file in files[::10]}
    for file in files[::10]:
        file.fetch("insert into users (id, name) values (1, 'somebody')")

    run = fleet.start(parallel=6, max_failures="10%")
    with Tree(run.process.pid) as tree:
        result = failed(run.result(2 * PATIENCE), "targets_failed")
    assert 3 < tree.processes <= 2 + 2 * 6 + 6, "the module, what all are forked from, two for each target, and those just ending"
    assert set(result["failed_targets"]) == bad and result["counts"]["changed"] == 180 and result["stopped"] is None
    assert [(group["at"], group["count"]) for group in result["groups"]] == [(["r005"], 180), (["r004"], 20)]
    stands = {file.path.stem: file.fetch("select version_num from alembic_version") for file in files}
    assert stands == {name: [("r004",)] if name in bad else [("r005",)] for name in stands}
    read = ok(fleet.run("current", parallel=6))
    assert [(group["state"], group["count"]) for group in read["groups"]] == [("at_target", 180), ("behind", 20)]


def test_fifty_schemas_and_never_too_many_connections(newest: Application, pg: PostgresDatabase, tmp_path: Path) -> None:
    targets = [{"name": name, "schema": name} for name in schemas(pg, 50)]
    given = {"url": pg.url(), "url_x_argument": "url", "schema_x_argument": "tenant", "parallel": 5}
    fleet = Fleet(newest, newest.project("x_args"), targets, tmp_path, **given)
    with Watch(pg.server, pg.role) as watch:
        result = ok(fleet.run())
    assert watch.most <= 10 and result["counts"]["changed"] == 50
    assert all(pg.fetch(f"select version_num from {target['name']}.alembic_version") == [("r005",)] for target in targets)
    assert pg.fetch("select count(*) from pg_stat_activity where usename = %s", [pg.role]) == [(0,)]
    assert not ok(fleet.run())["changed"]


def test_a_server_that_has_too_few_connections_is_told(newest: Application, pg: PostgresDatabase, tmp_path: Path) -> None:
    targets = [{"name": name, "schema": name} for name in schemas(pg, 8)]
    pg.fetch(f"alter role {pg.role} connection limit 3")
    given = {"url": pg.url(), "url_x_argument": "url", "schema_x_argument": "tenant", "max_failures": "100%"}
    fleet = Fleet(newest, newest.project("x_args"), targets, tmp_path, **given)
    result = failed(fleet.run(parallel=8), "targets_failed")
    hints = {item["failure"]["hint"] for item in result["targets"] if item["failure"]}
    assert any("lower parallel" in str(hint) for hint in hints), hints
    assert ok(fleet.run(parallel=1))["counts"]["failed"] == 0


def test_databases_behind_a_pooler(newest: Application, pgbouncer: PgBouncer, tmp_path: Path) -> None:
    """It gives each transaction another session; one of the targets fails in its data."""
    with databases(pgbouncer.server, 3) as made:
        targets = [{"name": name, "url": database.url(port=pgbouncer.port)} for name, database in zip("abc", made)]
        fleet = Fleet(newest, newest.project("linear"), targets, tmp_path, max_failures="1", parallel=2)
        assert ok(fleet.run(revision="r004"))["counts"]["changed"] == 3
        made[1].fetch("insert into users (id, name) values (1, 'somebody')")
        result = failed(fleet.run(), "targets_failed")
        assert list(outcomes(result).values()) == ["changed", "failed", "changed"]
        stands = [database.fetch("select version_num from alembic_version")[0][0] for database in made]
        assert stands == ["r005", "r004", "r005"] == [item["after"][0] for item in result["targets"]]
        made[1].fetch("delete from users")
        assert ok(fleet.run())["counts"]["changed"] == 1 and not ok(fleet.run("current"))["changed"]


def test_a_server_that_goes_away_in_the_middle(newest: Application, tmp_path: Path) -> None:
    """What was worked on fails and is whole; whoever comes while there is no server fails too; the next run does the rest."""
    server = Postgres().create().start()
    try:
        made, gate = [server.database() for _ in range(6)], Gate(tmp_path / "open")
        targets = [{"name": database.name, "url": database.url()} for database in made]
        fleet = Fleet(newest, newest.project("slow"), targets, tmp_path, parallel=2, max_failures="100%")
        ok(fleet.run(revision="n001"))
        run = fleet.start(environment=gate.environment)
        for database in made[:2]:
            database.wait_for_session("query like '%%pg_sleep%%' and state = 'active'")
        server.restart(signal.SIGQUIT)
        gate.open()
        result = failed(run.result(), "targets_failed")
        for item in result["targets"]:
            assert item["after"] == (["n001"] if item["failure"] else ["n003"]), item
        assert result["failed_targets"][:2] == [database.name for database in made[:2]] and result["counts"]["not_begun"] == 0
        assert {item["failure"]["kind"] for item in result["targets"][:2]} == {"connection_lost"}
        ok(fleet.run())
        assert [database.fetch("select version_num from alembic_version") for database in made] == [[("n003",)]] * 6
    finally:
        server.remove()


def is_whole(pg: PostgresDatabase, schema: str) -> bool:
    """Whether the version is the last of the revisions that have run, each of which has run once."""
    tables = pg.tables(schema)
    done = sorted(row[0] for row in pg.fetch(f"select revision from {schema}.journal")) if "journal" in tables else []
    versions = pg.fetch(f"select version_num from {schema}.alembic_version") if "alembic_version" in tables else []
    return [row[0] for row in versions] == done[-1:] and len(done) == len(set(done))


def test_killed_at_many_moments_each_target_is_somewhere_whole(newest: Application, pg: PostgresDatabase, tmp_path: Path) -> None:
    """All processes at once, ten times; each run goes on where the one before was killed, and none does anything twice."""
    names = schemas(pg, 40)
    given = {"url": pg.url(), "url_x_argument": "url", "schema_x_argument": "tenant", "parallel": 3}
    fleet = Fleet(newest, newest.project("x_args"), [{"name": name, "schema": name} for name in names], tmp_path, **given)
    for number in range(10):
        run = fleet.start()
        time.sleep(1 + 0.3 * number)
        for pid in process_tree(run.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.process.wait()
        until(lambda: not pg.sessions(), "the end of the sessions")
        for name in names:
            assert is_whole(pg, name), f"{name} is not at a whole revision"
    result = ok(fleet.run())
    assert set(outcomes(result).values()) <= {"changed", "unchanged"}
    for name in names:
        found = sorted(row[0] for row in pg.fetch(f"select revision from {name}.journal"))
        assert found == [f"r00{number}" for number in range(1, 6)], "run twice, or not at all"
