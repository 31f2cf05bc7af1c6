# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What keeps a Job from running, and whether it may have run: from its pods and from what the cluster's events say of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Mapping, Sequence

from .cluster import Cluster, events_of
from .job import started, stuck
from .pods import Problem

Object = Mapping[str, Any]
#: Seconds within which the first pod of a Job is made, where nothing hinders it.
FIRST = 2.0


def newest(pods: Sequence[Any]) -> Any | None:
    """Return the pod that was made last."""
    return max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)


def hindrances(cluster: Cluster, job: Object, pod: Object | None) -> list[Problem]:
    """Return what keeps the worker from starting; empty where it has started, or nothing is known against it."""
    if pod is None:
        return _not_made(cluster, job)
    return [] if started(pod) else stuck(pod) or _not_mounted(cluster, pod)


def remains(name: str, namespace: str, pod: Object | None) -> dict[str, Any]:
    """Return a Job that somebody deleted as one that is just being deleted: its pod has the same labels and annotations."""
    same = {key: ((pod or {}).get("metadata") or {}).get(key) or {} for key in ("labels", "annotations")}
    return {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": "", "deletionTimestamp": "now", **same}}


def lingering(pod: Object | None) -> list[Problem]:
    """Return that the pod of a Job which was deleted neither runs on nor is gone; what runs may still answer."""
    if pod is None or (started(pod) and not pod["metadata"].get("deletionTimestamp")):
        return []
    return [Problem(pod["metadata"]["name"], "", "JobGone", "its Job was deleted")]


def _not_made(cluster: Cluster, job: Object) -> list[Problem]:
    """Return why there is no pod; it is a problem even where nobody says why, or who follows the Job would wait for ever."""
    if (job.get("status") or {}).get("conditions"):
        return []  # it has ended
    told = [text for text in _events(cluster, job) if ": FailedCreate: " in text]
    if not told:
        told = ["the Job is suspended" if (job.get("spec") or {}).get("suspend") else "it has no pod, and no event says why"]
    return [Problem("", "", "FailedCreate", told[-1])]


def _not_mounted(cluster: Cluster, pod: Object) -> list[Problem]:
    """Return which ConfigMap or Secret of a volume is missing, which the pod's own status never says."""
    name = pod["metadata"]["name"]
    events = events_of(cluster, pod["metadata"]["namespace"], [name])
    told = [text for text in events if ": FailedMount: " in text and "not found" in text]
    return [Problem(name, "", "FailedMount", told[-1].partition(": FailedMount: ")[2])] if told else []


def is_second(cluster: Cluster, job: Object, pod: Object | None) -> bool:
    """Tell whether the pod took the place of one that somebody deleted, which older releases of Kubernetes do in spite of
    ``backoffLimit: 0``."""
    begun = (job.get("status") or {}).get("startTime")
    if pod is None or not begun or _seconds(pod["metadata"]["creationTimestamp"]) - _seconds(begun) < FIRST:
        return False
    return len(set(_made(cluster, job))) > 1


def made(cluster: Cluster, job: Object, pod: Object | None) -> bool:
    """Tell whether the Job had a pod that is gone now, so that nobody knows what it has done."""
    if pod is not None:
        return False
    status = job.get("status") or {}
    return bool(status.get("active") or status.get("failed") or status.get("succeeded") or _made(cluster, job))


def ran_after_all(cluster: Cluster, namespace: str, pods: Sequence[Any]) -> bool:
    """Tell whether one of these pods, of a Job that was deleted, ever started its container.

    :param pods: as they were seen while they ended; one may be there several times.
    """
    names = sorted({pod["metadata"]["name"] for pod in pods})
    return any(started(pod) for pod in pods) or any(": Started: " in text for text in events_of(cluster, namespace, names))


def _made(cluster: Cluster, job: Object) -> list[str]:
    return [text for text in _events(cluster, job) if ": SuccessfulCreate: " in text]


def _events(cluster: Cluster, job: Object) -> list[str]:
    return events_of(cluster, job["metadata"]["namespace"], [job["metadata"]["name"]])


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
