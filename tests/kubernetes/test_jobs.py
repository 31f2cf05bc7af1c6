# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything in the cluster: no migrator, and a controller that can't reach the database. Each piece of work is a Job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, wait_until
from images import NOWHERE, REPOSITORY, USER
from stage import Stage

from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1200), pytest.mark.needs_root]


@pytest.fixture(scope="module")
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Release 1.1 serves 300 orders; the database was empty before the first window."""
    made = Stage(cluster, server, tmp_path_factory.mktemp("jobs") / "s", python, migrator=False, jobs=True)
    try:
        first = made.play("maintenance_window", release_version="1.0")
        assert first.status == 0, first.output
        made.seed(300)
        second = made.play("maintenance_window", release_version="1.1")
        assert second.status == 0, second.output
        yield made
    finally:
        made.close()


def jobs(stage: Stage, operation: str) -> list[dict[str, Any]]:
    found = stage.get("jobs", f"--selector=dbops.alembic/operation={operation}")["items"]
    return sorted(found, key=lambda job: job["metadata"]["creationTimestamp"])


def test_a_window_migrates_in_a_job_with_few_rights(stage: Stage) -> None:
    assert stage.serves("1.1")
    record = stage.records()[-1]
    assert (record["status"], record["way_back"]) == ("finished", "snapshot")
    assert [step["revision"] for step in record["applied"]] == ["a3f07d5e1c92", "c64b2e98d075"]
    job = jobs(stage, "upgrade")[-1]
    pod = job["spec"]["template"]["spec"]
    worker = pod["containers"][0]
    assert worker["image"] == f"{REPOSITORY}:1.1"
    assert job["spec"]["backoffLimit"] == 0 and job["spec"]["activeDeadlineSeconds"] > 0 and pod["restartPolicy"] == "Never"
    assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
    rights = worker["securityContext"]
    assert (
        rights["readOnlyRootFilesystem"] and rights["capabilities"] == {"drop": ["ALL"]} and not rights["allowPrivilegeEscalation"]
    )
    assert worker["resources"]["requests"] and worker["resources"]["limits"]
    labels = job["metadata"]["labels"]
    assert labels["team"] == "sales" and labels["dbops.alembic/deployment"] == record["id"]
    assert job["metadata"]["name"] not in {item["metadata"]["name"] for item in jobs(stage, "upgrade")[:-1]}
    assert job["status"]["succeeded"] == 1
    assert stage.database.password not in stage.kubectl("get", "jobs,pods,events,configmaps", "--output=json")
    log = stage.kubectl("logs", f"job/{job['metadata']['name']}")
    assert "a3f07d5e1c92" in log and "dbops.alembic: done" in log


def test_finished_jobs_are_cleaned_up_but_the_last_few(stage: Stage) -> None:
    assert not jobs(stage, "info") and not jobs(stage, "database_rows")
    assert 1 <= len(stage.get("jobs")["items"]) <= 5


def test_a_second_run_changes_nothing(stage: Stage) -> None:
    before, version = stage.contents(), stage.get("deployment", "shop")["metadata"]["resourceVersion"]
    run = stage.play("maintenance_window", release_version="1.1")
    assert run.status == 0, run.output
    assert (run.changed, run.result["outcome"]) == (0, "nothing_to_do")
    assert stage.contents() == before and stage.get("deployment", "shop")["metadata"]["resourceVersion"] == version


@pytest.mark.slow
@pytest.mark.parametrize(
    ("release", "step", "why"),
    [("broken_migration", "upgrading", "customers_name_key"), ("unhealthy", "starting", 'column "discount" does not exist')],
)
def test_a_bad_release_is_put_back(stage: Stage, release: str, step: str, why: str) -> None:
    before = stage.contents()
    run = stage.play("maintenance_window", release_version=release)
    assert run.status == 2, run.output
    assert stage.serves("1.1") and stage.contents() == before
    record = stage.records()[-1]
    assert (record["status"], record["failure"]["step"], record["to_release"]) == ("reverted", step, release)
    assert why in record["failure"]["message"], record["failure"]["message"]


def test_an_image_that_is_not_there_is_known_before_anything_stops(stage: Stage) -> None:
    pods, records = sorted(pod["metadata"]["name"] for pod in stage.pods()), len(stage.records())
    run = stage.play("maintenance_window", release_version="1.2", release_image=NOWHERE)
    assert run.status == 2 and "did not start" in run.output and "ImagePull" in run.output, run.output
    assert sorted(pod["metadata"]["name"] for pod in stage.pods()) == pods and len(stage.records()) == records
    assert not [job for job in jobs(stage, "info") if "nowhere" in str(job)]


def test_a_secret_of_another_database_is_refused_before_anything_stops(stage: Stage) -> None:
    """It would be stopped, copied and migrated, and every copy and record would be named after the database that was meant."""
    other = stage.server.database()
    url = stage.url.replace(f"/{stage.database.name}", f"/{other.name}")
    stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-other"}, "stringData": {"url": url}})
    pods, records, before = sorted(pod["metadata"]["name"] for pod in stage.pods()), len(stage.records()), stage.contents()
    job = {"secret": "shop-other", "user": USER, "patience": 6}
    for playbook in ("maintenance_window", "rolling"):
        run = stage.play(playbook, release_version="1.2", schema_kubernetes=job)
        said = " ".join(run.output.split())
        assert run.status == 2 and f"names the database {other.name}, and this is about {stage.database.name}." in said, run.output
        assert sorted(pod["metadata"]["name"] for pod in stage.pods()) == pods and len(stage.records()) == records
    looked = " ".join(stage.play("status", schema_kubernetes=job).output.split())
    assert f"names the database {other.name}" in looked, looked
    assert stage.contents() == before and other.tables() == []
    other.drop()


def test_a_secret_of_another_server_than_that_of_the_pods_is_refused_before_anything_stops(stage: Stage) -> None:
    """Its database has the same name, so what the controller knows of both is the same."""
    other = Postgres(addresses=("127.0.0.1", stage.cluster.host)).create().start()
    try:
        other.fetch(f"create database {stage.database.name}")
        url = f"postgresql://postgres:{other.password}@{stage.cluster.host}:{other.port}/{stage.database.name}"
        stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-server"}, "stringData": {"url": url}})
        pods, records, before = sorted(pod["metadata"]["name"] for pod in stage.pods()), len(stage.records()), stage.contents()
        job = {"secret": "shop-server", "user": USER, "patience": 6}
        for playbook in ("maintenance_window", "rolling"):
            run = stage.play(playbook, release_version="1.2", schema_kubernetes=job)
            said = " ".join(run.output.split())
            assert run.status == 2 and f"{stage.database.name} on {stage.cluster.host}:{other.port}, and the pods of" in said, (
                run.output
            )
            assert f"use another database, {stage.database.name} on {stage.cluster.host}:{stage.server.port}." in said
            assert other.password not in run.output
            assert sorted(pod["metadata"]["name"] for pod in stage.pods()) == pods and len(stage.records()) == records
        assert stage.contents() == before and not other.fetch(
            "select 1 from pg_tables where schemaname = 'public'", (), stage.database.name
        )
    finally:
        other.remove()


def test_jobs_and_pods_may_come_to_one_database_by_two_addresses(stage: Stage) -> None:
    meta = {"name": "database"}
    stage.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"ports": [{"port": 5432, "targetPort": stage.server.port}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": meta,
            "subsets": [{"addresses": [{"ip": stage.cluster.host}], "ports": [{"port": stage.server.port}]}],
        },
    )
    address = stage.get("service", "database")["spec"]["clusterIP"]
    url = stage.url.replace(f"{stage.cluster.host}:{stage.server.port}", f"{address}:5432")
    stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-proxy"}, "stringData": {"url": url}})
    job = {"secret": "shop-proxy", "user": USER, "patience": 6}
    run = stage.play("maintenance_window", release_version="1.1", schema_kubernetes=job)
    assert (run.status, run.result["outcome"]) == (0, "nothing_to_do"), run.output
    assert "could not be found out" not in run.output


@pytest.mark.slow
def test_a_job_that_somebody_deletes_while_it_migrates_leaves_a_whole_release(stage: Stage) -> None:
    """The release before, or the new one where the migration was through already; the failure names the Job."""
    before, there = stage.contents(), {job["metadata"]["name"] for job in jobs(stage, "upgrade")}
    process = stage.start("dbops.alembic.maintenance_window", release_version="1.2")
    wait_until(lambda: process.poll() is not None or {job["metadata"]["name"] for job in jobs(stage, "upgrade")} - there)
    (name,) = {job["metadata"]["name"] for job in jobs(stage, "upgrade")} - there
    stage.kubectl("delete", "job", name, "--wait=false")
    output, _none = process.communicate(timeout=600)
    record = stage.records()[-1]
    if record["status"] == "finished":
        assert process.returncode == 0 and stage.serves("1.2"), output
        stage.play("rollback", deployment_rows_given_up=-1).ok()
    else:
        assert (process.returncode, record["status"], record["failure"]["step"]) == (2, "reverted", "upgrading"), output
        assert f"The Job {name}" in record["failure"]["message"] and "somebody deleted it" in record["failure"]["message"], record
    assert stage.serves("1.1") and stage.contents() == before


@pytest.mark.slow
def test_a_rollback_goes_back_from_the_snapshot(stage: Stage) -> None:
    before = stage.contents()
    stage.play("maintenance_window", release_version="1.2").ok()
    assert stage.serves("1.2")
    run = stage.play("rollback")
    assert run.status == 0, run.output
    assert stage.serves("1.1") and stage.contents() == before
