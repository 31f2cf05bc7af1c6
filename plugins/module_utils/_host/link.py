# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The link that says which release is active, moved in one rename."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .._errors import MigrationError


@dataclass(frozen=True)
class Link:
    """A link and where it points now and shall point. An empty target is no link."""

    path: str
    before: str
    after: str

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def apply(self) -> None:
        """Move the link. Whoever looks sees the old or the new one, never none; ``OSError`` is told as what could not be done."""
        if not self.changed:
            return
        aside = f"{self.path}.{os.getpid()}.new"
        try:
            if not self.after:
                os.unlink(self.path)
                return
            os.symlink(self.after, aside)
            os.replace(aside, self.path)
        except OSError as exc:
            if os.path.islink(aside):
                os.unlink(aside)
            raise MigrationError(
                f"{self.path} could not be pointed at {self.after or 'nothing'}: {exc.strerror}.",
                "link_refused",
                "The task needs the right to write to its folder; set become, or the owner of the folder.",
            ) from exc


def plan_link(path: str, target: str) -> Link:
    """Return what to do to the link ``path`` so that it points at ``target``, which may be relative to its folder.

    Anything that is there and no link, a target that is not there, and one that names no folder in it is ``link_refused``.
    """
    if target and os.path.basename(target) in ("", ".", ".."):  # releases/ and the name of a release that there is not
        raise MigrationError(
            f"{path} can not point at {target}, which names no release.",
            "link_refused",
            "Name a folder, such as releases/1.4.0; an empty name removes the link.",
        )
    if os.path.lexists(path) and not os.path.islink(path):
        raise MigrationError(
            f"{path} is not a link, so it is left alone.", "link_refused", "Move it away, or name another path for the link."
        )
    if target and not os.path.isdir(os.path.join(os.path.dirname(path), target)):
        raise MigrationError(
            f"{path} can not point at {target}, which is not a folder on this host.", "link_refused", "Prepare the release first."
        )
    return Link(path, os.readlink(path) if os.path.islink(path) else "", target)
