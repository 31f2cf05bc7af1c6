# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Snapshots inside a PostgreSQL server: what they carry, the way back, who is in the way, and what is refused."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from support.application import failed, ok
from support.pgbouncer import PgBouncer
from support.postgres import Postgres, PostgresDatabase
from support.quick import some
from support.services import serve
from support.waiting import PATIENCE
from support.whole_database import Caller, attributes, made, names, two_servers

server = pytest.fixture(scope="module", params=some(["installed", "packaged"], "installed"))(two_servers)


@pytest.fixture
def shop(server: Postgres) -> Iterator[PostgresDatabase]:
    """A database with rows, whose owner may create databases."""
    with made(server) as database:
        database.fetch("create table orders (id int primary key, note text)")
        database.fetch(f"alter table orders owner to {database.role}")
        database.fetch("insert into orders select g, 'it''s 100% \\ of ' || g from generate_series(1, 500) g")
        yield database


@pytest.fixture
def furnished(server: Postgres, shop: PostgresDatabase) -> Iterator[PostgresDatabase]:
    """Everything that can belong to a database belongs to it."""
    owner, other = shop.role, f"{shop.role}_x"
    quoted = '"' + other + '-Weird "" role"'
    space = server.folder / other
    space.mkdir()
    if server.user:
        shutil.chown(space, server.user)
    for sql in (
        f"create role {other}",
        f"create role {quoted}",
        f"create tablespace {other} location '{space}'",
        f"revoke all on database {shop.name} from public",
        f"grant connect on database {shop.name} to {quoted}",
        f"grant connect, create on database {shop.name} to {other} with grant option",
        f"set role {other}; grant connect on database {shop.name} to {quoted}; reset role",
        f"alter database {shop.name} connection limit 77",
        f'alter database {shop.name} set search_path = "$user", public, "we,ird"',
        f"alter database {shop.name} set work_mem = '7MB'",
        f"alter database {shop.name} set shop.greeting = 'it''s 100% \"fine\" \\ ='",
        f"alter database {shop.name} set temp_tablespaces = ''",
        f"alter role {owner} in database {shop.name} set statement_timeout = '30s'",
        f"alter role {quoted} in database {shop.name} set datestyle = 'ISO, DMY'",
        f"comment on database {shop.name} is 'the shop''s own \\ comment: 100%'",
        f"alter database {shop.name} set tablespace {other}",
    ):
        server.fetch(sql)
    yield shop
    for name in names(server, shop.name):
        server.fetch(f'alter database "{name}" is_template false')
        server.fetch(f'drop database "{name}" with (force)')
    server.fetch(f"drop tablespace {other}")
    server.fetch(f"drop role {quoted}, {other}")


def rows(database: PostgresDatabase, name: str | None = None) -> Any:
    return database.server.fetch(
        "select count(*), sum(id), md5(string_agg(note, ',' order by id)) from orders", name=name or database.name
    )


def superuser(database: PostgresDatabase, driver: str = "psycopg2") -> Caller:
    host = f"{database.server.host}:{database.server.port}"
    return Caller(database, url=f"postgresql+{driver}://postgres:{database.server.password}@{host}/{database.name}")


@pytest.mark.parametrize("driver", some(["psycopg2", "psycopg", "asyncpg"], "psycopg2"))
@pytest.mark.parametrize("environment", some(["alembic18", "alembic120"], "alembic120"))
def test_there_and_back_with_every_driver(shop: PostgresDatabase, environment: str, driver: str) -> None:
    if (environment, driver) == ("alembic18", "psycopg"):
        pytest.skip("SQLAlchemy 1.4 knows no psycopg 3")
    call, before, held = Caller(shop, driver, environment), rows(shop), attributes(shop.server, shop.name)
    taken = ok(call("snapshot", revisions=["abc123"], note="release 2"))
    name = taken["snapshot"]["name"]
    assert taken["changed"] and taken["blocked_seconds"] > 0
    assert {key: taken["snapshot"][key] for key in ("kind", "of", "revisions", "note", "usable", "owner")} == {
        "kind": "snapshot",
        "of": shop.name,
        "revisions": ["abc123"],
        "note": "release 2",
        "usable": True,
        "owner": shop.role,
    }
    shop.fetch("delete from orders where id > 10")
    shop.fetch("create table left_over ()")
    back = ok(call("snapshot", state="restored", name=name))
    assert back["changed"] and rows(shop) == before and shop.tables() == ["orders"]
    assert rows(shop, back["kept"])[0][0] == 10, "the damaged database is kept"
    assert attributes(shop.server, shop.name) == held
    again = ok(call("snapshot", state="restored", name=name))
    assert not again["changed"] and again["kept"] == back["kept"] and rows(shop) == before


def test_what_belongs_to_the_database_is_carried_over(furnished: PostgresDatabase) -> None:
    shop, server = furnished, furnished.server
    call, held = superuser(shop), attributes(server, shop.name)
    assert held[8].startswith("the shop") and len(held[9]) == 4 and len(held[10]) == 3, held
    name = ok(call("snapshot", name=f"{shop.name}_before"))["snapshot"]["name"]
    assert attributes(server, shop.name) == held, "the source is as it was"
    copy = attributes(server, name)
    assert copy[:8] + copy[9:] == held[:8] + held[9:], "all but the comment is on the snapshot from the start"
    for sql in ("connection limit 3", "set work_mem = '1MB'", "reset search_path"):
        server.fetch(f"alter database {shop.name} {sql}")
    server.fetch(f"revoke connect on database {shop.name} from {shop.role}_x cascade")
    damaged = attributes(server, shop.name)
    kept = ok(call("snapshot", state="restored", name=name))["kept"]
    assert attributes(server, shop.name) == held
    now = attributes(server, kept)
    assert now[:8] + now[9:] == damaged[:8] + damaged[9:], "the damaged database keeps what it had"
    ok(call("snapshot", state="restored", name=kept))
    assert attributes(server, shop.name) == damaged, "and comes back with it"


def test_an_empty_side_database_for_an_archive(furnished: PostgresDatabase, tmp_path: Path) -> None:
    shop, server = furnished, furnished.server
    call, held, before = superuser(shop), attributes(server, shop.name), rows(furnished)
    tool = ["-h", server.host, "-p", str(server.port), "-U", "postgres"]
    environment = {"PGPASSWORD": server.password}
    archive = tmp_path / "archive"
    subprocess.run([server.binaries / "pg_dump", *tool, "-Fc", "-f", archive, shop.name], env=environment, check=True)
    shop.fetch("delete from orders")
    with contextlib.closing(shop.connect()):
        side = ok(call("snapshot", content="empty"))["snapshot"]
    assert side["kind"] == "side" and shop.server.fetch(
        "select count(*) from pg_class where relname = 'orders'", name=side["name"]
    ) == [(0,)]
    subprocess.run(
        [server.binaries / "pg_restore", *tool, "--exit-on-error", "-d", side["name"], archive], env=environment, check=True
    )
    ok(call("snapshot", state="restored", name=side["name"]))
    assert rows(shop) == before and attributes(server, shop.name) == held


@pytest.mark.parametrize(
    "locale", ["", "locale_provider icu icu_locale 'de-u-kn'", "locale_provider builtin builtin_locale 'C.UTF-8'"]
)
def test_locale_of_an_empty_side_database(server: Postgres, locale: str) -> None:
    import psycopg2

    try:
        server.fetch(
            f"create database localised template template0 encoding 'UTF8' lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8' {locale}"
        )
    except (psycopg2.errors.FeatureNotSupported, psycopg2.errors.SyntaxError, psycopg2.errors.InvalidParameterValue) as problem:
        pytest.skip(str(problem).splitlines()[0])
    try:
        found = Caller(None, url=f"postgresql+psycopg2://postgres:{server.password}@{server.host}:{server.port}/localised")
        side = ok(found("snapshot", content="empty"))["snapshot"]["name"]
        column = "datlocale" if server.version[0] >= 17 else "daticulocale"
        columns = f"select encoding, datcollate, datctype, datlocprovider, {column} from pg_database where datname = %s"
        assert server.fetch(columns, [side]) == server.fetch(columns, ["localised"])
    finally:
        for name in names(server, "localised"):
            server.fetch(f'drop database "{name}"')


def test_clients_are_named_and_nothing_is_touched(shop: PostgresDatabase) -> None:
    held, call = attributes(shop.server, shop.name), Caller(shop)
    with contextlib.closing(shop.connect(application_name="gunicorn")) as client:
        with client.cursor() as cursor:
            cursor.execute("select note from orders where note = 'Jane Doe' and id = 4711")
        told = failed(call("snapshot", wait=1), "database_busy")
        assert told["count"] == 1 and told["sessions"][0]["application"] == "gunicorn" and "gunicorn" in told["msg"]
        assert told["sessions"][0]["query"] == "select note from orders where note = ? and id = ?"
        assert attributes(shop.server, shop.name) == held and names(shop.server, shop.name) == [shop.name]
        shop.connect().close()
        taken = ok(call("snapshot", terminate=True))
        assert [session["application"] for session in taken["terminated"]] == ["gunicorn"]
        client.close()
    with contextlib.closing(shop.connect(application_name="gunicorn")):
        failed(call("snapshot", state="restored", name=taken["snapshot"]["name"], wait=0.5), "database_busy")
    assert attributes(shop.server, shop.name) == held
    with contextlib.closing(shop.server.connect(taken["snapshot"]["name"], shop.role, shop.password, application_name="exporter")):
        told = failed(call("snapshot", state="restored", name=taken["snapshot"]["name"], wait=0.5), "database_busy")
        assert "exporter" in told["msg"], "somebody on the snapshot is in the way as well"
        done = ok(call("snapshot", state="restored", name=taken["snapshot"]["name"], terminate=True))
    assert done["changed"] and len(done["terminated"]) == 1


def test_nobody_new_gets_in_while_it_waits(shop: PostgresDatabase) -> None:
    import psycopg2

    call = Caller(shop)
    with contextlib.closing(shop.connect()) as client:
        run = call.start("snapshot", wait=20)
        deadline = time.monotonic() + PATIENCE
        while attributes(shop.server, shop.name)[3] and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(psycopg2.OperationalError, match="not currently accepting connections"):
            shop.connect()
        told = failed(call("snapshot", wait=0.5), "lock_unavailable")
        assert "at work" in told["msg"]
        assert ok(call("snapshot_info"))["interrupted"] == [], "a living call is no interrupted one"
        seen = ok(call("sessions_info"))
        assert seen["count"] == 1, "sessions are seen although nobody is let in"
        client.close()
        ok(run.result())
    shop.connect().close()


def test_an_ordinary_role_is_enough(shop: PostgresDatabase) -> None:
    shop.server.fetch(f"grant connect on database {shop.name} to postgres")
    shop.server.fetch(f"alter role {shop.role} in database {shop.name} set work_mem = '5MB'")
    shop.server.fetch(f"alter role {shop.role} set statement_timeout = 100")
    shop.fetch("create table large as select repeat(md5(g::text), 8) from generate_series(1, 200000) g")
    held, before = attributes(shop.server, shop.name), rows(shop)
    call = Caller(shop)
    assert ok(call("snapshot_info"))["possible"]
    name = ok(call("snapshot"))["snapshot"]["name"]
    shop.fetch("drop table orders")
    kept = ok(call("snapshot", state="restored", name=name))["kept"]
    assert rows(shop) == before and attributes(shop.server, shop.name) == held
    assert ok(call("snapshot", state="absent", name=kept))["removed"] == [kept]
    assert names(shop.server, shop.name) == [shop.name]


class TestRefusals:
    """Each by its name, before anything is touched, in check mode and by the info module too."""

    def refused(
        self, shop: PostgresDatabase, call: Caller, reason: str, kind: str = "snapshot_refused", **options: Any
    ) -> dict[str, Any]:
        held, there = attributes(shop.server, shop.name), names(shop.server, shop.name)
        for check in (True, False):
            told = failed(call("snapshot", check=check, **options), kind)
            assert [entry["id"] for entry in told["refused"]] == [reason], told["refused"]
        info = ok(call("snapshot_info", **options))
        assert not info["possible"] and [entry["id"] for entry in info["refused"]] == [reason]
        assert attributes(shop.server, shop.name) == held and names(shop.server, shop.name) == there
        return told

    def test_logical_replication_slot(self, shop: PostgresDatabase) -> None:
        call = superuser(shop)
        name = ok(call("snapshot"))["snapshot"]["name"]
        shop.fetch("select pg_create_logical_replication_slot('to_warehouse', 'pgoutput')")
        try:
            assert "to_warehouse" in self.refused(shop, call, "logical_replication_slots")["msg"]
            failed(call("snapshot", state="restored", name=name), "snapshot_refused")
            done = ok(call("snapshot", state="restored", name=name, accept=["logical_replication_slots"]))
            assert done["changed"]
        finally:
            shop.server.fetch("select pg_drop_replication_slot('to_warehouse')")

    def test_subscription(self, shop: PostgresDatabase) -> None:
        shop.fetch("create subscription from_erp connection 'host=nowhere' publication p with (connect = false, slot_name = none)")
        try:
            assert "from_erp" in self.refused(shop, superuser(shop), "subscriptions")["msg"]
            ok(superuser(shop)("snapshot", accept=["subscriptions"]))
        finally:
            shop.fetch("drop subscription from_erp")

    def test_prepared_transaction(self, shop: PostgresDatabase) -> None:
        with contextlib.closing(shop.connect()) as client, client.cursor() as cursor:
            cursor.execute("begin")
            cursor.execute("create table half ()")
            cursor.execute("prepare transaction 'settlement-17'")
        try:
            told = self.refused(shop, Caller(shop), "prepared_transactions")
            assert "settlement-17" in told["msg"]
            self.refused(shop, Caller(shop), "prepared_transactions", accept=["subscriptions"])
        finally:
            shop.fetch("rollback prepared 'settlement-17'")

    def test_space(self, shop: PostgresDatabase) -> None:
        told = self.refused(shop, Caller(shop), "insufficient_space", "insufficient_space", free_bytes=1000000)
        assert "1 MiB are free" in told["msg"]
        info = ok(Caller(shop)("snapshot_info", free_bytes=1000000, accept=["insufficient_space"]))
        assert info["possible"] and info["space"]["free_bytes"] == 1000000 and info["space"]["measured"] == "given"

    def test_space_that_is_not_known_is_said(self, shop: PostgresDatabase) -> None:
        unknown, known = ok(Caller(shop)("snapshot_info")), ok(superuser(shop)("snapshot_info"))
        assert unknown["space"]["free_bytes"] is None and "not known" in unknown["warnings"][0], (
            "this role may not see data_directory"
        )
        assert known["space"]["measured"] == "local_disk" and known["space"]["free_bytes"] > 0 and not known["warnings"]

    def test_a_role_without_createdb(self, shop: PostgresDatabase) -> None:
        shop.server.fetch(f"alter role {shop.role} nocreatedb")
        told = self.refused(shop, Caller(shop), "insufficient_privilege", "insufficient_privilege")
        assert "CREATEDB" in told["hint"]

    def test_a_role_that_does_not_own_it(self, shop: PostgresDatabase) -> None:
        shop.server.fetch(f"alter database {shop.name} owner to postgres")
        assert "postgres" in self.refused(shop, Caller(shop), "insufficient_privilege", "insufficient_privilege")["msg"]

    def test_a_setting_that_the_role_may_not_carry_over(self, shop: PostgresDatabase) -> None:
        shop.server.fetch(f"alter database {shop.name} set log_min_messages = error")
        assert "log_min_messages" in self.refused(shop, Caller(shop), "insufficient_privilege", "insufficient_privilege")["msg"]

    def test_a_security_label(self, shop: PostgresDatabase) -> None:
        oid = shop.server.fetch("select oid from pg_database where datname = %s", [shop.name])[0][0]
        shop.server.fetch("insert into pg_shseclabel values (%s, 'pg_database'::regclass, 'selinux', 'secret')", [oid])
        try:
            assert "selinux" in self.refused(shop, superuser(shop), "security_labels")["msg"]
        finally:
            shop.server.fetch("delete from pg_shseclabel where objoid = %s", [oid])

    def test_a_database_of_the_server(self, server: Postgres) -> None:
        call = Caller(None, url=f"postgresql+psycopg2://postgres:{server.password}@{server.host}:{server.port}/postgres")
        told = failed(call("snapshot"), "snapshot_refused")
        assert [entry["id"] for entry in told["refused"]] == ["reserved_database"]

    def test_several_at_once(self, shop: PostgresDatabase) -> None:
        shop.server.fetch(f"alter role {shop.role} nocreatedb")
        told = failed(Caller(shop)("snapshot", free_bytes=1), "snapshot_refused")
        assert {entry["id"] for entry in told["refused"]} == {"insufficient_privilege", "insufficient_space"}

    @pytest.mark.parametrize("mode", some(["transaction", "session"], "session"))
    def test_a_pooler(self, shop: PostgresDatabase, mode: str) -> None:
        for bouncer in serve(lambda: PgBouncer(shop.server, mode).start()):
            call = Caller(shop, url=shop.url(port=bouncer.port))
            assert "pooler" in self.refused(shop, call, "pooler")["msg"]
            if mode == "session":
                ok(call("snapshot", accept=["pooler"], terminate=True))

    def test_a_database_that_is_not_there(self, shop: PostgresDatabase) -> None:
        call = Caller(shop, url=shop.url().rpartition("/")[0] + "/nothing_here")
        assert [entry["id"] for entry in failed(call("snapshot"), "database_missing")["refused"]] == ["database_missing"]
        failed(call("snapshot", state="restored", name="nor_this"), "database_missing")
        assert not ok(call("snapshot_info"))["possible"]


class TestOwnership:
    def test_only_ours_are_touched(self, shop: PostgresDatabase) -> None:
        call, foreign = superuser(shop), f"{shop.name}__snapshot_20200101T000000Z"
        shop.server.fetch(f'create database "{foreign}"')
        for state in ("absent", "restored", "present"):
            assert "left alone" in failed(call("snapshot", state=state, name=foreign), "not_ours")["msg"]
        with made(shop.server) as other:
            theirs = ok(superuser(other)("snapshot"))["snapshot"]["name"]
            assert other.name in failed(call("snapshot", state="absent", name=theirs), "not_ours")["msg"]
        failed(call("snapshot", state="absent", name="postgres"), "not_ours")
        assert ok(call("snapshot", state="pruned", keep_count=0))["removed"] == []
        assert foreign in names(shop.server, shop.name)

    def test_a_forged_mark_drops_nothing_of_others(self, shop: PostgresDatabase) -> None:
        """The application's role can write the comment of its own database; it gains nothing by it."""
        with made(shop.server) as victim:
            forged = f'"kind": "at_work", "by": "gone", "closed": true, "making": "{victim.name}", "allow_connections": "true; x"'
            forged = '{"dbops.alembic": {' + forged + "}}"
            shop.server.fetch(f"comment on database {shop.name} is '{forged}'")
            ok(superuser(shop)("snapshot", state="repaired"))
            assert victim.name in names(shop.server, victim.name)

    @pytest.mark.parametrize("name", ["x" * 64, "postgres", "ä" * 32])
    def test_names_that_can_not_be(self, shop: PostgresDatabase, name: str) -> None:
        failed(Caller(shop)("snapshot", name=name), "name_invalid")

    def test_a_long_name_is_cut_and_still_known(self, server: Postgres) -> None:
        with made(server) as database:
            long = (database.name + "ä" * 40)[:40]
            server.fetch(f'alter database {database.name} rename to "{long}"')
            call = superuser(database)
            call.url = call.url.rpartition("/")[0] + "/" + long
            taken = [ok(call("snapshot"))["snapshot"]["name"] for _ in range(2)]
            assert len(set(taken)) == 2 and all(len(name.encode()) <= 63 for name in taken)
            assert sorted(entry["name"] for entry in ok(call("snapshot_info"))["snapshots"]) == sorted(taken)


def test_check_mode_and_diff_tell_the_same_and_touch_nothing(shop: PostgresDatabase) -> None:
    call, held = Caller(shop), attributes(shop.server, shop.name)
    name = f"{shop.name}__mine"
    dry = ok(call("snapshot", name=name, check=True, diff=True))
    assert dry["changed"] and names(shop.server, shop.name) == [shop.name] and attributes(shop.server, shop.name) == held
    done = ok(call("snapshot", name=name, diff=True))
    assert dry["diff"] == done["diff"] and dry["snapshot"]["name"] == done["snapshot"]["name"] == name
    assert not ok(call("snapshot", name=name))["changed"] and not ok(call("snapshot", name=name, check=True))["changed"]
    dry = ok(call("snapshot", state="restored", name=name, check=True, diff=True))
    assert dry["changed"] and dry["kept"] not in names(shop.server, shop.name)
    assert name in dry["diff"][0]["before"] and name not in dry["diff"][0]["after"]
    dry = ok(call("snapshot", state="absent", name=name, check=True))
    assert dry["changed"] and dry["removed"] == [name] and name in names(shop.server, shop.name)
    done = ok(call("snapshot", state="absent", name=name, diff=True))
    assert done["removed"] == [name] and not ok(call("snapshot", state="absent", name=name))["changed"]


def test_prune(shop: PostgresDatabase) -> None:
    call, start = Caller(shop), f"{shop.name}_s"
    for number in range(4):
        ok(call("snapshot", name=f"{start}{number}"))
    age = """update pg_shdescription set description = regexp_replace(description, '"epoch": [0-9.e+]+', '"epoch": ' || %s)
             where objoid = (select oid from pg_database where datname = %s)"""
    now = shop.server.fetch("select extract(epoch from now())")[0][0]
    for number, days in enumerate((9, 8, 2, 1)):
        shop.server.fetch(age, [str(float(now) - days * 86400), f"{start}{number}"])
    assert [entry["name"] for entry in ok(call("snapshot_info"))["snapshots"]] == [f"{start}{n}" for n in (3, 2, 1, 0)]
    dry = ok(call("snapshot", state="pruned", keep_seconds=7 * 86400, check=True))
    assert dry["removed"] == [f"{start}0", f"{start}1"] and len(names(shop.server, start)) == 4
    assert ok(call("snapshot", state="pruned", keep_seconds=7 * 86400))["removed"] == dry["removed"]
    assert not ok(call("snapshot", state="pruned", keep_seconds=7 * 86400))["changed"]
    kept = ok(call("snapshot", state="restored", name=f"{start}2"))["kept"]
    assert ok(call("snapshot", state="pruned", keep_count=0, keep_seconds=0))["removed"] == [], "never the newest, nor another kind"
    assert names(shop.server, start) == [f"{start}3"] and kept in names(shop.server, shop.name)


def test_no_password_in_any_result(shop: PostgresDatabase) -> None:
    for result in (
        Caller(shop)("snapshot_info"),
        Caller(shop)("snapshot"),
        Caller(shop, url=shop.url(password="wrong-secret-7"))("snapshot"),
    ):
        assert shop.password not in str(result) and "wrong-secret-7" not in str(result)
    failed(result, "authentication_failed")


def test_mysql_is_told_to_use_an_archive(maria: Any) -> None:
    for module in ("snapshot", "snapshot_info"):
        assert "dump" in failed(Caller(maria)(module), "archive_required")["msg"]
