# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots whose worker is killed before each of its steps, or loses the server: the database is open again and whole."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from support.application import failed, ok
from support.postgres import Postgres, PostgresDatabase
from support.quick import some
from support.runner import process_tree
from support.waiting import PATIENCE
from support.whole_database import Caller, attributes, made, names, two_servers

server = pytest.fixture(scope="module", params=["installed"])(two_servers)
#: Before which steps it is killed: each fourth one, which meets all that it can leave behind, or all.
EVERY = pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.slow)])


@pytest.fixture
def shop(server: Postgres) -> Iterator[PostgresDatabase]:
    with made(server) as database:
        database.fetch(f"create table orders (id int); alter table orders owner to {database.role}")
        database.fetch("insert into orders select generate_series(1, 100)")
        server.fetch(f"comment on database {database.name} is 'ours, not yours'")
        server.fetch(f"alter database {database.name} set work_mem = '7MB'")
        server.fetch(f"grant connect on database {database.name} to postgres")
        yield database


def count(shop: PostgresDatabase) -> int:
    return int(shop.fetch("select count(*) from orders")[0][0])


def count_anyhow(shop: PostgresDatabase) -> int:
    """The same when nobody is let in: in a moment in which somebody is."""
    let_in = attributes(shop.server, shop.name)[3]
    shop.server.fetch(f"alter database {shop.name} allow_connections true")
    try:
        return count(shop)
    finally:
        shop.server.fetch(f"alter database {shop.name} allow_connections {let_in}")


def settle(shop: PostgresDatabase) -> None:
    """Wait until the server has noticed that its client is gone."""
    deadline = time.monotonic() + PATIENCE
    while shop.server.fetch("select 1 from pg_stat_activity where application_name like 'dbops%%'") and time.monotonic() < deadline:
        time.sleep(0.05)


def put_right(shop: PostgresDatabase, held: Any, call: Caller, **following: Any) -> dict[str, Any]:
    """Make the next call: what it repairs is what was off, and afterwards the database is what it was. Its result."""
    settle(shop)
    off = attributes(shop.server, shop.name) != held
    done = ok(call("snapshot", **following))
    assert off <= bool(done["repaired"]), (off, done["repaired"])
    assert attributes(shop.server, shop.name) == held, done["repaired"]
    shop.connect().close()
    return done


@EVERY
def test_killed_before_its_steps_of_making(shop: PostgresDatabase, tmp_path: Path, every: int) -> None:
    call, held = Caller(shop), attributes(shop.server, shop.name)
    taken, at, seen = f"{shop.name}_taken", 1, set()
    while True:
        told, steps = call.killed("snapshot", tmp_path, at, name=taken, wait=20)
        if not told.get("failed"):
            break
        failed(told, "worker_died")
        settle(shop)
        seen.add(("open" if attributes(shop.server, shop.name)[3] else "closed", taken in names(shop.server, taken)))
        announced = ok(call("snapshot_info"))["interrupted"]
        done = put_right(shop, held, call, state="repaired")
        assert done["repaired"] == announced and done["changed"] == bool(announced)
        assert names(shop.server, taken) == [entry["name"] for entry in done["snapshots"]] == [], "half a copy is gone"
        at += every
    assert at - every <= len(steps) < at and at > 8, steps
    assert {("closed", False), ("closed", True), ("open", False)} <= seen, (seen, steps)
    assert count(shop) == 100 and names(shop.server, taken) == [taken] and told["repaired"] == []


@pytest.mark.slow  # test_database_steps kills it on the way back every day
@EVERY
def test_killed_before_its_steps_of_going_back(shop: PostgresDatabase, tmp_path: Path, every: int) -> None:
    call, held = Caller(shop), attributes(shop.server, shop.name)
    at, states = 1, set()
    while True:
        taken = f"{shop.name}_taken_{at}"
        ok(call("snapshot", name=taken))
        shop.fetch("delete from orders where id > 10")
        told, steps = call.killed("snapshot", tmp_path, at, state="restored", name=taken, wait=20)
        if not told.get("failed"):
            break
        failed(told, "worker_died")
        settle(shop)
        assert count_anyhow(shop) in (10, 100), "one of the two, never something else"
        states.add(attributes(shop.server, shop.name)[3])
        done = put_right(shop, held, call, state="restored", name=taken)
        assert count(shop) == 100 and shop.server.fetch("select count(*) from orders", name=done["kept"]) == [(10,)]
        at += every
    assert at > 8 and states == {True, False}, steps
    assert count(shop) == 100 and attributes(shop.server, shop.name) == held


@pytest.mark.slow
def test_killed_before_every_step_of_removing(shop: PostgresDatabase, tmp_path: Path) -> None:
    call, taken = Caller(shop), f"{shop.name}_taken"
    shop.server.fetch(f"alter database {shop.name} is_template true")
    held, at = attributes(shop.server, shop.name), 1
    ok(call("snapshot", name=taken))
    while True:
        told, steps = call.killed("snapshot", tmp_path, at, state="absent", name=taken)
        if not told.get("failed"):
            break
        put_right(shop, held, call, state="repaired")
        at += 1
    assert at > 2 and names(shop.server, taken) == [], steps


def test_the_machine_that_worked_is_gone_in_the_middle_of_the_copy(shop: PostgresDatabase) -> None:
    """The server goes on copying for a dead client; the next call waits for that and clears it away."""
    shop.fetch("create table large as select g, repeat(md5(g::text), 30) from generate_series(1, 250000) g")
    call, held, taken = Caller(shop), attributes(shop.server, shop.name), f"{shop.name}_taken"
    run = call.start("snapshot", name=taken, wait=20)
    copying = "select 1 from pg_stat_activity where query like 'create database%%' and state = 'active'"
    deadline = time.monotonic() + PATIENCE
    while not shop.server.fetch(copying) and time.monotonic() < deadline:
        time.sleep(0.005)
    for pid in process_tree(run.process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    done = ok(call("snapshot", wait=60))
    assert [problem["what"] for problem in done["repaired"]] == ["closed", "unfinished", "marked"], done["repaired"]
    assert names(shop.server, taken) == [] and attributes(shop.server, shop.name) == held and done["snapshot"]["usable"]


@pytest.mark.parametrize("how", some([signal.SIGINT, signal.SIGQUIT], signal.SIGQUIT))
def test_the_server_is_restarted_while_nobody_is_let_in(shop: PostgresDatabase, how: int) -> None:
    """The worker waits for the server, opens the database again, and tells why it failed."""
    call, held = Caller(shop), attributes(shop.server, shop.name)
    with contextlib.closing(shop.connect()):
        run = call.start("snapshot", wait=30)
        deadline = time.monotonic() + PATIENCE
        while attributes(shop.server, shop.name)[3] and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not attributes(shop.server, shop.name)[3]
        shop.server.restart(how)
        failed(run.result(), "connection_lost")
    assert attributes(shop.server, shop.name) == held
    assert ok(call("snapshot_info"))["interrupted"] == []


def test_two_at_once(shop: PostgresDatabase) -> None:
    call, taken = Caller(shop), f"{shop.name}_taken"
    runs = [call.start("snapshot", name=taken, wait=60) for _ in range(3)]
    results = [ok(run.result()) for run in runs]
    assert sorted(result["changed"] for result in results) == [False, False, True]
    assert names(shop.server, taken) == [taken] and all(result["repaired"] == [] for result in results)
