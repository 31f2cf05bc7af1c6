# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan in a server of its own, for a role that may not make a copy where its database is."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from support.application import Application, failed, ok
from support.planned import rules, scratches, sql, written
from support.quick import some
from support.runner import process_tree
from support.waiting import PATIENCE

GATING = ("fails", "unknown", "blocks", "breaks")
BASE = (
    sql(
        "CREATE TABLE big (id int PRIMARY KEY, name varchar(50), code int)",
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE TABLE small (id int PRIMARY KEY, old text, mood mood)",
    ),
    "",
)
CASES: dict[str, tuple[str, str, list[str], str]] = {
    "nullable": ("op.add_column('big', sa.Column('bio', sa.Text))", "op.drop_column('big', 'bio')", [], "expand"),
    "index": ("op.create_index('ix_n', 'big', ['code'])", "op.drop_index('ix_n')", ["B01:public.big"], "blocking"),
    "type": (
        sql("ALTER TABLE small ALTER mood TYPE text"),
        sql("ALTER TABLE small ALTER mood TYPE mood USING mood::mood"),
        ["C05:public.small.mood"],
        "contract",
    ),
    "dropped": (
        "op.drop_column('small', 'old')",
        "op.add_column('small', sa.Column('old', sa.Text))",
        ["C02:public.small.old"],
        "contract",
    ),
    "made": (
        sql("CREATE TYPE kind AS ENUM ('a')", "CREATE TABLE made (kind kind)"),
        sql("DROP TABLE made", "DROP TYPE kind"),
        [],
        "expand",
    ),
    "not_ours": (sql("ALTER TABLE theirs ADD x int"), "", ["X01:not_ours"], "unknown"),
}


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the clusters are made: a short path, since a socket's has little room, that a plain user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))
    folder.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def based(app: Application, database: Any, names: list[str], **options: Any) -> Any:
    project = written(app, database, {"root": BASE, **{name: CASES[name][:2] for name in names}}, **options)
    ok(app.upgrade(project, "root"))
    database.fetch("insert into big values (1, 'one', 1)")
    database.fetch("create table theirs (id int)")  # belongs to the superuser, but may be read
    database.fetch(f"grant select on theirs to {database.role}")
    database.fetch("update pg_class set reltuples = 1000000, relpages = 1000 where oid = 'big'::regclass")
    return project


def processes(*parts: str) -> list[str]:
    """Processes whose title has all these parts."""
    done = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if all(part in line for part in parts)]


def servers(folder: Path) -> list[str]:
    return processes("postgres", str(folder))


@pytest.mark.core
def test_a_role_without_rights_gets_a_whole_rehearsal(app: Application, pg: Any, temporary: Path) -> None:
    project = based(app, pg, list(CASES))
    before = pg.dump()
    plan = ok(app.run("plan", project))
    found = {item["revision"]: (rules(plan, item["revision"], *GATING), item["phase"]) for item in plan["revisions"]}
    assert found == {name: case[2:] for name, case in CASES.items()}
    assert plan["mode"] == "rehearsal" and plan["databases"][0]["copy"] == "cluster" and plan["warnings"] == []
    assert plan["route"] == "refuse" and "must be owner of table theirs" in plan["reason"]
    assert [item["reversible"]["schema_restored"] for item in plan["revisions"][:5]] == [True] * 5
    assert [item["reversible"]["reapplies"] for item in plan["revisions"][:5]] == [True] * 5
    assert pg.dump() == before and scratches(pg.server) == []
    assert list(temporary.iterdir()) == [] and servers(temporary) == []


@pytest.mark.parametrize("driver", some(["asyncpg", "psycopg"], "asyncpg"))
def test_other_drivers(newest: Application, pg: Any, temporary: Path, driver: str) -> None:
    fixture = "async_env" if driver == "asyncpg" else "linear"
    plan = ok(newest.run("plan", based(newest, pg, ["nullable", "index"], fixture=fixture, driver=driver)))
    assert [item["phase"] for item in plan["revisions"]] == ["expand", "blocking"]
    assert plan["databases"][0]["copy"] == "cluster" and list(temporary.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_as_a_plain_user(pg: Any, temporary: Path) -> None:
    app = Application("alembic120", temporary)
    (wrapper := temporary / "python").write_text(f'#!/bin/sh\nexec setpriv --reuid nobody --clear-groups {app.python} "$@"\n')
    wrapper.chmod(0o755)
    (copies := temporary / "copies").mkdir()
    shutil.chown(copies, "nobody")
    project = based(app, pg, ["nullable"])
    plan = ok(app.run("plan", project, python=str(wrapper), environment={"TMPDIR": str(copies)}))
    assert plan["mode"] == "rehearsal" and plan["databases"][0]["copy"] == "cluster", plan["warnings"]
    assert plan["route"] == "rolling" and list(copies.iterdir()) == [] and servers(temporary) == []


def test_what_is_in_the_way_is_said(newest: Application, pg: Any, temporary: Path) -> None:
    project = based(newest, pg, ["nullable"])
    (empty := temporary / "none").mkdir()
    for name in ("pg_dump", "pg_restore"):
        (empty / name).symlink_to(f"/usr/bin/{name}")
    plan = ok(newest.run("plan", project, postgresql_programs=str(empty)))
    (warning,) = plan["warnings"]
    assert plan["mode"] == "static" and plan["databases"][0]["copy"] is None
    assert "permission denied to create database" in warning and f"There is no initdb in {empty}" in warning
    (deep := temporary / ("x" * 90)).mkdir()
    told = failed(newest.run("plan", project, mode="rehearse", environment={"TMPDIR": str(deep)}), "rehearsal_impossible")
    assert "too long" in told["msg"] and list(deep.iterdir()) == []


def test_a_copy_on_the_server_is_preferred(newest: Application, postgres: Any, temporary: Path) -> None:
    database = postgres.database(attributes="createdb")
    assert ok(newest.run("plan", based(newest, database, ["nullable"])))["databases"][0]["copy"] == "database"
    database.drop()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_killed_run_leaves_no_server_and_the_next_no_folder(newest: Application, pg: Any, temporary: Path) -> None:
    project = based(newest, pg, ["nullable"])
    sleeping = written(newest, pg, {"root": BASE, "one": (sql("SELECT pg_sleep(60)"), "")})
    run = newest.start("plan", sleeping)
    until = time.monotonic() + PATIENCE
    while not processes(f"postgres: {pg.role} dbops_rehearsal", "[local] SELECT"):
        assert time.monotonic() < until
        time.sleep(0.05)
    for pid in process_tree(run.process.pid)[1:]:
        if "postgres" not in Path(f"/proc/{pid}/comm").read_text():
            os.kill(pid, signal.SIGKILL)
    run.process.wait()
    while servers(temporary):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert len(list(temporary.iterdir())) == 1
    assert ok(newest.run("plan", project))["route"] == "rolling" and list(temporary.iterdir()) == []
    died = written(newest, pg, {"root": BASE, "one": ("os.kill(os.getpid(), 9)", "")})
    failed(newest.run("plan", died), "worker_died")
    assert list(temporary.iterdir()) == [] and servers(temporary) == []
