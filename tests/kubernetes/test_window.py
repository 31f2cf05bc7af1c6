# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments of a workload, migrated from a host: judged by what the cluster and the database hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from images import NOWHERE
from stage import Stage

from support.postgres import Postgres
from support.waiting import PATIENCE

pytestmark = [pytest.mark.timeout(1200), pytest.mark.needs_root, pytest.mark.slow]
ALL = ("1.0", "1.1", "1.2", "broken_migration", "wont_start", "unhealthy")
LIMITS = {"minReplicas": 2, "maxReplicas": 4}
SCALER = {
    "apiVersion": "autoscaling/v1",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "shop"},
    "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}, **LIMITS},
}


@pytest.fixture(scope="module")
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Release 1.1 serves 300 orders on two pods with an autoscaler; release 1.0 had been put there by other means, on no data."""
    made = Stage(cluster, server, tmp_path_factory.mktemp("kube") / "s", python)
    try:
        made.archive(*ALL)
        made.apply(SCALER)
        first = made.play("maintenance_window", release_version="1.0")
        assert first.status == 0, first.output
        made.seed(300)
        second = made.play("maintenance_window", release_version="1.1")
        assert second.status == 0, second.output
        yield made
    finally:
        made.close()


def test_a_window_leaves_the_new_release_with_as_many_replicas(stage: Stage) -> None:
    assert stage.serves("1.1")
    record = stage.records()[-1]
    assert (record["status"], record["from_release"], record["to_release"]) == ("finished", "1.0", "1.1")
    assert record["workloads"]["web"]["replicas"] == 2
    assert record["workloads"]["web"]["autoscalers"] == [{"name": "shop", **LIMITS}]
    assert LIMITS.items() <= stage.get("hpa", "shop")["spec"].items()
    assert "dbops.alembic/before-stop" not in stage.get("deployment", "shop")["metadata"]["annotations"]


def test_a_second_run_changes_nothing(stage: Stage) -> None:
    before, version = stage.contents(), stage.get("deployment", "shop")["metadata"]["resourceVersion"]
    run = stage.play("maintenance_window", release_version="1.1")
    assert run.status == 0, run.output
    assert (run.changed, run.result["outcome"]) == (0, "nothing_to_do")
    assert stage.contents() == before and stage.get("deployment", "shop")["metadata"]["resourceVersion"] == version


def test_the_status_says_how_the_application_answers(stage: Stage) -> None:
    shown = stage.play("status").ok().output
    words = " ".join(shown.split())
    assert "2 of 2 replicas are ready" in words and re.search(r"\bhealth 200\b", words), shown


def test_check_mode_touches_nothing(stage: Stage) -> None:
    before, found = stage.contents(), stage.get("deployment", "shop")["metadata"]["resourceVersion"]
    run = stage.play("maintenance_window", "--check", "--diff", release_version="1.2")
    assert run.status == 0, run.output
    assert run.result["outcome"] == "checked" and "ALTER TABLE customers ADD COLUMN country" in run.output
    assert stage.contents() == before and stage.get("deployment", "shop")["metadata"]["resourceVersion"] == found


def test_a_health_check_that_the_present_pods_do_not_pass_is_told(stage: Stage) -> None:
    before, found = stage.contents(), stage.get("deployment", "shop")["metadata"]["resourceVersion"]
    run = stage.play("maintenance_window", "--check", release_version="1.2", health_url=f"http://{stage.address}:8000/helth").ok()
    assert "/helth answered 404 and not 200" in run.result["doubted_hosts"]["web"], run.output
    away = stage.play("maintenance_window", release_version="1.2", health_url="http://shop.invalid:8000/health")
    assert away.status == 2 and "web: health_url is http://shop.invalid:8000/health, and shop.invalid has no address" in away.output
    assert stage.contents() == before and stage.get("deployment", "shop")["metadata"]["resourceVersion"] == found


def test_pods_that_were_doubted_before_are_put_back_as_they_were(stage: Stage) -> None:
    before, url = stage.contents(), f"http://{stage.address}:8000/helth"
    run = stage.play("maintenance_window", release_version="1.2", health_url=url, health_failing_seconds=1)
    assert run.status == 2 and run.result["outcome"] == "reverted" and "/helth answered 404" in run.output, run.output
    assert stage.serves("1.1") and stage.contents() == before


@pytest.mark.parametrize(
    ("release", "step", "why"),
    [
        ("broken_migration", "upgrading", "customers_name_key"),
        ("wont_start", "starting", "CARRIER_KEY is not set"),
        ("unhealthy", "starting", 'column "discount" does not exist'),
    ],
)
def test_a_bad_release_is_put_back(stage: Stage, release: str, step: str, why: str) -> None:
    before = stage.contents()
    run = stage.play("maintenance_window", release_version=release)
    assert run.status == 2, run.output
    assert stage.serves("1.1") and stage.contents() == before
    record = stage.records()[-1]
    assert (record["status"], record["failure"]["step"], record["to_release"]) == ("reverted", step, release)
    assert why in record["failure"]["message"], record["failure"]["message"]


def test_an_image_that_is_not_there_is_put_back_soon(stage: Stage) -> None:
    """The message has what the cluster says; the timeout of the start is not waited for."""
    before = stage.contents()
    stage.archive("1.2")
    run = stage.play("maintenance_window", release_version="1.2", release_image=NOWHERE, application_start_timeout_seconds=600)
    assert run.status == 2, run.output
    message = stage.records()[-1]["failure"]["message"]
    assert "ImagePull" in message and "Events:" in message and NOWHERE in message
    assert stage.serves("1.1") and stage.contents() == before


def test_a_rollback_sets_the_recorded_template(stage: Stage) -> None:
    """Not the revision before: between the two, somebody set an environment variable."""
    before = stage.contents()
    template = stage.template
    stage.play("maintenance_window", release_version="1.2").ok()
    assert stage.serves("1.2")
    stage.kubectl("set", "env", "deployment/shop", "NOTE=by hand")
    stage.kubectl("rollout", "status", "deployment/shop", f"--timeout={PATIENCE:g}s")
    run = stage.play("rollback")
    assert run.status == 0, run.output
    assert stage.serves("1.1") and stage.contents() == before
    assert stage.template == template
