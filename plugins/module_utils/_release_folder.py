# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Building, activating and removing the releases of a host."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Mapping

from ._argspec import ArgumentSpec
from ._core import owned
from ._core.diff import text_diff
from ._core.names import MARKER
from ._errors import MigrationError
from ._owned import checked, demand, file_at, link, look, remove, usable, write
from ._releases import FOLDER_MARK, UNFINISHED, Releases, releases_of

_OF_ONE = ("building", "unpacked", "linked", "built", "active", "absent")
#: What macOS puts beside the folder that somebody packed.
_BESIDE = re.compile(r"__MACOSX$|\.DS_Store$|\._")
#: A name within a folder that is being unpacked, as no archive has it.
_LIFTED = ".dbops-unpacked"
_MADE = "Made by dbops.alembic. Releases in this folder that it made are removed when they are old.\n"


def release_folder_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options=dict(
            root=dict(type="path", required=True),
            version=dict(type="str"),
            state=dict(type="str", choices=list(STATES), default="active"),
            origin=dict(type="dict"),
            links=dict(type="dict"),
            strip_components=dict(type="int", default=1),
            keep_count=dict(type="int", default=5),
            protected=dict(type="list", elements="str", default=[]),
        ),
        required_if=(
            ("state", "building", ("version",)),
            ("state", "unpacked", ("version",)),
            ("state", "linked", ("version", "links")),
            ("state", "built", ("version", "origin")),
            ("state", "active", ("version",)),
            ("state", "absent", ("version",)),
        ),
    )


def run_release_folder(params: Mapping[str, Any], dry: bool = False) -> dict[str, Any]:
    """Do what the module ``release_folder`` was asked for and return its result.

    :raises MigrationError: ``name_invalid``, ``not_ours``, ``release_unknown``, ``options_invalid``, ``record_unreadable``,
        ``folder_unusable``.
    """
    releases = releases_of(params)
    for version in [params["version"]] if params["state"] in _OF_ONE else []:
        checked("version", "release", version)
    before = releases.shown()
    after, removed = STATES[params["state"]](releases, params, dry)
    return {
        "changed": after != before or params["state"] == "built",
        "path": releases.path(params["version"]) if params["version"] else "",
        "active_version": releases.active(),
        "removed": removed,
        "diff": text_diff(f"releases of {releases.root}", before, after),
    }


def _building(releases: Releases, params: Mapping[str, Any], dry: bool) -> tuple[str, list[str]]:
    """Make the empty folder of a release, after what an interrupted build has left of it."""
    version = params["version"]
    found = releases.found(version) if file_at(releases.folder) != "absent" or os.path.islink(releases.root) else None
    if found:
        demand(owned.RELEASE, found)
        if found.file != "absent" and not releases.is_unfinished(version):
            raise MigrationError(
                f"Release {version} is whole already, in {releases.path(version)}.",
                "options_invalid",
                "Give this one another version, or remove that one with state=absent if nothing runs from it.",
            )
    after = releases.shown(more=(version,))
    if not dry:
        _claim(releases)
        _note(releases, version)
        remove(owned.RELEASE, releases.found(version))
        with usable(releases.folder):
            os.mkdir(releases.path(version), 0o755)
            os.chmod(releases.path(version), 0o755)
    return after, []


def _demand_unfinished(releases: Releases, version: str) -> None:
    demand(owned.RELEASE, releases.found(version))
    if not releases.is_unfinished(version):
        raise MigrationError(
            f"Release {version} is not being built in {releases.folder}.",
            "options_invalid",
            "Begin it with state=building. Where that was done, another run, or this host under another name, has ended it.",
        )


def _unpacked(releases: Releases, params: Mapping[str, Any], dry: bool) -> tuple[str, list[str]]:
    """Take away the folders around everything that was unpacked. Unlike tar, lose nothing that is beside them."""
    version, after = params["version"], releases.shown()
    if not dry:
        _demand_unfinished(releases, version)
        for _level in range(params["strip_components"]):
            inner = _only_folder(releases.path(version))
            if not inner:
                break
            _lift(releases.path(version), inner)
            after += f"{version}/{inner} was around everything\n"
        _open_folders(releases.path(version))
    return after, []


def _open_folders(path: str) -> None:
    """Let all read the folders that the archive did not have, and that were made under a umask which is for the owner alone."""
    strict = os.umask(0o022)
    if strict & 0o055:
        for folder, _folders, _files in os.walk(path):
            if os.stat(folder).st_mode & 0o777 == 0o777 & ~strict:
                os.chmod(folder, 0o755)


def _only_folder(path: str) -> str:
    with usable(path):
        names = [name for name in os.listdir(path) if not _BESIDE.match(name)]
    return names[0] if len(names) == 1 and file_at(os.path.join(path, names[0])) == "folder" else ""


def _lift(path: str, inner: str) -> None:
    lifted = os.path.join(path, _LIFTED)
    with usable(path):
        os.rename(os.path.join(path, inner), lifted)  # what is in it may have its name
        for name in os.listdir(lifted):
            os.rename(os.path.join(lifted, name), os.path.join(path, name))
        os.rmdir(lifted)


def _linked(releases: Releases, params: Mapping[str, Any], dry: bool) -> tuple[str, list[str]]:
    """Make links in a release that is being built. What is replaced came with its code, and is below its folder by real path."""
    version, after = params["version"], releases.shown()
    if not dry:
        _demand_unfinished(releases, version)
    for name, target in params["links"].items():
        checked("links", "inside", name)
        path = os.path.join(releases.path(version), name)
        if file_at(path) == "link" and os.readlink(path) == str(target):
            continue
        after += f"{version}/{name} -> {target}\n"
        if not dry:
            _put_link(releases, version, path, str(target))
    return after, []


def _put_link(releases: Releases, version: str, path: str, target: str) -> None:
    real = os.path.realpath(releases.path(version))
    if not f"{os.path.realpath(os.path.dirname(path))}/".startswith(f"{real}/"):
        raise MigrationError(f"{path} is not below {real}: a part of it is a symbolic link that came with the release.", "not_ours")
    if file_at(path) == "folder" and os.listdir(path):
        hint = "Leave it out of what the release is made from, or name another place in release_links."
        raise MigrationError(f"{path} is a folder with something in it, so it does not become a link.", "not_ours", hint)
    with usable(os.path.dirname(path)):
        if file_at(path) == "folder":
            os.rmdir(path)
    what = "the release that it came with"
    link(owned.INNER_LINK, look(path, what, what), target)


def _built(releases: Releases, params: Mapping[str, Any], dry: bool) -> tuple[str, list[str]]:
    """Say that a release is whole: its links first, then its marker, then the note goes."""
    version = params["version"]
    if params["links"]:
        _linked(releases, params, dry)
    found = releases.found(version)
    if not dry:
        demand(owned.RELEASE, found)
        if found.file == "absent":
            raise MigrationError(f"There is no {releases.path(version)}.", "release_unknown", "Begin it with state=building.")
        text = json.dumps({"version": version, **params["origin"]}) + "\n"
        inside = look(os.path.join(releases.path(version), MARKER), "the note beside it", "the note beside it")
        write(owned.MARK, inside, text)
        with usable(releases.folder):
            if releases.is_unfinished(version):
                os.unlink(os.path.join(releases.folder, UNFINISHED + version))
    return releases.shown(more=(version,)), []


def _active(releases: Releases, params: Mapping[str, Any], dry: bool) -> tuple[str, list[str]]:
    """Point ``current`` at a release, in one rename."""
    version = params["version"]
    if not dry and not os.path.isdir(releases.path(version)):
        there = ", ".join(name for name in releases.names()) or "none"
        raise MigrationError(
            f"There is no release {version} in {releases.folder}; there are {there}.",
            "release_unknown",
            "Prepare it, or name one of these.",
        )
    if not dry and releases.is_unfinished(version):
        raise MigrationError(f"Release {version} in {releases.folder} is not whole.", "release_unknown", "Prepare it again.")
    found, target = releases.found_link(), f"releases/{version}"
    demand(owned.LINK, found)
    if not dry and (found.file == "absent" or os.readlink(releases.current) != target):
        link(owned.LINK, found, target)
    return releases.shown(current=version), []


def _inactive(releases: Releases, params: Mapping[str, Any], dry: bool) -> tuple[str, list[str]]:
    """Remove ``current``: no release is active."""
    found = releases.found_link()
    demand(owned.LINK, found)
    if not dry:
        remove(owned.LINK, found)
    return releases.shown(current=""), []


def _absent(releases: Releases, params: Mapping[str, Any], dry: bool) -> tuple[str, list[str]]:
    """Remove a release that is not active."""
    version = params["version"]
    if releases.active() == version:
        raise MigrationError(f"Release {version} is the active one.", "options_invalid", "Activate another one first.")
    return _without(releases, [version] if file_at(releases.path(version)) != "absent" else [], dry)


def _pruned(releases: Releases, params: Mapping[str, Any], dry: bool) -> tuple[str, list[str]]:
    """Remove the oldest releases of ours; the active one and those that are protected stay."""
    present = releases.present()
    kept = {*present[: max(params["keep_count"], 1)], *params["protected"], releases.active()}
    return _without(releases, [version for version in present if version not in kept], dry)


def _without(releases: Releases, versions: list[str], dry: bool) -> tuple[str, list[str]]:
    after = releases.shown(without=tuple(versions))
    for version in versions:
        demand(owned.RELEASE, releases.found(version))
    for version in versions if not dry else []:
        _claim(releases)
        _note(releases, version)
        remove(owned.RELEASE, releases.found(version))
        with usable(releases.folder):
            os.unlink(os.path.join(releases.folder, UNFINISHED + version))
    return after, versions


def _claim(releases: Releases) -> None:
    """Make ``releases/`` and mark it as ours; one that somebody else filled is refused before."""
    with usable(releases.root):
        missing = [path for path in _upwards(releases.folder) if not os.path.lexists(path)]
        for path in reversed(missing):
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)
    path = os.path.join(releases.folder, FOLDER_MARK)
    if file_at(path) == "absent":
        write(owned.MARK, look(path, releases.proof(), ""), _MADE)


def _note(releases: Releases, version: str) -> None:
    """Say that a release is not whole, before anything is done to it; the file is never one that was there before."""
    with usable(releases.folder):
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
        os.close(os.open(os.path.join(releases.folder, UNFINISHED + version), flags, 0o644))


def _upwards(path: str) -> list[str]:
    found = [path]
    while os.path.dirname(found[-1]) != found[-1]:
        found.append(os.path.dirname(found[-1]))
    return found


#: state → what brings it about; each returns what is there afterwards, as lines, and the versions that were removed.
STATES = {
    "building": _building,
    "unpacked": _unpacked,
    "linked": _linked,
    "built": _built,
    "active": _active,
    "inactive": _inactive,
    "absent": _absent,
    "pruned": _pruned,
}
