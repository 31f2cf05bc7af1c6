# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that can not be restored just so: what is said of them, what a restore does all the same, and what proves one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.application import Application, ok
from support.postgres import Postgres
from support.shop import Shop, shop
from support.whole_database import Caller

pytestmark = pytest.mark.timeout(1800)

EXTENSIONS = (
    "create extension pg_stat_statements",
    "create extension pgcrypto",  # trusted, yet made by a superuser, so its comment is not ours to restore
    "create extension file_fdw",
    "grant usage on foreign data wrapper file_fdw to {role}",
    "grant create on database {name} to {role}",
    "set role {role}; create server files foreign data wrapper file_fdw; create user mapping for {role} server files",
    'set role {role}; create schema app; create table app.orders (id int primary key, word text collate "C")',
    "set role {role}; create collation app.german (locale = 'C'); insert into app.orders values (1, 'one'), (2, 'two')",
)


def extend(database: Any) -> None:
    for sql in EXTENSIONS:
        database.fetch(sql.format(role=database.role, name=database.name))


def leftovers(database: Any) -> list[Any]:
    """The databases that a restore or a proof makes and has to remove."""
    return database.server.fetch("select datname from pg_database where datname ~ %s", [f"^{database.name}__(side|proof)"])


def stock(folder: Path, app: Application, postgres: Postgres, attributes: str, **variables: Any) -> Iterator[Shop]:
    database = postgres.database(attributes=attributes)
    yield shop(folder, app, database, backup_programs_directory=str(postgres.binaries), **variables)
    database.drop()


@pytest.fixture
def beside(tmp_path: Path, newest: Application, postgres: Postgres) -> Iterator[Shop]:
    yield from stock(tmp_path, newest, postgres, "CREATEDB")


@pytest.fixture
def in_place(tmp_path: Path, newest: Application, postgres: Postgres) -> Iterator[Shop]:
    yield from stock(tmp_path, newest, postgres, "")


@pytest.mark.slow
@pytest.mark.parametrize("role", ["beside", "in_place"])
def test_what_only_a_superuser_may_create_is_told_and_kept_by_a_restore(role: str, request: pytest.FixtureRequest) -> None:
    stocked = request.getfixturevalue(role)
    database = stocked.database
    extend(database)
    before = database.dump()
    archive, said = stocked.backed_up()
    assert "Only a superuser may create the extension pg_stat_statements" in said
    assert {item["name"] for item in archive["needs"]["extensions"]} == {"pg_stat_statements", "pgcrypto", "file_fdw"}
    assert any("file_fdw" in remark for remark in archive["remarks"])
    database.fetch("delete from app.orders; delete from words where id = 1")
    stocked.restored(archive)
    assert database.dump() == before
    assert leftovers(database) == []


@pytest.mark.slow
def test_what_the_server_lacks_is_refused_before_anything_is_touched(beside: Shop, postgres: Postgres) -> None:
    database = beside.database
    extend(database)
    reader, template = f"{database.role}_reader", f"{database.name}_prepared"
    postgres.fetch(f"create role {reader}")
    database.fetch(f"grant select on words to {reader}")
    whole = database.dump()
    archive, _said = beside.backed_up()
    database.fetch(f"revoke all on words from {reader}; drop extension pg_stat_statements")
    postgres.fetch(f"drop role {reader}")
    before = database.dump()
    done = beside.role("restore_archive", backup_restore_archive=archive)
    said = " ".join(done.stdout.split())
    assert done.returncode != 0 and "nothing was touched" in said
    assert f"names the role {reader}" in said and "Only a superuser may create the extension pg_stat_statements" in said
    assert database.dump() == before and leftovers(database) == []
    whole_run = beside.play("restore", deployment_restore_from=archive["path"], deployment_rows_given_up=-1)
    assert whole_run.returncode != 0 and "can not be restored here" in whole_run.stdout, whole_run.stdout
    assert not list((beside.folder / "records").glob("2*.json")), "it is refused before the application is stopped"

    # A superuser prepares what it takes.
    postgres.fetch(f"create role {reader}")
    postgres.fetch(f"create database {template} template template0 is_template true")
    try:
        for sql in EXTENSIONS[:4]:
            postgres.fetch(sql.format(role=database.role), name=template)
        beside.restored(archive, backup_restore_template=template)
        assert database.dump() == whole
    finally:
        postgres.fetch(f"alter database {template} is_template false")
        postgres.fetch(f"drop database {template}")
        database.fetch(f"drop owned by {reader}")
        database.drop()
        postgres.fetch(f"drop role {reader}")


#: A check that finds its table by the search path, which pg_restore leaves empty: nothing but a restore tells.
ONLY_A_RESTORE_TELLS = (
    "create table colours (name text primary key)",
    "create function is_colour(text) returns bool language sql as 'select exists (select from colours where name = $1)'",
    "create table shoes (colour text check (is_colour(colour)))",
    "insert into colours values ('red')",
    "insert into shoes values ('red')",
)


def confuse(database: Any) -> None:
    for sql in ONLY_A_RESTORE_TELLS:
        database.fetch(f"set role {database.role}; {sql}")


def test_a_restore_that_fails_is_called_failed_and_can_be_begun_again(beside: Shop) -> None:
    database = beside.database
    confuse(database)
    archive, _said = beside.backed_up()
    before = database.dump()
    done = beside.play("restore", deployment_restore_from=archive["path"], deployment_rows_given_up=-1)
    said = " ".join(done.stdout.split())
    assert done.returncode != 0 and "The restore failed" in said and "cut off" not in said, done.stdout
    assert 'relation "colours" does not exist' in said  # pg_restore's own words
    record = json.loads(sorted((beside.folder / "records").glob("*-restore.json"))[-1].read_text())
    assert (record["status"], record["failure"]["untouched"]) == ("reverted", True)
    assert database.dump() == before and leftovers(database) == []


@pytest.mark.slow
def test_a_restore_in_place_that_fails_leaves_everything(in_place: Shop) -> None:
    confuse(in_place.database)
    archive, _said = in_place.backed_up()
    before = in_place.database.dump()
    done = in_place.role("restore_archive", backup_restore_archive=archive)
    said = " ".join(done.stdout.split())
    assert done.returncode != 0 and 'relation "colours" does not exist' in said and "the database is as it was" in said
    assert in_place.database.dump() == before


@pytest.mark.slow
def test_what_a_restore_that_was_cut_off_left_is_dropped(beside: Shop) -> None:
    database = beside.database
    before = database.dump()
    archive, _said = beside.backed_up()
    side = f"{database.name}__side_{archive['sha256'][:12]}"
    ok(Caller(database)("snapshot", content="empty", name=side))
    database.server.fetch(f"set role {database.role}; create table words (half int)", name=side)
    database.fetch("delete from words")
    beside.restored(archive)
    assert database.dump() == before and leftovers(database) == []


@pytest.mark.slow
def test_a_window_whose_only_way_back_is_useless_is_refused(in_place: Shop, newest: Application) -> None:
    database = in_place.database  # its role may not create databases, so an archive would be the way back
    ok(newest.downgrade(in_place.project, "-1"))
    database.fetch(f"create table guarded (id int); alter table guarded owner to {database.role}")
    database.fetch("alter table guarded enable row level security; alter table guarded force row level security")
    in_place.refuses("maintenance_window", "Row level security hides rows of public.guarded")
    done = in_place.role("preflight")
    assert done.returncode != 0 and "Only an archive could put the database back" in " ".join(done.stdout.split())
    done = in_place.role("preflight", "archive", _backup_for_window=False)
    assert done.returncode != 0 and "No archive was written." in done.stdout
    assert not in_place.archives()
    for lifted in ({"backup_without_way_back_enabled": True}, {"backup_restore_check_enabled": False}):
        assert in_place.role("preflight", **lifted).returncode == 0
    done = in_place.role("preflight", backup_without_way_back_enabled=True, backup_restore_check_binding_enabled=True)
    assert done.returncode != 0 and "backup_restore_check_binding_enabled to false" in " ".join(done.stdout.split())


def test_an_archive_is_proved_while_others_write(beside: Shop) -> None:
    """A writer goes on all the time: only counts of the very snapshot of the archive can be the same."""
    database = beside.database
    database.fetch(f"set role {database.role}; create table ticks (id serial primary key); insert into ticks default values")
    beside.folder.joinpath("pg_dump").write_text(
        f"#!/bin/sh\n{database.server.binaries}/psql -qc 'insert into ticks default values'\n"
        f'exec {database.server.binaries}/pg_dump "$@"\n'
    )
    for program in ("pg_restore", "psql"):
        beside.folder.joinpath(program).symlink_to(database.server.binaries / program)
    beside.folder.joinpath("pg_dump").chmod(0o755)
    archive, _said = beside.backed_up(
        backup_proof_enabled=True, backup_proof_checksum_enabled=True, backup_programs_directory=str(beside.folder)
    )
    proof = archive["proof"]
    assert proof["proved"] and proof["counts"]["public.ticks"] == 1 and proof["counts"]["public.words"] == 6
    assert database.fetch("select count(*) from ticks") == [(2,)]
    assert proof["at"] and "PostgreSQL" in proof["program"] and proof["server"]
    assert leftovers(database) == []


def test_an_archive_that_can_not_be_restored_is_kept_and_not_called_a_backup(beside: Shop) -> None:
    confuse(beside.database)
    done = beside.role("preflight", "archive", _backup_for_window=False, backup_proof_enabled=True)
    said = " ".join(done.stdout.split())
    assert done.returncode != 0 and "is not proved" in said and 'relation "colours" does not exist' in said
    proof = beside.described()["proof"]
    assert not proof["proved"] and "colours" in proof["message"]
    assert len(beside.archives()) == 1 and leftovers(beside.database) == []


@pytest.mark.slow
def test_an_archive_of_a_snapshot_is_proved_with_what_only_a_superuser_may_create(beside: Shop) -> None:
    database = beside.database
    extend(database)
    done = beside.role("preflight", "archive", _backup_for_window=False, backup_proof_enabled=True)
    assert done.returncode != 0 and "backup_restore_template" in done.stdout  # nothing to restore it into
    for path in (beside.folder / "archives").iterdir():
        path.unlink()
    snapshot = ok(Caller(database)("snapshot", terminate=True))["snapshot"]["name"]
    archive, _said = beside.backed_up(backup_proof_enabled=True, backup_archive_database=snapshot)
    assert archive["proof"]["proved"] and archive["proof"]["counts"]["app.orders"] == 2
    assert leftovers(database) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["maria", "sqlite"])
def test_archives_of_other_databases_are_proved(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, newest: Application
) -> None:
    stocked = shop(tmp_path, newest, request.getfixturevalue(kind))
    if kind == "maria":
        name, role = stocked.database.name, stocked.database.role
        done = stocked.role("preflight", "archive", _backup_for_window=False, backup_proof_enabled=True)
        said = " ".join(done.stdout.split())
        assert done.returncode != 0 and "is not proved. The archive could not be restored" in said and "Access denied" in said
        for path in (tmp_path / "archives").iterdir():
            path.unlink()
        stocked.database.server.fetch(f"grant all on `{name}\\_\\_proof\\_%`.* to {role}@'%'")
        stocked.database.fetch(
            f"create definer={role}@'%' event daily on schedule every 1 day do insert into words values (77, '')"
        )
    archive, _said = stocked.backed_up(backup_proof_enabled=True)
    assert archive["proof"]["proved"] and archive["proof"]["counts"]["words"] == 6
    if kind == "maria":
        assert b"EVENT" in Path(archive["path"]).read_bytes()
        assert [row for row in stocked.database.fetch("show databases") if "__proof_" in row[0]] == []
    else:
        assert sorted(path.name for path in (tmp_path / "archives").iterdir()) == sorted(
            Path(archive["path"]).name + end for end in ("", ".json")
        )
