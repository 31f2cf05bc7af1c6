# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Releases on a host: a folder each in ``releases/``, and the link ``current`` to the active one.

A release is ours when its marker says so, which is written when it is whole, or when a note beside it says that it is not whole:
that it is being built, or being removed. The note is there before the folder is, and goes after it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Mapping

from ._argspec import ArgumentSpec
from ._core import owned
from ._core.names import KINDS, MARKER, WHOLE, shown
from ._errors import MigrationError
from ._owned import checked, file_at, look, read, usable

#: In ``releases/``: that this collection made the folder, or was given it.
FOLDER_MARK = ".dbops-releases"
#: In ``releases/``, followed by a version: that this release is not whole.
UNFINISHED = ".dbops-unfinished-"


@dataclass(frozen=True)
class Releases:
    """The releases below one root."""

    root: str

    @property
    def folder(self) -> str:
        return os.path.join(self.root, "releases")

    @property
    def current(self) -> str:
        return os.path.join(self.root, "current")

    def path(self, version: str) -> str:
        return os.path.join(self.folder, version)

    def marker(self, version: str) -> dict[str, Any] | None:
        """Return what the marker of a release says; None for a folder that has none of this release.

        :raises MigrationError: ``record_unreadable``; a release whose marker can't be read is never taken for an unfinished one.
        """
        path = os.path.join(self.path(version), MARKER)
        try:
            text = read(path)
            found = None if text is None else json.loads(text)
        except (OSError, ValueError) as exc:
            raise MigrationError(f"The marker {path} can not be read: {exc}.", "record_unreadable") from exc
        return found if isinstance(found, dict) and str(found.get("version")) == version else None

    def is_unfinished(self, version: str) -> bool:
        return file_at(os.path.join(self.folder, UNFINISHED + version)) == "file"

    def present(self) -> list[str]:
        """Return the versions that are whole and ours, newest first."""
        names = [name for name in self._names() if file_at(self.path(name)) == "folder" and self._is_whole(name)]
        return sorted(names, key=lambda name: os.stat(os.path.join(self.path(name), MARKER)).st_mtime, reverse=True)

    def _names(self) -> list[str]:
        with usable(self.folder):
            return [] if file_at(self.folder) == "absent" else sorted(os.listdir(self.folder))

    def names(self) -> list[str]:
        """Return what is in ``releases/``, ours or not, without marks."""
        return [name for name in self._names() if not name.startswith(".")]

    def _is_whole(self, version: str) -> bool:
        return not self.is_unfinished(version) and self.marker(version) is not None

    def active(self) -> str:
        """Return the last part of what ``current`` points to, or nothing."""
        return os.path.basename(os.readlink(self.current)) if os.path.islink(self.current) else ""

    def proof(self) -> str:
        """Return what shows that ``releases/`` is a folder of releases of ours; empty when nothing does."""
        if file_at(os.path.join(self.folder, FOLDER_MARK)) == "file":
            return "its mark"
        if os.path.islink(self.root):
            return ""
        names = self._names()
        if not names:
            return "that it is empty"
        if any(file_at(self.path(name)) == "folder" and self.marker(name) for name in names if not name.startswith(".")):
            return "a release in it"
        return "the link to a release in it" if self._current_proof() and os.path.isdir(self.current) else ""

    def found(self, version: str) -> owned.Found:
        """Return what is there of a release."""
        path = self.path(version)
        proof = "" if file_at(path) != "folder" else "its marker" if self.marker(version) is not None else ""
        mark = shown(os.path.join(self.folder, FOLDER_MARK), WHOLE)
        remedy = f"If releases may be kept and removed there, say so by touch {mark}, else choose another release_root."
        return look(path, self.proof(), proof or ("a note beside it" if self.is_unfinished(version) else ""), remedy)

    def found_link(self) -> owned.Found:
        """Return what is there of ``current``. The root is whatever folder the user gave; what counts is where the link points."""
        return look(self.current, "", self._current_proof())

    def _current_proof(self) -> str:
        """``current`` is ours when it points at an immediate child of ``releases/``."""
        if not os.path.islink(self.current):
            return ""
        folder, name = os.path.split(os.path.join(os.path.realpath(self.root), os.readlink(self.current)))
        fits = name not in ("", ".", "..") and os.path.realpath(folder) == os.path.realpath(self.folder)
        return "where it points" if fits else ""

    def refused(self) -> list[str]:
        """Return what would keep a release from being built or activated here, so that it is known before."""
        found = self.found("any")
        there = file_at(self.folder) != "absent" or os.path.islink(self.root)
        reason = owned.folder_refusal(found) if there else None
        problems = [f"No release can be built in {shown(self.folder, WHOLE)}: {reason}."] if reason else []
        reason = owned.refusal(owned.LINK, self.found_link())
        if reason:
            hint = "Move it away, or point it at a release in releases/."
            problems.append(f"{shown(self.current, WHOLE)} can not be made to point at a release: {reason}. {hint}")
        elif self.active() and not KINDS["release"].fits(self.active()):
            problems.append(
                f"{shown(self.current, WHOLE)} points at {shown(self.active())}, which can not be the name of a release. Rename it."
            )
        return problems

    def shown(self, without: tuple[str, ...] = (), more: tuple[str, ...] = (), current: str | None = None) -> str:
        """Return the releases and the active one as lines, for a diff."""
        names = sorted({name for name in self.names() if name not in without} | set(more))
        return "".join(f"{name}\n" for name in names) + f"current: {self.active() if current is None else current}\n"


def releases_of(params: Mapping[str, Any]) -> Releases:
    """:raises MigrationError: ``name_invalid``."""
    checked("root", "folder", params["root"])
    return Releases(os.path.normpath(params["root"]))


def release_folder_info_spec() -> ArgumentSpec:
    return ArgumentSpec(options=dict(root=dict(type="path", required=True), version=dict(type="str")))


def read_releases(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the module ``release_folder_info`` was asked for. Nothing is changed."""
    releases, version = releases_of(params), params["version"] or ""
    if version:
        checked("version", "release", version)
    origin = releases.marker(version) if version else None
    return {
        "changed": False,
        "version": version,
        "root": releases.root,
        "path": releases.path(version) if version else "",
        "prepared": origin is not None and not releases.is_unfinished(version),
        "origin": origin or {},
        "active_version": releases.active(),
        "releases": releases.present(),
        "refused": releases.refused(),
    }
