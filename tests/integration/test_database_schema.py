# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One schema of a shared database is put back to an archive, judged by what all schemas hold before, meanwhile and afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from support.application import failed, ok
from support.postgres import PostgresDatabase
from support.quick import some
from support.waiting import until
from support.whole_database import Caller

TENANTS = ("acme", "globex", 'Ho"oli & co')
SCHEMA = """
set role {role};
create table {s}.alembic_version (version_num varchar(32) primary key);
insert into {s}.alembic_version values ('r005');
create type {s}.state as enum ('open', 'done');
create table {s}.users (id serial primary key, name text not null unique);
create table {s}.orders (id bigint generated always as identity primary key, usr int not null references {s}.users (id),
                         product int references public.products (id), state {s}.state default 'open', note text);
create index "orders by note" on {s}.orders (note);
create view {s}.open_orders as select o.id, u.name from {s}.orders o join {s}.users u on u.id = o.usr where state = 'open';
create function {s}.one_more(text) returns int language sql as $$ insert into {s}.users (name) values ($1) returning id $$;
create table {s}.parts (id int, at date) partition by range (at);
create table {s}.parts_2026 partition of {s}.parts for values from ('2026-01-01') to ('2027-01-01');
insert into {s}.parts values (1, '2026-02-03'), (2, '2026-02-04');
insert into {s}.users (name) select 'user ' || i from generate_series(1, 50) i;
insert into {s}.orders (usr, product, note) select i, 1, E'two\\nlines\\\\.\\t' || i from generate_series(1, 50) i;
create materialized view {s}.totals as select count(*) as orders from {s}.orders;
alter table {s}.users enable row level security;
create policy everybody on {s}.users using (true);
alter table {s}.users force row level security;
grant usage on schema {s} to reader_{role};
grant select on {s}.orders to reader_{role};
comment on schema {s} is 'a tenant';
reset role;
"""


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Tenants:
    """A database with a schema for each of three tenants, tables that all of them use, and an archive of it."""

    def __init__(self, database: PostgresDatabase, folder: Path):
        self.database, self.archive = database, folder / "shop.pgc"
        database.fetch(f"create role reader_{database.role}")
        database.fetch(f"grant create on database {database.name} to {database.role}")
        database.fetch("create table public.products (id int primary key); insert into public.products values (1), (2)")
        database.fetch(f"grant select, references, insert on public.products to {database.role}")
        for name in TENANTS:
            database.fetch(f"create schema {quoted(name)} authorization {database.role}")
            database.fetch(SCHEMA.format(s=quoted(name), role=database.role))
        self.dump(self.archive)

    def dump(self, path: Path, *options: str) -> None:
        self.program("pg_dump", "--format=custom", f"--file={path}", *options)

    def program(self, name: str, *arguments: str) -> str:
        server = self.database.server
        address = {"PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": "postgres", "PGDATABASE": self.database.name}
        environment = {"PATH": os.environ["PATH"], **address, "PGPASSWORD": server.password}
        command = [str(server.binaries / name), *arguments]
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout

    def plain(self, schema: str) -> str:
        """All that a schema has and is."""
        said = self.program("pg_dump", f"--schema={quoted(schema)}")
        return "\n".join(line for line in said.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))

    def restore(self, schema: str = "acme", check: bool = False, archive: Path | None = None, **options: Any) -> dict[str, Any]:
        return self.start(schema, check, archive, **options).result()

    def start(
        self, schema: str = "acme", check: bool = False, archive: Path | None = None, driver: str | None = None, **options: Any
    ):
        given = {
            "schema": schema,
            "archive": str(archive or self.archive),
            "programs": str(self.database.server.binaries),
            **options,
        }
        return Caller(self.database, driver).start("schema", check, **given)

    def spoil(self, schema: str = "acme") -> None:
        self.database.fetch(f"delete from {quoted(schema)}.orders; drop view {quoted(schema)}.open_orders")
        self.database.fetch(f"update {quoted(schema)}.alembic_version set version_num = 'r009'")

    def aside(self) -> list[str]:
        found = self.database.fetch("select nspname from pg_namespace where nspname like 'dbops\\_before\\_%' order by 1")
        return [name for (name,) in found]

    def count(self, table: str) -> int:
        return int(self.database.fetch(f"select count(*) from {table}")[0][0])


@pytest.fixture
def tenants(pg: PostgresDatabase, tmp_path: Path) -> Iterator[Tenants]:
    yield Tenants(pg, tmp_path)
    pg.fetch(f"drop owned by reader_{pg.role}; drop role reader_{pg.role}")


@pytest.mark.parametrize("driver", some(["psycopg2", "psycopg", "asyncpg"], "psycopg2"))
@pytest.mark.parametrize("schema", TENANTS[::2])
def test_one_is_put_back_and_the_others_are_left_alone(tenants: Tenants, schema: str, driver: str) -> None:
    before = {name: tenants.plain(name) for name in TENANTS}
    tenants.spoil(schema)
    spoilt = tenants.plain(schema)
    dry = ok(tenants.restore(schema, check=True, driver=driver))
    assert dry["changed"] and tenants.plain(schema) == spoilt and not tenants.aside()
    assert (dry["rows"][f"{schema}.orders"], dry["tables"][f"{schema}.orders"], dry["revisions"]) == (0, 50, ["r005"])
    assert f"{schema}.orders: 0 rows" in dry["diff"]["before"] and f"{schema}.orders: 50 rows" in dry["diff"]["after"]
    done = ok(tenants.restore(schema, driver=driver))
    assert {name: tenants.plain(name) for name in TENANTS} == before
    assert done["tables"] == dry["tables"] and done["revisions"] == ["r005"] and tenants.aside() == [done["kept"]]
    assert tenants.count(f"{quoted(done['kept'])}.orders") == 0 and tenants.count(f"{quoted(done['kept'])}.users") == 50
    assert tenants.database.password not in str(done)
    assert "There is a schema globex" in failed(tenants.restore(schema, driver=driver, keep_as="globex"), "name_invalid")["msg"]
    again = ok(tenants.restore(schema, driver=driver, keep_as="second"))
    assert again["kept"] == "second" and {name: tenants.plain(name) for name in TENANTS} == before


def test_one_that_was_dropped_comes_back(tenants: Tenants) -> None:
    before = tenants.plain("acme")
    tenants.database.fetch("drop schema acme cascade")
    done = ok(tenants.restore())
    assert (done["kept"], done["present"]) == (None, False) and tenants.plain("acme") == before and not tenants.aside()


def test_an_archive_of_the_schema_alone_will_do(tenants: Tenants, tmp_path: Path) -> None:
    alone, before = tmp_path / "acme.pgc", tenants.plain("acme")
    tenants.dump(alone, "--schema=acme")
    tenants.spoil()
    ok(tenants.restore(archive=alone))
    assert tenants.plain("acme") == before


def refused(tenants: Tenants, kind: str, *words: str, schema: str = "acme", **options: Any) -> None:
    before = [tenants.plain(name) for name in TENANTS]
    for check in (True, False):
        told = failed(tenants.restore(schema, check=check, **options), kind)
        assert all(word in told["msg"] for word in (*words, "othing was touched")), told["msg"]
    assert [tenants.plain(name) for name in TENANTS] == before and not tenants.aside()


def test_what_can_not_be_done_is_told_before_anything_is_touched(tenants: Tenants, tmp_path: Path) -> None:
    database, role = tenants.database, tenants.database.role
    refused(tenants, "archive_failed", "does not hold the schema acmee. It holds acme", schema="acmee")
    alone = tmp_path / "alone.pgc"
    tenants.dump(alone, "--schema=globex")
    refused(tenants, "archive_failed", "does not hold the schema acme. It holds globex", archive=alone)
    refused(tenants, "archive_failed", "no table acme.versions", "version_table of env.py", version_table="versions")
    database.fetch("create table public.contracts (id int, usr int constraint whose references acme.users (id))")
    database.fetch("create view public.all_orders as select * from acme.orders")
    refused(tenants, "snapshot_refused", "constraint whose on table public.contracts", "view public.all_orders")
    database.fetch("drop table public.contracts; drop view public.all_orders")
    database.fetch(f"revoke create on database {database.name} from {role}")
    refused(tenants, "insufficient_privilege", f"GRANT CREATE ON DATABASE {database.name} TO {role}")
    database.fetch(f"grant create on database {database.name} to {role}; alter schema acme owner to postgres")
    refused(tenants, "insufficient_privilege", "belongs to postgres", f"GRANT postgres TO {role}")
    database.fetch(f"alter schema acme owner to {role}; alter table acme.orders owner to postgres")
    foreign = tmp_path / "foreign.pgc"
    tenants.dump(foreign)
    database.fetch(f"alter table acme.orders owner to {role}")
    refused(tenants, "insufficient_privilege", "What the archive holds of the schema belongs to postgres", archive=foreign)


def test_a_pooler_is_refused(tenants: Tenants, pgbouncer: Any) -> None:
    before = tenants.plain("acme")
    given = {"schema": "acme", "archive": str(tenants.archive), "programs": str(tenants.database.server.binaries)}
    told = failed(Caller(tenants.database, url=tenants.database.url(port=pgbouncer.port))("schema", **given), "snapshot_refused")
    assert "Name the server itself in backup_database_url" in told["msg"] and tenants.plain("acme") == before


def test_a_plain_archive_and_one_that_is_not_there(tenants: Tenants, tmp_path: Path) -> None:
    plain = tmp_path / "plain.sql"
    tenants.program("pg_dump", f"--file={plain}")
    assert "format plain" in failed(tenants.restore(archive=plain), "archive_failed")["msg"]
    failed(tenants.restore(archive=tmp_path / "none"), "archive_missing")


def test_one_that_fails_in_the_middle_has_not_been(tenants: Tenants) -> None:
    database = tenants.database
    database.fetch("update acme.orders set product = null; update globex.orders set product = null")
    database.fetch(f"update {quoted(TENANTS[2])}.orders set product = null; delete from public.products where id = 1")
    before = tenants.plain("acme")
    told = failed(tenants.restore(), "archive_failed")
    assert "all is as it was" in told["msg"] and "orders_product_fkey" in told["msg"]
    assert tenants.plain("acme") == before and not tenants.aside()
    database.fetch("insert into public.products values (1)")
    ok(tenants.restore())


def test_rows_that_do_not_come_back_are_seen(tenants: Tenants) -> None:
    """What keeps rows from a table is made by a superuser of the server, at the very moment at which it is made."""
    database = tenants.database
    database.fetch("""
        create function public.eat() returns trigger language plpgsql as
        $$ begin if new.id = 7 then return null; end if; return new; end $$;
        create function public.on_table() returns event_trigger language plpgsql as $$
        begin
          if to_regclass('acme.users') is not null then
            drop trigger if exists eat on acme.users;
            create trigger eat before insert on acme.users for each row execute function public.eat();
          end if;
        end $$;
        grant execute on function public.eat() to public;
        create event trigger watch on ddl_command_end when tag in ('CREATE TABLE') execute function public.on_table()""")
    before = tenants.plain("acme")
    try:
        told = failed(tenants.restore(), "archive_failed")
    finally:
        database.fetch("drop event trigger watch; drop function public.on_table(); drop function public.eat()")
    assert "acme.users does not hold the rows of the archive, which are 50" in told["msg"]
    assert tenants.plain("acme") == before and not tenants.aside()


class Writers:
    """Sessions that go on writing into some schemas, with statements that the server keeps prepared."""

    def __init__(self, tenants: Tenants, *schemas: str):
        self.tenants, self.schemas, self.over = tenants, schemas, threading.Event()
        self.done = dict.fromkeys(schemas, 0)
        self.problems: list[str] = []
        self.threads = [threading.Thread(target=self._write, args=(name,)) for name in schemas]

    def _write(self, schema: str) -> None:
        database = self.tenants.database
        try:
            with contextlib.closing(database.server.connect(database.name, database.role, database.password)) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute(f"prepare more as insert into {quoted(schema)}.users (name) values ($1)")
                    while not self.over.is_set():
                        cursor.execute("execute more (%s)", [f"meanwhile {self.done[schema]}"])
                        self.done[schema] += 1
                        time.sleep(0.002)
        except Exception as exc:
            self.problems.append(f"{schema}: {exc}")

    def __enter__(self) -> Writers:
        for thread in self.threads:
            thread.start()
        until(lambda: all(self.done.values()) or self.problems, "the writers")
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


def test_who_works_meanwhile_is_not_disturbed_and_writes_to_what_is_there(tenants: Tenants) -> None:
    with Writers(tenants, *TENANTS) as writers:
        done = ok(tenants.restore())
        at = writers.done["acme"]
        until(lambda: writers.done["acme"] > at + 5 or writers.problems, "more rows")
    assert not writers.problems
    for name in TENANTS[1:]:
        assert tenants.count(f"{quoted(name)}.users") == 50 + writers.done[name]
    now, former = tenants.count("acme.users"), tenants.count(f"{quoted(done['kept'])}.users")
    assert now > 50 and (now - 50) + (former - 50) == writers.done["acme"]


def test_a_transaction_in_its_tables_is_waited_for_and_named(tenants: Tenants) -> None:
    database, before = tenants.database, tenants.plain("acme")
    with contextlib.closing(
        database.server.connect(database.name, database.role, database.password)
    ) as holder, holder.cursor() as cursor:
        cursor.execute("set application_name = 'holds it'; begin; insert into acme.users (name) values ('held')")
        told = failed(tenants.restore(lock_timeout=1), "lock_timeout")
        assert "holds it, idle in transaction" in told["msg"] and not tenants.aside()
        holder.rollback()
    assert tenants.plain("acme").replace("'acme.users_id_seq', 51", "'acme.users_id_seq', 50") == before
    ok(tenants.restore(lock_timeout=1))


def test_one_whose_lock_another_run_has_waits_and_says_so(tenants: Tenants) -> None:
    import hashlib

    key = int.from_bytes(hashlib.sha256(b"dbops.alembic:acme.alembic_version").digest()[:8], "big", signed=True)
    database = tenants.database
    with contextlib.closing(database.server.connect(database.name)) as holder, holder.cursor() as cursor:
        cursor.execute(f"select pg_advisory_lock({key})")
        told = failed(tenants.restore(lock_wait=0.5), "lock_unavailable")
        assert "Another run holds the migration lock" in told["msg"] and not tenants.aside()
    ok(tenants.restore())


@pytest.mark.parametrize("who", ["all", pytest.param("psql", marks=pytest.mark.slow), "worker"])
def test_one_that_is_killed_before_the_exchange_has_not_been(tenants: Tenants, who: str) -> None:
    """A transaction in its tables holds it where everything is done but the exchange."""
    database = tenants.database
    tenants.spoil()
    before = tenants.plain("acme")
    waiting = (
        "select pid from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'dbops.alembic restore of a schema'"
    )
    with contextlib.closing(database.server.connect(database.name)) as holder, holder.cursor() as cursor:
        cursor.execute("begin; select from acme.users limit 1")
        run = tenants.start(lock_timeout=0)
        until(lambda: database.fetch(waiting), "the restore to come to the exchange")
        found = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in run.descendants()}
        chosen = [pid for pid, line in found.items() if who == "all" or (b"psql" in line) == (who == "psql")]
        assert chosen and any(b"psql" in line for line in found.values())
        for pid in chosen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.process.communicate()
        told = failed(tenants.restore(lock_wait=0.5), "lock_unavailable")
        assert "dbops.alembic restore of a schema" in told["msg"]  # what the server still does for the one that was killed
        holder.rollback()
    left = "select 1 from pg_stat_activity where datname = current_database() and application_name like 'dbops.alembic restore%'"
    until(lambda: not database.fetch(left), "the sessions to end")
    assert tenants.plain("acme") == before and not tenants.aside()
    assert tenants.count(f"{quoted(ok(tenants.restore())['kept'])}.orders") == 0 and tenants.count("acme.orders") == 50


def test_while_it_waits_nobody_else_does_and_no_password_is_in_an_argument(tenants: Tenants) -> None:
    database = tenants.database
    with contextlib.closing(database.server.connect(database.name)) as holder, holder.cursor() as cursor:
        cursor.execute("begin; select from acme.users limit 1")
        run = tenants.start(lock_timeout=0)
        waiting = (
            "select pid from pg_stat_activity where wait_event_type = 'Lock' and application_name like 'dbops.alembic restore%'"
        )
        until(lambda: database.fetch(waiting), "the restore to come to the exchange")
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in run.descendants()]
        database.fetch("set lock_timeout = '10s'; insert into public.products values (3)")  # to which its foreign keys lead
        assert any(b"psql" in line for line in lines) and not any(database.password.encode() in line for line in lines)
        holder.rollback()
    assert database.password not in str(ok(run.result()))
