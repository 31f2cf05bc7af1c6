# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the module ``kubernetes_workload_info`` finds out."""

from __future__ import annotations

from typing import Any, Mapping

from .._argspec import ArgumentSpec
from .._errors import MigrationError
from .cluster import Cluster, Object, log_of
from .pods import describe, pod_problems, progress, rolled_out, running
from .release import active, image_of, releases_of, workload_url
from .rights import RIGHTS, refuse_without
from .workload import Workload, saved, workload_spec


def workload_info_spec() -> ArgumentSpec:
    return workload_spec(required=False) + ArgumentSpec(
        options=dict(
            version=dict(type="str"),
            containers=dict(type="list", elements="str", default=[]),
            url_variable=dict(type="str"),
            log_lines=dict(type="int", default=0),
            needs=dict(type="list", elements="str", choices=list(RIGHTS), default=[]),
        )
    )


def run_workload_info(params: Mapping[str, Any]) -> Object:
    """Look; with ``needs``, refuse where a right is missing. Without a name only that is done.

    :raises MigrationError: ``right_missing``, naming each; ``options_invalid``.
    """
    if not params["name"] and not params["needs"]:
        raise MigrationError("Neither name nor needs is given.", "options_invalid", "Name the workload.")
    cluster = Cluster.connect(params)
    if params["needs"]:
        refuse_without(cluster, params["namespace"], params["kind"], params["needs"])
    if not params["name"]:
        return {"missing_rights": []}
    workload = Workload(cluster, params["namespace"], params["kind"], params["name"])
    found, names = workload.read(), params["containers"]
    pods = workload.pods(found)
    version, image = active(found, names, workload.label)
    recorded = image_of(found, params["version"], names, workload.label) if params["version"] else None
    return {
        "missing_rights": [],
        "replicas": found["spec"].get("replicas", 1),
        "ready": rolled_out(found),
        "status": "stopped" if not found["spec"].get("replicas", 1) and not running(pods) else progress(found),
        "before_stop": saved(found) or {},
        "scale": workload.scale(found),
        "active_version": version,
        "active_image": image,
        "image": recorded or "",
        "workload_url": workload_url(workload, found["spec"]["template"], names, params["url_variable"]),
        "releases": list(releases_of(found)),
        "pods": [describe(pod) for pod in running(pods)],
        "problems": [problem.text for pod in pods for problem in pod_problems(pod)],
        "logs": _logs(workload, pods, params["log_lines"]),
    }


def _logs(workload: Workload, pods: list[Object], lines: int) -> str:
    """Return the end of the log of every container, the pod's name before each."""
    parts = []
    for pod in running(pods) if lines else ():
        for container in [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]:
            name = pod["metadata"]["name"]
            text = log_of(workload.cluster, workload.namespace, name, container["name"], lines)
            parts += [f"{name} {container['name']}:", text] if text else []
    return "\n".join(parts)
