# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which rights each part of a deployment needs, and which of them the present user lacks."""

from __future__ import annotations

from typing import Any, Mapping, Tuple

from .cluster import Cluster

#: verb, API group, resource with subresource
Right = Tuple[str, str, str]

_READ_PODS: tuple[Right, ...] = (("list", "", "pods"), ("get", "", "pods/log"), ("list", "", "events"))
_RECORDS = tuple((verb, "", "configmaps") for verb in ("get", "create", "update"))
#: The same rights are in the Role of the guide.
RIGHTS: dict[str, tuple[Right, ...]] = {
    "workload": (
        ("get", "apps", "{kind}s"),
        ("patch", "apps", "{kind}s"),
        ("list", "autoscaling", "horizontalpodautoscalers"),
        *_READ_PODS,
    ),
    "keda": (("list", "keda.sh", "scaledobjects"), ("patch", "keda.sh", "scaledobjects")),
    "job": (*((verb, "batch", "jobs") for verb in ("create", "get", "list", "delete")), *_READ_PODS),
    "record": _RECORDS,
}
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def used(place: Mapping[str, Any]) -> list[str]:
    """Return the keys of :data:`RIGHTS` that a deployment will use in the namespace of a workload.

    :param place: as the filter ``kubernetes_needs`` has it.
    """
    here = place["namespace"]
    in_jobs = place.get("runner", "host") != "host" or bool(place.get("claim"))
    job = in_jobs and place.get("jobs", here) == here
    record = place.get("store") == "configmap" and place.get("records", here) == here
    mine = [("job", job), ("record", record)] if place.get("migrates", True) else []
    return ["workload", "keda", *(name for name, wanted in mine if wanted)]


def missing_rights(cluster: Cluster, namespace: str, kind: str, needs: list[str]) -> list[str]:
    """Return what the user may not do in the namespace, in words: ``patch deployments.apps``.

    :param needs: keys of :data:`RIGHTS`. Rights on KEDA's objects count only in a cluster that has them.
    """
    wanted: dict[Right, None] = {}
    for need in needs:
        if need == "keda" and cluster.get("/apis/keda.sh/v1alpha1") is None:
            continue
        wanted.update({(verb, group, name.format(kind=kind)): None for verb, group, name in RIGHTS[need]})
    return [right_text(right) for right in wanted if not _may(cluster, namespace, right)]


def right_text(right: Right) -> str:
    verb, group, resource = right
    return f"{verb} {resource}{'.' + group if group else ''}"


def _may(cluster: Cluster, namespace: str, right: Right) -> bool:
    verb, group, name = right
    resource, _slash, sub = name.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": sub}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = cluster.change("ask which rights there are", "POST", _REVIEW, review)
    return bool(answer["status"].get("allowed"))
