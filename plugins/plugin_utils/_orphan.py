# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a task when the program that runs the play is gone: its fork, ssh and the module would go on by themselves, for nobody."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time

INTERVAL = 1.0


def end_with_parent() -> None:
    """Watch the process that forked this one, from a thread; a process that nobody forked has nothing to watch."""
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid == os.getppid():
        threading.Thread(target=_watch, args=(parent.pid,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    for pid in _children():  # ssh, or the shell of a local module: the module notices that nobody reads its answer, and cleans up
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(1)


def _children() -> list[int]:
    names = [name for name in os.listdir("/proc") if name.isdigit()] if os.path.isdir("/proc/self") else []
    return [int(name) for name in names if _parent(name) == os.getpid()]


def _parent(name: str) -> int | None:
    try:
        with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as handle:
            return int(handle.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return None
