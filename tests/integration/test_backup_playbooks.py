# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks backup and restore on every kind of database, judged by what it holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.application import Application
from support.postgres import Postgres, PostgresDatabase
from support.shop import WORDS, Shop, shop

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(params=["maria", "sqlite"])
def stocked(request: pytest.FixtureRequest, tmp_path: Path, newest: Application) -> Shop:
    return shop(tmp_path, newest, request.getfixturevalue(request.param))


@pytest.mark.slow
def test_a_backup_is_restored_to_the_last_byte(stocked: Shop) -> None:
    before = stocked.database.dump()
    stocked.passes("backup", "--check")
    assert not stocked.archives(), "check mode wrote an archive"
    metrics = stocked.folder / "metrics"
    metrics.mkdir()
    stocked.passes("backup", deployment_report_metrics_directory=str(metrics))
    (archive,) = stocked.archives()
    told = re.findall(r"^(\w+)\{application=.*\} (\d+)$", (metrics / "dbops_shop_backup.prom").read_text(), re.M)
    assert [name for name, value in told] == [f"dbops_backup_{name}" for name in ("created_timestamp_seconds", "bytes", "proved")]
    assert int(told[1][1]) == archive.stat().st_size
    described = json.loads(Path(f"{archive}.json").read_text())
    assert (described["path"], described["revisions"]) == (str(archive), ["r005"])
    assert archive.stat().st_mode & 0o077 == 0
    assert not list(archive.parent.glob(".dbops-partial*")), "a half-written archive is left"

    stocked.database.fetch("delete from words where id = 1")
    stocked.database.fetch("update words set word = 'changed' where id = 2")
    stocked.database.fetch("create table later (id integer)")
    changed = stocked.database.dump()
    here = str(archive)
    stocked.refuses("restore", "deployment_rows_given_up=-1", deployment_restore_from=here)
    stocked.passes("restore", "--check", deployment_restore_from=here, deployment_rows_given_up=-1)
    assert stocked.database.dump() == changed, "check mode restored"

    stocked.passes("restore", deployment_restore_from=here, deployment_rows_given_up=-1)
    assert stocked.database.dump() == before
    record = json.loads(sorted((stocked.folder / "records").glob("*-restore.json"))[-1].read_text())
    assert record["status"] == "finished"


@pytest.mark.slow
def test_a_damaged_archive_is_refused(stocked: Shop) -> None:
    stocked.passes("backup")
    (archive,) = stocked.archives()
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    stocked.database.fetch("delete from words where id = 1")
    stocked.refuses("restore", "damaged", deployment_restore_from=str(archive), deployment_rows_given_up=-1)


#: The format, and what the role may.
ARCHIVES = [
    pytest.param(("custom", "CREATEDB"), id="custom beside"),
    pytest.param(("plain", "CREATEDB"), id="plain beside", marks=pytest.mark.slow),
    pytest.param(("directory", ""), id="directory in place", marks=pytest.mark.slow),
    pytest.param(("plain", ""), id="plain in place", marks=pytest.mark.slow),
]


@pytest.fixture(params=ARCHIVES)
def postgresql(request: pytest.FixtureRequest, tmp_path: Path, newest: Application, postgres: Postgres) -> Iterator[Shop]:
    """With the right to create databases an archive is restored beside the database, without it in its place."""
    form, attributes = request.param
    database = postgres.database(attributes=attributes)
    yield shop(
        tmp_path,
        newest,
        database,
        backup_archive_format=form,
        backup_archive_jobs=2,
        backup_programs_directory=str(postgres.binaries),
    )
    database.drop()


def test_postgresql_gets_back_every_row_from_each_format(postgresql: Shop) -> None:
    before = postgresql.database.dump()
    postgresql.passes("backup")
    (archive,) = postgresql.archives()
    assert archive.is_dir() == (postgresql.variables["backup_archive_format"] == "directory")
    postgresql.database.fetch("delete from words where id = 1")
    postgresql.database.fetch(f"set role {postgresql.database.role}; create table later (id integer)")
    postgresql.passes("restore", deployment_restore_from=str(archive), deployment_rows_given_up=-1)
    assert postgresql.database.dump() == before


@pytest.mark.slow  # test_restore_target damages one every day
def test_a_damaged_archive_of_postgresql_is_refused(postgresql: Shop) -> None:
    postgresql.passes("backup")
    (archive,) = postgresql.archives()
    damaged = archive / "toc.dat" if archive.is_dir() else archive
    content = damaged.read_bytes()
    damaged.write_bytes(content.replace(b"words", b"w\xcards", 1))  # so its list is no UTF-8 any more
    assert damaged.read_bytes() != content
    postgresql.database.fetch("delete from words where id = 1")
    postgresql.refuses("restore", "damaged", deployment_restore_from=str(archive), deployment_rows_given_up=-1)


#: Large objects end the transaction that a plain archive is restored in.
LARGE_OBJECTS = [pytest.param(("custom", ""), id="custom in place"), pytest.param(("plain", ""), id="plain in place")]


@pytest.mark.slow
@pytest.mark.parametrize("postgresql", LARGE_OBJECTS, indirect=True)
def test_large_objects_are_restored_in_place_or_refused_before_anything_is_touched(postgresql: Shop) -> None:
    database = postgresql.database
    ((number,),) = database.fetch(f"set role {database.role}; select lo_from_bytea(0, 'before')")
    before = database.dump()
    postgresql.passes("backup")
    (archive,) = postgresql.archives()
    database.fetch(f"set role {database.role}; select lo_put({number}, 0, 'after'), lo_from_bytea(0, 'later')")
    assert database.dump() != before
    wanted = {"deployment_restore_from": str(archive), "deployment_rows_given_up": -1}
    if postgresql.variables["backup_archive_format"] == "plain":
        postgresql.refuses("restore", "holds large objects", **wanted)
    else:
        postgresql.passes("restore", **wanted)
        assert database.dump() == before


@pytest.mark.slow
def test_an_archive_that_can_not_be_restored_whole_in_place_changes_nothing(
    newest: Application, postgres: Postgres, tmp_path: Path
) -> None:
    database = postgres.database()
    try:
        stocked = shop(tmp_path, newest, database, backup_archive_format="custom", backup_programs_directory=str(postgres.binaries))
        database.fetch(f"set role {database.role}; select lo_from_bytea(0, 'before')")
        stocked.passes("backup")
        (archive,) = stocked.archives()
        # Somebody else's table under a name that the archive brings too, so that its last statements fail.
        database.fetch("drop table words; create table words (id integer)")
        changed = database.dump()
        stocked.refuses("restore", "words", deployment_restore_from=str(archive), deployment_rows_given_up=-1)
        assert database.dump() == changed
    finally:
        database.drop()


@pytest.fixture(scope="module")
def second_server() -> Iterator[Postgres]:
    server = Postgres().create().start()
    yield server
    server.remove()


@pytest.fixture
def namesakes(postgres: Postgres, second_server: Postgres) -> Iterator[dict[str, PostgresDatabase]]:
    """A database and a role of one name on each of two servers."""
    north = postgres.database(attributes="CREATEDB")
    made = second_server.database(attributes="CREATEDB")
    second_server.fetch(f"alter database {made.name} rename to {north.name}")
    second_server.fetch(f"alter role {made.role} rename to {north.role}")
    south = replace(made, name=north.name, role=north.role)
    yield {"north": north, "south": south}
    north.drop()
    south.drop()


@pytest.mark.slow
def test_databases_of_one_name_on_two_servers_keep_their_archives_apart(
    newest: Application, namesakes: dict[str, PostgresDatabase], tmp_path: Path
) -> None:
    north, south = namesakes.values()
    stocked = shop(tmp_path, newest, north, backup_programs_directory=str(north.server.binaries), backup_archive_keep_count=1)
    shop(tmp_path, newest, south)
    north.fetch("delete from words")
    many = [{"name": name, "url": database.url()} for name, database in namesakes.items()]
    for _time in range(2):
        stocked.passes("backup", schema_database_url=None, fleet_databases=many)
        found = [json.loads(Path(f"{path}.json").read_text()) for path in stocked.archives()]
        assert len(found) == 2, "each keeps its newest, and none is removed for the other"
        servers = [f"{database.server.host}:{database.server.port}" for database in (north, south)]
        assert sorted(item["server"] for item in found) == sorted(servers)
    of_north, of_south = (next(item["path"] for item in found if item["server"] == server) for server in servers)
    assert "north" in Path(of_north).name and "south" in Path(of_south).name

    looked = stocked.passes("status")
    assert of_north in looked and of_south not in looked
    stocked.refuses("restore", "nor an archive of this database", deployment_restore_from=of_south, deployment_rows_given_up=-1)
    named = {"backup_archive_name": "mine", "schema_database_url": None}
    stocked.variables["schema_database_url"] = north.url()
    assert stocked.role("archive", **named).returncode == 0
    content = (tmp_path / "archives" / f"{north.name}-mine.pgc").read_bytes()
    stocked.variables["schema_database_url"] = south.url()
    refused = stocked.role("archive", **named)
    assert refused.returncode == 2 and f"is an archive of {north.name} on {servers[0]}" in " ".join(refused.stdout.split())
    assert (tmp_path / "archives" / f"{north.name}-mine.pgc").read_bytes() == content

    stocked.passes("restore", deployment_restore_from=of_south, deployment_rows_given_up=-1, backup_archive_servers=servers[1:])
    assert north.dump().count("plain") == 1, "an archive of another address is restored where that is said to be the same server"


@pytest.mark.slow
def test_databases_that_a_query_finds_are_archived_each(newest: Application, postgres: Postgres, tmp_path: Path) -> None:
    """By their own names, and restored as any other; a URL that would stand for all of them is refused."""
    one, two = (postgres.database(attributes="CREATEDB") for _number in range(2))
    try:
        stocked = shop(tmp_path, newest, one, backup_programs_directory=str(postgres.binaries))
        shop(tmp_path, newest, two)
        postgres.fetch(f"grant {two.role} to {one.role}")
        postgres.fetch(f"alter role {one.role} superuser")
        two.fetch("delete from words")
        stocked.variables["fleet_query"] = {"list": "databases", "match": [one.name, two.name]}
        stocked.refuses("backup", "wins over the URL of each")
        assert not stocked.archives()
        stocked.variables["schema_database_url"] = one.url()
        stocked.passes("backup", schema_database_url=None)
        found = [json.loads(Path(f"{path}.json").read_text()) for path in stocked.archives()]
        assert sorted(item["database"] for item in found) == sorted([one.name, two.name])
        looked = " ".join(stocked.passes("status", schema_database_url=None).split())
        assert "2 of 2 databases have one; the newest of each is" in looked and all(item["path"] in looked for item in found), (
            looked
        )
        stocked.variables["schema_database_url"] = "postgresql+psycopg2://nobody@127.0.0.1:1/nothing"
        looked = stocked.passes("status", schema_database_url=None)
        assert "have one" not in looked and "Warning" in looked and "127.0.0.1" in looked, looked
        of_two = next(item["path"] for item in found if item["database"] == two.name)
        two.fetch("insert into words values (1, 'late')")
        only = {"fleet_query": {}, "schema_database_url": two.url(), "deployment_rows_given_up": -1}
        stocked.passes("restore", deployment_restore_from=of_two, **only)
        assert two.fetch("select count(*) from words") == [(0,)] and len(one.fetch("select * from words")) == len(WORDS)
    finally:
        one.drop()
        two.drop()
