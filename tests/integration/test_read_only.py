# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that take no writes: told before anything is stopped, and read and backed up all the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.stage import Stage
from support.application import Application, failed, ok
from support.fleet import Fleet
from support.mariadb import MariaDB
from support.postgres import Postgres, PostgresDatabase

STANDBY = "is a standby, which takes no writes. Use the URL of the primary"


def become_standby(server: Postgres) -> None:
    """What the former primary is after a failover; nobody sends it anything, which makes no difference to who asks it."""
    server.stop()
    signal = server.folder / "data" / "standby.signal"
    signal.touch()
    if server.user:
        shutil.chown(signal, server.user)
    server.start()
    assert server.fetch("select pg_is_in_recovery()") == [(True,)]


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    server = Postgres().create().start()
    yield server
    server.remove()


def test_modules_on_a_standby(newest: Application, own_server: Postgres, tmp_path: Path) -> None:
    database = own_server.database(attributes="createdb")
    project = newest.project("linear", database)
    ok(newest.upgrade(project, "r002"))
    become_standby(own_server)
    assert ok(newest.info(project))["read_only"] == "standby"
    for check in (False, True):
        result = failed(newest.upgrade(project, check=check), "database_read_only")
        assert STANDBY in result["msg"] and f"{own_server.host}:{own_server.port}" in result["msg"] and not result["changed"]
    failed(newest.downgrade(project, "base"), "database_read_only")
    assert ok(newest.upgrade(project, "r002"))["changed"] is False, "nothing is pending"
    plan = ok(newest.run("plan", project, mode="static"))
    assert plan["databases"][0]["read_only"] == "standby"
    fleet = Fleet(newest, project, [{"name": "a", "url": database.url()}], tmp_path)
    assert f"a (database_read_only): {own_server.host}" in failed(fleet.run("planned", way_back=["none"]), "targets_failed")["msg"]


def test_mariadb_that_is_a_replica(newest: Application, mariadb: MariaDB) -> None:
    database = mariadb.database()
    project = newest.project("linear", database)
    assert ok(newest.info(project))["read_only"] is None
    mariadb.fetch("set global read_only = on")
    try:
        assert ok(newest.info(project))["read_only"] == "server"
        assert "has read_only set" in failed(newest.upgrade(project, check=True), "database_read_only")["msg"]
        mariadb.fetch(f"grant read only admin on *.* to {database.role}@'%'")
        ok(newest.upgrade(project))
    finally:
        mariadb.fetch("set global read_only = off")


def test_a_setting_that_the_project_could_lift(newest: Application, pg: PostgresDatabase, postgres: Postgres) -> None:
    """It is the server's word in the rehearsal and in the upgrade; nobody is said to have written while it was looked at."""
    project = newest.project("linear", pg)
    ok(newest.upgrade(project, "r002"))
    postgres.fetch(f"alter database {pg.name} set default_transaction_read_only = on")
    result = failed(newest.upgrade(project), "database_read_only")
    assert "read-only transaction" in result["msg"] and "default_transaction_read_only" in result["hint"], result
    postgres.fetch(f"alter role {pg.role} createdb")
    plan = ok(newest.run("plan", project))
    assert plan["route"] == "refuse" and not [text for text in plan.get("warnings", ()) if "only looked at" in text], plan


@pytest.fixture
def stage(tmp_path: Path, own_server: Postgres) -> Iterator[Stage]:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Stage(tmp_path / "s", own_server)
    made.archive("1.0", "1.1", "1.2")
    try:
        yield made
    finally:
        own_server.fetch("select pg_promote() where pg_is_in_recovery()")
        made.close()


def test_flows_on_a_standby(stage: Stage) -> None:
    """Nothing is stopped; what only reads goes on."""
    for version in ("1.0", "1.1"):
        stage.play("maintenance_window", release_version=version).ok()
    snapshot = stage.records()[-1]["snapshot"]
    become_standby(stage.server)
    stage.play("status").ok()
    assert (
        f"It would not begin: {stage.server.host}:{stage.server.port} {STANDBY}"
        in stage.play("plan", release_version="1.2").ok().output
    )
    written = stage.play("backup").ok()
    assert written.changed, written.output
    given: dict[str, dict[str, Any]] = {
        "maintenance_window": {"release_version": "1.2"},
        "rollback": {"deployment_rows_given_up": -1},
        "restore": {"deployment_rows_given_up": -1, "deployment_restore_from": snapshot},
    }
    records = len(stage.records())
    for playbook, variables in given.items():
        run = stage.play(playbook, **variables)
        assert run.status == 2 and STANDBY in run.output, (playbook, run.output)
        assert stage.serving() == {("1.1", 200, "1.1")} and len(stage.records()) == records, playbook
