# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stop and start of one workload: what was there comes back exactly, and what can't come up is known soon."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from images import REPOSITORY

from support.plays import Outcome, play, task

pytestmark = [pytest.mark.timeout(1200), pytest.mark.needs_root]
#: Stops some seconds after it is told to.
SLOW = "import signal, time; signal.signal(15, lambda *_: (time.sleep(4), exit(0)))\nwhile True: time.sleep(1)"
WAIT = 900  # seconds that a rollout gets, which one that can't succeed does not take
QUICK = "import signal, time; signal.signal(15, lambda *_: exit(0))\nwhile True: time.sleep(1)"


@dataclass
class Lab:
    cluster: Cluster
    namespace: str
    folder: Path
    python: Path

    def apply(self, kind: str, name: str, version: str = "apps/v1", **content: Any) -> None:
        meta = {"name": name, "namespace": self.namespace}
        self.cluster.apply({"apiVersion": version, "kind": kind, "metadata": meta, **content})

    def workload(
        self, code: str = QUICK, replicas: int = 2, kind: str = "Deployment", deadline: int | None = None, **container: Any
    ) -> None:
        worker = {"name": "web", "image": f"{REPOSITORY}:1.0", "imagePullPolicy": "IfNotPresent"}
        worker |= {"command": ["python3", "-c", code], **container}
        pod = {"containers": [worker], "terminationGracePeriodSeconds": 20}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        spec |= {"progressDeadlineSeconds": deadline} if deadline else {}
        self.apply(kind, "web", spec=spec | ({"serviceName": "web"} if kind == "StatefulSet" else {}))

    def get(self, *arguments: str) -> dict[str, Any]:
        return self.cluster.get("--namespace", self.namespace, *arguments)

    @property
    def spec(self) -> dict[str, Any]:
        return self.get("deployment", "web")["spec"]

    def run(self, module: str, *arguments: str, kubeconfig: str | None = None, **options: Any) -> Outcome:
        options = {"namespace": self.namespace, "name": "web", "kubeconfig": kubeconfig or self.cluster.kubeconfig, **options}
        hosts = {"here": {"ansible_python_interpreter": str(self.python)}}
        return play(self.folder, [task(module, **options)], *arguments, hosts=hosts)

    def state(self, state: str, *arguments: str, **options: Any) -> dict[str, Any]:
        return self.run("kubernetes_workload", *arguments, state=state, **options).ok().result()

    def fails(self, state: str, **options: Any) -> dict[str, Any]:
        done = self.run("kubernetes_workload", state=state, **options)
        assert done.status == 2, done.printed
        return done.result()


@pytest.fixture
def lab(cluster: Cluster, python: Path, tmp_path: Path) -> Iterator[Lab]:
    made = Lab(cluster, "lab-" + secrets.token_hex(3), tmp_path, python)
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": made.namespace}})
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


def test_what_was_there_comes_back_and_nothing_changes_twice(lab: Lab) -> None:
    lab.workload(SLOW, replicas=3)
    assert not lab.state("started")["changed"]
    assert lab.state("stopped", "--check")["changed"] and lab.spec["replicas"] == 3
    stopped = lab.state("stopped")
    assert stopped["changed"] and stopped["before"]["replicas"] == 3
    assert lab.get("pods")["items"] == [], "a pod that is still terminating is not gone"
    assert not lab.state("stopped")["changed"]
    assert lab.state("started", "--check")["changed"] and lab.spec["replicas"] == 0
    assert lab.state("started")["changed"] and lab.spec["replicas"] == 3
    version = lab.get("deployment", "web")["metadata"]["resourceVersion"]
    assert not lab.state("started")["changed"]
    assert lab.get("deployment", "web")["metadata"]["resourceVersion"] == version


def test_a_pod_that_does_not_stop_is_named(lab: Lab) -> None:
    lab.workload(SLOW, replicas=1)
    lab.state("started")
    name = lab.get("pods")["items"][0]["metadata"]["name"]
    failed = lab.fails("stopped", wait=1)
    assert failed["error_kind"] == "not_stopped" and name in failed["msg"] and "terminating since" in failed["msg"]


def test_a_workload_that_lost_its_annotation_is_started_from_the_record(lab: Lab) -> None:
    lab.workload()
    before = lab.state("stopped")["before"]
    lab.cluster.kubectl("--namespace", lab.namespace, "annotate", "deployment", "web", "dbops.alembic/before-stop-")
    assert lab.state("started", recorded=before)["changed"] and lab.spec["replicas"] == 2


def test_a_horizontal_pod_autoscaler_stays_as_it_is(lab: Lab) -> None:
    lab.workload(replicas=2)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    lab.apply(
        "HorizontalPodAutoscaler", "web", "autoscaling/v1", spec={"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 6}
    )
    spec = lab.get("hpa", "web")["spec"]
    stopped = lab.state("stopped")
    assert stopped["before"]["autoscalers"] == [{"name": "web", "minReplicas": 2, "maxReplicas": 6}]
    time.sleep(20)  # the controller's own period is 15 s
    assert lab.spec["replicas"] == 0 and not lab.get("pods")["items"]
    lab.state("started")
    assert lab.spec["replicas"] == 2 and lab.get("hpa", "web")["spec"] == spec


SCALED = {
    "group": "keda.sh",
    "scope": "Namespaced",
    "names": {"plural": "scaledobjects", "singular": "scaledobject", "kind": "ScaledObject"},
    "versions": [
        {
            "name": "v1alpha1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        }
    ],
}


def test_a_scaled_object_of_keda_is_paused_and_resumed(lab: Lab) -> None:
    """The objects are those of KEDA; its operator, which isn't here, acts on the annotation."""
    found = json.loads(lab.cluster.kubectl("version", "--output=json"))["serverVersion"]
    if int(found["minor"].rstrip("+")) < 24 and int(found["goVersion"].split(".")[1]) >= 18:
        pytest.skip(f"Kubernetes 1.{found['minor']} built with {found['goVersion']} crashes on custom resources")
    crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    lab.cluster.apply({**crd, "metadata": {"name": "scaledobjects.keda.sh"}, "spec": SCALED})
    lab.cluster.kubectl("wait", "--for=condition=established", "crd/scaledobjects.keda.sh", "--timeout=30s")
    lab.workload()
    lab.apply("ScaledObject", "web", "keda.sh/v1alpha1", spec={"scaleTargetRef": {"name": "web"}, "minReplicaCount": 1})

    def marks() -> dict[str, str]:
        found = lab.get("scaledobjects", "web")["metadata"].get("annotations", {})
        return {name: value for name, value in found.items() if name.startswith("autoscaling.keda.sh/")}

    stopped = lab.state("stopped")
    assert marks() == {"autoscaling.keda.sh/paused-replicas": "0"} and not lab.state("stopped")["changed"]
    assert stopped["before"]["scaled_objects"][0]["minReplicaCount"] == 1
    lab.state("started")
    assert marks() == {} and lab.spec["replicas"] == 2


def test_a_stateful_set(lab: Lab) -> None:
    lab.workload(kind="StatefulSet")
    options = {"kind": "statefulset"}
    lab.state("started", **options)
    assert lab.state("stopped", **options)["before"]["replicas"] == 2 and not lab.get("pods")["items"]
    assert lab.state("started", **options)["changed"] and lab.get("statefulset", "web")["status"]["readyReplicas"] == 2


@pytest.mark.parametrize(
    ("container", "reason", "text"),
    [
        ({"image": "localhost/nothing:1", "imagePullPolicy": "Never"}, "ErrImageNeverPull", "localhost/nothing:1"),
        ({"command": ["python3", "-c", "raise SystemExit('no KEY is set')"]}, "CrashLoopBackOff", "no KEY is set"),
        ({"command": ["nothing"]}, "RunContainerError", "nothing"),
        ({"resources": {"requests": {"memory": "900Gi"}}}, "Unschedulable", "Insufficient memory"),
        ({"envFrom": [{"secretRef": {"name": "nothing"}}]}, "CreateContainerConfigError", 'secret "nothing" not found'),
        (
            {"livenessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}},
            "CrashLoopBackOff",
            "Liveness probe failed",
        ),
        (
            {
                "livenessProbe": {
                    "exec": {"command": ["false"]},
                    "initialDelaySeconds": 8,
                    "periodSeconds": 2,
                    "failureThreshold": 2,
                }
            },
            "Unhealthy",
            "Liveness probe failed",
        ),
    ],
)
def test_what_can_not_come_up_is_known_before_the_timeout(lab: Lab, container: dict[str, Any], reason: str, text: str) -> None:
    lab.workload(**{"code": QUICK, "replicas": 1, **container})
    failed = lab.fails("started", wait=WAIT, patience=4)
    assert failed["error_kind"] == "rollout_failed" and text in failed["msg"], failed["msg"]
    assert failed["reason"] in (reason, "CrashLoopBackOff"), "at the timeout, the reason is that"
    assert failed["events"] and "may only be slow" not in failed["msg"]
    assert ("needs a startupProbe" in failed["msg"]) == (text == "Liveness probe failed"), failed["msg"]


def test_a_liveness_probe_that_failed_once_is_no_reason_to_go_back(lab: Lab) -> None:
    once = ["sh", "-c", "test -e /tmp/asked || { touch /tmp/asked; false; }"]
    lab.workload(replicas=1, livenessProbe={"exec": {"command": once}, "periodSeconds": 2, "failureThreshold": 60})
    lab.state("started", wait=25)
    (pod,) = lab.get("pods")["items"]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    assert any("Liveness probe failed" in event["message"] for event in lab.get("events")["items"])


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_quota_that_is_used_up_is_told(lab: Lab, kind: str) -> None:
    lab.apply("ResourceQuota", "few", "v1", spec={"hard": {"pods": "1"}})
    lab.workload(replicas=3, kind=kind)
    failed = lab.fails("started", kind=kind.lower(), patience=3)
    assert "exceeded quota" in failed["msg"] and "few" in failed["msg"] and "may only be slow" not in failed["msg"], failed["msg"]


def test_a_readiness_probe_that_fails_is_told_at_the_timeout(lab: Lab) -> None:
    lab.workload(replicas=1, readinessProbe={"exec": {"command": ["sh", "-c", "echo not yet; false"]}, "periodSeconds": 1})
    failed = lab.fails("started", wait=12)
    assert (
        failed["reason"] == "timeout" and "0 of 1 replicas are ready" in failed["msg"] and "Readiness probe failed" in failed["msg"]
    )
    assert "may only be slow to start; application_start_timeout_seconds gives it more time." in failed["msg"]


#: Ready after a while that a deadline of five seconds does not leave it.
WARMS_UP = QUICK.replace("\n", "; time.sleep(15); open('/tmp/warm', 'w')\n", 1)
WARM = {"exec": {"command": ["test", "-e", "/tmp/warm"]}, "periodSeconds": 1}


def test_a_rollout_gets_the_time_that_the_workload_gives_itself_or_that_the_operator_does(lab: Lab) -> None:
    lab.workload(WARMS_UP, replicas=1, deadline=5, readinessProbe=WARM)
    failed = lab.fails("started")
    assert failed["reason"] == "timeout" and "5 s after its last step" in failed["msg"], failed["msg"]
    assert "application_start_timeout_seconds gives it more time, and so does progressDeadlineSeconds" in failed["msg"]
    lab.cluster.kubectl("--namespace", lab.namespace, "delete", "pods", "--all")
    lab.state("started", wait=90)
    assert lab.get("deployment", "web")["status"]["readyReplicas"] == 1


def test_mistakes_are_told_without_a_traceback(lab: Lab) -> None:
    missing = lab.fails("started")
    assert missing["error_kind"] == "workload_missing" and "There is no Deployment web" in missing["msg"]
    nowhere = lab.folder / "nowhere.kubeconfig"
    text = Path(lab.cluster.kubeconfig).read_text().replace("6443", "1")
    nowhere.write_text(text)
    away = lab.fails("started", kubeconfig=str(nowhere))
    assert away["error_kind"] == "cluster_unreachable"
    gone = lab.fails("started", kubeconfig="deployer.kubeconfig")
    assert gone["error_kind"] == "cluster_unreachable" and "There is no kubeconfig /" in gone["msg"], gone["msg"]
    assert "/deployer.kubeconfig on this host. Write its whole path." in gone["msg"]
    broken = lab.folder / "broken.kubeconfig"
    broken.write_text(json.dumps({"apiVersion": "v1"}))
    assert lab.fails("started", kubeconfig=str(broken))["error_kind"] == "cluster_unreachable"
