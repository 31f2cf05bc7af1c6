# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The Job that a worker runs in: its manifest, how it ended, and what it wrote into its log. Plain functions."""

from __future__ import annotations

import base64
import binascii
import inspect
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, Dict, Mapping

from .._bridge import worker_sources
from .._worker import boot
from .._worker.redaction import environment_secrets
from .pods import Problem, pod_problems

if TYPE_CHECKING:
    from .._worker import pod  # noqa: F401 - packed with the modules that make Jobs

Object = Dict[str, Any]
MANAGED = "app.kubernetes.io/managed-by"
APPLICATION, OPERATION, DEPLOYMENT = (f"dbops.alembic/{name}" for name in ("application", "operation", "deployment"))
MARK = "dbops.alembic/mark"
#: The container's variable with the URL of the database, beside the one that the application reads.
URL_VARIABLE = "DBOPS_DATABASE_URL"
#: Those with the URLs that the pods of workloads have.
WORKLOAD_VARIABLE = "DBOPS_WORKLOAD_URL"
#: A variable of a process has at most 131072 bytes.
PART = 100_000
#: Seconds before the Job's own deadline at which the worker stops the operation itself, so that its answer is not lost.
MARGIN = 30.0
#: Reasons of a container that ended before its command ran: it is not in the image, say.
NOT_RUN = ("StartError", "ContainerCannotRun")
START = (
    "import base64,json,os,sys,zlib;"
    "w=''.join(os.environ.pop(n) for n in sorted(os.environ) if n.startswith('DBOPS_WORKER_'));"
    "p=json.loads(zlib.decompress(base64.b64decode(w)));"
    "b={'__name__':'boot'};exec(p['boot'],b);sys.meta_path.insert(0,b['Sources'](p['sources']));"
    "__import__(b['PACKAGE']+'.pod',fromlist=['serve']).serve(p)"
)
RESOURCES = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}}


def worker_variables(request: Mapping[str, Any], mark: str) -> list[Object]:
    """Return the worker with its request as variables of a container."""
    body = {
        "boot": inspect.getsource(boot),
        "sources": worker_sources(str(request["operation"])),
        "request": dict(request),
        "mark": mark,
    }
    text = base64.b64encode(zlib.compress(json.dumps(body).encode(), 9)).decode()
    parts = [text[start : start + PART] for start in range(0, len(text), PART)]
    return [{"name": f"DBOPS_WORKER_{number}", "value": part} for number, part in enumerate(parts)]


def job_request(request: Mapping[str, Any], options: Mapping[str, Any]) -> Object:
    """Return the request as the Job carries it: no URL and no other secret, and ended before the Job's deadline.

    :raises ValueError: naming a variable of the environment whose value is a secret.
    """
    found = {name: value for name, value in request.items() if name not in ("url", "urls", "python", "virtualenv", "kubernetes")}
    environment = {str(name): str(value) for name, value in (found.get("environment") or {}).items()}
    secret = sorted(name for name, value in environment.items() if environment_secrets({name: value}))
    if secret:
        raise ValueError(", ".join(secret))
    latest = max(options["deadline"] - MARGIN, options["deadline"] / 2)
    given = float(found.get("timeout") or 0)
    named = {"url_names": options["database"]} if options.get("database") else {}
    served = {f"{WORKLOAD_VARIABLE}_{number}": item["workload"] for number, item in enumerate(compared(options))}
    return dict(
        found,
        **named,
        **({"served": served} if served else {}),
        url_variable=URL_VARIABLE,
        timeout=min(given, latest) if given else latest,
    )


def compared(options: Mapping[str, Any]) -> list[Object]:
    """Return the workloads whose pods take their URL from elsewhere than the Job, where that can be seen from its namespace."""
    own = {"secretKeyRef": {"name": options.get("secret"), "key": options.get("secret_key"), "optional": True}}
    given = [item for item in options.get("workload_urls") or () if item["namespace"] == options["namespace"]]
    return [item for item in given if item["sources"] and item["sources"] != [{"valueFrom": own}]]


def manifest(name: str, request: Mapping[str, Any], mark: str, python: str, options: Mapping[str, Any]) -> Object:
    """Return the Job that the worker runs in."""
    return job_of(name, str(request["operation"]), mark, options, pod_of(container(request, mark, python, options), options))


def job_of(name: str, operation: str, mark: str, options: Mapping[str, Any], pod_spec: Object) -> Object:
    """Return a Job: once, with a deadline."""
    labels = {
        **_texts(options["labels"]),
        MANAGED: "dbops.alembic",
        APPLICATION: label_value(options["application"]),
        OPERATION: label_value(operation),
        **({DEPLOYMENT: label_value(options["deployment"])} if options.get("deployment") else {}),
    }
    annotations = {**_texts(options["annotations"]), **({MARK: mark} if mark else {})}
    meta = {"labels": labels, "annotations": annotations}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": options["namespace"], **meta},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(options["deadline"]),
            "template": {"metadata": meta, "spec": pod_spec},
        },
    }


def _texts(given: Mapping[str, Any] | None) -> Object:
    """Return labels or annotations as the API takes them: YAML has made a number or a switch of some texts."""
    texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in (given or {}).items()}
    return {str(name): "" if value is None else str(value) for name, value in texts.items()}


def pod_of(container: Object, options: Mapping[str, Any]) -> Object:
    """Return a pod with as few rights as a process can have."""
    user = {"runAsUser": options["user"]} if options.get("user") is not None else {}
    spec: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {"runAsNonRoot": True, **user, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "dbops-tmp", "emptyDir": {}}],
    }
    if options.get("service_account"):
        spec["serviceAccountName"] = options["service_account"]
    if options.get("image_pull_secrets"):
        spec["imagePullSecrets"] = [{"name": name} for name in options["image_pull_secrets"]]
    return {**spec, **(options.get("pod") or {})}


def container(request: Mapping[str, Any], mark: str, python: str, options: Mapping[str, Any]) -> Object:
    """Return the container that runs the worker."""
    variables = [{"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}, *worker_variables(request, mark)]
    return process([python or "python3", "-c", START], variables, options)


def process(command: list[str], variables: list[Object], options: Mapping[str, Any]) -> Object:
    """Return a container that has the URL of the database from its Secret, and can write to a temporary folder alone."""
    reference = {"secretKeyRef": {"name": options["secret"], "key": options["secret_key"]}}
    names = [URL_VARIABLE, *([options["url_variable"]] if options.get("url_variable") else [])]
    others = [
        {"name": f"{WORKLOAD_VARIABLE}_{number}", **source}
        for number, item in enumerate(compared(options))
        for source in item["sources"]
    ]
    found: Object = {
        "name": "dbops-worker",
        "image": options["image"],
        "command": command,
        "env": [
            {"name": "HOME", "value": "/tmp"},
            *({"name": name, "valueFrom": reference} for name in names),
            *others,
            *variables,
        ],
        "volumeMounts": [{"name": "dbops-tmp", "mountPath": "/tmp"}],
        "resources": resources(options["resources"] or {}),
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
    }
    if options.get("environment_secrets"):
        found["envFrom"] = [{"secretRef": {"name": name}} for name in options["environment_secrets"]]
    if options.get("image_pull_policy"):
        found["imagePullPolicy"] = options["image_pull_policy"]
    return found


def resources(given: Mapping[str, Any]) -> Object:
    """Return requests and limits: the defaults for what ``given`` says nothing of, since a quota wants both for each it counts."""
    kinds = ("requests", "limits")
    named = {name for kind in kinds for name in given.get(kind) or {}}
    defaults = {kind: {name: value for name, value in RESOURCES[kind].items() if name not in named} for kind in kinds}
    both = {**given, **{kind: {**defaults[kind], **(given.get(kind) or {})} for kind in kinds}}
    return {kind: value for kind, value in both.items() if value}


def label_value(text: str) -> str:
    """Return a text as the value of a label may be."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:63].strip("-_.")


def job_name(application: str, operation: str, unique: str) -> str:
    """Return a name for a Job that leaves room for what Kubernetes appends for its pods."""
    word = object_name(f"{application}-{operation}".replace("database_", ""), 36)
    return f"{word}-{re.sub(r'[^a-z0-9]', '', unique.lower())[:16]}"


def object_name(text: str, longest: int = 63) -> str:
    """Return a text as the name of an object may be."""
    return re.sub(r"[^a-z0-9-]", "-", text.lower())[:longest].strip("-")


def messages(log: str, mark: str) -> list[Object]:
    """Return the messages in a log, in order. One that is not whole yet ends them."""
    pieces: dict[int, dict[int, str]] = {}
    counts: dict[int, int] = {}
    for found in re.finditer(re.escape(f"<{mark}>:") + r"(\d+):(\d+)/(\d+):([A-Za-z0-9+/=]*);", log):
        number, index, count = (int(part) for part in found.groups()[:3])
        pieces.setdefault(number, {})[index] = found.group(4)
        counts[number] = count
    whole = []
    for number in sorted(pieces):
        if len(pieces[number]) < counts[number]:
            break
        try:
            text = "".join(pieces[number][index] for index in sorted(pieces[number]))
            data = base64.b64decode(text)
            # A script without zlib sends it as it is, maybe with what a program said in another encoding.
            whole.append(json.loads(data.decode("utf-8", "replace") if data.startswith(b"{") else zlib.decompress(data)))
        except (ValueError, zlib.error, binascii.Error):
            break
    return whole


def without_frames(log: str, mark: str) -> str:
    """Return the lines of a log that are for people."""
    return "\n".join(line for line in log.splitlines() if f"<{mark}>:" not in line)


def started(found: Mapping[str, Any] | None) -> bool:
    """Tell whether the worker's container has ever run; one whose command is not in the image ends without that."""
    states = ((found or {}).get("status") or {}).get("containerStatuses") or ()
    ends = [_ended(item) for item in states]
    return any("running" in (item.get("state") or {}) for item in states) or any(
        end and end.get("reason") not in NOT_RUN for end in ends
    )


def _ended(status: Mapping[str, Any]) -> Mapping[str, Any]:
    return (status.get("state") or {}).get("terminated") or {}


def end_of(job: Mapping[str, Any], found: Mapping[str, Any] | None) -> tuple[str, str] | None:
    """Return reason and text when the Job has ended for another cause than the worker's own answer, else nothing."""
    failed = [
        item for item in (job.get("status") or {}).get("conditions") or () if item["type"] == "Failed" and item["status"] == "True"
    ]
    deadline = any(item.get("reason") == "DeadlineExceeded" for item in failed)
    status = (found or {}).get("status") or {}
    if status.get("reason") in ("Evicted", "NodeLost", "Preempting", "Shutdown", "NodeShutdown", "Terminated"):
        return str(status["reason"]), f"its pod was evicted: {status.get('message') or status['reason']}"
    for item in status.get("containerStatuses") or ():
        ended = _ended(item)
        if ended.get("reason") == "OOMKilled":
            return "OOMKilled", "its pod ran out of memory; raise the limit in the option kubernetes.resources"
        if deadline:
            break
        if ended.get("reason") in NOT_RUN:
            return str(ended["reason"]), f"its container could not be started: {ended.get('message') or 'nobody says why'}"
        if ended:
            return "Exited", f"its container ended with status {ended.get('exitCode')} ({ended.get('reason')}) and no answer"
    if deadline:
        return "DeadlineExceeded", f"it took longer than {job['spec'].get('activeDeadlineSeconds')} s, its deadline"
    if failed and found is None:
        return "PodGone", "its pod is gone, and its log with it: somebody deleted it, or its node was lost"
    if failed:
        return str(failed[0].get("reason") or "Failed"), str(failed[0].get("message") or "its pod failed")
    if found is None and ((job.get("status") or {}).get("succeeded") or job["metadata"].get("deletionTimestamp")):
        return "PodGone", "its pod is gone, and its log with it"
    return None


def answer_left(found: Mapping[str, Any] | None) -> Object | None:
    """Return what the worker left in the pod's status."""
    for item in ((found or {}).get("status") or {}).get("containerStatuses") or ():
        try:
            value: Object = json.loads(_ended(item).get("message") or "")
            return value if isinstance(value, dict) and "ok" in value else None
        except ValueError:
            continue
    return None


def stuck(found: Mapping[str, Any] | None) -> list[Problem]:
    """Return what keeps the pod from starting."""
    return [] if found is None or started(found) else pod_problems(found)
