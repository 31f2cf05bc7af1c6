# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Role that ships is enough for a whole deployment, and what is lacking of it is told before anything is built or stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import Cluster, wait_until
from images import REPOSITORY, USER
from stage import ROLE, Probed

from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs_root, pytest.mark.slow]
#: Every right of the Role, as messages have it, with the rule that gives it alone.
RULES = {
    f"{verb} {name}{f'.{group}' if group else ''}": {"apiGroups": [group], "resources": [name], "verbs": [verb]}
    for rule in yaml.safe_load(ROLE.read_text())["rules"]
    for group in rule["apiGroups"]
    for name in rule["resources"]
    for verb in rule["verbs"]
}
#: Those on a StatefulSet are not for a Deployment, those on KEDA count only in a cluster that has it, and to make pods in a dry run
#: is not asked for.
UNASKED = (".keda.sh", " statefulsets.apps", "create pods")
NEEDED = sorted(right for right in RULES if not right.endswith(UNASKED))


class Lacking(Probed):
    """A namespace whose deployer can lose rights."""

    @contextmanager
    def without(self, *rights: str) -> Iterator[None]:
        self._role([rule for right, rule in RULES.items() if right not in rights])
        try:
            yield
        finally:
            self.kubectl("apply", "--filename", str(ROLE))

    def _role(self, rules: list[dict[str, Any]]) -> None:
        meta = {"name": "dbops-deployer"}
        self.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta, "rules": rules})

    @property
    def state(self) -> tuple[Any, ...]:
        """What a deployment that was refused leaves as it was."""
        found = self.get("deployment", "shop")
        jobs = sorted(job["metadata"]["uid"] for job in self.get("jobs")["items"])
        return (
            found["metadata"]["resourceVersion"],
            jobs,
            len(self.records()),
            sorted(pod["metadata"]["uid"] for pod in self.pods()),
        )


@pytest.fixture(scope="module")
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lacking]:
    """Release 1.0 was put there by other means; Jobs work on the database and the record is a ConfigMap."""
    made = Lacking(cluster, server, tmp_path_factory.mktemp("rights") / "s", python, migrator=False, jobs=True)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    ("playbook", "right"), [*(("maintenance_window", right) for right in NEEDED), ("rolling", "patch deployments.apps")]
)
def test_a_right_that_is_missing_is_named_and_nothing_is_touched(stage: Lacking, playbook: str, right: str) -> None:
    before = stage.state
    with stage.without(right):
        run = stage.play(playbook, release_version="1.1")
    assert run.status == 2 and "Nothing was touched, since something is lacking:" in run.output, run.output
    assert f"web: In the namespace {stage.namespace} these rights are missing: {right}. The guide on" in run.output, run.output
    assert stage.state == before


def test_all_that_are_missing_are_named_at_once(stage: Lacking) -> None:
    lost = ("patch deployments.apps", "list horizontalpodautoscalers.autoscaling", "create jobs.batch")
    with stage.without(*lost):
        run = stage.play("maintenance_window", release_version="1.1")
    assert run.status == 2 and f"these rights are missing: {', '.join(lost)}." in run.output, run.output


def test_each_namespace_that_is_used_is_asked(stage: Lacking) -> None:
    """Who may do nothing in one hears that it may be another one that was meant."""
    elsewhere = {"schema_kubernetes": {"secret": "shop-database", "namespace": "migrations"}, "deployment_record_namespace": "ops"}
    run = stage.play("maintenance_window", release_version="1.1", **elsewhere)
    assert run.status == 2, run.output
    told = " ".join(run.output.split())
    for namespace, first, why in (
        ("migrations", "create jobs", "schema_runner is kubernetes_job"),
        ("ops", "get configmaps", "the record shop-deployments"),
    ):
        assert f"{why}: In the namespace {namespace} all rights are missing: {first}" in told, run.output
    assert "Is it the right namespace, and the right user?" in told and f"In the namespace {stage.namespace}" not in told


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"application_kubernetes_namespace": "shpo"}, "In the namespace shpo all rights are missing: get deployments.apps, "),
        ({"application_kubernetes_name": "wbe"}, "There is no Deployment wbe in {}."),
        ({"application_kubernetes_kind": "statefulset"}, "There is no StatefulSet shop in {}."),
        ({"release_kubernetes_containers": ["wbe"]}, "Deployment shop in {} has no container wbe"),
        ({"application_kubernetes_kubeconfig": "/nowhere/config"}, "There is no kubeconfig /nowhere/config on this host."),
        ({"application_kubernetes_context": "west"}, "The kubeconfig "),
    ],
)
def test_what_is_not_there_is_told_and_nothing_is_touched(stage: Lacking, wrong: dict[str, Any], said: str) -> None:
    before = stage.state
    run = stage.play("maintenance_window", release_version="1.1", **wrong)
    assert run.status == 2 and "Nothing was touched, since something is lacking:" in run.output, run.output
    assert f"web: {said.format(stage.namespace)}" in run.output, run.output
    assert stage.state == before


def test_a_workload_without_pods_is_refused(stage: Lacking) -> None:
    """A stop of a deployment is another thing: it has written down how many there were."""
    stage.kubectl("scale", "deployment/shop", "--replicas=0")
    wait_until(lambda: not stage.pods(), what="the pods are gone")
    try:
        run = stage.play("maintenance_window", release_version="1.1")
        assert run.status == 2 and "Nothing was touched, since something is lacking:" in run.output, run.output
        assert f"web: The deployment shop in {stage.namespace} has 0 replicas, so no pod would run the release" in run.output
        assert not stage.pods() and not stage.records()
    finally:
        stage.kubectl("scale", "deployment/shop", f"--replicas={stage.replicas}")
        wait_until(lambda: len(stage.pods()) == stage.replicas, what="the pods are back")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"schema_python": "/usr/bin/python3"},
            f"In the image {REPOSITORY}:1.1: /usr/bin/python3 can not import Alembic: No module named 'alembic'. Set"
            " virtualenv or python (in the roles schema_virtualenv, schema_python) to the application's environment.",
        ),
        (
            {"schema_python": "/app/venv/bin/python9"},
            "The image has to have /app/venv/bin/python9; the option python, in the roles schema_python, names another one.",
        ),
        (
            {"schema_chdir": "/nowhere"},
            f"In the image {REPOSITORY}:1.1: The folder /nowhere can not be entered: No such file or directory. Check chdir (in the"
            " roles schema_chdir).",
        ),
        ({"schema_kubernetes": {"secret": "nowhere", "user": USER, "patience": 3}}, 'secret "nowhere" not found'),
        (
            {"schema_kubernetes": {"secret": "shop-database", "secret_key": "urll", "user": USER, "patience": 3}},
            "nothing was touched. Look at secret and secret_key in the option kubernetes, in the roles schema_kubernetes",
        ),
        (
            {"release_image": "registry.invalid/shop:1.1", "schema_kubernetes": {"secret": "shop-database", "patience": 3}},
            "nothing was touched. Look at image, image_pull_policy and image_pull_secrets in the option kubernetes",
        ),
        ({"release_source": "none"}, "so no image is known that has the migrations. Set release_source to image, or schema_ku"),
        ({"backup_kubernetes_claim": "nowhere", "backup_archive_enabled": True}, 'persistentvolumeclaim "nowhere" not found'),
    ],
)
def test_what_only_a_job_finds_out_is_told_before_anything_stops(stage: Lacking, wrong: dict[str, Any], said: str) -> None:
    pods = stage.state[-1]
    run = stage.play("maintenance_window", release_version="1.1", **wrong)
    assert run.status == 2 and said in " ".join(run.output.split()).replace('\\"', '"'), run.output
    assert stage.state[-1] == pods and not [record for record in stage.records() if record["status"] == "open"]


def test_a_release_whose_pods_a_quota_would_not_let_in_is_refused(stage: Lacking) -> None:
    """It is younger than the pods that run, of which none would come back either."""
    meta, before = {"name": "strict"}, stage.state[-1]
    stage.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": {"limits.cpu": "8"}}})
    wait_until(lambda: "hard" in stage.get("quota", "strict").get("status", {}), what="the quota holds")
    try:
        run = stage.play("maintenance_window", release_version="1.1")
    finally:
        stage.kubectl("delete", "quota", "strict")
    said = f"Nothing was touched. web: Deployment shop in {stage.namespace} would get no pod of release 1.1: "
    assert run.status == 2 and said in run.output and "must specify limits.cpu" in run.output, run.output
    assert stage.state[-1] == before and not stage.records()


def test_of_two_runs_at_once_one_deploys_and_the_other_says_so(stage: Lacking) -> None:
    runs = [stage.start("dbops.alembic.maintenance_window", release_version="1.1") for _number in range(2)]
    said = [run.communicate(timeout=900)[0] for run in runs]
    assert sorted(run.returncode for run in runs) == [0, 2], said
    lost = said[0 if runs[0].returncode else 1]
    assert "Another deployment may have begun" in lost or "with the playbook dbops.alembic.recover; nothing was touched" in lost, (
        lost
    )
    assert stage.serves("1.1") and [record["status"] for record in stage.records()] == ["finished"]


def test_the_role_is_enough_for_a_window_and_a_rolling_deployment(stage: Lacking) -> None:
    """The window was that of the test before."""
    assert stage.records()[-1]["kind"] == "maintenance_window"
    for playbook, release in (("rolling", "1.2"), ("rollback", "1.1")):
        run = stage.play(playbook, **({} if playbook == "rollback" else {"release_version": release}))
        assert run.status == 0 and stage.serves(release), run.output
