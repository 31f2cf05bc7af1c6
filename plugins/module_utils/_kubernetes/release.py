# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Releases of a workload: which pod template each had, kept on the workload itself, so that going back sets exactly that one."""

from __future__ import annotations

import base64
import copy
import json
import re
import zlib
from typing import Any, Dict, Mapping

from .._argspec import ArgumentSpec
from .._core.diff import text_diff
from .._errors import MigrationError
from .._worker.redaction import url_secrets
from .admission import refused_pod
from .cluster import APPLY_PATCH, JSON_PATCH, Object
from .pods import MIGRATION, kept_back, rollout_gaps
from .workload import Workload, _pointer, workload_spec

#: Version → pod template, packed: the manual of a workload should stay readable.
RELEASES = "dbops.alembic/releases"
#: The name under which our fields are managed by server-side apply.
MANAGER = "dbops.alembic"
Releases = Dict[str, Object]


def releases_of(found: Object) -> Releases:
    """Return the recorded releases, oldest first.

    :raises MigrationError: ``record_unreadable``.
    """
    text = (found["metadata"].get("annotations") or {}).get(RELEASES)
    if not text:
        return {}
    try:
        value: Releases = json.loads(zlib.decompress(base64.b64decode(text)))
        return dict(value)
    except (ValueError, zlib.error) as exc:
        raise MigrationError(
            f"The annotation {RELEASES} of {found['metadata']['name']} can not be understood.",
            "record_unreadable",
            "Remove the annotation; the releases before this one can then only be deployed anew.",
        ) from exc


def packed(releases: Releases) -> str:
    return base64.b64encode(zlib.compress(json.dumps(releases).encode(), 9)).decode()


def containers_of(template: Object) -> list[Object]:
    spec = template["spec"]
    return [*(spec.get("initContainers") or ()), *spec["containers"]]


def chosen(template: Object, names: list[str], label: str) -> list[Object]:
    """Return the containers that run the release.

    :param names: their names; empty is the only container.
    :raises MigrationError: ``options_invalid``.
    """
    known = [container["name"] for container in containers_of(template)]
    wanted = names or [container["name"] for container in template["spec"]["containers"]]
    missing = [name for name in wanted if name not in known]
    if missing or (not names and len(wanted) > 1):
        problem = f"has no container {', '.join(missing)}" if missing else "has several containers"
        raise MigrationError(
            f"{label} {problem}; there are {', '.join(known)}.", "options_invalid", "Name them in release_kubernetes_containers."
        )
    return [container for container in containers_of(template) if container["name"] in wanted]


def version_of(image: str) -> str:
    """Return the digest or the tag of an image reference."""
    if "@" in image:
        return image.partition("@")[2]
    _name, colon, tag = image.rpartition(":")
    return tag if colon and "/" not in tag else "latest"


def active(found: Object, names: list[str], label: str) -> tuple[str, str]:
    """Return version and image of what the workload runs, or would run."""
    template = found["spec"]["template"]
    image = str(chosen(template, names, label)[-1]["image"])
    known = [version for version, recorded in releases_of(found).items() if recorded == release_part(template)]
    return (known[-1] if known else version_of(image)), image


def image_of(found: Object, version: str, names: list[str], label: str) -> str | None:
    """Return the image of a recorded release."""
    recorded = releases_of(found).get(version)
    return str(chosen(recorded, names, label)[-1]["image"]) if recorded else None


def workload_url(workload: Workload, template: Object, names: list[str], variable: str | None) -> Object:
    """Return where the release takes the URL of its database from, as the option ``workload_urls`` of Jobs has it.

    :param variable: the variable of the environment that it reads. Of one that is not there nothing is known.
    """
    containers = chosen(template, names, workload.label) if variable else []
    found = next((sources for sources in (_sources(container, str(variable)) for container in containers[::-1]) if sources), [])
    return {"workload": workload.label, "namespace": workload.namespace, "sources": found} if found else {}


def _sources(container: Object, variable: str) -> list[Object]:
    """Return what may fill a variable, the last one before the others; a Job is not kept from starting by what is not there."""
    found: list[Object] = []
    for source in container.get("envFrom") or ():
        prefix, kind = source.get("prefix") or "", "secret" if source.get("secretRef") else "configMap"
        if variable.startswith(prefix):
            reference: Object = {"name": source[f"{kind}Ref"]["name"], "key": variable[len(prefix) :], "optional": True}
            found.append({"valueFrom": {f"{kind}KeyRef": reference}})
    for entry in container.get("env") or ():
        if entry["name"] != variable:
            continue
        references = {kind: held for kind, held in (entry.get("valueFrom") or {}).items() if kind.endswith("KeyRef")}
        held = {
            kind: {"name": reference["name"], "key": reference["key"], "optional": True} for kind, reference in references.items()
        }
        # What a template holds is no secret of the cluster any more, and yet no Job of ours repeats it.
        plain = re.sub(r"(://[^\s:/@]*):.*@", r"\1@", entry.get("value") or "", flags=re.DOTALL)
        known = bool(plain) and "$(" not in plain and not url_secrets(plain)[0]
        found = [{"valueFrom": held}] if held else [{"value": plain}] if known else []
    return found


def release_spec() -> ArgumentSpec:
    return workload_spec() + ArgumentSpec(
        options=dict(
            state=dict(type="str", choices=["prepared", "active"], default="active"),
            version=dict(type="str", required=True),
            containers=dict(type="list", elements="str", default=[]),
            image=dict(type="str"),
            manifest=dict(type="dict"),
            init_container=dict(type="dict"),
            url_variable=dict(type="str"),
            keep_count=dict(type="int", default=5),
            protected=dict(type="list", elements="str", default=[]),
        ),
        mutually_exclusive=(("image", "manifest"),),
    )


def run_release(params: Mapping[str, Any], dry: bool = False) -> Object:
    """Do what the module ``kubernetes_release`` was asked for and return its result."""
    workload = Workload.from_params(params)
    names, version, label = params["containers"], params["version"], workload.label
    found = workload.read()
    former, former_image = active(found, names, label)
    present, known = found["spec"]["template"], releases_of(found)
    before = release_part(present)
    # What the cluster would make of a manifest that is not applied yet.
    shown = _applied(workload, params["manifest"], dry=True) if params["state"] == "prepared" and params["manifest"] else found
    aimed = _aimed(workload, params, shown, known, dry)
    if params["state"] == "prepared" and former == version and aimed != before:
        raise MigrationError(
            f"{label} runs {version} already, with another pod template than this one.",
            "options_invalid",
            "Give this one another release_version.",
        )
    same = known and former != version and aimed == before  # the first one that is written down was put there by other means
    if params["state"] == "prepared" and same and not _pulled_anew(aimed, names, label):
        raise MigrationError(
            f"{label} runs {former}, and release {version} would be the same pod template, with the image {former_image}.",
            "options_invalid",
            "Name the image of this release in release_image, such as registry.example.com/shop:{{ release_version }}, or give the"
            " manifest another template.",
        )
    hindered = kept_back(shown) if params["state"] == "prepared" and former != version else ""
    if hindered:
        raise MigrationError(f"{label} {hindered}.", "options_invalid")
    barred = refused_pod(workload.cluster, workload.namespace, shown, aimed) if params["state"] == "prepared" else ""
    if barred:
        raise MigrationError(
            f"{label} would get no pod of release {version}: {barred}.",
            "cluster_refused",
            "Mend that first: once the present pods are stopped, none would come back either.",
        )
    rest = {name: template for name, template in known.items() if name not in (former, version)}
    releases = {**rest, former: before, version: aimed}
    releases = _kept(releases, params["keep_count"], [*params["protected"], former, version])
    after = present
    if params["state"] == "active":
        after = _migrating(workload, aimed, params["init_container"], names) if params["init_container"] else aimed
    changed = after != present or releases != known
    if changed and not dry:
        if params["state"] == "active" and params["manifest"]:
            _applied(workload, params["manifest"], dry=False)
        _write(workload, after, releases)
    return {
        "changed": changed,
        "version": version,
        "former_version": former,
        "image": str(chosen(aimed, names, label)[-1]["image"]),
        "former_image": former_image,
        "releases": list(releases),
        "rollout_gaps": rollout_gaps(shown, aimed),
        "workload_url": workload_url(workload, aimed, names, params["url_variable"]),
        "diff": text_diff(f"pod template of {label}", _shown(before), _shown(aimed)),
    }


def _pulled_anew(template: Object, names: list[str], label: str) -> bool:
    """Tell whether an image of the same name may be another one by now."""
    return any(container.get("imagePullPolicy") == "Always" for container in chosen(template, names, label))


def _aimed(workload: Workload, params: Mapping[str, Any], shown: Object, known: Releases, dry: bool) -> Object:
    """Return the pod template of the release: the recorded one, or when it is prepared the one that image or manifest make."""
    version, present = params["version"], release_part(shown["spec"]["template"])
    if params["state"] == "prepared" and params["image"]:
        return with_image(present, params["containers"], params["image"], workload.label)
    if params["state"] == "prepared" and params["manifest"]:
        return present
    if version in known:
        return known[version]
    if version_of(str(chosen(present, params["containers"], workload.label)[-1]["image"])) == version:
        return present
    if dry and params["image"]:
        return with_image(present, params["containers"], params["image"], workload.label)
    raise MigrationError(
        f"{workload.label} has no recorded release {version}; there are {', '.join(known) or 'none'}.",
        "release_unknown",
        "Prepare it with state=prepared, or deploy the release that you want with the playbook dbops.alembic.maintenance_window.",
    )


def release_part(template: Object) -> Object:
    """Return a pod template without the init container that upgrades the database: it belongs to a deployment, not to a release."""
    spec = template["spec"]
    if not any(item["name"] == MIGRATION for item in spec.get("initContainers") or ()):
        return template
    kept = {key: [item for item in spec.get(key) or () if item["name"] != MIGRATION] for key in ("initContainers", "volumes")}
    rest = {key: value for key, value in spec.items() if key not in kept}
    return {**template, "spec": {**rest, **{key: value for key, value in kept.items() if value}}}


def _migrating(workload: Workload, template: Object, container: Object, names: list[str]) -> Object:
    """Return the template with the init container, as the last one and with the image of the release, as the cluster writes it."""
    spec = template["spec"]
    image = chosen(template, names, workload.label)[-1]["image"]
    added = {**container, "name": MIGRATION, "image": image, "volumeMounts": [{"name": MIGRATION, "mountPath": "/tmp"}]}
    grown = {
        **spec,
        "initContainers": [*(spec.get("initContainers") or ()), added],
        "volumes": [*(spec.get("volumes") or ()), {"name": MIGRATION, "emptyDir": {}}],
    }
    patch = [{"op": "replace", "path": "/spec/template", "value": {**template, "spec": grown}}]
    what = f"set the init container of {workload.label}"
    written: Object = workload.cluster.change(what, "PATCH", workload.path, patch, JSON_PATCH, dryRun="All")
    return dict(written["spec"]["template"])


def with_image(template: Object, names: list[str], image: str, label: str) -> Object:
    """Return a pod template whose chosen containers have this image."""
    changed = copy.deepcopy(template)
    for container in chosen(changed, names, label):
        container["image"] = image
    return changed


def _write(workload: Workload, template: Object, releases: Releases) -> None:
    def build(now: Object) -> list[Object]:
        operations = []
        if now["spec"]["template"] != template:
            operations.append({"op": "replace", "path": "/spec/template", "value": template})
        if releases_of(now) != releases:
            operations.append({"op": "add", "path": _pointer(RELEASES), "value": packed(releases)})
        return operations

    workload.patch(build, f"set the pod template of {workload.label}")


def _applied(workload: Workload, manifest: Mapping[str, Any], dry: bool) -> Object:
    """Apply a manifest by server-side apply; how many replicas there are is no part of a release."""
    given = copy.deepcopy(dict(manifest))
    named = (given.get("kind"), (given.get("metadata") or {}).get("name"))
    if named != (workload.read().get("kind") or named[0], workload.name):
        raise MigrationError(f"The manifest is of {named[0]} {named[1]}, and the workload is {workload.label}.", "options_invalid")
    (given.get("spec") or {}).pop("replicas", None)
    query = {"fieldManager": MANAGER, "force": "true", **({"dryRun": "All"} if dry else {})}
    return workload.cluster.change(f"apply the manifest of {workload.label}", "PATCH", workload.path, given, APPLY_PATCH, **query)


def _kept(releases: Releases, count: int, protected: list[str]) -> Releases:
    newest = list(releases)[-max(count, 1) :]
    return {version: template for version, template in releases.items() if version in newest or version in protected}


def _shown(template: Object) -> str:
    return json.dumps(template, indent=1, sort_keys=True) + "\n"
