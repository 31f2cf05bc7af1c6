# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which rights each part of a deployment needs, and which of them the present user lacks."""

from __future__ import annotations

from typing import Any, Mapping, Sequence, Tuple

from .._errors import MigrationError
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


def places(asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each namespace once, with the keys of :data:`RIGHTS` that will be used there.

    :param asked: as the filter ``kubernetes_places`` has it.
    """
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for item in filter(None, asked):
        where = {name: str(item.get(name) or "") for name in ("namespace", "kubeconfig", "context")}
        place = found.setdefault(tuple(where.values()), {**where, "needs": [], "why": ""})
        place.update({name: item[name] for name in ("kind", "name", "containers", "builds") if item.get(name)})
        place["needs"] += [need for need in item["needs"] if need not in place["needs"]]
        place["why"] = "" if "name" in place else ", ".join(filter(None, [place["why"], item.get("why")]))
    return list(found.values())


def refuse_without(cluster: Cluster, namespace: str, kind: str, needs: Sequence[str]) -> None:
    """Refuse where the user may not do in the namespace what is needed.

    :param needs: keys of :data:`RIGHTS`. Rights on KEDA's objects count only in a cluster that has them.
    :raises MigrationError: ``right_missing``, naming each in words: ``patch deployments.apps``.
    """
    wanted: dict[Right, None] = {}
    for need in needs:
        if need == "keda" and cluster.get("/apis/keda.sh/v1alpha1") is None:
            continue
        wanted.update({(verb, group, name.format(kind=kind)): None for verb, group, name in RIGHTS[need]})
    missing = [right_text(right) for right in wanted if not _may(cluster, namespace, right)]
    if not missing:
        return
    none = len(missing) == len(wanted)
    hint = "Is it the right namespace, and the right user? " if none else ""
    raise MigrationError(
        f"In the namespace {namespace} {'all rights' if none else 'these rights'} are missing: {', '.join(missing)}.",
        "right_missing",
        f"{hint}The guide on Kubernetes has a Role with all that is needed.",
        {"missing_rights": missing},
    )


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
