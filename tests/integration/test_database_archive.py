# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of PostgreSQL, the rows that are in it, and what is said when it can not be written."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes import archive as in_a_job
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.archive_script import SCRIPT, URL

from support.application import failed, ok
from support.postgres import PostgresDatabase
from support.quick import some
from support.sqlite import SqliteDatabase
from support.waiting import PATIENCE
from support.whole_database import Caller


@pytest.mark.parametrize("driver", some(["psycopg2", "psycopg", "asyncpg"], "psycopg2"))
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


def whole(pg: PostgresDatabase, folder: Path, form: str = "custom", **options: Any) -> dict[str, Any]:
    given = {"directory": str(folder), "name": f"shop-1.{form}", "described_as": "shop", "facts": {"format": form}}
    return Caller(pg)("archive", **{**given, "format": form, "programs": str(pg.server.binaries), **options})


@pytest.mark.parametrize("form", some(["custom", "plain", "directory"], "custom"))
def test_one_under_its_own_name_is_whole_and_described(pg: PostgresDatabase, tmp_path: Path, form: str) -> None:
    pg.fetch(f"set role {pg.role}; create table t (id int); insert into t values (1), (2)")
    folder = tmp_path / "archives"
    dry = ok(whole(pg, folder, form, check=True))
    assert dry["changed"] and dry["archive"] is None and not folder.exists()
    for _again in range(2):
        told = ok(whole(pg, folder, form, count=True))
        path = Path(told["path"])
        assert told["changed"] and told["tables"]["public.t"]["rows"] == 2 and told["diff"]["after"].startswith(f"{path}\n")
        assert sorted(entry.name for entry in folder.iterdir()) == [path.name, f"{path.name}.json"]
        assert json.loads(Path(f"{path}.json").read_text()) == told["archive"]
        assert (told["archive"]["database"], told["archive"]["format"]) == ("shop", form)
        assert folder.stat().st_mode & 0o777 == 0o700 and path.stat().st_mode & 0o077 == 0


def test_one_that_can_not_be_read_back_does_not_get_its_name(pg: PostgresDatabase, tmp_path: Path) -> None:
    programs, folder = tmp_path / "programs", tmp_path / "archives"
    programs.mkdir()
    for program, end in (("pg_dump", "&& truncate --size=100 $PATH_OF"), ("pg_restore", "")):
        script = '#!/bin/sh\nfor last; do case "$last" in --file=*) PATH_OF="${last#--file=}";; esac; done\n'
        (programs / program).write_text(f'{script}{pg.server.binaries}/{program} "$@" {end}\n')
        (programs / program).chmod(0o755)
    told = failed(whole(pg, folder, programs=str(programs)), "archive_failed")
    assert "can not be read back" in told["msg"] and [entry.name for entry in folder.iterdir()] == [".dbops-partial-shop-1.custom"]
    told = failed(whole(pg, folder, "plain", programs=str(programs)), "archive_failed")
    assert "not whole" in told["msg"] and not (folder / "shop-1.plain").exists()
    assert ok(whole(pg, folder))["archive"] and sorted(entry.name for entry in folder.iterdir() if "custom" in entry.name) == [
        "shop-1.custom",
        "shop-1.custom.json",
    ], "what was left of the first one is gone"


def test_what_keeps_it_from_being_written_is_told_before(pg: PostgresDatabase, tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    told = failed(whole(pg, folder, space_needed=1 << 60), "insufficient_space")
    assert "may need up to 1152921504606 MB" in told["msg"] and "backup_archive_space_factor" in told["hint"]
    (folder / "shop-1.custom").write_text("somebody's")
    failed(whole(pg, folder), "not_ours")
    assert (folder / "shop-1.custom").read_text() == "somebody's"
    folder.chmod(0o777)
    failed(whole(pg, folder), "folder_unusable")


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


class Claim:
    """A folder of this machine in the place of a claim, and a shell of this machine in the place of a Job's."""

    def __init__(self, database: PostgresDatabase, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.database, self.folder, self.programs = database, folder / "claim", folder / "programs"
        self.url = database.url("")
        self.folder.mkdir(), self.programs.mkdir()
        for program in ("pg_dump", "pg_restore", "psql"):
            (self.programs / program).symlink_to(database.server.binaries / program)
        bridge = in_a_job.ArchiveBridge(python="", cluster=None, options={})  # type: ignore[arg-type]
        monkeypatch.setattr(in_a_job.ArchiveBridge, "connect", lambda params: bridge)
        monkeypatch.setattr(in_a_job.ArchiveBridge, "call", lambda _bridge, request: self.call(request))

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        fixed = {"PROTOCOL": "1", "MARK": "m", "DEADLINE_MINUTES": "1", "URL": URL, "DATABASE_URL": self.url}
        variables = {**request["variables"], **fixed, "OPERATION": request["operation"].replace("archive_", "")}
        given = {f"DBOPS_{key.upper()}": str(value) for key, value in variables.items()}
        own = {**os.environ, **given, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["sh", "-c", SCRIPT], env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        pieces = re.findall(r"<m>:0:\d+/\d+:([^;]*);", done.stdout)
        assert pieces and self.database.password not in done.stdout, done.stdout
        return dict(json.loads(base64.b64decode("".join(pieces))))

    def __call__(self, **options: Any) -> dict[str, Any]:
        defaults = {name: given.get("default") for name, given in in_a_job.archive_spec().options.items()}
        mine = {"claim": "c", "directory": str(self.folder), "programs": str(self.programs), "database": self.database.name}
        return dict(in_a_job.run_archive({**defaults, **mine, **options}))

    def shown(self, **options: Any) -> tuple[list[str], list[str]]:
        """The names of the archives, and the servers of others."""
        defaults = {name: given.get("default") for name, given in in_a_job.archive_info_spec().options.items()}
        found = in_a_job.run_archive_info({**defaults, "claim": "c", "directory": str(self.folder), **options})
        return [Path(item["path"]).name for item in found["archives"]], found["other_servers"]

    def written(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / f"{name}.json").read_text()))


@pytest.fixture
def claim(pg: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Claim:
    pg.fetch(f"""set role {pg.role}; create table ticks (id serial); insert into ticks default values; create schema "O'dd %";
        create table "O'dd %"."a ""b"" \\ :c %s" (word text); insert into "O'dd %"."a ""b"" \\ :c %s" values ('1''2')""")
    return Claim(pg, tmp_path, monkeypatch)


def ticking(claim: Claim) -> None:
    """Let somebody write after the snapshot was taken and before pg_dump reads."""
    program = claim.programs / "pg_dump"
    program.unlink()
    binaries = claim.database.server.binaries
    program.write_text(f"#!/bin/sh\n{binaries}/psql -qc 'insert into ticks default values'\nexec {binaries}/pg_dump \"$@\"\n")
    program.chmod(0o755)


@pytest.mark.parametrize("form", some(["custom", "directory"], "custom"))
def test_a_job_counts_in_the_snapshot_of_its_archive(claim: Claim, form: str) -> None:
    """While somebody writes, and as the worker counts; the name of a table has what a shell, psql or JSON could mistake."""
    ticking(claim)
    sums = ok(Caller(claim.database)("rows", checksum=True))["tables"]
    made = claim(name="a-1", format=form, jobs=2, count=True, checksum=True)
    assert made["changed"] and made["tables"] == sums and set(sums) == {"public.ticks", 'O\'dd %.a "b" \\ :c %s'}
    assert claim.database.fetch("select count(*) from ticks") == [(2,)]
    restored = claim.database.server.database()
    restored.fetch(f"alter database {restored.name} owner to {claim.database.role}")
    claim(state="restored", name="a-1", format=form, sha256=made["archive"]["sha256"], database=restored.name)
    assert restored.fetch("select count(*) from ticks") == [(1,)]
    restored.drop()


def test_what_is_beside_an_archive_is_written_anew(claim: Claim) -> None:
    made = claim(name="a-1", count=True)["archive"]
    told = {"state": "described", "name": "a-1", "sha256": made["sha256"]}
    about = {**made, "proof": {"proved": True, "counts": {"public.ticks": 1}}}
    assert claim(**told, about=about)["changed"] and claim.written("a-1") == about
    assert not claim(**told, about=about)["changed"]
    assert claim(name="a-1", count=True) == {"changed": False, "archive": about}, "it is proved"
    many = {f"public.table_{number}": number for number in range(9000)}
    claim(**told, about={**made, "proof": {"proved": False, "counts": many}})
    assert claim.written("a-1")["proof"] == {"proved": False}
    assert claim(name="a-1", count=True)["changed"], "it was not proved"
    for kind, other in (("archive_damaged", {"sha256": "0" * 64}), ("archive_missing", {"name": "a-2"})):
        with pytest.raises(MigrationError) as caught:
            claim(**{**told, **other}, about=about)
        assert caught.value.kind == kind and claim.written("a-1").get("proof") is None
    (claim.folder / "a-1.json").write_text("{}")
    with pytest.raises(MigrationError) as caught:
        claim(**told, about=about)
    assert caught.value.kind == "not_ours" and claim.written("a-1") == {}


def test_the_database_of_the_url_is_named_where_no_other_is(claim: Claim) -> None:
    made = claim(name="a-1", database=None)["archive"]
    assert made["database"] == claim.database.name and claim.written("a-1") == made
    (claim.folder / "a-1").write_bytes(b"damaged")
    assert claim(name="a-1", database=None)["changed"], "it is ours, and written anew"
    (claim.folder / "a-1").write_bytes(b"damaged")
    assert claim(name="a-1")["changed"], "the same database, named"
    (claim.folder / "a-1").write_bytes(b"damaged")
    with pytest.raises(MigrationError) as caught:
        claim(name="a-1", database="another")
    assert caught.value.kind == "not_ours"


def test_a_claim_keeps_the_archives_of_its_servers_and_databases_apart(claim: Claim) -> None:
    """One server under two addresses stands for two, and is one again where its former address is said."""
    other = claim.database.server.database()
    former = claim(name="a-1")["archive"]["server"]
    assert former == f"{claim.database.server.host}:{claim.database.server.port}"
    claim.url = claim.url.replace("127.0.0.1", "localhost")
    content = (claim.folder / "a-1").read_bytes()
    for damage in (b"", b"damaged"):
        (claim.folder / "a-1").write_bytes(content + damage)
        with pytest.raises(MigrationError, match="an archive of another server than localhost:") as caught:
            claim(name="a-1")
        assert caught.value.kind == "not_ours" and (claim.folder / "a-1").read_bytes() == content + damage
    (claim.folder / "a-1").write_bytes(content)
    claim(name="a-2")
    for number, text in enumerate(("", "a note", "[]", '{"path": "/archives/a"}', "\\xff\n", '{"mine": true}')):
        (claim.folder / f"a-mine-{number}.json").write_text(text)
    assert claim.shown() == (["a-2"], [former]) and claim.shown(servers=[former]) == (["a-1", "a-2"], [])
    pruned = {"state": "pruned", "keep_count": 1}
    assert claim(**pruned)["removed"] == [] and (claim.folder / "a-1").exists()

    told = claim.written("a-2")
    del told["server"]
    for name in ("a-0", "a-2"):
        (claim.folder / f"{name}.json").write_text(json.dumps({**told, "path": f"/archives/{name}"}))
    assert claim.shown() == (["a-0", "a-2"], [former]) and claim(**pruned)["removed"] == [], "none that names no server"
    claim(name="a-3")
    claim(name="a-4", database=other.name)
    assert claim.shown(database=claim.database.name)[0] == ["a-0", "a-2", "a-3"], "none of another database"
    assert claim(**pruned, servers=[former])["removed"] == [str(claim.folder / "a-1")]


def test_what_keeps_a_job_from_counting_is_told(claim: Claim) -> None:
    claim.database.fetch("create table alien (id int)")
    with pytest.raises(MigrationError, match="permission denied for table alien") as caught:
        claim(name="a-1", count=True)
    assert "pg_dump ended with status 1" in str(caught.value.msg)
    claim.database.fetch("drop table alien")
    (claim.programs / "psql").unlink()
    (claim.programs / "psql").write_text("#!/bin/sh\necho out of luck >&2\nexit 3\n")
    (claim.programs / "psql").chmod(0o755)
    with pytest.raises(MigrationError, match="could not be counted: out of luck"):
        claim(name="a-1", count=True)
    assert list(claim.folder.iterdir()) == []


def test_how_much_is_written_is_told_and_no_other_run_writes_there(
    pg: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pg_dump waits for a lock; the job goes on between the calls, and a second one leaves it alone."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    pg.fetch(f"set role {pg.role}; create table t (id int); insert into t values (1), (2)")
    folder, job = tmp_path / "archives", {"job": "0123456789abcdef", "wait": 4 * PATIENCE}
    with pg.holding("lock table t in access exclusive mode"):
        begun = whole(pg, folder, **job, cursor=0)
        assert begun["finished"] is False and [event["event"] for event in begun["progress"]] == ["archive"], begun
        assert begun["progress"][0]["bytes"] >= 0 and begun["progress"][0]["seconds"] > 0 and pg.password not in str(begun)
        other = failed(whole(pg, folder, job="fedcba9876543210", wait=4 * PATIENCE), "archive_failed")
        assert "Another run is still writing" in other["msg"]
    told = ok(whole(pg, folder, **job, cursor=begun["cursor"]))
    while told.get("finished") is False:
        told = ok(whole(pg, folder, **job, cursor=told["cursor"]))
    assert told["changed"] and told["archive"]["path"] == str(folder / "shop-1.custom") and told["archive"]["bytes"] > 0
    assert sorted(path.name for path in folder.iterdir()) == ["shop-1.custom", "shop-1.custom.json"]
