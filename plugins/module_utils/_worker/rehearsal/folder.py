# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A private folder for a rehearsal, which is removed in every case.

While a run lives it holds a lock on its folder. One whose lock is free was left behind by a run that was killed; the next run
removes it.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import tempfile
from typing import Callable

from .copies import PREFIX


class Folder:
    """:param scope: what the folder is for; runs for the same scope remove each other's leavings."""

    def __init__(self, *scope: str) -> None:
        digest = hashlib.sha256(" ".join(scope).encode()).hexdigest()[:8]
        self.family = f"{PREFIX}{digest}_"
        self.path = ""
        self._handle = -1

    def make(self) -> str:
        while True:
            path = tempfile.mkdtemp(prefix=self.family)
            handle = _held(path)
            if handle is not None:  # another run may have taken it for one that was left behind
                self.path, self._handle = path, handle
                return path

    def prune(self, before: Callable[[str], None] = lambda path: None) -> list[str]:
        """Remove what runs that were killed have left, after ``before`` has ended what still uses it; return the names."""
        removed = []
        for path in self._others():
            handle = _held(path)
            if handle is None:
                continue
            try:
                before(path)
                shutil.rmtree(path, ignore_errors=True)
                removed.append(os.path.basename(path))
            finally:
                os.close(handle)
        return removed

    def _others(self) -> list[str]:
        """Return the folders of this family that are our user's; root may look into any."""
        try:
            home = tempfile.gettempdir()
        except FileNotFoundError:  # nothing here can be written to, so nothing was
            return []
        found = sorted(glob.glob(os.path.join(glob.escape(home), self.family + "*")))
        found = [path for path in found if path != self.path and os.path.isdir(path) and not os.path.islink(path)]
        return [path for path in found if os.geteuid() in (0, os.stat(path).st_uid)]

    def remove(self) -> None:
        if self.path:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._handle)
            self.path = ""


def _held(path: str) -> int | None:
    """Open and lock a folder; None when somebody else holds it, or has removed it."""
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.exists(path):
            return handle
    except BlockingIOError:
        pass
    os.close(handle)
    return None
