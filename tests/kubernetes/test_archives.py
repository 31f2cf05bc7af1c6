# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives on a claim, written and read by Jobs: the controller knows no password and can't reach the database."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from images import NOWHERE, REPOSITORY, USER
from stage import Stage

from support.paths import ROOT
from support.plays import Outcome, Play, task
from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs_root, pytest.mark.slow]


class Claiming(Stage):
    """A stage with the claim `archives`, which is a folder of this machine."""

    @property
    def claim(self) -> Path:
        return self.folder / "claim"

    def make_claim(self) -> None:
        self.claim.mkdir()
        os.chown(self.claim, USER, USER)
        name = f"{self.namespace}-archives"
        common = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": ""}
        volume = {**common, "hostPath": {"path": str(self.claim)}, "persistentVolumeReclaimPolicy": "Retain"}
        self.cluster.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume})
        size = {"requests": {"storage": "1Gi"}}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": size, "storageClassName": "", "volumeName": name}
        self.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "archives"}, "spec": claim})


class Archives:
    """The modules, on the claim of a stage."""

    def __init__(self, stage: Claiming, folder: Path):
        self.stage, self.claim, self.folder = stage, stage.claim, folder

    def start(self, module: str, *arguments: str, job: dict[str, Any] | None = None, **options: Any) -> Play:
        kubernetes = {
            "kubeconfig": str(self.stage.kubeconfig),
            "namespace": self.stage.namespace,
            "application": "shop",
            "image": f"{REPOSITORY}:1.0",
            "secret": "shop-database",
            "user": USER,
            "patience": 6,
            **(job or {}),
        }
        given = {"claim": "archives", "prefix": "a-", "kubernetes": kubernetes, **options}
        hosts = {"here": {"ansible_python_interpreter": str(self.stage.python)}}
        return Play(self.folder, [task(module, **given)], *arguments, hosts=hosts)

    def run(self, module: str, *arguments: str, **options: Any) -> Outcome:
        return self.start(module, *arguments, **options).outcome(300)

    def fails(self, **options: Any) -> dict[str, Any]:
        done = self.run("kubernetes_archive", **options)
        assert done.status == 2, done.printed
        assert self.stage.database.password not in done.printed + str(done.results)
        return done.result()

    def write(self, name: str, **options: Any) -> dict[str, Any]:
        return dict(self.run("kubernetes_archive", name=name, **options).ok().result())

    @property
    def files(self) -> set[str]:
        return {path.name for path in self.claim.iterdir()}


@pytest.fixture(scope="module")
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Claiming]:
    """Release 1.0 serves 300 orders on one pod; archives go to the claim."""
    variables = {
        "backup_kubernetes_claim": "archives",
        "backup_kubernetes_image": f"{REPOSITORY}:1.0",
        "backup_archive_directory": "/archives",
    }
    folder = tmp_path_factory.mktemp("archives") / "s"
    made = Claiming(cluster, server, folder, python, replicas=1, migrator=False, jobs=True, variables=variables)
    made.make_claim()
    try:
        first = made.play("maintenance_window", release_version="1.0")
        assert first.status == 0, first.output
        made.seed(300)
        yield made
    finally:
        made.close()
        cluster.try_kubectl("delete", "persistentvolume", f"{made.namespace}-archives", "--wait=false")


@pytest.fixture
def archives(stage: Claiming, tmp_path: Path) -> Archives:
    return Archives(stage, tmp_path)


def test_an_archive_is_whole_and_written_once(archives: Archives) -> None:
    assert archives.run("kubernetes_archive", "--check", name="a-1").ok().result()["changed"]
    assert "a-1" not in archives.files
    first = archives.write("a-1", revisions=["8d25e9c3f6a4"], database=archives.stage.database.name)
    written = first["archive"]
    assert first["changed"] and {"a-1", "a-1.json"} <= archives.files and not [name for name in archives.files if "partial" in name]
    path = archives.claim / "a-1"
    assert (written["bytes"], path.stat().st_mode & 0o777) == (path.stat().st_size, 0o600)
    assert written["path"] == "/archives/a-1" and written["revisions"] == ["8d25e9c3f6a4"]
    again = archives.write("a-1")
    assert not again["changed"] and again["archive"] == written
    path.write_bytes(path.read_bytes()[:-20])
    assert archives.write("a-1")["changed"], "a damaged one is written anew"
    jobs = archives.stage.kubectl("get", "jobs,pods,events", "--output=json")
    assert archives.stage.database.password not in jobs


def test_what_can_not_be_archived_leaves_nothing(archives: Archives) -> None:
    before = archives.files
    full = archives.fails(name="a-2", needed_bytes=10**18)
    assert full["error_kind"] == "insufficient_space" and "claim archives" in full["msg"]
    missing = archives.fails(name="a-2", database="nowhere")
    assert missing["error_kind"] == "archive_failed" and '"nowhere" does not exist' in missing["msg"]
    programs = archives.fails(name="a-2", job={"image": NOWHERE})
    assert programs["error_kind"] == "job_failed" and "ImagePull" in programs["msg"]
    assert archives.files == before


def test_a_damaged_archive_is_not_restored(archives: Archives) -> None:
    written = archives.write("a-3", format="directory", jobs=2)["archive"]
    assert (archives.claim / "a-3" / "toc.dat").exists()
    shown = archives.run("kubernetes_archive_info", name="a-3").ok().result()
    assert shown["sha256"] == written["sha256"] and shown["free_bytes"] > 0
    part = next(path for path in (archives.claim / "a-3").iterdir() if path.suffix == ".gz")
    part.write_bytes(part.read_bytes() + b"x")
    given = {"state": "restored", "name": "a-3", "format": "directory", "sha256": written["sha256"], "database": "nowhere"}
    assert archives.fails(**given)["error_kind"] == "archive_damaged"
    assert archives.fails(**{**given, "name": "a-4"})["error_kind"] == "archive_missing"


def test_a_restore_in_place_is_all_or_nothing(archives: Archives) -> None:
    stage = archives.stage
    before = stage.contents()
    written = archives.write("a-5")["archive"]
    given = {"state": "restored", "name": "a-5", "sha256": written["sha256"]}
    refused = archives.fails(**given, statements="DELETE FROM orders;")
    assert "already exists" in refused["msg"] and stage.contents() == before
    empty = (ROOT / "roles" / "backup" / "files" / "empty.sql").read_text()
    stage.database.fetch("update orders set amount_cents = amount_cents + 1")
    assert stage.contents() != before
    archives.run("kubernetes_archive", **given, statements=empty).ok()
    assert stage.contents() == before


def test_pruning_keeps_what_it_is_told_and_never_removes_the_last(archives: Archives) -> None:
    names = [f"b-{number}" for number in range(3)]
    for name in names:
        archives.write(name)
    given = {"state": "pruned", "prefix": "b-"}
    assert archives.run("kubernetes_archive", "--check", keep_count=2, **given).ok().result()["removed"] == ["/archives/b-0"]
    assert "b-0" in archives.files
    assert archives.run("kubernetes_archive", keep_count=2, **given).ok().result()["changed"]
    assert not {"b-0", "b-0.json"} & archives.files and {"b-1", "b-2"} <= archives.files
    assert archives.run("kubernetes_archive", keep_seconds=0.001, **given).ok().result()["removed"] == ["/archives/b-1"]
    assert not archives.run("kubernetes_archive", keep_seconds=0.001, **given).ok().result()["changed"]


def moved(stage: Claiming) -> dict[str, Any]:
    """The server at an address of the cluster, as a Secret names it: another one, for all that an archive tells."""
    ports = [{"port": stage.server.port}]
    there = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "database"}, "spec": {"ports": ports}}
    leads = [{"addresses": [{"ip": stage.cluster.host}], "ports": ports}]
    stage.apply(there, {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "database"}, "subsets": leads})
    url = stage.url.replace(stage.cluster.host, stage.get("service", "database")["spec"]["clusterIP"])
    stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-moved"}, "stringData": {"url": url}})
    return {"secret": "shop-moved"}


def test_archives_of_two_servers_are_kept_apart_on_one_claim(archives: Archives) -> None:
    stage = archives.stage
    job, former = moved(stage), f"{stage.cluster.host}:{stage.server.port}"
    assert archives.write("c-1")["archive"]["server"] == former
    content = (archives.claim / "c-1").read_bytes()
    refused = archives.fails(name="c-1", job=job)
    assert (
        refused["error_kind"] == "not_ours"
        and "another server" in refused["msg"]
        and (archives.claim / "c-1").read_bytes() == content
    )
    archives.write("c-2", job=job)
    assert not archives.run("kubernetes_archive", state="pruned", prefix="c-", keep_count=1, job=job).ok().result()["changed"]
    shown = archives.run("kubernetes_archive_info", prefix="c-", job=job).ok().result()
    assert ([item["path"] for item in shown["archives"]], shown["other_servers"]) == (["/archives/c-2"], [former])

    made = stage.play("backup", backup_archive_enabled=True)
    assert made.status == 0, made.output
    written = json.JSONDecoder().raw_decode(made.output.split("RUN: ", 1)[1])[0]["dbops_archive"]
    elsewhere = {"schema_kubernetes": {"user": USER, "patience": 6, **job}}
    run = stage.play("restore", deployment_restore_from=written["path"], deployment_rows_given_up=-1, **elsewhere)
    said = " ".join(run.output.split())
    assert run.status == 2 and "nor an archive of this database" in said and f"on {former} and none of" in said, run.output
    assert stage.serves("1.0")
    again = {"state": "pruned", "prefix": "c-", "keep_count": 1, "servers": [former]}
    assert archives.run("kubernetes_archive", **again, job=job).ok().result()["changed"]
    assert "c-1" not in archives.files


def test_a_window_without_a_snapshot_goes_back_from_the_archive(stage: Claiming) -> None:
    before = stage.contents()
    given = {"backup_snapshot_enabled": False, "backup_window_archive_enabled": True}
    run = stage.play("maintenance_window", release_version="broken_migration", **given)
    assert run.status == 2, run.output
    record = stage.records()[-1]
    reached = (record["status"], record["way_back"], record["failure"]["step"])
    assert reached == ("reverted", "archive", "upgrading"), record
    assert record["window_archive"]["claim"] == "archives" and record["decision"]["source"] in ("archive", "")
    assert stage.serves("1.0") and stage.contents() == before


def test_an_archive_of_the_playbook_is_restored_by_the_playbook(stage: Claiming) -> None:
    before = stage.contents()
    made = stage.play("backup", backup_archive_enabled=True)
    assert made.status == 0, made.output
    written = json.JSONDecoder().raw_decode(made.output.split("RUN: ", 1)[1])[0]["dbops_archive"]
    assert (stage.claim / Path(written["path"]).name).exists() and written["revisions"] == ["8d25e9c3f6a4"]
    window = stage.play("maintenance_window", release_version="1.1", backup_archive_enabled=True)
    assert window.status == 0, window.output
    record = stage.records()[-1]
    assert (record["status"], record["way_back"]) == ("finished", "snapshot") and stage.serves("1.1")
    assert (stage.claim / Path(record["archive"]["path"]).name).exists() and record["archive"]["claim"] == "archives"
    stage.play("rollback").ok()
    assert stage.serves("1.0")
    stage.database.fetch("delete from orders")
    assert stage.contents() != before
    run = stage.play("restore", deployment_restore_from=written["path"], deployment_rows_given_up=-1)
    assert run.status == 0, run.output
    assert stage.serves("1.0") and stage.contents() == before


@contextmanager
def written_to(stage: Stage) -> Iterator[None]:
    """Somebody writes all the time: only counts of the very snapshot of the archive can be the same."""
    over = threading.Event()
    stage.database.fetch(f"set role {stage.database.role}; create table ticks (id serial primary key)")

    def write() -> None:
        while not over.wait(0.05):
            stage.database.fetch("insert into ticks default values")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
        stage.database.fetch("drop table ticks")


def scratch(stage: Stage) -> list[Any]:
    return stage.database.fetch("select datname from pg_database where datname like %s", [f"{stage.database.name}\\_\\_%"])


PROVED = {"backup_archive_enabled": True, "backup_proof_enabled": True, "backup_proof_checksum_enabled": True}


def test_an_archive_is_proved_by_jobs_that_restore_it_while_others_write(stage: Claiming) -> None:
    before = scratch(stage)
    with written_to(stage):
        made = stage.play("backup", **PROVED)
    assert made.status == 0, made.output
    written = json.JSONDecoder().raw_decode(made.output.split("RUN: ", 1)[1])[0]["dbops_archive"]
    beside = json.loads((stage.claim / (Path(written["path"]).name + ".json")).read_text())
    proof = beside["proof"]
    orders = stage.database.fetch("select count(*) from orders")[0][0]
    assert proof["proved"] and proof["counts"]["public.orders"] == orders and "public.ticks" in proof["counts"], proof
    assert written["proof"] == proof and proof["at"] and proof["seconds"] > 0 and scratch(stage) == before
    shown = stage.play("status")
    assert shown.status == 0 and f"restored {proof['at'][:10]}" in shown.output, shown.output


#: A check that finds its table by the search path, which pg_restore leaves empty: nothing but a restore tells.
ONLY_A_RESTORE_TELLS = """set role {role};
create table colours (name text primary key);
create function is_colour(text) returns bool language sql as 'select exists (select from colours where name = $1)';
create table shoes (colour text check (is_colour(colour)));
insert into colours values ('red');
insert into shoes values ('red')"""


def test_one_that_can_not_be_restored_is_kept_and_not_called_a_backup(stage: Claiming) -> None:
    before, there = scratch(stage), {path.name for path in stage.claim.iterdir()}
    stage.database.fetch(ONLY_A_RESTORE_TELLS.format(role=stage.database.role))
    try:
        made = stage.play("backup", **PROVED)
    finally:
        stage.database.fetch("drop table shoes; drop function is_colour; drop table colours")
    said = " ".join(made.output.split())
    assert made.status != 0 and "is not proved" in said and 'relation "colours" does not exist' in said, made.output
    (described,) = [path for path in stage.claim.iterdir() if path.name not in there and path.suffix == ".json"]
    proof = json.loads(described.read_text())["proof"]
    assert not proof["proved"] and "colours" in proof["message"] and described.with_suffix("").exists() and scratch(stage) == before


def test_an_archive_of_the_migrator_is_proved_where_migrations_run_in_a_cluster(stage: Claiming) -> None:
    """Rows are counted in Jobs, before and after pg_dump, which runs here: what was written to is named and not compared."""
    host = {"backup_kubernetes_claim": "", "backup_kubernetes_image": "", "backup_archive_directory": f"{stage.folder}/here"}
    with written_to(stage):
        made = stage.play("backup", **PROVED, **host, backup_database_url=stage.url)
    assert made.status == 0, made.output
    (described,) = (stage.folder / "here").glob("*.json")
    proof = json.loads(described.read_text())["proof"]
    assert proof["proved"] and proof["counts"]["public.orders"] and proof["written"] == ["public.ticks"], proof
