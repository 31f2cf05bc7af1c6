# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook restore on one of three schemas of a shared database, judged by what all of them hold."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from support.application import Application
from support.fleet import Fleet
from support.postgres import Postgres, PostgresDatabase
from support.shop import Shop
from support.waiting import until

pytestmark = pytest.mark.timeout(1800)
NAMES = ("acme", "globex", "hooli")
FROM_NOW_ON = {"deployment_restore_target": "acme", "deployment_rows_given_up": -1}


class Customers(Shop):
    """Three customers, each with a schema of one database."""

    @property
    def archive(self) -> str:
        (found,) = self.archives()
        return str(found)

    def rows(self, name: str, schema: str | None = None) -> list[str]:
        return [row for (row,) in self.database.fetch(f"select name from {schema or 'of_' + name}.users order by id")]

    def revision(self, name: str) -> str:
        return str(self.database.fetch(f"select version_num from of_{name}.alembic_version")[0][0])

    def aside(self) -> list[str]:
        found = self.database.fetch("select nspname from pg_namespace where nspname like 'dbops\\_before\\_%' order by 1")
        return [name for (name,) in found]

    def refuses_it(self, *words: str, **extra: Any) -> None:
        """The playbook fails, says why, and nothing was touched."""
        before = self.database.dump()
        done = self.play("restore", **{"deployment_restore_from": self.archive, **FROM_NOW_ON, **extra})
        said = " ".join(done.stdout.split())
        assert done.returncode != 0 and all(word in said for word in words), done.stdout
        assert self.database.dump() == before


@pytest.fixture
def customers(newest: Application, pg: PostgresDatabase, tmp_path: Path) -> Iterator[Customers]:
    project = newest.project("tenants", pg)
    pg.fetch(f"grant create on database {pg.name} to {pg.role}")
    targets = [{"name": name, "schema": f"of_{name}"} for name in NAMES]
    for name in NAMES:
        pg.fetch(f"create schema of_{name} authorization {pg.role}")
    Fleet(newest, project, targets, tmp_path, schema_variable="TENANTS", url=pg.url()).run()
    for name in NAMES:
        pg.fetch(f"delete from of_{name}.orders; delete from of_{name}.users")
        pg.fetch(f"insert into of_{name}.users (id, name) select i, 'user ' || i from generate_series(1, 20) i")
    variables = {
        "fleet_databases": targets,
        "fleet_schema_variable": "TENANTS",
        "fleet_way_back": ["downgrade"],
        "backup_programs_directory": str(pg.server.binaries),
    }
    made = Customers(tmp_path, pg, project, str(newest.python), variables)
    made.passes("backup")
    yield made


class Writers:
    """What the other customers write, while one of them is restored."""

    def __init__(self, customers: Customers):
        self.database, self.over = customers.database, threading.Event()
        self.done, self.problems = dict.fromkeys(NAMES[1:], 0), list[str]()
        self.threads = [threading.Thread(target=self._write, args=(name,)) for name in self.done]

    def _write(self, name: str) -> None:
        server = self.database.server
        try:
            with contextlib.closing(server.connect(self.database.name, self.database.role, self.database.password)) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    while not self.over.is_set():
                        row = 1000 + self.done[name]
                        cursor.execute(f"insert into of_{name}.users (id, name) values (%s, 'meanwhile')", [row])
                        self.done[name] += 1
                        time.sleep(0.05)
        except Exception as exc:
            self.problems.append(str(exc))

    def __enter__(self) -> Writers:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_one_goes_back_and_the_others_go_on(customers: Customers) -> None:
    database, before = customers.database, customers.rows("acme")
    database.fetch("delete from of_acme.users where id > 3; update of_acme.users set name = 'spoilt'")
    spoilt = customers.rows("acme")
    asked = {"deployment_restore_from": customers.archive, **FROM_NOW_ON}
    looked = customers.passes("restore", "--check", "--diff", **asked)
    assert customers.rows("acme") == spoilt and not customers.aside()
    assert "of_acme.users: 3 rows" in looked and "of_acme.users: 20 rows" in looked and "would be as" in looked
    customers.refuses_it("acme has", "deployment_rows_given_up=-1", deployment_rows_given_up=0)
    with Writers(customers) as writers:
        said = customers.passes("restore", **asked)
    assert not writers.problems and all(writers.done.values())
    assert customers.rows("acme") == before and customers.revision("acme") == "r005"
    for name, count in writers.done.items():
        assert len(customers.rows(name)) == 20 + count
    (kept,) = customers.aside()
    assert customers.rows("acme", kept) == spoilt and f'DROP SCHEMA "{kept}" CASCADE' in " ".join(said.split()).replace('\\"', '"')
    again = customers.passes("restore", **asked)
    assert customers.rows("acme") == before and len(customers.aside()) == 2 and "at r005" in again


def test_what_can_not_be_done_is_told_before_anything_is_touched(customers: Customers) -> None:
    customers.refuses_it("There is no target acne. There are acme", deployment_restore_target="acne")
    content = Path(customers.archive).read_bytes()
    Path(customers.archive).write_bytes(content[:-10])
    customers.refuses_it("is damaged")


@pytest.mark.slow
def test_what_else_can_not_be_done_is_told_too(customers: Customers) -> None:
    database = customers.database
    customers.refuses_it("is no archive of the database that has acme", customers.archive, deployment_restore_from="/srv/other.pgc")
    customers.refuses_it("Name the path of an archive", deployment_restore_from="")
    customers.refuses_it("neither fleet_databases nor fleet_query", fleet_databases=[])
    customers.refuses_it(
        "a database of its own", fleet_databases=[{"name": "acme", "url": database.url()}], schema_database_url=None
    )
    customers.refuses_it("knows one database", "deployment_restore_target", deployment_restore_target="")
    database.fetch(f"revoke create on database {database.name} from {database.role}")
    customers.refuses_it(f"GRANT CREATE ON DATABASE {database.name} TO {database.role}")
    database.fetch(f"grant create on database {database.name} to {database.role}")
    database.fetch("drop schema of_globex cascade")
    shutil.rmtree(customers.folder / "archives")
    other = [{"name": name, "schema": f"of_{name}"} for name in ("acme", "hooli")]
    customers.passes("backup", fleet_databases=other)
    database.fetch(f"create schema of_globex authorization {database.role}")
    customers.refuses_it("does not hold the schema of_globex. It holds of_", deployment_restore_target="globex")


@pytest.mark.slow
def test_one_that_was_dropped_and_one_that_is_behind(customers: Customers) -> None:
    database, before = customers.database, customers.rows("acme")
    database.fetch("drop schema of_acme cascade")
    asked = {"deployment_restore_from": customers.archive, "deployment_restore_target": "acme"}
    customers.passes("restore", **asked)
    assert customers.rows("acme") == before and not customers.aside()
    shutil.rmtree(customers.folder / "archives")
    database.fetch("update of_acme.alembic_version set version_num = 'r004'")
    customers.passes("backup")
    database.fetch("update of_acme.alembic_version set version_num = 'r005'")
    said = customers.passes("restore", **{**asked, "deployment_restore_from": customers.archive}, deployment_rows_given_up=-1)
    assert customers.revision("acme") == "r004" and "It has not yet r005" in " ".join(said.split())
    shutil.rmtree(customers.folder / "archives")
    database.fetch("update of_acme.alembic_version set version_num = 'r999'")
    customers.passes("backup")
    database.fetch("update of_acme.alembic_version set version_num = 'r005'")
    customers.refuses_it("at r999, which the active release does not know")


@pytest.mark.slow
def test_one_found_by_a_query_is_restored_and_what_is_kept_is_no_target(customers: Customers) -> None:
    customers.variables.update(fleet_databases=[], fleet_query={"list": "schemas", "match": ["*"], "exclude": ["public"]})
    before = customers.rows("acme")
    customers.database.fetch("delete from of_acme.users")
    customers.passes(
        "restore", deployment_restore_from=customers.archive, **{**FROM_NOW_ON, "deployment_restore_target": "of_acme"}
    )
    assert customers.rows("acme") == before and len(customers.aside()) == 1
    assert "3 databases" in customers.passes("status")


def psql_at(port: int) -> list[int]:
    """The sessions of psql with the server of this test, which nobody else knows."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (
                b"--no-psqlrc" in (entry / "cmdline").read_bytes()
                and f"PGPORT={port}\0".encode() in (entry / "environ").read_bytes()
            ):
                found.append(int(entry.name))
    assert found
    return found


@pytest.mark.slow  # test_database_schema kills what the role runs there
def test_a_kill_before_the_exchange_leaves_what_was_there(customers: Customers, postgres: Postgres) -> None:
    database = customers.database
    database.fetch("delete from of_acme.users where id > 3")
    spoilt = customers.rows("acme")
    asked = {"deployment_restore_from": customers.archive, **FROM_NOW_ON, "backup_snapshot_wait_seconds": 0}
    waiting = "select pid from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'dbops.alembic restore%'"
    outcome: list[Any] = []
    with contextlib.closing(database.server.connect(database.name)) as holder, holder.cursor() as cursor:
        cursor.execute("begin; select from of_acme.users limit 1")
        run = threading.Thread(target=lambda: outcome.append(customers.play("restore", **asked)))
        run.start()
        until(lambda: database.fetch(waiting), "the restore to come to the exchange")
        mine = str(customers.archive).encode()
        for entry in Path("/proc").iterdir():  # what reads this very archive, or was started by it
            with contextlib.suppress(OSError):
                if (
                    entry.name.isdigit()
                    and b"psql" in (entry / "cmdline").read_bytes()
                    and str(database.server.port).encode() in (entry / "environ").read_bytes()
                ):
                    os.kill(int(entry.name), signal.SIGKILL)
        assert mine
        holder.rollback()
        run.join()
    assert outcome[0].returncode != 0 and "all is as it was" in " ".join(outcome[0].stdout.split())
    assert customers.rows("acme") == spoilt and not customers.aside()
    customers.passes("restore", **asked)
    assert len(customers.rows("acme")) == 20
