# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What pods and rollouts say about themselves: plain functions on the API's objects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

Object = Mapping[str, Any]

#: Reasons of a waiting container that do not pass by themselves.
STUCK = (
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "CrashLoopBackOff",
)
#: The init container that upgrades the database, of a release that does so as its pods start.
MIGRATION = "dbops-upgrade"
#: So many restarts during one rollout are no accident.
RESTARTS = 2
#: Seconds for which containers without a readiness probe have to run at least.
SETTLING = 5.0
#: Seconds for which the first word of a liveness probe is waited for at most.
SETTLING_MOST = 30.0
#: The reason of a Deployment that made no progress for its own ``progressDeadlineSeconds``; so long is the default of the API,
#: and a StatefulSet, which has no such limit, gets as much.
LATE, DEADLINE = "ProgressDeadlineExceeded", 600
#: Reasons of the events that a liveness probe leaves: it failed, and it failed as often as it may.
UNHEALTHY, KILLING = "Unhealthy", "Killing"


@dataclass(frozen=True)
class Problem:
    """Why a rollout will not end well. ``certain`` ones need no second look."""

    pod: str
    container: str
    reason: str
    message: str
    certain: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same while the kubelet alternates between two words for it."""
        return (self.pod, "image" if "Image" in self.reason else "crash" if "Crash" in self.reason else self.reason)

    @property
    def text(self) -> str:
        where = f"pod {self.pod}" if self.pod else "the workload"
        inside = f", container {self.container}" if self.container else ""
        return f"{where}{inside}: {self.reason}{': ' + self.message if self.message else ''}"


def running(pods: Iterable[Any]) -> list[Object]:
    """Return the pods that may still run a process; terminating ones may. Pods of Jobs are not the workload's."""
    return [
        pod
        for pod in pods
        if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        and not any(owner.get("kind") == "Job" for owner in pod["metadata"].get("ownerReferences") or ())
    ]


def describe(pod: Object) -> str:
    """Return a pod in a few words, for a message about pods that stay."""
    meta, status = pod["metadata"], pod.get("status") or {}
    parts = [f"terminating since {meta['deletionTimestamp']}" if meta.get("deletionTimestamp") else str(status.get("phase"))]
    if (pod.get("spec") or {}).get("nodeName"):
        parts.append(f"on {pod['spec']['nodeName']}")
    if meta.get("finalizers"):
        parts.append("held by " + ", ".join(meta["finalizers"]))
    return f"{meta['name']} ({', '.join(parts)})"


def pod_problems(pod: Object) -> list[Problem]:
    """Return what keeps this pod from serving."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return []
    found = []
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            found.append(Problem(name, "", condition.get("reason") or "Unschedulable", condition.get("message") or ""))
    if status.get("phase") == "Failed":
        found.append(Problem(name, "", status.get("reason") or "Failed", status.get("message") or ""))
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        found += _container_problems(name, container)
    return found


def _container_problems(pod: str, status: Object) -> list[Problem]:
    waiting = (status.get("state") or {}).get("waiting") or {}
    answer = _answer(status)
    if answer:
        return [Problem(pod, status["name"], "MigrationFailed", f"{answer.get('kind')}: {answer.get('message')}", True)]
    ended = (status.get("lastState") or {}).get("terminated") or (status.get("state") or {}).get("terminated") or {}
    how = f"ended {status.get('restartCount')} times, last with {_ended(ended)}" if ended else ""
    if waiting.get("reason") in STUCK:
        crash = waiting["reason"] == "CrashLoopBackOff"
        message = how if crash and how else waiting.get("message") or ""
        return [Problem(pod, status["name"], waiting["reason"], message, crash and status.get("restartCount", 0) >= RESTARTS)]
    if not status.get("ready") and status.get("restartCount", 0) >= RESTARTS and ended.get("exitCode", 0) != 0:
        return [Problem(pod, status["name"], "CrashLoopBackOff", how, True)]
    return []


def _answer(status: Object) -> dict[str, Any]:
    """Return what the worker left when it could not migrate, if this is its container and it did."""
    if status["name"] != MIGRATION:
        return {}
    ends = [(status.get(state) or {}).get("terminated") or {} for state in ("state", "lastState")]
    for ended in ends:
        try:
            said = json.loads(ended.get("message") or "")
        except ValueError:
            continue
        return said if isinstance(said, dict) and said.get("ok") is False else {}
    return {}


def migrating(pod: Object) -> bool:
    """Tell whether the pod upgrades the database, or waits for another one that does."""
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or ()
    return any(status["name"] == MIGRATION and "running" in (status.get("state") or {}) for status in statuses)


def migrates(workload: Object) -> bool:
    """Tell whether the workload's pods upgrade the database as they start."""
    return any(item["name"] == MIGRATION for item in workload["spec"]["template"]["spec"].get("initContainers") or ())


def _ended(terminated: Object) -> str:
    signal = f" by signal {terminated['signal']}" if terminated.get("signal") else ""
    return f"exit status {terminated.get('exitCode')}{signal} ({terminated.get('reason') or 'no reason given'})"


def workload_problems(workload: Object) -> list[Problem]:
    """Return what the workload itself says: pods that can not be made (quota, admission), a rollout out of time."""
    found = []
    for condition in (workload.get("status") or {}).get("conditions") or ():
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            found.append(Problem("", "", condition.get("reason") or "FailedCreate", condition.get("message") or ""))
        late = condition["type"] == "Progressing" and condition.get("reason") == LATE
        if late and _observed(workload) and not migrates(workload):  # which may take longer, and has limits of its own
            found.append(Problem("", "", LATE, condition.get("message") or "", True))
    return found


def _observed(workload: Object) -> bool:
    return int((workload.get("status") or {}).get("observedGeneration", 0)) >= int(workload["metadata"].get("generation", 0))


def rolled_out(workload: Object) -> bool:
    """Tell whether every replica runs the present template and is available, and no other is left."""
    status = workload.get("status") or {}
    wanted = (workload.get("spec") or {}).get("replicas", 1)
    if not _observed(workload) or status.get("replicas", 0) != wanted or status.get("updatedReplicas", 0) != wanted:
        return wanted == 0 and _observed(workload) and not status.get("replicas", 0)
    key = "availableReplicas" if workload.get("kind") == "Deployment" else "readyReplicas"
    return bool(status.get(key, 0) == wanted)


def settling(workload: Object, failing: bool = False) -> float:
    """Return for how many seconds a rollout has to last: without a readiness probe a container is ready before it has failed.

    Source of the defaults: the API reference of core/v1, Probe.

    :param failing: a liveness probe has failed, so its last word is waited for as well.
    """
    spec = workload["spec"]
    unasked = [container for container in spec["template"]["spec"]["containers"] if not container.get("readinessProbe")]
    if not unasked or not spec.get("replicas", 1):
        return 0.0
    probes = [container["livenessProbe"] for container in unasked if container.get("livenessProbe")]
    first = max([SETTLING, *(_verdict(probe, 1) for probe in probes)])
    last = max([SETTLING, *(_verdict(probe, probe.get("failureThreshold") or 3) for probe in probes)])
    return max(0.0, (last if failing else min(first, SETTLING_MOST)) - (spec.get("minReadySeconds") or 0))


def _verdict(probe: Object, failures: int) -> float:
    """Return after how many seconds a container's probe has failed that often, if it does; one more for the news to arrive."""
    seconds = (probe.get("initialDelaySeconds") or 0) + (probe.get("periodSeconds") or 10) * failures
    return float(seconds + (probe.get("timeoutSeconds") or 1) + 1)


def liveness(pods: Iterable[Any], events: Iterable[Any]) -> tuple[bool, list[Problem]]:
    """Return whether a liveness probe of these pods has failed, and the containers that are about to be ended for it.

    The kubelet's events are the only place where that can be seen before the container has ended.
    """
    found = {pod["metadata"].get("uid"): pod for pod in _staying(pods)}
    failing, problems = False, []
    for event in events:
        pod, text = found.get((event.get("involvedObject") or {}).get("uid")), event.get("message") or ""
        if pod is None or "liveness probe" not in text.lower():
            continue
        failing = True
        name = (event["involvedObject"].get("fieldPath") or "").partition("{")[2].rstrip("}")
        if event.get("reason") == KILLING and str(event.get("lastTimestamp") or "") > _begun(pod, name):
            problems.append(Problem(pod["metadata"]["name"], name, UNHEALTHY, text))
    return failing, problems


def _begun(pod: Object, container: str) -> str:
    """Return since when that container runs, as the API writes a time; empty where it does not."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    states = [(status.get("state") or {}).get("running") or {} for status in statuses if status["name"] == container]
    return str(states[0].get("startedAt") or "") if states else ""


def restarts(pods: Iterable[Any]) -> int:
    """Return how often containers of these pods were started again."""
    statuses = [status for pod in _staying(pods) for status in (pod.get("status") or {}).get("containerStatuses") or ()]
    return sum(status.get("restartCount", 0) for status in statuses)


def _staying(pods: Iterable[Any]) -> list[Object]:
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]


def kept_back(workload: Object) -> str:
    """Return why not every pod would ever get another template; empty where they would."""
    spec = workload["spec"]
    if spec.get("paused"):
        return "is paused, so no pod would get the release. Resume it with kubectl rollout resume"
    partition = ((spec.get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0
    if partition:
        return f"has a partition, which keeps the pods below {partition} at the former release. Set it to 0"
    return ""


def rollout_gaps(workload: Object, template: Object) -> list[str]:
    """Return why a rollout of that pod template would leave requests without an answer; empty when it would not.

    Source: the API reference of apps/v1 (a percentage of maxUnavailable is rounded down) and the documentation of probes.
    """
    spec = workload["spec"]
    replicas = spec.get("replicas", 1)
    found = _strategy_gaps(spec, replicas, workload.get("kind") == "Deployment")
    if not any(container.get("readinessProbe") for container in template["spec"]["containers"]):
        found.append("no container has a readinessProbe, so a pod gets requests as soon as its process runs")
    return found if replicas else []


def _strategy_gaps(spec: Mapping[str, Any], replicas: int, surges: bool) -> list[str]:
    strategy = spec.get("strategy" if surges else "updateStrategy") or {}
    rolling = strategy.get("rollingUpdate") or {}
    kind = strategy.get("type", "RollingUpdate")
    if kind != "RollingUpdate":
        return [f"its strategy is {kind}; set it to RollingUpdate"]
    if not surges:
        return ["its only pod ends before the next one starts; set replicas to 2 at least"] if replicas == 1 else []
    allowed = rolling.get("maxUnavailable", "25%")
    missing = replicas * int(allowed[:-1]) // 100 if isinstance(allowed, str) else allowed
    return [f"its maxUnavailable {allowed} lets {missing} of {replicas} pods be missing; set it to 0"] if missing else []


def deadline_of(workload: Object) -> float:
    """Return for how many seconds a rollout may make no progress, as the workload itself says."""
    return float((workload.get("spec") or {}).get("progressDeadlineSeconds") or DEADLINE)


def advance(workload: Object) -> tuple[int, ...]:
    """Return what grows with each step of a rollout."""
    status = workload.get("status") or {}
    return tuple(int(status.get(name) or 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas"))


def progress(workload: Object) -> str:
    """Return how far a rollout is."""
    status, spec = workload.get("status") or {}, workload.get("spec") or {}
    return (
        f"{status.get('readyReplicas', 0)} of {spec.get('replicas', 1)} replicas are ready,"
        f" {status.get('updatedReplicas', 0)} have the present template"
    )
