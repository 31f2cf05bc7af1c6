# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves that nobody waits for any more: its worker ends, and the next run on the server or host removes the rest."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from support.application import Application, ok
from support.planned import scratches, sql, written
from support.plays import Play, play, task
from support.postgres import Postgres
from support.runner import Run, process_tree
from support.services import serve
from support.sshd import Sshd

BASE = (sql("CREATE TABLE big (id int PRIMARY KEY)"), "")


@pytest.fixture
def own(postgres: Postgres) -> Iterator[Any]:
    database = postgres.database(attributes="CREATEDB")
    yield database
    for name in scratches(database.server):
        database.server.fetch(f"drop database {name} with (force)")
    database.drop()


def rehearsing(app: Application, database: Any, seconds: int) -> Run:
    """A rehearsal in the middle of its revision."""
    project = written(app, database, {"root": BASE, "one": (sql(f"SELECT pg_sleep({seconds})"), "")})
    run = app.start("plan", project)
    until = time.monotonic() + 60
    while not database.server.fetch(f"select 1 from pg_stat_activity where query like 'SELECT pg_sleep({seconds})%%'"):
        assert time.monotonic() < until
        time.sleep(0.05)
    return run


@contextlib.contextmanager
def another(own: Any) -> Iterator[Any]:
    """A second database of the same role."""
    name = f"{own.name}_other"
    own.server.fetch(f"create database {name} owner {own.role}")
    yield dataclasses.replace(own, name=name)
    own.server.fetch(f"drop database {name} with (force)")


def test_the_next_run_on_the_server_drops_it_also_with_nothing_pending(newest: Application, own: Any) -> None:
    run = rehearsing(newest, own, 30)
    (left,) = scratches(own.server)
    for pid in process_tree(run.process.pid)[1:]:
        os.kill(pid, signal.SIGKILL)
    run.process.wait()
    (comment,) = own.server.fetch("select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [left])
    made = json.loads(comment[0])["dbops.alembic.rehearsal"]
    assert made["of"] == own.name and made["host"] == socket.gethostname() and f"_{made['pid']}_" in left
    with another(own) as other:  # of an application that has nothing pending
        project = written(newest, other, {"root": BASE})
        ok(newest.upgrade(project))
        assert ok(newest.run("plan", project))["revisions"] == []
        assert scratches(own.server) == []


def test_what_a_living_run_works_with_stays_and_so_does_what_is_not_ours(newest: Application, own: Any) -> None:
    run = rehearsing(newest, own, 300)
    (living,) = scratches(own.server)
    names = {  # each looks like a copy in one way and is none
        "dbops_rehearsal_notes": None,
        "dbops_rehearsal_00000000_20200101000000_1_00000001": "our DBA's own",
        "dbops_rehearsal_00000000_20200101000000_1_00000002": '{"dbops.alembic.rehearsal": {"of": "x"}}',
        "dbops_rehearsal_00000000_20200101000000_1_00000003": None,
        "shop_dbops_rehearsal_00000000_20200101000000_1_00000004": '{"dbops.alembic.rehearsal": {"of": "x", "backend": 1}}',
    }
    for name, comment in names.items():
        own.server.fetch(f"create database {name} owner {own.role}")
        if comment:
            own.server.fetch(f"comment on database {name} is '{comment.replace(chr(39), chr(39) * 2)}'")
    dead = "dbops_rehearsal_00000000_20200101000000_1_00000005"
    own.server.fetch(f"create database {dead} owner {own.role}")
    mark = {"of": "x", "backend": 4194304, "backend_started": "1.5"}
    own.server.fetch(f"comment on database {dead} is '{json.dumps({'dbops.alembic.rehearsal': mark})}'")
    with another(own) as other:
        given = {"python": str(newest.python), "url": other.url("psycopg2")}
        for maintenance in ("template1", "postgres"):  # where the lock of the living run is not seen, and where it is
            shown = ok(Run("database_leftovers", {**given, "maintenance_database": maintenance}, check=True).result())
            assert shown["changed"] and shown["removed"] == [dead] and dead in scratches(own.server)
        done = ok(Run("database_leftovers", {**given, "maintenance_database": "template1"}).result())
        assert done["removed"] == [dead]
        assert ok(Run("database_leftovers", given).result()) | {"invocation": None} == {
            "changed": False,
            "removed": [],
            "invocation": None,
            "warnings": [],
        }
    assert set(names) <= {row[0] for row in own.server.fetch("select datname::text from pg_database")} and living in scratches(
        own.server
    )
    own.server.fetch("select pg_cancel_backend(pid) from pg_stat_activity where query like 'SELECT pg_sleep(300)%%'")
    ok(run.result())
    assert living not in scratches(own.server)
    for name in names:
        own.server.fetch(f"drop database {name}")


@pytest.mark.parametrize("how", ["the module", pytest.param("its caller", marks=pytest.mark.slow)])
def test_a_caller_that_is_gone_takes_its_rehearsal_along(newest: Application, own: Any, how: str) -> None:
    """Nobody ends the worker here, and its revision would run for ten minutes: it ends, and so do its copies."""
    run = rehearsing(newest, own, 600)
    below = process_tree(run.process.pid)[1:]
    if how == "the module":
        run.process.kill()
    else:  # what ssh and the controller are: the other end of the module's standard output
        run.process.stdout.close()
    run.process.wait(60)
    until = time.monotonic() + 60
    while scratches(own.server) or any(Path(f"/proc/{pid}").exists() for pid in below):
        assert time.monotonic() < until, (scratches(own.server), below)
        time.sleep(0.1)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    yield from serve(lambda: Sshd(tmp_path_factory.mktemp("s")).start())


@pytest.mark.parametrize(
    ("module", "where"),
    [
        pytest.param("alembic_plan", "here", marks=pytest.mark.slow),
        ("alembic_plan", "far"),
        pytest.param("database_preflight", "far", marks=pytest.mark.slow),
    ],
)
def test_a_controller_that_is_killed_takes_its_rehearsal_along(
    newest: Application, own: Any, sshd: Sshd, tmp_path: Path, module: str, where: str
) -> None:
    """Only the program is killed: its fork that runs the task, ssh and the module would go on by themselves."""
    project = written(newest, own, {"root": BASE, "one": (sql("SELECT pg_sleep(600)"), "")})
    given: dict[str, Any] = {"python": str(newest.python), "chdir": str(project.folder)}
    given |= {"rehearsal": {}} if module == "database_preflight" else {}
    hosts = {"far": {**sshd.variables(), "ansible_remote_tmp": str(tmp_path / "far")}} if where == "far" else None
    running = Play(tmp_path / "play", [task(module, **given)], hosts=hosts)
    until = time.monotonic() + 90
    while not own.server.fetch("select 1 from pg_stat_activity where query like 'SELECT pg_sleep(600)%%'"):
        assert time.monotonic() < until and running.process.poll() is None, running.outcome().printed
        time.sleep(0.05)
    running.process.kill()
    running.process.wait()
    until = time.monotonic() + 60
    while scratches(own.server) or own.server.fetch("select 1 from pg_stat_activity where query like 'SELECT pg_sleep(600)%%'"):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_temporary_folders_of_a_killed_controller(newest: Application, tmp_path: Path) -> None:
    named = {"state": "directory", "path": "/tmp", "prefix": "{{ 'dbops-release.' | dbops.alembic.maker_prefix }}"}
    make = {"name": "make", "ansible.builtin.tempfile": named, "register": "made"}
    wait = {"name": "wait", "ansible.builtin.command": {"argv": ["sleep", "600"]}}
    remove = {"name": "remove", "ansible.builtin.include_role": {"name": "dbops.alembic.release", "tasks_from": "leftovers"}}
    remove["vars"] = {"application_name": "shop", "release_root": str(tmp_path), "release_version": "1"}
    running = Play(tmp_path / "first", [make, wait])
    until = time.monotonic() + 60
    while not (running._file("results").exists() and running._file("results").read_text().strip()):
        assert time.monotonic() < until and running.process.poll() is None, running.outcome().printed
        time.sleep(0.05)
    folder = Path(json.loads(running._file("results").read_text().splitlines()[0])["result"]["path"])
    (folder / "release").mkdir()
    notes = Path(f"/tmp/dbops-release.notes{os.getpid()}")  # nobody's, and named so that another run has its own
    others = [notes, folder.with_name(f"{folder.name}.x"), folder.with_name(f"x{folder.name}")]
    link = folder.with_name(folder.name[:-1] + ("a" if folder.name[-1] != "a" else "b"))
    keep = tmp_path / "keep"
    keep.mkdir()
    try:
        for other in others:
            other.mkdir()
        link.symlink_to(keep)
        play(tmp_path / "second", [remove], "--check").ok()
        play(tmp_path / "third", [remove]).ok()
        assert (folder / "release").is_dir()  # its maker lives
        below = process_tree(running.process.pid)[1:]
        running.process.kill()
        for pid in below:  # its fork and the module, which would sleep on
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running.process.wait()
        play(tmp_path / "fourth", [remove], "--check").ok()
        assert folder.is_dir()
        play(tmp_path / "fifth", [remove]).ok()
        assert not folder.exists() and link.is_symlink() and keep.is_dir() and all(other.is_dir() for other in others)
    finally:
        link.unlink(missing_ok=True)
        for other in others:
            other.rmdir()
