# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The migration as files for those who deploy by other means: each has the worker inside and needs nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from typing import Any, Callable, Dict, Mapping

from .._argspec import ArgumentSpec, upgrade_request_spec
from .._core.diff import text_diff
from .._core.owned import MANIFEST, Found
from .._errors import MigrationError
from .._operations import migration_request
from .._owned import demand, look, read, usable, write
from .job import START, URL_VARIABLE, container, job_name, job_request, manifest, object_name, worker_variables
from .workload import KINDS

Object = Dict[str, Any]
NAME = "dbops-migrate"
#: The line by which a file is known to be ours, so that it may be written anew.
MARK = "# Written by dbops.alembic.migration_manifests, which writes it anew; changes belong into its options."


def manifests_spec() -> ArgumentSpec:
    own = ArgumentSpec(
        options=dict(
            directory=dict(type="path"),
            forms=dict(type="list", elements="str", choices=list(FORMS), default=list(FORMS)),
            workload_kind=dict(type="str", choices=list(KINDS), default="deployment"),
            workload_name=dict(type="str"),
        )
    )
    return own + upgrade_request_spec()


def run_manifests(params: Mapping[str, Any], dry: bool = False) -> Object:
    """Write the files that differ and return the module's result."""
    files = rendered(params)
    if params["directory"] is None:
        return {"changed": False, "files": [], "manifests": files}
    changes, differing = [], {}
    for name, text in files.items():
        path = os.path.join(os.path.abspath(params["directory"]), name)
        found, before = _found(path), read(path) or ""
        demand(MANIFEST, found)  # all of them, before the first one is written
        if before != text:
            changes.append(text_diff(os.path.join(params["directory"], name), before, text))
            differing[name] = (found, text)
    if differing and not dry:
        with usable(params["directory"]):
            os.makedirs(params["directory"], exist_ok=True)
    for name, (found, text) in differing.items() if not dry else ():
        write(MANIFEST, found, text, 0o755 if name.endswith(".sh") else 0o644)
    return {"changed": bool(changes), "files": [os.path.join(params["directory"], name) for name in files], "diff": changes}


def rendered(params: Mapping[str, Any]) -> dict[str, str]:
    """Return file name → text.

    :raises MigrationError: ``options_invalid``, ``client_missing``.
    """
    options = params["kubernetes"]
    if not options:
        raise MigrationError(
            "The option kubernetes is not given.",
            "options_invalid",
            "It says which image and which Secret the migration runs with.",
        )
    request = migration_request(params, "upgrade")
    try:
        request = job_request(request, options)
    except ValueError as exc:
        raise MigrationError(
            f"The environment of the application has secrets ({exc}), and the files would hold them.",
            "options_invalid",
            "Put them into a Secret and name it in kubernetes.environment_secrets.",
        ) from exc
    made = dict(FORMS[form](request, params) for form in params["forms"])
    return {name: _marked(text) for name, text in made.items()}


def _marked(text: str) -> str:
    """Put the mark on top, below the line that names the shell."""
    first, newline, rest = text.partition("\n")
    return f"{first}{newline}{MARK}\n{rest}" if first.startswith("#!") else f"{MARK}\n{text}"


def _python(params: Mapping[str, Any]) -> str:
    return str(params["python"] or (f"{params['virtualenv']}/bin/python" if params["virtualenv"] else "python3"))


def _job(request: Object, params: Mapping[str, Any]) -> tuple[str, str]:
    options, python = params["kubernetes"], _python(params)
    content = json.dumps([worker_variables(request, ""), options["image"]], sort_keys=True)
    name = job_name(options["application"], "upgrade", hashlib.sha256(content.encode()).hexdigest())
    return "job.yaml", _yaml(manifest(name, request, "", python, options))


def _helm_hook(request: Object, params: Mapping[str, Any]) -> tuple[str, str]:
    options, python = params["kubernetes"], _python(params)
    hook = {"helm.sh/hook": "pre-install,pre-upgrade", "helm.sh/hook-delete-policy": "before-hook-creation"}
    found = manifest(object_name(f"{options['application']}-upgrade"), request, "", python, options)
    found["metadata"]["annotations"] = {**found["metadata"]["annotations"], **hook}
    del found["metadata"]["namespace"]  # a chart's objects live where its release is installed
    return "helm-hook.yaml", _yaml(found).replace("{{", '{{ "{{" }}')


def _init_container(request: Object, params: Mapping[str, Any]) -> tuple[str, str]:
    options = params["kubernetes"]
    user = {"runAsUser": options["user"]} if options.get("user") is not None else {}
    found = container(request, "", _python(params), options)
    found.update(name=NAME, securityContext={**found["securityContext"], "runAsNonRoot": True, **user})
    pod = {"initContainers": [found], "volumes": [{"name": "dbops-tmp", "emptyDir": {}}]}
    patch = {
        "apiVersion": "apps/v1",
        "kind": KINDS[params["workload_kind"]],
        "metadata": {"name": params["workload_name"] or options["application"], "namespace": options["namespace"]},
        "spec": {"template": {"spec": pod}},
    }
    return "init-container-patch.yaml", _yaml(patch)


def _compose(request: Object, params: Mapping[str, Any]) -> tuple[str, str]:
    options = params["kubernetes"]
    names = [URL_VARIABLE, *([options["url_variable"]] if options.get("url_variable") else [])]
    source = "${" + (options.get("url_variable") or "DATABASE_URL") + ":?}"
    environment = {
        "HOME": "/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(names, source),
        **{item["name"]: item["value"] for item in worker_variables(request, "")},
    }
    service = {
        "image": options["image"],
        "command": [_python(params), "-c", START],
        "environment": environment,
        "restart": "no",
        "read_only": True,
        "tmpfs": ["/tmp"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        **({"user": str(options["user"])} if options.get("user") is not None else {}),
    }
    waits = {"depends_on": {"migrations": {"condition": "service_completed_successfully"}}}
    return "compose.yaml", _yaml({"services": {"migrations": service, options["application"]: waits}})


def _entrypoint(request: Object, params: Mapping[str, Any]) -> tuple[str, str]:
    url = params["kubernetes"].get("url_variable") or "DATABASE_URL"
    lines = [
        "#!/bin/sh",
        "# Migrates the database, one container at a time, and then becomes the command that it is given.",
        "set -e",
        f'{URL_VARIABLE}="${{{URL_VARIABLE}:-${url}}}"',
        f"export {URL_VARIABLE}",
        *(f"{item['name']}={item['value']}; export {item['name']}" for item in worker_variables(request, "")),
        f"{shlex.quote(params['python'] or 'python3')} -c {shlex.quote(START)}",
        "unset " + " ".join([URL_VARIABLE, *(item["name"] for item in worker_variables(request, ""))]),
        'exec "$@"',
    ]
    return "entrypoint.sh", "\n".join(lines) + "\n"


#: form → what makes it
FORMS: dict[str, Callable[[Object, Mapping[str, Any]], tuple[str, str]]] = {
    "job": _job,
    "helm_hook": _helm_hook,
    "init_container": _init_container,
    "compose": _compose,
    "entrypoint": _entrypoint,
}


def _yaml(content: Object) -> str:
    try:
        import yaml
    except ImportError as exc:
        raise MigrationError(
            "The Python of this host has no PyYAML.",
            "client_missing",
            "Install PyYAML for it, or write the files on the controller.",
        ) from exc
    plain = json.loads(json.dumps(content))  # no two parts are the same object, which would be shown as an alias
    return str(yaml.safe_dump(plain, sort_keys=False, default_flow_style=False, width=1_000_000))


def _found(path: str) -> Found:
    """Return what is there: a file that is ours has the mark, or was written before there was one and holds the worker."""
    text = read(path) or ""
    marked = MARK in text[:300]
    former = os.path.basename(path) != "compose.yaml" and "DBOPS_WORKER_0" in text
    return look(path, "", "its mark" if marked or former else "")
