# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No process outlives the demo: what is started below it and loses its parent becomes its own child, and is ended at the end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

from support.runner import process_tree

PR_SET_CHILD_SUBREAPER = 36


def adopt() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1)


def end(root: int | None = None) -> None:
    """End that process and all below it; without one, all that run below us."""
    for how, seconds in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        deadline = time.monotonic() + seconds
        for pid in _running(root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, how)
        while _running(root) and time.monotonic() < deadline:
            time.sleep(0.05)


def _running(root: int | None) -> list[int]:
    """Those that have ended are reaped first."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return [pid for pid in process_tree(root or os.getpid()) if pid != os.getpid() and Path(f"/proc/{pid}").exists()]
