# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of PostgreSQL, the rows that are in it, and what is said when it can not be written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.application import failed, ok
from support.postgres import PostgresDatabase
from support.sqlite import SqliteDatabase
from support.whole_database import Caller


@pytest.mark.parametrize("driver", ["psycopg2", pytest.param("psycopg", marks=pytest.mark.slow), "asyncpg"])
def test_an_archive_and_its_rows(pg: PostgresDatabase, driver: str, tmp_path: Path) -> None:
    pg.fetch(f"set role {pg.role}; create table t (id int); insert into t values (1), (2)")
    path, binaries = tmp_path / "archive", pg.server.binaries
    options = {"path": str(path), "programs": str(binaries)}
    assert ok(Caller(pg, driver)("archive", check=True, **options))["changed"] and not path.exists()
    told = ok(Caller(pg, driver)("archive", count=True, **options))
    assert (told["tables"]["public.t"]["rows"], told["database"]) == (2, pg.name)
    assert path.stat().st_mode & 0o077 == 0
    listed = subprocess.run([str(binaries / "pg_restore"), "--list", str(path)], stdout=subprocess.PIPE, text=True, check=True)
    assert "TABLE DATA public t" in listed.stdout
    assert ok(Caller(pg, driver)("archive", **options))["tables"] is None


def test_pg_dump_says_itself_why_it_failed(pg: PostgresDatabase, tmp_path: Path) -> None:
    pg.fetch("create table alien (id int)")
    told = failed(Caller(pg)("archive", path=str(tmp_path / "archive"), programs=str(pg.server.binaries)), "archive_failed")
    assert "permission denied for table alien" in told["msg"] and pg.password not in str(told)
    told = failed(Caller(pg)("archive", path=str(tmp_path / "archive"), programs=str(tmp_path)), "archive_failed")
    assert "can not be run" in told["msg"]


def test_another_database_has_another_program(sqlite: SqliteDatabase, tmp_path: Path) -> None:
    sqlite.fetch("create table t (id integer)")
    failed(Caller(sqlite)("archive", path=str(tmp_path / "archive")), "unsupported_database")


def test_sqlite_checks_the_whole_file(sqlite: SqliteDatabase) -> None:
    sqlite.fetch("create table t (word text)")
    sqlite.fetch("create index words on t (word)")
    for number in range(500):
        sqlite.fetch("insert into t values (?)", [f"word {number}"])
    assert ok(Caller(sqlite)("rows", integrity=True))["tables"]["t"]["rows"] == 500
    ((root,),) = sqlite.fetch("select rootpage from sqlite_master where name = 'words'")
    content = bytearray(sqlite.path.read_bytes())
    ((size,),) = sqlite.fetch("pragma page_size")
    content[(root - 1) * size + 100 : root * size] = bytes(size - 100)  # the index alone: every row can still be read
    sqlite.path.write_bytes(content)
    assert ok(Caller(sqlite)("rows", checksum=True))["tables"]["t"]["rows"] == 500
    failed(Caller(sqlite)("rows", integrity=True), "archive_damaged")
