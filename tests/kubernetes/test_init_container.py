# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The new release's pods upgrade the database as they start, in the middle of a maintenance window."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from images import REPOSITORY
from stage import Probed

from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs_root, pytest.mark.slow]
BASE, HEAD = "8d25e9c3f6a4", "c64b2e98d075"  # of release 1.0 and of release 1.1
NAME = "dbops-upgrade"


class Migrating(Probed):
    @property
    def migrated(self) -> list[str]:
        """What each pod's init container said of the revisions that it ran, where it ran any."""
        logs = [self.kubectl("logs", pod["metadata"]["name"], f"--container={NAME}") for pod in self.pods()]
        return [log for log in logs if "[1/" in log]


@pytest.fixture(scope="module")
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migrating]:
    """Release 1.0 on five pods that have started at once on an empty database."""
    folder = tmp_path_factory.mktemp("init") / "s"
    variables = {"schema_runner": "init_container", "application_start_timeout_seconds": 90}
    made = Migrating(cluster, server, folder, python, replicas=5, migrator=False, jobs=True, variables=variables)
    try:
        run = made.play("maintenance_window", release_version="1.0")
        assert run.status == 0, run.output
        yield made
    finally:
        made.close()


def test_of_five_pods_on_an_empty_database_one_migrates(stage: Migrating) -> None:
    assert stage.serves("1.0") and stage.contents()[0] == BASE
    assert len(stage.pods()) == 5 and len(stage.migrated) == 1
    restarts = [status["restartCount"] for pod in stage.pods() for status in pod["status"]["initContainerStatuses"]]
    assert restarts == [0] * 5
    record = stage.records()[-1]
    assert (record["status"], record["to_revision"]) == ("finished", [BASE])
    assert [step["revision"] for step in record["applied"]] == ["4c1f0a7be201", BASE]


def test_a_second_run_changes_nothing(stage: Migrating) -> None:
    version = stage.get("deployment", "shop")["metadata"]["resourceVersion"]
    run = stage.play("maintenance_window", release_version="1.0")
    assert run.status == 0, run.output
    assert (run.changed, run.result["outcome"]) == (0, "nothing_to_do")
    assert stage.get("deployment", "shop")["metadata"]["resourceVersion"] == version


def test_a_window_upgrades_as_the_pods_start(stage: Migrating) -> None:
    stage.seed(300)
    run = stage.play("maintenance_window", release_version="1.1")
    assert run.status == 0, run.output
    assert stage.serves("1.1") and stage.contents()[0] == HEAD and len(stage.migrated) == 1
    (container,) = stage.template["spec"]["initContainers"]
    assert (container["name"], container["image"]) == (NAME, f"{REPOSITORY}:1.1")
    assert container["securityContext"]["readOnlyRootFilesystem"] and container["securityContext"]["runAsNonRoot"]
    assert stage.database.password not in stage.kubectl("get", "deployments,replicasets,pods,jobs", "--output=json")
    record = stage.records()[-1]
    assert (record["status"], record["way_back"], record["step"]) == ("finished", "snapshot", "archiving")
    assert [step["revision"] for step in record["applied"]] == ["a3f07d5e1c92", HEAD] and record["rows"]
    assert not stage.get("jobs", "--selector=dbops.alembic/operation=upgrade")["items"]


@pytest.mark.parametrize(
    ("release", "step", "why"),
    [
        ("broken_migration", "upgrading", ("MigrationFailed", "customers_name_key", "The end of the log of")),
        ("unhealthy", "starting", ("0 of 5 replicas are ready", "Readiness probe failed")),
    ],
)
def test_a_migration_that_fails_is_told_from_an_application_that_does(
    stage: Migrating, release: str, step: str, why: tuple[str, ...]
) -> None:
    before = stage.contents()
    run = stage.play("maintenance_window", release_version=release)
    assert run.status == 2, run.output
    record = stage.records()[-1]
    assert (record["status"], record["failure"]["step"], record["to_release"]) == ("reverted", step, release)
    message = record["failure"]["message"]
    assert all(part in message for part in why), message
    assert stage.serves("1.1") and stage.contents() == before
    assert "initContainers" not in stage.template["spec"], "the release that is back is set without it"


def test_a_rollback_goes_back_from_the_snapshot(stage: Migrating) -> None:
    before, template = stage.contents(), stage.template["spec"]
    there = stage.play("maintenance_window", release_version="1.2")
    assert there.status == 0, there.output
    assert stage.serves("1.2")
    run = stage.play("rollback", deployment_rows_given_up=-1)
    assert run.status == 0, run.output
    assert stage.serves("1.1") and stage.contents() == before and stage.template["spec"] == template


def test_a_host_without_pods_is_refused_before_anything_stops(stage: Migrating) -> None:
    pods, records = sorted(pod["metadata"]["name"] for pod in stage.pods()), len(stage.records())
    run = stage.play("maintenance_window", release_version="1.2", application_manager="systemd")
    assert run.status == 2 and "web would start before the pods have upgraded the database" in run.output, run.output
    assert sorted(pod["metadata"]["name"] for pod in stage.pods()) == pods and len(stage.records()) == records
