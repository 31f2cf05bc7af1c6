# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Archives of PostgreSQL on a PersistentVolumeClaim, written and read by Jobs in an image that has pg_dump and pg_restore."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Mapping

from .._argspec import ArgumentSpec, kubernetes_spec
from .._core.archives import age, belongs, described, doomed
from .._core.diff import text_diff
from .._errors import MigrationError
from .._owned import checked
from .._worker import counting, protocol
from .archive_script import SCRIPT, URL
from .cluster import Cluster, Object
from .job import job_of, pod_of, process
from .runner import JobBridge

#: Where the claim is in the pod of a Job.
DIRECTORY = "/archives"
#: Characters of what is written beside an archive; Linux takes 131072 bytes for one variable.
_LONGEST = 100_000


def archive_info_spec() -> ArgumentSpec:
    own = ArgumentSpec(
        options=dict(
            claim=dict(type="str", required=True),
            directory=dict(type="str", default=DIRECTORY),
            prefix=dict(type="str", default=""),
            name=dict(type="str"),
            database=dict(type="str"),
            servers=dict(type="list", elements="str", default=[]),
        )
    )
    return own + kubernetes_spec()


def archive_spec() -> ArgumentSpec:
    own = ArgumentSpec(
        options=dict(
            state=dict(type="str", choices=["present", "described", "restored", "pruned"], default="present"),
            format=dict(type="str", choices=["custom", "directory"], default="custom"),
            jobs=dict(type="int", default=2),
            needed_bytes=dict(type="int", default=0),
            revisions=dict(type="list", elements="str", default=[]),
            sha256=dict(type="str"),
            statements=dict(type="str"),
            leave_out=dict(type="list", elements="str", default=[]),
            about=dict(type="dict", default={}),
            count=dict(type="bool", default=False),
            checksum=dict(type="bool", default=False),
            keep_count=dict(type="int", default=0),
            keep_seconds=dict(type="float", default=0),
            programs=dict(type="str"),
        ),
        required_if=(
            ("state", "present", ("name",)),
            ("state", "described", ("name", "sha256", "database")),
            ("state", "restored", ("name", "sha256")),
        ),
    )
    return archive_info_spec() + own


@dataclass(frozen=True)
class ArchiveBridge(JobBridge):
    """A way to the programs of PostgreSQL in an image: the same Jobs, with a script in the place of the worker."""

    @classmethod
    def connect(cls, params: Mapping[str, Any]) -> ArchiveBridge:
        """:raises MigrationError: ``options_invalid``, ``client_missing``, ``cluster_unreachable``."""
        options = params["kubernetes"]
        if params["name"]:
            checked("name", "archive", params["name"])
        if params["prefix"]:
            checked("prefix", "archive", params["prefix"])
        if params["directory"]:
            checked("directory", "folder", params["directory"])
        if not options:
            raise MigrationError(
                "The option kubernetes is not given.", "options_invalid", "It says which image and which Secret the Job has."
            )
        return cls(python="", cluster=Cluster.connect(options), options=options)

    @property
    def program(self) -> str:
        return "sh; backup_kubernetes_image names another image"

    def manifest(self, name: str, request: Mapping[str, Any], mark: str) -> Object:
        options = dict(self.options, url_variable=None)
        variables = {
            **request["variables"],
            "operation": str(request["operation"]).replace("archive_", ""),
            "mark": mark,
            "protocol": protocol.PROTOCOL,
            "deadline_minutes": int(options["deadline"] // 60) + 1,
            "url": URL,
            "url_names": options.get("database") or "",
        }
        env = [{"name": f"DBOPS_{key.upper()}", "value": as_is(value)} for key, value in variables.items()]
        container = process(["sh", "-c", as_is(SCRIPT)], env, options)
        container["volumeMounts"].append({"name": "dbops-archives", "mountPath": request["variables"]["directory"]})
        spec = pod_of(container, options)
        spec["volumes"] = [
            *spec["volumes"],
            {"name": "dbops-archives", "persistentVolumeClaim": {"claimName": request["variables"]["claim"]}},
        ]
        if options.get("user") is not None:  # so that a claim that is new belongs to the user
            spec["securityContext"] = {"fsGroup": options["user"], **spec["securityContext"]}
        return job_of(name, str(request["operation"]), mark, options, spec)

    def do(self, operation: str, params: Mapping[str, Any], **variables: Any) -> Object:
        """Run the script in a Job and return what it found out.

        :raises MigrationError: ``archive_failed``, ``archive_missing``, ``archive_damaged``, ``insufficient_space``, and what
            can happen to a Job.
        """
        names = (
            "claim",
            "directory",
            "prefix",
            "name",
            "format",
            "jobs",
            "database",
            "needed_bytes",
            "sha256",
            "statements",
            "programs",
        )
        given = {name: params.get(name) for name in names}
        given["servers"] = "\n".join(json.dumps(server) for server in params["servers"])
        given["leave_out"] = "\n".join(params.get("leave_out") or ())
        shown = {name: "" if value is None else value for name, value in {**given, **variables}.items()}
        reply = self.call({"operation": operation, "variables": shown})
        error = reply["error"]
        if error:
            raise MigrationError(str(error["message"]), str(error["kind"]))
        facts: Object = reply["facts"]
        return facts


def as_is(value: Any) -> str:
    """Return a text that is the value once Kubernetes has expanded ``$(NAME)`` and ``$$`` in it."""
    return str(value).replace("$", "$$")


def run_archive_info(params: Mapping[str, Any]) -> Object:
    """Return the archives of the server, oldest first, which other servers there are archives of, the free space, and the checksum
    of the one that ``name`` names."""
    found = ArchiveBridge.connect(params).do("archive_list", params)
    there, servers = _listed(found, params), _servers(found, params)
    archives = [item for item in there if "server" not in item or item["server"] in servers]
    others = sorted({item["server"] for item in there if item not in archives})
    return {**found, "archives": archives, "other_servers": others}


def _listed(found: Mapping[str, Any], params: Mapping[str, Any]) -> list[Object]:
    """Return the archives of the database, oldest first, without what is none of ours."""
    ours = [item for item in map(_told, found["archives"]) if item]
    return sorted((item for item in ours if not params["database"] or belongs(item, params["database"])), key=age)


def _told(text: str) -> Object | None:
    """Return what a text beside an archive says, or None when it is something else."""
    try:
        found = json.loads(base64.b64decode(text))
    except ValueError:
        return None
    return described(found, str(found.get("path")).rpartition("/")[2]) if isinstance(found, dict) else None


def _servers(found: Mapping[str, Any], params: Mapping[str, Any]) -> list[str]:
    """Return the addresses of the server of the URL: the one that the Job knows, and former ones."""
    return [found["server"], *params["servers"]]


def run_archive(params: Mapping[str, Any], dry: bool = False) -> Object:
    """Do what the module ``kubernetes_archive`` was asked for and return its result."""
    bridge = ArchiveBridge.connect(params)
    if params["state"] == "pruned":
        return _prune(bridge, params, dry)
    if dry:
        return {"changed": True}
    if params["state"] == "restored":
        bridge.do("archive_restore", params)
        return {"changed": True}
    path = f"{params['directory']}/{params['name']}"
    if params["state"] == "described":
        same = {"path": path, "claim": params["claim"], "database": params["database"], "sha256": params["sha256"]}
        found = bridge.do("archive_describe", params, description=_short({**params["about"], **same}), proof=_proof(params))
        return {"changed": found["made"]}
    description = {
        "path": path,
        "claim": params["claim"],
        "format": params["format"],
        **({"database": params["database"]} if params["database"] else {}),
        "revisions": params["revisions"],
        **params["about"],
    }
    # The script adds size, checksum and time, and the database where only the URL names it, and closes it.
    opened = json.dumps(description, separators=(",", ":"))[:-1]
    count = counting.script(params["checksum"]) if params["count"] else ""
    found = bridge.do("archive", params, description=opened, proof=_proof(params), count=count)
    tables = {"tables": found["tables"]} if "tables" in found else {}
    return {"changed": found["made"], "archive": found["archive"], **tables}


def _short(description: Mapping[str, Any]) -> str:
    """Return it as JSON, without the rows of each table where those of very many are more than a variable of a process may hold."""
    text = json.dumps(description, separators=(",", ":"))
    if len(text) > _LONGEST:
        proof = {name: value for name, value in (description.get("proof") or {}).items() if name != "counts"}
        text = json.dumps({**description, "proof": proof}, separators=(",", ":"))
    return text


def _proof(params: Mapping[str, Any]) -> str:
    """Return the lines that the text beside an archive holds where it is one of ours, of this name and this database.

    The script adds the database where only the URL names it.
    """
    ends = json.dumps(f"/{params['name']}")[1:]
    return f'{ends}\n"database":{json.dumps(params["database"])}' if params["database"] else ends


def _prune(bridge: ArchiveBridge, params: Mapping[str, Any], dry: bool) -> Object:
    found = bridge.do("archive_list", params, name="")
    # One that says no server, as the first version wrote it, may be of any.
    archives = [item for item in _listed(found, params) if item.get("server") in _servers(found, params)]
    now = datetime.now(timezone.utc).timestamp()
    paths = doomed(archives, params["keep_count"], params["keep_seconds"], now)
    if paths and not dry:
        bridge.do("archive_remove", params, name="", names="\n".join(path.rpartition("/")[2] for path in paths))
    before = [str(item["path"]) for item in archives]
    after = [path for path in before if path not in paths]
    label = f"archives in {params['claim']}"
    return {"changed": bool(paths), "removed": paths, "diff": text_diff(label, _lines(before), _lines(after))}


def _lines(paths: list[str]) -> str:
    return "".join(f"{path}\n" for path in paths)
