# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots of an SQLite database: files beside it, with and without WAL, killed at every step."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from support.application import failed, ok
from support.quick import some
from support.sqlite import SqliteDatabase
from support.whole_database import Caller

HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1])
connection.execute("select 1 from orders").fetchone()
print(1, flush=True)
time.sleep(300)
"""


@pytest.fixture(params=some(["delete", "wal"], "wal"))
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteDatabase:
    database = SqliteDatabase(tmp_path / "shop 100%[x].sqlite")
    database.fetch(f"pragma journal_mode = {request.param}")
    database.fetch("create table orders (id integer primary key, note text)")
    with contextlib.closing(sqlite3.connect(database.path)) as connection, connection:
        connection.executemany("insert into orders values (?, ?)", [(n, f"order {n}" * 20) for n in range(500)])
    os.chmod(database.path, 0o640)
    return database


def call_for(database: SqliteDatabase) -> Caller:
    return Caller(database, url="sqlite:///" + str(database.path).replace("%", "%25"))


def files(shop: SqliteDatabase) -> list[str]:
    return sorted(name for name in os.listdir(shop.path.parent) if not name.endswith(("-wal", "-shm")) and name.startswith("shop"))


def mode(shop: SqliteDatabase) -> str:
    return str(shop.fetch("pragma journal_mode")[0][0])


def test_there_and_back(shop: SqliteDatabase) -> None:
    call, before, journal = call_for(shop), shop.dump(), mode(shop)
    dry = ok(call("snapshot", check=True, diff=True, name="mine"))
    assert dry["changed"] and files(shop) == [shop.path.name]
    taken = ok(call("snapshot", diff=True, name="mine", revisions=["r1"], note="why"))
    assert taken["diff"] == dry["diff"] and taken["snapshot"]["path"] == str(shop.path.parent / "mine")
    assert not ok(call("snapshot", name="mine"))["changed"]
    status = os.stat(taken["snapshot"]["path"])
    assert status.st_mode & 0o777 == 0o640 and status.st_uid == os.stat(shop.path).st_uid
    assert SqliteDatabase(Path(taken["snapshot"]["path"])).dump() == before
    shop.fetch("delete from orders where id > 3")
    shop.fetch("create table extra (a)")
    damaged, inode = shop.dump(), os.stat(shop.path).st_ino
    back = ok(call("snapshot", state="restored", name="mine"))
    assert back["changed"] and shop.dump() == before and mode(shop) == journal
    assert os.stat(shop.path).st_ino == inode and os.stat(shop.path).st_mode & 0o777 == 0o640, "the same file, for who has it open"
    assert SqliteDatabase(shop.path.parent / back["kept"]).dump() == damaged
    again = ok(call("snapshot", state="restored", name="mine"))
    assert not again["changed"] and again["kept"] == back["kept"]
    ok(call("snapshot", state="restored", name=back["kept"]))
    assert shop.dump() == damaged
    assert shop.fetch("pragma integrity_check") == [("ok",)]


def test_it_is_consistent_beside_a_writer(shop: SqliteDatabase) -> None:
    call, before = call_for(shop), shop.dump()
    with shop.holding("insert into orders values (9999, 'not committed')"):
        name = ok(call("snapshot"))["snapshot"]["path"]
    assert SqliteDatabase(Path(name)).dump() == before


def test_going_back_waits_for_who_has_it_open(shop: SqliteDatabase) -> None:
    call = call_for(shop)
    name, before = ok(call("snapshot"))["snapshot"]["name"], shop.dump()
    shop.fetch("delete from orders")
    with subprocess.Popen([sys.executable, "-c", HOLD, str(shop.path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        told = failed(call("snapshot", state="restored", name=name, wait=0.5), "database_busy")
        assert told["sessions"][0]["pid"] == holder.pid and shop.fetch("select count(*) from orders") == [(0,)]
        holder.kill()
    ok(call("snapshot", state="restored", name=name))
    assert shop.dump() == before


def test_a_database_that_is_gone_comes_back(shop: SqliteDatabase) -> None:
    call, before = call_for(shop), shop.dump()
    name = ok(call("snapshot"))["snapshot"]["name"]
    for path in shop.path.parent.glob(f"{'shop 100%[[]x].sqlite'}"):
        path.unlink()
    for end in ("-wal", "-shm"):
        Path(f"{shop.path}{end}").unlink(missing_ok=True)
    failed(call("snapshot"), "database_missing")
    back = ok(call("snapshot", state="restored", name=name))
    assert back["kept"] is None and shop.dump() == before and os.stat(shop.path).st_mode & 0o777 == 0o640


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_database_that_has_still_to_be_made(tmp_path: Path, state: str) -> None:
    """Nobody makes it by looking; a snapshot of it is empty, so the way back is an empty database."""
    path = tmp_path / "new.sqlite"
    call = Caller(None, url=f"sqlite:///{path}")
    refused = ok(call("snapshot_info"))
    assert not refused["possible"] and [entry["id"] for entry in refused["refused"]] == ["database_missing"]
    assert ok(call("snapshot_info", accept=["database_missing"]))["possible"]
    failed(call("snapshot"), "database_missing")
    assert list(tmp_path.iterdir()) == []
    assert ok(call("snapshot", check=True, accept=["database_missing"]))["changed"] and list(tmp_path.iterdir()) == []
    name = ok(call("snapshot", accept=["database_missing"]))["snapshot"]["name"]
    assert not path.exists() and (tmp_path / name).stat().st_size == 0
    if state == "present":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("create table orders (id integer)")
    ok(call("snapshot", state="restored", name=name))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("select count(*) from sqlite_master").fetchall() == [(0,)]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    call = Caller(None, url=f"sqlite:///{tmp_path / 'no' / 'new.sqlite'}")
    for module in ("snapshot", "snapshot_info"):
        assert str(tmp_path / "no") in failed(call(module, accept=["database_missing"]), "database_missing")["msg"]


def test_another_page_size(shop: SqliteDatabase) -> None:
    call, before = call_for(shop), shop.dump()
    name = ok(call("snapshot"))["snapshot"]["name"]
    with contextlib.closing(sqlite3.connect(shop.path, isolation_level=None)) as connection:
        journal = mode(shop)
        for sql in ("journal_mode = delete", "page_size = 8192"):
            connection.execute(f"pragma {sql}")
        connection.execute("vacuum")
        connection.execute(f"pragma journal_mode = {journal}")
    assert shop.fetch("pragma page_size") == [(8192,)]
    ok(call("snapshot", state="restored", name=name))
    assert shop.dump() == before


def test_prune_and_remove(shop: SqliteDatabase) -> None:
    call = call_for(shop)
    for number in range(3):
        ok(call("snapshot", name=f"shop_{number}"))
        path = shop.path.parent / f"shop_{number}.dbops.json"
        mark = json.loads(path.read_text())
        mark["dbops.alembic"]["epoch"] -= (3 - number) * 86400
        path.write_text(json.dumps(mark))
    assert [entry["name"] for entry in ok(call("snapshot_info"))["snapshots"]] == ["shop_2", "shop_1", "shop_0"]
    assert ok(call("snapshot", state="pruned", keep_seconds=2.5 * 86400))["removed"] == ["shop_0"]
    assert ok(call("snapshot", state="pruned", keep_count=0))["removed"] == ["shop_1"]
    assert ok(call("snapshot", state="absent", name="shop_2"))["removed"] == ["shop_2"]
    assert files(shop) == [shop.path.name]


def test_refusals(shop: SqliteDatabase, tmp_path: Path) -> None:
    call = call_for(shop)
    (tmp_path / "theirs").write_text("mine!")
    for state in ("present", "restored", "absent"):
        failed(call("snapshot", state=state, name="theirs"), "not_ours")
        failed(call("snapshot", state=state, name="../outside"), "name_invalid")
    failed(call("snapshot", content="empty"), "options_invalid")
    failed(call("snapshot", state="restored", name="nothing"), "database_missing")
    assert (tmp_path / "theirs").read_text() == "mine!" and files(shop) == [shop.path.name]
    info = ok(call("snapshot_info"))
    assert info["possible"] and info["space"]["measured"] == "local_disk" and info["space"]["free_bytes"] > 0


def test_a_disk_that_is_full(shop: SqliteDatabase, tmp_path: Path) -> None:
    """A real small file system, where mounting one is allowed."""
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(small)], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("no right to mount a file system")
    try:
        database = SqliteDatabase(small / "shop.sqlite")
        numbers = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 4000)"
        database.fetch(f"create table orders as {numbers} select i, 'some text' t from n")
        before, call = database.dump(), call_for(database)
        assert [entry["id"] for entry in failed(call("snapshot"), "insufficient_space")["refused"]] == ["insufficient_space"]
        (small / "filler").write_bytes(b"x" * 100000)
        failed(call("snapshot", accept=["insufficient_space"]), "insufficient_space")
        (small / "filler").unlink()
        repaired = ok(call("snapshot", state="repaired"))
        assert [problem["what"] for problem in repaired["repaired"]] == ["unfinished"]
        assert sorted(os.listdir(small)) == ["shop.sqlite"] and database.dump() == before
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize(
    ("state", "shop"),
    [
        ("restored", "wal"),
        pytest.param("present", "wal", marks=pytest.mark.slow),
        pytest.param("restored", "delete", marks=pytest.mark.slow),
        ("absent", "delete"),
    ],
    indirect=["shop"],
)
def test_killed_before_every_step(shop: SqliteDatabase, tmp_path: Path, state: str) -> None:
    call, full, at = call_for(shop), shop.dump(), 1
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    while True:
        name = f"shop_{state}_{at}"
        if state != "present":
            ok(call("snapshot", name=name))
            shop.fetch("delete from orders where id > 3")
        small = shop.dump()
        told, steps = call.killed("snapshot", hooks, at, state=state, name=name)
        if not told.get("failed"):
            break
        failed(told, "worker_died")
        assert shop.fetch("pragma integrity_check") == [("ok",)] and shop.dump() in (small, full)
        done = ok(call("snapshot", state=state, name=name))
        known = {entry["name"] for entry in done["snapshots"]}
        assert {path for path in files(shop) if path != shop.path.name} == known | {f"{each}.dbops.json" for each in known}, steps
        assert shop.dump() == (full if state == "restored" else small), (steps, done)
        with contextlib.closing(sqlite3.connect(shop.path)) as connection, connection:
            connection.execute("delete from orders")
            connection.executemany("insert into orders values (?, ?)", [(n, f"order {n}" * 20) for n in range(500)])
        at += 1
    assert at > 3 and told["repaired"] == [], steps
