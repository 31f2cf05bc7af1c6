# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives on a claim, written and read by Jobs: the controller knows no password and can't reach the database."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
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
    assert stage.play("rollback").status == 0 and stage.serves("1.0")
    stage.database.fetch("delete from orders")
    assert stage.contents() != before
    run = stage.play("restore", deployment_restore_from=written["path"], deployment_rows_given_up=-1)
    assert run.status == 0, run.output
    assert stage.serves("1.0") and stage.contents() == before
