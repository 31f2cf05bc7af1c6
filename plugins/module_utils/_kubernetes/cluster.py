# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The Kubernetes API, as far as this collection uses it: objects as plain dictionaries, errors as ours."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable, Dict, Iterable, Mapping, Sequence

from .._argspec import ArgumentSpec
from .._errors import MigrationError
from .._worker.redaction import Redactor, cut
from .reach import HOW, impatiently, unreached

Object = Dict[str, Any]
#: method, path, body, content type, query → the text of the answer; raises :class:`Refused`.
Transport = Callable[[str, str, Any, str, Sequence[Any]], str]
JSON_PATCH, MERGE_PATCH, APPLY_PATCH = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
)


class Refused(Exception):
    """The API answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class Cluster:
    """Requests to one cluster, as the user that the options or the environment name."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @classmethod
    def connect(cls, params: Mapping[str, Any]) -> Cluster:
        """Authenticate as kubernetes.core does: options, then its environment variables, the pod's account, the kubeconfig.

        :raises MigrationError: ``client_missing``, ``cluster_unreachable``.
        """
        try:
            from kubernetes.dynamic.exceptions import DynamicApiError  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ImportError as exc:
            raise MigrationError(
                f"{sys.executable} has no kubernetes client.",
                "client_missing",
                "Install the Python package kubernetes for it, or set ansible_python_interpreter to a Python that has it.",
            ) from exc
        from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client

        given = {name: params[name] for name in ("kubeconfig", "context") if params.get(name)}
        files = given["kubeconfig"].split(os.pathsep) if "kubeconfig" in given else []
        if files and not any(map(os.path.exists, files)):
            missing = ", ".join(map(os.path.abspath, files))
            raise MigrationError(
                f"There is no kubeconfig {missing} on this host.", "cluster_unreachable", f"Write its whole path. {HOW}"
            )
        try:
            with impatiently():
                client = get_api_client(**given).client
        except DynamicApiError as exc:
            raise refusal("ask the cluster for its version", _refused(exc)) from exc
        except Exception as exc:  # whatever a kubeconfig can have wrong, and whatever its helper programs raise
            raise unreached(exc) from exc

        def transport(method: str, path: str, body: Any, content_type: str, query: Sequence[Any]) -> str:
            from urllib3.exceptions import HTTPError  # type: ignore[import-not-found,import-untyped,unused-ignore]

            try:
                answer = client.request(
                    method,
                    path,
                    body=body,
                    content_type=content_type,
                    query_params=list(query),
                    serialize=False,
                    _request_timeout=60,
                )
            except DynamicApiError as exc:
                raise _refused(exc) from exc
            except (HTTPError, OSError) as exc:
                raise unreached(exc) from exc
            return str(answer.data.decode("utf-8", "replace"))

        return cls(transport)

    def ask(self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: Any) -> Object:
        """Return the object that the API answers with.

        :raises Refused: with the API's own message.
        """
        answer: Object = json.loads(self._transport(method, path, body, content_type, sorted(query.items())))
        return answer

    def get(self, path: str, **query: Any) -> Object | None:
        """Return the object, or nothing where there is none.

        :raises MigrationError: ``cluster_refused``.
        """
        try:
            return self.ask("GET", path, **query)
        except Refused as exc:
            if exc.status == 404:
                return None
            raise refusal(f"read {path}", exc) from exc

    def items(self, path: str, **query: Any) -> list[Object]:
        """Return the objects of a list; a kind that the cluster does not have has none."""
        found = self.get(path, **query)
        return list(found["items"]) if found else []

    def text(self, path: str, **query: Any) -> str:
        """Return what is not JSON: a log."""
        return self._transport("GET", path, None, "application/json", sorted(query.items()))

    def change(
        self, what: str, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: Any
    ) -> Object:
        """Write, and say in an error what could not be done.

        :raises MigrationError: ``cluster_refused``, or ``cluster_conflict`` where somebody else was faster.
        """
        try:
            return self.ask(method, path, body, content_type, **query)
        except Refused as exc:
            raise refusal(what, exc) from exc


def refusal(what: str, exc: Refused) -> MigrationError:
    """Return our error for the API's."""
    if exc.status == 401:
        why = "The token or the certificate is no longer valid, or never was."
        return MigrationError(
            f"The cluster does not know who asks: {exc.message.rstrip('.')}.", "cluster_unreachable", f"{why} {HOW}"
        )
    # A quota and a policy answer 403 as well; what a user may not do says "User … cannot create resource …".
    lacking = exc.status == 403 and " cannot " in exc.message
    kind = "cluster_conflict" if exc.status == 409 else "right_missing" if lacking else "cluster_refused"
    hint = "Grant it; the guide on Kubernetes has a Role with all that is needed." if kind == "right_missing" else None
    return MigrationError(f"Could not {what}: {exc.message.rstrip('.')}.", kind, hint)


def cluster_spec() -> ArgumentSpec:
    """Which cluster."""
    return ArgumentSpec(options=dict(kubeconfig=dict(type="path"), context=dict(type="str")))


def selector_text(selector: Mapping[str, Any]) -> str:
    """Return a label selector as a query has it."""
    parts = [f"{name}={value}" for name, value in sorted((selector.get("matchLabels") or {}).items())]
    for rule in selector.get("matchExpressions") or ():
        values = ",".join(rule.get("values") or ())
        words = {"In": f"{rule['key']} in ({values})", "NotIn": f"{rule['key']} notin ({values})", "Exists": rule["key"]}
        parts.append(str(words.get(rule["operator"], "!" + rule["key"])))
    return ",".join(parts)


def events_of(cluster: Cluster, namespace: str, names: Iterable[str], count: int = 12) -> list[str]:
    """Return the last events of these objects, oldest first, in words."""
    found = []
    for name in names:
        found += cluster.items(f"/api/v1/namespaces/{namespace}/events", fieldSelector=f"involvedObject.name={name}")
    found.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    mask = Redactor().text
    return [mask(f"{event['involvedObject']['name']}: {event.get('reason')}: {event.get('message')}") for event in found][-count:]


def pod_events(cluster: Cluster, namespace: str, reasons: Iterable[str]) -> list[Object]:
    """Return the events of that namespace's pods that have one of these reasons."""
    selectors = [f"involvedObject.kind=Pod,reason={reason}" for reason in reasons]
    path = f"/api/v1/namespaces/{namespace}/events"
    return [event for selector in selectors for event in cluster.items(path, fieldSelector=selector)]


def log_of(cluster: Cluster, namespace: str, pod: str, container: str, lines: int) -> str:
    """Return the end of a container's log, of its last run where the present one has written nothing; passwords masked."""
    for previous in ("false", "true"):
        try:
            text = cluster.text(
                f"/api/v1/namespaces/{namespace}/pods/{pod}/log", container=container, tailLines=lines, previous=previous
            )
        except Refused:
            continue  # the container has not started, or its log is gone
        if text.strip():
            return Redactor().text(text.rstrip())
    return ""


def _refused(exc: Any) -> Refused:
    """Return what the API said; of a page that a balancer before it has made, its status."""
    text = exc.body.decode("utf-8", "replace") if isinstance(exc.body, bytes) else str(exc.body or "")
    try:
        said = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        said = "" if text.lstrip().startswith("<") else cut(" ".join(text.split()), 500)
    return Refused(int(exc.status or 0), Redactor().text(said or f"HTTP status {exc.status} {exc.reason or ''}".rstrip()))
