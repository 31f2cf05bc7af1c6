# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A private folder for a rehearsal, which is removed in every case.

While a run lives it holds a lock on its folder. One whose lock is free was left behind by a run that was killed; the next run
removes it.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import shutil
import signal
import stat
import tempfile
import time

from . import maker
from .maker import PREFIX

_MARK = "maker.json"


class Folder:
    """:param scope: what the folder is for; runs for the same scope remove each other's leavings."""

    def __init__(self, *scope: str) -> None:
        digest = hashlib.sha256(" ".join(scope).encode()).hexdigest()[:8]
        self.family, self.scope = f"{PREFIX}{digest}_", scope
        self.path = ""
        self._handle = -1

    def make(self) -> str:
        while True:
            path = tempfile.mkdtemp(prefix=self.family)
            handle = _held(path)
            if handle is not None:  # another run may have taken it for one that was left behind
                self.path, self._handle = path, handle
                with open(os.path.join(path, _MARK), "w", encoding="utf-8") as mark:
                    mark.write(maker.written(" ".join(self.scope)))
                return path

    def prune(self, check: bool = False) -> list[str]:
        """Remove what runs that were killed have left, for whatever database, with the server in it; return the names."""
        removed = []
        for path in self._others():
            handle = _held(path)
            if handle is None:
                continue
            try:
                if not check:
                    _end_server(path)
                    shutil.rmtree(path, ignore_errors=True)
                removed.append(os.path.basename(path))
            finally:
                os.close(handle)
        return removed

    def _others(self) -> list[str]:
        """Return the folders of rehearsals that are our user's; root may look into any.

        One without a mark was cut off in the moment of its making, so it is left to runs of the same family.
        """
        try:
            home = tempfile.gettempdir()
        except FileNotFoundError:  # nothing here can be written to, so nothing was
            return []
        found = sorted(glob.glob(os.path.join(glob.escape(home), PREFIX + "*")))
        found = [path for path in found if path != self.path and maker.is_folder(os.path.basename(path)) and _may_look(path)]
        return [path for path in found if os.path.basename(path).startswith(self.family) or _is_marked(path)]

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


def _may_look(path: str) -> bool:
    try:
        found = os.lstat(path)
    except FileNotFoundError:  # the run that had made it has ended
        return False
    return stat.S_ISDIR(found.st_mode) and os.geteuid() in (0, found.st_uid)


def _is_marked(path: str) -> bool:
    with contextlib.suppress(OSError, UnicodeDecodeError), open(os.path.join(path, _MARK), encoding="utf-8") as mark:
        return maker.parsed(mark.read(10000)) is not None
    return False


def _end_server(folder: str) -> None:
    """End a server that outlived its run, if it really is the one of this folder."""
    data = os.path.join(folder, "data")
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open(os.path.join(data, "postmaster.pid")) as handle:
            pid = int(handle.readline())
        if os.path.realpath(f"/proc/{pid}/cwd") == os.path.realpath(data):
            os.kill(pid, signal.SIGQUIT)
            for _attempt in range(100):
                os.kill(pid, 0)  # an error when it is gone
                time.sleep(0.05)
