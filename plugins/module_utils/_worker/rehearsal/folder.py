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

from .scratch import PREFIX


class Folder:
    """:param scope: what the folder is for; runs for the same scope remove each other's leavings."""

    def __init__(self, *scope: str) -> None:
        digest = hashlib.sha256(" ".join(scope).encode()).hexdigest()[:8]
        self.family = os.path.join(tempfile.gettempdir(), f"{PREFIX}{digest}_")
        self.path = ""
        self._handle = -1

    def make(self) -> str:
        self.path = tempfile.mkdtemp(prefix=os.path.basename(self.family), dir=os.path.dirname(self.family))
        self._handle = os.open(self.path, os.O_RDONLY)
        _locked(self._handle)
        return self.path

    def left(self) -> list[str]:
        """Return the folders of this family that no run holds and that are our user's."""
        found = []
        for path in sorted(glob.glob(glob.escape(self.family) + "*")):
            if path == self.path or os.path.islink(path) or not os.path.isdir(path):
                continue
            status = os.stat(path)
            if os.geteuid() not in (0, status.st_uid):
                continue
            handle = os.open(path, os.O_RDONLY)
            try:
                if _locked(handle):
                    found.append(path)
            finally:
                os.close(handle)
        return found

    def prune(self, before: Callable[[str], None] = lambda path: None) -> list[str]:
        """Remove what runs that were killed have left, after ``before`` has ended what still uses it; return the names."""
        removed = []
        for path in self.left():
            before(path)
            shutil.rmtree(path, ignore_errors=True)
            removed.append(os.path.basename(path))
        return removed

    def remove(self) -> None:
        if self.path:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._handle)
            self.path = ""


def _locked(handle: int) -> bool:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
