# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Stop, start and restart a workload; what was there before is written down first, so that any controller can bring it back."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Callable, Mapping

from .._argspec import ArgumentSpec
from .._core.diff import text_diff
from .._errors import MigrationError
from .cluster import JSON_PATCH, MERGE_PATCH, Cluster, Object, cluster_spec, selector_text
from .pods import describe, running
from .rollout import Limits, followed

KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet"}
#: What a workload had before it was stopped: replicas, autoscalers.
SAVED = "dbops.alembic/before-stop"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
#: With this KEDA holds the workload at a number of replicas. The former values of both are kept.
KEDA_HOLD, KEDA_MARKS = "autoscaling.keda.sh/paused-replicas", ("autoscaling.keda.sh/paused-replicas", "autoscaling.keda.sh/paused")
#: Seconds between two looks.
PAUSE = 1.0
#: Seconds for pods to end, where nobody says.
STOP_WAIT = 120.0
#: How often a change is tried again after somebody else changed the object first.
CONFLICTS = 5


@dataclass(frozen=True)
class Workload:
    """One Deployment or StatefulSet of a cluster.

    :param now: seconds of a clock that only goes on.
    """

    cluster: Cluster
    namespace: str
    kind: str
    name: str
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Workload:
        return cls(Cluster.connect(params), params["namespace"], params["kind"], params["name"])

    @property
    def path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{self.kind}s/{self.name}"

    @property
    def label(self) -> str:
        return f"{KINDS[self.kind]} {self.name} in {self.namespace}"

    def read(self) -> Object:
        """Return the object.

        :raises MigrationError: ``workload_missing``.
        """
        found = self.cluster.get(self.path)
        if found is None:
            raise MigrationError(
                f"There is no {self.label}.",
                "workload_missing",
                "Check application_kubernetes_kind, application_kubernetes_name and application_kubernetes_namespace.",
            )
        return found

    def pods(self, found: Object) -> list[Object]:
        """Return the workload's pods, finished ones too."""
        selector = selector_text(found["spec"].get("selector") or {})
        return self.cluster.items(f"/api/v1/namespaces/{self.namespace}/pods", labelSelector=selector)

    def scale(self, found: Object) -> Object:
        """Return replicas and autoscalers as they are now."""
        prefix = "/apis/autoscaling/v1/namespaces/"
        scalers = [
            {"name": item["metadata"]["name"], **{key: item["spec"].get(key) for key in ("minReplicas", "maxReplicas")}}
            for item in self.cluster.items(f"{prefix}{self.namespace}/horizontalpodautoscalers")
            if self._is_target(item["spec"].get("scaleTargetRef") or {})
        ]
        return {"replicas": found["spec"].get("replicas", 1), "autoscalers": scalers, "scaled_objects": self._scaled_objects()}

    def _is_target(self, reference: Mapping[str, Any]) -> bool:
        return reference.get("name") == self.name and reference.get("kind", "Deployment") == KINDS[self.kind]

    def _scaled_objects(self) -> list[Object]:
        keys = ("minReplicaCount", "maxReplicaCount", "idleReplicaCount")
        return [
            {
                "name": item["metadata"]["name"],
                **{key: item["spec"][key] for key in keys if key in item["spec"]},
                "marks": {mark: (item["metadata"].get("annotations") or {}).get(mark) for mark in KEDA_MARKS},
            }
            for item in self.cluster.items(f"/apis/keda.sh/v1alpha1/namespaces/{self.namespace}/scaledobjects")
            if self._is_target(item["spec"].get("scaleTargetRef") or {})
        ]

    def _mark(self, scaled_object: str, marks: Mapping[str, Any]) -> None:
        path = f"/apis/keda.sh/v1alpha1/namespaces/{self.namespace}/scaledobjects/{scaled_object}"
        body = {"metadata": {"annotations": dict(marks)}}
        self.cluster.change(f"pause or resume the ScaledObject {scaled_object}", "PATCH", path, body, MERGE_PATCH)

    def patch(self, build: Callable[[Object], list[Object]], what: str) -> Object:
        """Change the object as it is now; when somebody else changes it first, look again.

        :param build: the JSON patch for an object; an empty one changes nothing.
        """
        for attempt in range(CONFLICTS + 1):
            found = self.read()
            operations = build(found)
            if not operations:
                return found
            guard = [{"op": "test", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]}]
            first = [] if found["metadata"].get("annotations") else [{"op": "add", "path": "/metadata/annotations", "value": {}}]
            try:
                return self.cluster.change(what, "PATCH", self.path, guard + first + operations, JSON_PATCH)
            except MigrationError as exc:
                changed = (
                    exc.kind in ("cluster_conflict", "cluster_refused") and self._version() != found["metadata"]["resourceVersion"]
                )
                if not changed or attempt == CONFLICTS:
                    raise
        raise AssertionError("unreachable")

    def _version(self) -> str:
        return str(self.read()["metadata"]["resourceVersion"])

    def stop(self, wait: float, dry: bool = False) -> tuple[Object, Object, bool]:
        """Scale to 0 and wait until every pod is gone.

        :param wait: seconds.
        :return: what was there before, the object as it is now, and whether anything had to be done.
        :raises MigrationError: ``not_stopped``, naming the pods that are left.
        """
        found = self.read()
        before = self._to_save(found)
        held = {mark: "0" if mark == KEDA_HOLD else None for mark in KEDA_MARKS}
        to_hold = [item["name"] for item in self._scaled_objects() if item["marks"] != held]
        changed = bool(found["spec"].get("replicas", 1) or saved(found) != before or running(self.pods(found)) or to_hold)
        if dry or not changed:
            return before, found, changed
        self.patch(
            lambda now: _annotate(SAVED, json.dumps(before, sort_keys=True), now), f"write on {self.label} what it had before"
        )
        for name in to_hold:
            self._mark(name, held)
        self._scale_to(0)
        return before, self._wait_gone(wait), True

    def _to_save(self, found: Object) -> Object:
        """What a start is to bring back. Where a stopped workload was scaled up since, by hand or by a GitOps tool, that counts."""
        kept, present = saved(found), self.scale(found)
        if kept is None:
            return present
        if not present["replicas"]:
            return kept
        marks = {item["name"]: item["marks"] for item in kept.get("scaled_objects") or ()}
        objects = [dict(item, marks=marks.get(item["name"], item["marks"])) for item in present["scaled_objects"]]
        return dict(present, scaled_objects=objects)

    def _scale_to(self, replicas: int) -> Object:
        def build(now: Object) -> list[Object]:
            same = now["spec"].get("replicas", 1) == replicas
            return [] if same else [{"op": "replace", "path": "/spec/replicas", "value": replicas}]

        return self.patch(build, f"scale {self.label} to {replicas}")

    def _wait_gone(self, wait: float) -> Object:
        until = self.now() + wait
        while True:
            found = self.read()
            left = running(self.pods(found))
            if not left and not found["spec"].get("replicas", 1):
                return found
            if self.now() > until:
                raise MigrationError(
                    f"{self.label} is not stopped after {wait:g} s: "
                    + (", ".join(describe(pod) for pod in left) or "somebody scales it up again")
                    + ".",
                    "not_stopped",
                    "A preStop hook, a finalizer or a lost node may keep it; application_stop_timeout_seconds gives it more time.",
                    {"pods": [pod["metadata"]["name"] for pod in left]},
                )
            if found["spec"].get("replicas", 1):
                self._scale_to(0)  # an autoscaler that had made up its mind before
            self.sleep(PAUSE)

    def start(self, limits: Limits, recorded: Mapping[str, Any] | None = None, dry: bool = False) -> tuple[Object, bool]:
        """Bring back what there was before the stop and wait for the rollout. A workload that was not stopped only has to be up.

        :param recorded: what the stop returned, for a workload that has lost its annotation.
        :raises MigrationError: ``rollout_failed``.
        """
        found = self.read()
        kept = saved(found)
        if kept is None and recorded and not found["spec"].get("replicas", 1):
            kept = dict(recorded)
        if kept is None or dry:
            return (found if dry else followed(self, limits)), kept is not None
        present = {item["name"]: item["marks"] for item in self._scaled_objects()}
        for item in kept.get("scaled_objects") or ():
            if present.get(item["name"], item["marks"]) != item["marks"]:
                self._mark(item["name"], item["marks"])
        replicas = int(kept["replicas"])

        def build(now: Object) -> list[Object]:
            drop = [{"op": "remove", "path": _pointer(SAVED)}] if saved(now) is not None else []
            return [*drop, {"op": "replace", "path": "/spec/replicas", "value": replicas}]

        self.patch(build, f"scale {self.label} to {replicas}")
        return followed(self, limits), True

    def restart(self, stamp: str, limits: Limits, dry: bool = False) -> Object:
        """Replace every pod, in the way that the workload's own strategy says."""
        body = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: stamp}}}}}
        if dry:
            return self.read()
        self.cluster.change(f"restart {self.label}", "PATCH", self.path, body, MERGE_PATCH)
        return followed(self, limits)


def saved(found: Object) -> Object | None:
    """Return what a stop wrote down on the workload.

    :raises MigrationError: ``record_unreadable``.
    """
    text = (found["metadata"].get("annotations") or {}).get(SAVED)
    if text is None:
        return None
    try:
        value = json.loads(text)
        return {"replicas": int(value["replicas"]), **{key: value[key] for key in ("autoscalers", "scaled_objects")}}
    except (ValueError, KeyError, TypeError) as exc:
        raise MigrationError(
            f"The annotation {SAVED} of {found['metadata']['name']} can not be understood: {text[:200]!r}.",
            "record_unreadable",
            "Scale the workload by hand and remove the annotation.",
        ) from exc


def _pointer(annotation: str) -> str:
    return "/metadata/annotations/" + annotation.replace("~", "~0").replace("/", "~1")


def _annotate(name: str, value: str, found: Object) -> list[Object]:
    same = (found["metadata"].get("annotations") or {}).get(name) == value
    return [] if same else [{"op": "add", "path": _pointer(name), "value": value}]


def workload_spec(required: bool = True) -> ArgumentSpec:
    """Which workload.

    :param required: whether one has to be named.
    """
    return cluster_spec() + ArgumentSpec(
        options=dict(
            namespace=dict(type="str", required=True),
            kind=dict(type="str", choices=list(KINDS), default="deployment"),
            name=dict(type="str", required=required),
        )
    )


def workload_state_spec() -> ArgumentSpec:
    return workload_spec() + ArgumentSpec(
        options=dict(
            state=dict(type="str", choices=["started", "stopped", "restarted"], default="started"),
            wait=dict(type="float"),
            patience=dict(type="float", default=20),
            log_lines=dict(type="int", default=50),
            recorded=dict(type="dict", default={}),
        )
    )


def run_workload(params: Mapping[str, Any], stamp: str, dry: bool = False) -> Object:
    """Do what the module ``kubernetes_workload`` was asked for and return its result."""
    workload = Workload.from_params(params)
    first = workload.read()
    before: Object = saved(first) or {}
    limits = Limits(params["wait"], params["patience"], params["log_lines"])
    if params["state"] == "stopped":
        before, last, changed = workload.stop(STOP_WAIT if params["wait"] is None else params["wait"], dry)
        wanted = 0
    elif params["state"] == "started":
        last, changed = workload.start(limits, recorded=params["recorded"], dry=dry)
        kept = before or params["recorded"]
        wanted = int(kept["replicas"]) if changed and kept else last["spec"].get("replicas", 1)
    else:
        last, changed = workload.restart(stamp, limits, dry=dry), True
        wanted = last["spec"].get("replicas", 1)
    old, new = f"replicas: {first['spec'].get('replicas', 1)}\n", f"replicas: {wanted}\n"
    return {
        "changed": changed,
        "before": before,
        "replicas": wanted,
        "served": bool(wanted),
        "diff": text_diff(workload.label, old, new),
    }
