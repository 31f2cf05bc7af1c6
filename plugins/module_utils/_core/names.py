# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The grammar of the names that users give: what each may hold, and what is said where it holds something else.

Most of these names become a part of a path that is later removed or replaced, so what a grammar leaves out is a folder that nobody
wanted to lose: an empty name is the folder of all releases, ``..`` the one above it.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any, Collection, Mapping, Sequence

from .record import RESULT

#: Characters of a value that a message shows.
SHOWN = 60
#: Of a path that was looked at.
WHOLE = 1000
#: What an empty variable becomes in a template, a shell or a pipeline, in lower case.
NOTHING = ("none", "null", "nil", "nan", "undefined", "omit")
#: Folders of the system, of which none is an application's own.
SYSTEM_FOLDERS = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
)
_SECRET = re.compile(r"(?<=://)[^/\s@]*(?=@)")
_OMITTED = "__omit_place_holder__"


@dataclass(frozen=True)
class Kind:
    """One grammar.

    :param pattern: what the whole value matches.
    :param longest: characters.
    :param names: what a value of this kind is the name of.
    :param holds: what it may hold, in words.
    :param remedy: what to do.
    """

    pattern: str
    longest: int
    names: str
    holds: str
    remedy: str

    def fits(self, text: str) -> bool:
        """Tell whether ``text`` is in this grammar. None has blanks around it, or what is not printable."""
        known = re.fullmatch(self.pattern, text) is not None and text.rstrip("/") not in SYSTEM_FOLDERS
        return len(text) <= self.longest and text.isprintable() and text == text.strip() and known and text.lower() not in NOTHING


_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_RELEASE = r"[A-Za-z0-9][A-Za-z0-9._+~!-]*"
_BEGIN = "it begins with a letter or a digit"
# What git itself refuses in a reference (git-check-ref-format), and a minus at its beginning, which would be an option.
_REFERENCE = (
    r"(?!-)(?!/)(?!.*(?:\.\.|//|/\.|@\{|\.lock(?:/|$)))(?!\.)[^\x00-\x20\x7f-\xa0~^:?*\[\\{}]*[^\x00-\x20\x7f-\xa0~^:?*\[\\{}/.]"
)
_NO_URL = r"\x00-\x20\x7f{}"
_PORT = r"(?::(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]))?"
_INSIDE = r"(?![/-])(?!(?:.*/)?\.{1,2}(?:/|$))(?!.*//)[^\x00-\x1f\x7f{}]*[^\x00-\x1f\x7f{}/]"
_PATH = r"/(?!/)(?!(?:.*/)?\.{1,2}(?:/|$))[^\x00-\x1f\x7f{}]*[^/\x00-\x1f\x7f{}]"
# Source: the grammar of references in github.com/distribution/reference, with paths of any depth.
_IMAGE = (
    r"(?:(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG, _DIGEST = r":[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", r"@[A-Za-z][A-Za-z0-9+._-]*:[0-9a-fA-F]{32,}"
_IMAGE_HAS = "a registry and a path in lower case letters, digits and . _ - /, a tag after : and a digest after @"
_VERSION_REMEDY = (
    "Set it to the version to deploy, such as -e release_version=1.4.0; in a pipeline look why its own variable is empty."
)

KINDS = {
    "release": Kind(_RELEASE, 128, "a release and its folder", f"letters, digits and . _ - + ~ !, where {_BEGIN}", _VERSION_REMEDY),
    "workload_release": Kind(
        rf"{_RELEASE}|sha256:[0-9a-f]{{64}}",
        128,
        "a release of a workload",
        f"letters, digits and . _ - + ~ !, where {_BEGIN}, or a digest such as sha256:… with 64 digits",
        _VERSION_REMEDY,
    ),
    "application": Kind(
        _WORD,
        100,
        "the application, its folders, records and backups",
        f"letters, digits and . _ -, where {_BEGIN}",
        "Choose another name; services, folders and namespaces that are called otherwise have variables of their own.",
    ),
    "reference": Kind(
        _REFERENCE,
        255,
        "a tag, a branch or a commit of git",
        "what git-check-ref-format allows: no blanks, none of ~ ^ : ? * [ \\ { }, no .. and no - at its beginning",
        "Name an existing tag, branch or commit.",
    ),
    "repository": Kind(
        r"(?![-\s])[^\x00-\x20\x7f{}]+",
        1000,
        "a repository of git",
        "a URL or a path without blanks",
        "Name the repository to clone.",
    ),
    "service": Kind(
        r"[A-Za-z0-9_@:.\\][A-Za-z0-9_@:.\\+-]*(?::\*|(?<=[A-Za-z0-9_:.\\+-]@)\*(?:\.[a-z]+)?)?",
        255,
        "a systemd unit, or a program or group of supervisor",
        "letters, digits and _ @ : . \\ + -, :* behind a group of supervisor, and * behind the @ of a template",
        "Name each service by itself; another pattern would stop what belongs to others.",
    ),
    "group": Kind(
        r"(?![-!&])[^\x00-\x20\x7f,:{}]+", 255, "a group of the inventory", "the name of one group, no pattern", "Name one group."
    ),
    "backup": Kind(
        r"(?![-.])[^\x00-\x1f\x7f/\\{}]+",
        200,
        "a snapshot, an archive or a database",
        "any characters but / \\ { } and control characters, where it begins with neither - nor .",
        "The playbook dbops.alembic.status lists the backups that there are.",
    ),
    "restorable": Kind(
        r"(?!-)[^\x00-\x1f\x7f{}]+",
        4096,
        "a snapshot, or the path of an archive",
        "the name or the path as the playbook dbops.alembic.status lists it",
        "Copy it from there.",
    ),
    "record": Kind(
        _WORD, 200, "a deployment and the file of its record", f"letters, digits and . _ -, where {_BEGIN}", "Choose another one."
    ),
    "archive": Kind(
        r"(?![-.])[^\x00-\x1f\x7f/\\{}]+",
        240,
        "the file of an archive",
        "a file name without folders, where it begins with neither - nor .",
        "Name the file alone; its folder is told otherwise.",
    ),
    "partial": Kind(
        r"\.dbops-partial-[^\x00-\x1f\x7f/\\{}]+",
        255,
        "an archive that is still being written",
        "the file name of an archive behind .dbops-partial-",
        "Remove another one by hand.",
    ),
    "inner": Kind(r"(?!\.{1,2}$)[^\x00-\x1f\x7f/{}]+", 255, "a file in a release", "a file name", "Name the file alone."),
    "mark": Kind(
        r"\.dbops-[A-Za-z0-9._+~!-]+",
        200,
        "a mark of this collection",
        "what this collection writes itself",
        "Leave it to the collection.",
    ),
    "temporary": Kind(
        r"dbops(?:-release|-restore)?\.(?:[0-9a-f]{8}-[0-9a-f]{8}-[0-9]{1,10}-[0-9]{1,20}\.)?[A-Za-z0-9_]{6,32}",
        100,
        "a temporary folder",
        "what ansible.builtin.tempfile makes of the prefixes dbops., dbops-release. and dbops-restore.",
        "Remove another one by hand.",
    ),
    "inside": Kind(
        _INSIDE, 1000, "a place inside the release", "a relative path without . and .. in it", "Name the place below the release."
    ),
    "folder": Kind(
        rf"{_PATH}/?",
        1000,
        "a folder on the host",
        "an absolute path without . and .. in it, neither / itself nor a folder of the system",
        "Name a folder of the application's own.",
    ),
    "file": Kind(
        _PATH, 1000, "a file on the host", "an absolute path without . and .. in it", "Name a file that nobody else writes."
    ),
    "wheel": Kind(
        r"(?!-)(?:[^\x00-\x1f\x7f{}]*/)?[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl",
        4096,
        "a wheel on the controller",
        "a path that ends with the file name of a wheel",
        "Name the wheel that was built for this release.",
    ),
    "source": Kind(
        r"(?!-)[^\x00-\x1f\x7f{}]*[^/\x00-\x1f\x7f{}]",
        4096,
        "the archive of the code",
        "the path of a file",
        "Name the archive of this release.",
    ),
    "namespace": Kind(
        r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?",
        63,
        "a namespace of Kubernetes",
        "lower case letters, digits and -, where it begins and ends with a letter or a digit",
        "kubectl get namespaces shows those that there are.",
    ),
    "object": Kind(
        r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?",
        253,
        "an object of Kubernetes",
        "lower case letters, digits and . -, where it begins and ends with a letter or a digit",
        "Name it as kubectl get shows it.",
    ),
    "address": Kind(
        rf"https?://(?:[^{_NO_URL}/?#]*@)?(?:\[[0-9A-Fa-f:.%]+\]|[^{_NO_URL}/?#:@]+){_PORT}(?:[/?#][^{_NO_URL}]*)?",
        2000,
        "the place that a health check asks",
        "a URL that begins with http:// or https:// and a host, without blanks, with a port of at most 65535",
        "Write the whole URL, such as http://127.0.0.1:8000/health.",
    ),
    "image": Kind(
        rf"{_IMAGE}(?:{_TAG})?(?:{_DIGEST})?",
        1000,
        "an image",
        _IMAGE_HAS,
        "Name it as docker pull would, such as registry.example.com/shop:1.4.",
    ),
    # Without either it would be another image tomorrow, and the way back would bring the code of the release that failed.
    "release_image": Kind(
        rf"{_IMAGE}(?:{_TAG}(?:{_DIGEST})?|{_DIGEST})",
        1000,
        "an image",
        f"{_IMAGE_HAS}; it has a tag or a digest",
        "Name it with the tag or the digest of this release, such as registry.example.com/shop:1.4.",
    ),
}


def shown(value: Any, limit: int = SHOWN) -> str:
    """Return a value as a message may show it: escaped, cut, and without the password of a URL.

    :param limit: characters; a path of ours is shown whole.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if not isinstance(value, str):
        return (
            "a dictionary" if isinstance(value, Mapping) else "a list" if isinstance(value, Sequence) else "neither text nor number"
        )
    text = _SECRET.sub("***", str.__str__(value))
    cut = ascii(text[:limit])
    return cut if len(text) <= limit else f"{cut}… ({len(text)} characters)"


def refusal(variable: str, kind: str, value: Any) -> str | None:
    """Return why ``value`` can not be a name of this kind, or None where it can.

    :param variable: what the user set, for the message.
    :param kind: one of :data:`KINDS`.
    """
    grammar = KINDS[kind]
    if isinstance(value, (str, int)) and not isinstance(value, bool) and grammar.fits(str(value)):
        return None
    return (
        f"{variable} {_problem(value)}. It is the name of {grammar.names}, and may hold {grammar.holds};"
        f" at most {grammar.longest} characters. {grammar.remedy}"
    )


def _problem(value: Any) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        return "is empty" if not value else f"holds nothing but blanks ({shown(value)})"
    if isinstance(value, float):
        return (
            f"is the number {shown(value)}, and a version such as 1.10 is another one as a number: write it in quotes"
            " (with jinja2_native, before ansible-core 2.19, those are not enough)"
        )
    if isinstance(value, str) and value.startswith(_OMITTED):
        return "was omitted"
    if isinstance(value, str) and value.lower() in NOTHING:
        return f"holds {shown(value)}, which is what an empty variable becomes"
    if isinstance(value, str) and ("{{" in value or "{%" in value):
        return f"holds {shown(value)}, a template that nothing has filled in"
    return f"holds {shown(value)}"


def refusals(given: Mapping[str, Any]) -> list[str]:
    """Return what can not be used among the variables of a playbook or a role.

    :param given: variable → value. ``building`` says whether a release is to be built.
    """
    source = str(given.get("release_source") or "none")
    needed = (*REQUIRED, *(_needed(source) if given.get("building") else ()))
    found = _of_variable("release_version", given, source, needed)
    for variable, value in given.items():
        if variable != "release_version" and not (found and value == given.get("release_version")):  # which is their default
            found += _of_variable(variable, given, source, needed)
    found += _of_reports(given)
    found += _of_links(given.get("release_links")) + _of_services(given) + _of_hooks(given.get("deployment_hooks"))
    return found + _of_traffic(given) + _of_manifest(given, source)


def _of_variable(variable: str, given: Mapping[str, Any], source: str, needed: tuple[str, ...]) -> list[str]:
    made = bool(given.get("building") or given.get("release_version"))
    value, kind = given.get(variable), _kind(variable, source, made)
    if kind is None or variable not in given:
        return []
    if value is None or (isinstance(value, (str, list, tuple)) and not value):
        return [text for text in [refusal(variable, kind, value)] if text and variable in needed]
    values = list(value) if variable in LISTS and isinstance(value, (list, tuple)) else [value]
    values = [item for item in values if item != ""] if variable == "release_protected" else values  # a host may have none
    return [text for text in (refusal(variable, kind, item) for item in values) if text]


#: Where reports are written.
REPORTS = ("deployment_report_path", "deployment_report_result_path", "deployment_report_junit_path")
#: What makes a release a folder of its own.
BUILT = ("archive", "git", "wheel")


def _of_reports(given: Mapping[str, Any]) -> list[str]:
    """Refuse a report that would be taken for the record of a deployment, which no later run could read."""
    folder = given.get("deployment_record_directory")
    paths = [(name, given.get(name)) for name in REPORTS]
    return [
        f"{name} is {shown(path)}: what ends with .json in deployment_record_directory is the record of a deployment. Let it end"
        f" with {RESULT}, or name another folder."
        for name, path in paths
        if isinstance(path, str) and isinstance(folder, str) and folder and path.endswith(".json") and not path.endswith(RESULT)
        if posixpath.dirname(posixpath.normpath(path)) == posixpath.normpath(folder)
    ]


def in_release(path: str, root: str, chdir: str, links: Collection[str]) -> bool:
    """Tell whether a file is one of a release's own, which comes with the release and goes with it.

    :param path: of the file, from ``chdir`` where it is not a whole one; that from the folder of the release.
    :param root: the folder that has ``releases`` and the link ``current``.
    :param links: what a release does not have itself, as ``release_links`` names it.
    """
    releases = posixpath.join(root, "releases")
    whole = posixpath.normpath(posixpath.join(releases, "_", chdir, path))
    current = posixpath.join(root, "current", "")
    whole = posixpath.join(releases, "_", whole[len(current) :]) if whole.startswith(current) else whole
    if not whole.startswith(posixpath.join(releases, "")):
        return False
    inside = whole[len(releases) + 1 :].partition("/")[2]
    return bool(inside) and not any(f"{inside}/".startswith(f"{posixpath.normpath(link)}/") for link in links)


def _of_links(links: Any) -> list[str]:
    names = list(links) if isinstance(links, Mapping) else []
    found = [text for text in (refusal("release_links", "inside", name) for name in names) if text]
    found += [f"release_links replaces {shown(name)}, which says what the release is." for name in names if name == MARKER]
    empty = [name for name in names if links[name] is None or not str(links[name]).strip()]
    return found + [
        f"release_links says nothing of where {shown(name)} leads to. Name the file or folder, or leave it out." for name in empty
    ]


def _of_services(given: Mapping[str, Any]) -> list[str]:
    """Refuse the word by which supervisor means every program on the host, and a variable that somebody left empty."""
    services = given.get("application_services", ())
    if services is None or services == "":
        return [
            "application_services is empty, so nothing would be stopped. Name the services, leave it out where the one service is"
            " called as the application is, or write [] where a host has none."
        ]
    every = "application_services holds 'all', by which supervisor means every program of the host. Name the application's own."
    return [every] if isinstance(services, (list, tuple)) and "all" in services else []


def _of_hooks(hooks: Any) -> list[str]:
    """Refuse a hook that no step has, and one without a file."""
    names = list(hooks) if isinstance(hooks, Mapping) else []
    unknown = [name for name in names if name not in HOOKS]
    found = [f"deployment_hooks names {', '.join(map(str, unknown))}; there are {', '.join(HOOKS)}."] if unknown else []
    empty = [name for name in names if name in HOOKS and not (isinstance(hooks[name], str) and hooks[name].strip())]
    return found + [f"deployment_hooks names no file of tasks for {name}. Name it, or leave {name} out." for name in empty]


def _of_traffic(given: Mapping[str, Any]) -> list[str]:
    """Refuse a way of draining that would drain nothing, so that clients would be sent to what is stopped."""
    if given.get("traffic_method") == "tasks":
        empty = [name for name in TRAFFIC_TASKS if not str(given.get(name) or "").strip()]
        return [f"{name} is empty, and traffic_method is tasks. Name the file of your tasks on the controller." for name in empty]
    if given.get("traffic_method") != "haproxy" or given.get("traffic_haproxy_hosts"):
        return []
    return ["traffic_haproxy_hosts is empty, and traffic_method is haproxy. Name the hosts of the inventory where HAProxy runs."]


def _of_manifest(given: Mapping[str, Any], source: str) -> list[str]:
    """Refuse a release that is to come from a manifest, and has none or that of several objects."""
    manifest = given.get("release_manifest")
    if source != "manifest" or not given.get("building") or (isinstance(manifest, Mapping) and manifest):
        return []
    what = "is empty" if not manifest else f"holds {shown(manifest)}"
    return [
        f"release_manifest {what}, and release_source is manifest. Set it to the one manifest of the workload, as a dictionary."
    ]


#: The steps that an operator's own tasks may come before and after.
_HOOKED = ("deployment", "drain", "stop", "snapshot", "upgrade", "restore", "activate", "start", "undrain", "archive")
HOOKS = (*(f"{when}_{step}" for when in ("before", "after") for step in _HOOKED), "after_failure")
#: Where the operator's own tasks for the traffic are.
TRAFFIC_TASKS = ("traffic_drain_tasks", "traffic_undrain_tasks")
#: The file in a release that says what it was made from.
MARKER = ".dbops-release.json"
#: Variable → its kind.
VARIABLES = {
    "application_kubernetes_name": "object",
    "application_kubernetes_namespace": "namespace",
    "application_name": "application",
    "application_services": "service",
    "backup_archive_database": "backup",
    "backup_archive_directory": "folder",
    "backup_archive_name": "backup",
    "backup_kubernetes_claim": "object",
    "backup_restore_id": "record",
    "backup_snapshot_name": "backup",
    "deployment_application_group": "group",
    "deployment_migrator_group": "group",
    "deployment_record_configmap": "object",
    "deployment_record_directory": "folder",
    "deployment_record_namespace": "namespace",
    "deployment_report_fetch_directory": "folder",
    "deployment_report_junit_path": "file",
    "deployment_report_metrics_directory": "folder",
    "deployment_report_path": "file",
    "deployment_report_result_path": "file",
    "deployment_restore_from": "restorable",
    "health_url": "address",
    "release_activate_version": "release",
    "release_archive": "source",
    "release_git_reference": "reference",
    "release_git_repository": "repository",
    "release_image": "release_image",
    "release_lookup_version": "release",
    "release_protected": "release",
    "release_revert_version": "release",
    "release_root": "folder",
    "release_version": "release",
    "release_wheel": "wheel",
}
#: Variables that hold several names.
LISTS = ("application_services", "release_protected")
#: Variables that hold something in every playbook and role that has them.
REQUIRED = (
    "application_kubernetes_name",
    "application_kubernetes_namespace",
    "application_name",
    "backup_archive_directory",
    "deployment_application_group",
    "deployment_migrator_group",
    "deployment_record_configmap",
    "deployment_record_directory",
    "deployment_record_namespace",
    "release_root",
)
#: What is a variable of one source only.
_OF_SOURCE = {
    "archive": ("release_archive",),
    "git": ("release_git_repository", "release_git_reference"),
    "wheel": ("release_wheel",),
    "image": ("release_image",),
}
_WORKLOADS = ("image", "manifest")


def _kind(variable: str, source: str, made: bool) -> str | None:
    """Return the grammar of a variable, or None where nobody uses it.

    :param made: whether there is a release to make. What it is made from is called after its version, and is half a name without.
    """
    if variable == "release_root" and source in ("none", *_WORKLOADS):
        return None  # there is no folder
    if any(variable in names and not (made and source == other) for other, names in _OF_SOURCE.items()):
        return None
    kind = VARIABLES.get(variable)
    return "workload_release" if kind == "release" and source in _WORKLOADS else kind


def _needed(source: str) -> tuple[str, ...]:
    return () if source == "none" else ("release_version", *_OF_SOURCE.get(source, ()))
