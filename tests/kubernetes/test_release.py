# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of a workload: an image or a manifest, written down before and set exactly after. No pod has to run for that."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, wait_until

from support.plays import Outcome, play, task

pytestmark = [pytest.mark.timeout(1200), pytest.mark.needs_root]


class Lab:
    def __init__(self, cluster: Cluster, folder: Path, python: Path):
        self.cluster, self.folder, self.python = cluster, folder, python
        self.namespace = "release-" + secrets.token_hex(3)
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        account = ("get", "serviceaccount", "default", "--namespace", self.namespace)
        wait_until(lambda: not cluster.try_kubectl(*account).returncode, what="pods have their service account")
        cluster.apply(self.manifest("shop:1.0"))

    def manifest(self, image: str, replicas: int = 0, **container: Any) -> dict[str, Any]:
        containers = [{"name": "web", "image": image, **container}, {"name": "proxy", "image": "proxy:7"}]
        template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        meta = {"name": "web", "namespace": self.namespace}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}

    def play(self, *tasks: dict[str, Any], arguments: tuple[str, ...] = ()) -> Outcome:
        hosts = {"here": {"ansible_python_interpreter": str(self.python)}}
        place = {"namespace": self.namespace, "name": "web", "kubeconfig": self.cluster.kubeconfig, "containers": ["web"]}
        steps = [task("kubernetes_release", **place, **options) for options in tasks]
        return play(self.folder, steps, *arguments, hosts=hosts)

    @property
    def template(self) -> dict[str, Any]:
        found = self.cluster.get("deployment", "web", "--namespace", self.namespace)
        assert found["spec"]["replicas"] == 0
        return dict(found["spec"]["template"])

    @property
    def images(self) -> list[str]:
        return [container["image"] for container in self.template["spec"]["containers"]]


@pytest.fixture
def lab(cluster: Cluster, tmp_path: Path, python: Path) -> Iterator[Lab]:
    made = Lab(cluster, tmp_path, python)
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


def prepared(version: str, **more: Any) -> dict[str, Any]:
    return {"state": "prepared", "version": version, **(more or {"image": f"shop:{version}"})}


def test_an_image_is_set_and_going_back_sets_the_former_template(lab: Lab) -> None:
    former = lab.template
    first = lab.play(prepared("1.1")).ok().result()
    assert first["changed"] and first["former_version"] == "1.0" and lab.template == former
    assert not lab.play(prepared("1.1")).ok().result()["changed"]
    checked = lab.play({"version": "1.1"}, arguments=("--check", "--diff")).ok()
    assert checked.result()["changed"] and '"shop:1.1"' in checked.printed and lab.template == former
    assert lab.play({"version": "1.1"}).ok().result()["changed"] and lab.images == ["shop:1.1", "proxy:7"]
    assert not lab.play({"version": "1.1"}).ok().result()["changed"]
    lab.cluster.kubectl("--namespace", lab.namespace, "set", "env", "deployment/web", "NOTE=by hand")
    assert lab.play({"version": "1.0"}).ok().result()["changed"] and lab.template == former


def test_a_manifest_is_applied_without_its_replicas(lab: Lab) -> None:
    former = lab.template
    manifest = lab.manifest("shop:1.1", replicas=7, env=[{"name": "MODE", "value": "new"}])
    done = lab.play(prepared("1.1", manifest=manifest), {"version": "1.1", "manifest": manifest}).ok()
    assert [step["result"]["changed"] for step in done.results] == [True, True]
    assert (
        lab.images == ["shop:1.1", "proxy:7"]
        and lab.template["spec"]["containers"][0]["env"] == manifest["spec"]["template"]["spec"]["containers"][0]["env"]
    )
    assert not lab.play({"version": "1.1", "manifest": manifest}).ok().result()["changed"]
    assert lab.play({"version": "1.0"}).ok().result()["changed"] and lab.template == former


def test_old_releases_are_forgotten_but_not_the_protected_ones(lab: Lab) -> None:
    done = lab.play(
        *(
            step
            for version in ("1.1", "1.2", "1.3")
            for step in (prepared(version), {"version": version, "keep_count": 2, "protected": ["1.0"]})
        )
    )
    assert done.ok().result()["releases"] == ["1.0", "1.2", "1.3"]
    gone = lab.play({"version": "1.1"}).result()
    assert gone["error_kind"] == "release_unknown" and "1.0, 1.2, 1.3" in gone["msg"]


def test_another_content_under_the_active_version_is_refused(lab: Lab) -> None:
    refused = lab.play(prepared("1.0", image="shop:another")).result()
    assert refused["error_kind"] == "options_invalid" and "another release_version" in refused["msg"]


def test_a_release_that_is_the_one_that_runs_is_refused(lab: Lab) -> None:
    """release_image that forgot the version: nothing would change, and the new version be said to serve."""
    lab.play(prepared("1.1"), {"version": "1.1"}).ok()
    before = lab.template
    refused = lab.play(prepared("1.2", image="shop:1.1")).result()
    assert refused["error_kind"] == "options_invalid" and "runs 1.1, and release 1.2 would be the same" in refused["msg"], refused
    assert "release_image" in refused["msg"] and lab.template == before
    assert not lab.play(prepared("1.1")).ok().result()["changed"]
    patch = '{"spec": {"template": {"spec": {"containers": [{"name": "web", "imagePullPolicy": "Always"}]}}}}'
    lab.cluster.kubectl("--namespace", lab.namespace, "patch", "deployment/web", "--patch", patch)
    lab.play(prepared("1.3", image="shop:1.1")).ok()  # which may be another image by now


def test_a_manifest_of_something_else_and_a_wrong_one_are_told(lab: Lab) -> None:
    other = lab.manifest("shop:1.1")
    other["metadata"]["name"] = "else"
    assert "The manifest is of Deployment else" in lab.play(prepared("1.1", manifest=other)).result()["msg"]
    wrong = lab.manifest("shop:1.1", imagePullPolicy="Sometimes")
    told = lab.play(prepared("1.1", manifest=wrong)).result()
    assert told["error_kind"] == "cluster_refused" and "imagePullPolicy" in told["msg"]


def test_a_workload_that_would_keep_the_release_from_its_pods_is_refused_before_anything_stops(lab: Lab) -> None:
    lab.cluster.kubectl("--namespace", lab.namespace, "rollout", "pause", "deployment/web")
    told = lab.play(prepared("1.1")).result()
    assert told["error_kind"] == "options_invalid" and "is paused" in told["msg"] and "kubectl rollout resume" in told["msg"]
    lab.play(prepared("1.0")).ok()  # nothing is to be rolled out
    lab.cluster.kubectl("--namespace", lab.namespace, "rollout", "resume", "deployment/web")
    lab.play(prepared("1.1")).ok()


def test_a_release_of_which_no_pod_would_be_made_is_refused_before_anything_stops(lab: Lab) -> None:
    def account(name: str) -> None:
        patch = f'{{"spec": {{"template": {{"spec": {{"serviceAccountName": "{name}"}}}}}}}}'
        lab.cluster.kubectl("--namespace", lab.namespace, "patch", "deployment/web", "--patch", patch)

    def quota(**hard: str) -> None:
        meta = {"name": "small", "namespace": lab.namespace}
        lab.cluster.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}})
        status = ("quota", "small", "--namespace", lab.namespace)
        wait_until(lambda: lab.cluster.get(*status).get("status", {}).get("hard") == hard, what="the quota holds")

    account("nobody")
    told = lab.play(prepared("1.1")).result()
    assert told["error_kind"] == "cluster_refused" and "would get no pod of release 1.1" in told["msg"], told
    assert f'service account {lab.namespace}/nobody: serviceaccount "nobody" not found' in told["msg"], told
    account("default")
    quota(**{"limits.cpu": "8"})
    told = lab.play(prepared("1.1")).result()
    assert told["error_kind"] == "cluster_refused" and "must specify limits.cpu" in told["msg"], told
    assert lab.images == ["shop:1.0", "proxy:7"]
    quota(pods="0")  # which the pods that run now may have used up
    lab.play(prepared("1.1")).ok()
