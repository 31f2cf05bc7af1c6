# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the module ``kubernetes_job_info`` finds out: the Jobs of a deployment, and how its migration ended."""

from __future__ import annotations

from typing import Any, Mapping

from .._argspec import ArgumentSpec
from .._core.outcome import migration
from .._errors import MigrationError
from .._worker.protocol import MIGRATIONS
from .cluster import Cluster, Object, cluster_spec
from .job import APPLICATION, DEPLOYMENT, MANAGED, OPERATION, end_of, label_value
from .runner import JobBridge, Seen


def job_info_spec() -> ArgumentSpec:
    return cluster_spec() + ArgumentSpec(
        options=dict(
            namespace=dict(type="str", required=True),
            application=dict(type="str", required=True),
            deployment=dict(type="str"),
            wait=dict(type="float", default=0),
        )
    )


def run_job_info(params: Mapping[str, Any]) -> Object:
    """Read the Jobs, after their end where ``wait`` allows it.

    :raises MigrationError: ``worker_timeout``, if one still runs after that.
    """
    bridge = JobBridge(python="", cluster=Cluster.connect(params), options=dict(params, patience=min(params["wait"], 60.0)))
    selector = f"{MANAGED}=dbops.alembic,{APPLICATION}={label_value(params['application'])}"
    if params["deployment"]:
        selector += f",{DEPLOYMENT}={label_value(params['deployment'])}"
    found = bridge.cluster.items(bridge.jobs, labelSelector=selector)
    found.sort(key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))
    until = bridge.now() + params["wait"]
    told, last = [], {}  # type: list[Object], Object
    for job in found:
        seen = _end(bridge, job["metadata"]["name"], until, bool(params["wait"]))
        operation = job["metadata"]["labels"].get(OPERATION, "")  # as it was found: by now it may be gone
        told.append(_told(seen, operation))
        if operation in MIGRATIONS:
            last = _result(seen, operation)
    return {"jobs": told, "migration": last}


def _end(bridge: JobBridge, name: str, until: float, wait: bool) -> Seen:
    for seen in bridge.watch(name):  # noqa: B007
        if not wait:
            break
        if bridge.now() > until:
            raise MigrationError(
                f"The Job {name} still runs.", "worker_timeout", "Wait for it, or delete it and run recover again.", {"job": name}
            )
    found: Seen = seen
    if wait and found.problems:
        why = "; ".join(problem.text for problem in found.problems)
        raise MigrationError(
            f"The Job {name} waits to start: {why}.", "worker_timeout", "Delete it and run recover again.", {"job": name}
        )
    return found


def _told(seen: Seen, operation: str) -> Object:
    meta, reply = seen.job["metadata"], seen.reply
    ended = end_of(seen.job, seen.pod)
    status = ("succeeded" if reply["ok"] else "failed") if reply else "died" if ended else "running"
    return {
        "name": meta["name"],
        "operation": operation,
        "deployment": meta["labels"].get(DEPLOYMENT, ""),
        "created_at": meta["creationTimestamp"],
        "status": status,
        "reason": (reply["error"] or {}).get("message", "") if reply else ended[1] if ended else "",
    }


def _result(seen: Seen, operation: str) -> Object:
    """Return what the module of the migration would have returned; of one that died only that its state is not known."""
    if seen.reply is None:
        return {"state": "unknown", "databases": []}
    return dict(migration(seen.reply, operation, False).as_result(False))
