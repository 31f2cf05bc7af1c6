# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a dump and a restore, held against what pg_dump and pg_restore do with the same database."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.application import ok
from support.postgres import Postgres, PostgresDatabase
from support.whole_database import Caller, made, two_servers

server = pytest.fixture(scope="module", params=["installed"])(two_servers)
newer = pytest.fixture(scope="module", params=["packaged"])(two_servers)


@pytest.fixture
def shop(server: Postgres) -> Iterator[PostgresDatabase]:
    with made(server) as database:
        database.fetch(f"set role {database.role}; create table orders (id int primary key); insert into orders values (1)")
        yield database


def program(
    database: PostgresDatabase, name: str, *arguments: str, binaries: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program of PostgreSQL as the role of the application."""
    login = {"PGHOST": database.server.host, "PGPORT": str(database.server.port), "PGUSER": database.role}
    return subprocess.run(
        [str((binaries or database.server.binaries) / name), *arguments],
        env={**os.environ, **login, "PGPASSWORD": database.password},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def found(result: dict[str, Any], affects: str) -> set[str]:
    return {item["id"] for item in ok(result)["findings"] if item["affects"] == affects and item["severity"] == "error"}


def restores(database: PostgresDatabase, archive: Path) -> tuple[bool, str]:
    """Whether the role's pg_restore brings the archive into an empty database of its own."""
    side = f"{database.name}_beside"
    database.server.fetch(f"drop database if exists {side}")
    database.server.fetch(f"create database {side} owner {database.role} template template0")
    done = program(database, "pg_restore", "--exit-on-error", f"--dbname={side}", str(archive))
    return done.returncode == 0, done.stdout


@pytest.mark.parametrize("driver", ["psycopg2", pytest.param("psycopg", marks=pytest.mark.slow), "asyncpg"])
def test_nothing_is_found_where_a_restore_goes_well(shop: PostgresDatabase, driver: str, tmp_path: Path) -> None:
    shop.fetch("create extension pgcrypto")  # a trusted one
    told = ok(Caller(shop, driver)("restore_info", programs=str(shop.server.binaries)))
    assert (told["findings"], told["way"], told["dumpable"], told["restorable"]) == ([], "beside", True, True)
    archive = tmp_path / "archive"
    assert program(shop, "pg_dump", "--format=custom", f"--file={archive}", shop.name).returncode == 0
    assert restores(shop, archive)[0]


#: SQL by a superuser, what is found, and what pg_restore says of it in a new database.
BROKEN = [
    ("create extension pg_stat_statements", "extension", 'create extension "pg_stat_statements"'),
    (
        "create extension file_fdw; grant usage on foreign data wrapper file_fdw to {role}; set role {role}; "
        "create server files foreign data wrapper file_fdw",
        "foreign_server",
        'create extension "file_fdw"',
    ),
    ("create table alien (id int); grant select on alien to {role}", "owner", "postgres"),
    ("create publication everything for all tables", "publication", "superuser"),
    (
        "set role {role}; create function guard() returns event_trigger language plpgsql as 'begin end'; reset role; "
        "create event trigger guard on ddl_command_start execute function guard(); alter event trigger guard disable",
        "event_triggers",
        "event trigger",
    ),
    (
        "create function c_function() returns int language internal as 'pg_backend_pid'; "
        "alter function c_function() owner to {role}",
        "superuser_objects",
        "language internal",
    ),
    ("alter schema public owner to postgres; grant all on schema public to {role}", "owner", "public"),
    ("create table spaced (id int) tablespace {role}_space; alter table spaced owner to {role}", "tablespace", "tablespace"),
]


@pytest.mark.parametrize(("sql", "name", "said"), BROKEN, ids=[case[1] for case in BROKEN])
def test_what_is_found_is_what_pg_restore_stops_at(shop: PostgresDatabase, sql: str, name: str, said: str, tmp_path: Path) -> None:
    if "tablespace" in sql:
        space = shop.server.folder / f"{shop.role}_space"
        space.mkdir()
        if shop.server.user:
            shutil.chown(space, shop.server.user)
        shop.server.fetch(f"create tablespace {shop.role}_space location '{space}'")
    try:
        shop.fetch(sql.format(role=shop.role))
        told = Caller(shop)("restore_info", programs=str(shop.server.binaries))
        assert name in found(told, "restore") | found(told, "elsewhere"), told["findings"]
        assert told["dumpable"]
        archive = tmp_path / "archive"
        assert program(shop, "pg_dump", "--format=custom", f"--file={archive}", shop.name).returncode == 0
        went_well, text = restores(shop, archive)
        assert not went_well and said in text, text
    finally:
        if "tablespace" in sql:
            shop.fetch("drop table if exists spaced")
            shop.server.fetch(f"drop database if exists {shop.name}_beside")
            shop.server.fetch(f"drop tablespace {shop.role}_space")


#: SQL by a superuser, and what is found; pg_dump stops at each of them.
UNDUMPABLE = [
    ("alter table orders enable row level security; alter table orders force row level security", "row_security"),
    ("create table alien (id int)", "unreadable"),
    ("create schema hidden; create table hidden.alien (id int); grant select on hidden.alien to {role}", "unreadable"),
    ("create sequence alien", "unreadable"),
    ("select lo_from_bytea(0, 'x')", "large_objects"),
]


@pytest.mark.parametrize(("sql", "name"), UNDUMPABLE)
def test_what_is_found_is_what_pg_dump_stops_at(shop: PostgresDatabase, sql: str, name: str, tmp_path: Path) -> None:
    shop.fetch(sql.format(role=shop.role))
    told = Caller(shop)("restore_info", programs=str(shop.server.binaries))
    assert found(told, "dump") == {name} and not told["dumpable"]
    assert program(shop, "pg_dump", "--format=custom", f"--file={tmp_path / 'archive'}", shop.name).returncode != 0
    shop.server.fetch(f"alter role {shop.role} superuser")
    assert found(Caller(shop)("restore_info", programs=str(shop.server.binaries)), "dump") == set()


def test_a_missing_role_and_a_missing_tablespace_are_found_beside_the_archive(shop: PostgresDatabase) -> None:
    shop.server.fetch(f"create role {shop.role}_reader")
    shop.fetch(f"grant select on orders to {shop.role}_reader")
    needs = ok(Caller(shop)("restore_info"))["needs"]
    assert found(Caller(shop)("restore_info", needs=needs), "restore") == set()
    shop.fetch(f"revoke all on orders from {shop.role}_reader")
    shop.server.fetch(f"drop role {shop.role}_reader")
    assert found(Caller(shop)("restore_info", needs=needs), "restore") == {"role_missing"}
    assert found(Caller(shop)("restore_info", needs={**needs, "tablespaces": ["lost"]}), "restore") >= {"tablespace_missing"}


def test_an_older_pg_dump_is_found(newer: Postgres, server: Postgres, tmp_path: Path) -> None:
    if newer.version <= server.version:
        pytest.skip("the installed PostgreSQL is as new as the one from PyPI")
    with made(newer) as database:
        assert found(Caller(database)("restore_info", programs=str(newer.binaries)), "dump") == set()
        told = Caller(database)("restore_info", programs=str(server.binaries))
        assert found(told, "dump") == {"program_old"}
        assert "older pg_dump refuses" in told["dump_problem"]
        done = program(database, "pg_dump", f"--file={tmp_path / 'archive'}", database.name, binaries=server.binaries)
        assert done.returncode != 0 and "version mismatch" in done.stdout
        assert found(Caller(database)("restore_info", programs=str(tmp_path)), "dump") == {"program_missing"}


def test_what_only_a_superuser_may_dump_of_a_user_mapping_is_told(shop: PostgresDatabase) -> None:
    shop.fetch("create extension postgres_fdw; create server other foreign data wrapper postgres_fdw")
    shop.fetch("create user mapping for postgres server other options (user 'boss', password 'not-to-be-seen')")
    told = ok(Caller(shop)("restore_info"))
    assert "user_mappings" in {item["id"] for item in told["findings"]}
    assert "not-to-be-seen" not in str(told)


def test_mariadb_names_the_definers_that_a_user_can_not_create_for(maria: Any, mariadb: Any) -> None:
    assert ok(Caller(maria)("restore_info"))["findings"] == []
    maria.fetch("create table t (id int)")
    maria.fetch("create definer='somebody'@'localhost' view v as select id from t")
    told = ok(Caller(maria)("restore_info"))
    assert [item["id"] for item in told["findings"]] == ["definers"]
    assert "somebody@localhost" in told["restore_problem"]


def test_an_archive_of_sqlite_needs_nothing(sqlite: Any) -> None:
    sqlite.fetch("create table t (id integer)")
    told = ok(Caller(sqlite)("restore_info"))
    assert (told["findings"], told["restorable"]) == ([], True)
