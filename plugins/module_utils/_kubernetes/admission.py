# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Asks the cluster by a dry run, which makes nothing, whether it would let a pod be made."""

from __future__ import annotations

from typing import Any, Mapping

from .cluster import Cluster, Object, Refused

#: What is said of who asks, of pods that will be gone by then, or by what may let a controller of the cluster do what we may not.
_ELSEWHERE = (" cannot ", "exceeded quota", "admission webhook", "pod security policy")


def refused_pod(cluster: Cluster, namespace: str, workload: Mapping[str, Any], template: Object) -> str:
    """Return why a pod of that template would not be let in: its service account, what a quota or a limit wants it to say.

    Empty where it would be, and where that can not be found out, as without the right to make pods.
    """
    claims = [item["metadata"]["name"] for item in workload["spec"].get("volumeClaimTemplates") or ()]
    volumes = [*(template["spec"].get("volumes") or ()), *({"name": name, "emptyDir": {}} for name in claims)]
    kept = {key: value for key, value in (template.get("metadata") or {}).items() if key in ("labels", "annotations")}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**kept, "generateName": f"{workload['metadata']['name']}-"},
        "spec": {**template["spec"], **({"volumes": volumes} if volumes else {})},
    }
    try:
        cluster.ask("POST", f"/api/v1/namespaces/{namespace}/pods", pod, dryRun="All")
    except Refused as exc:
        counts = exc.status == 403 and not any(text in exc.message for text in _ELSEWHERE)
        return exc.message.rstrip(".") if counts else ""
    return ""
