# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which controller made a temporary folder, written in the folder's name, and whether that controller still lives."""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import re
import socket
from typing import Any, Iterable, Mapping

#: Seconds after which a folder of another machine's controller is taken for left: no build and no restore takes so long.
OTHERS = 86400.0
_NAME = re.compile(
    r"dbops-(?:release|restore)\.(?P<host>[0-9a-f]{8})-(?P<boot>[0-9a-f]{8})-(?P<pid>\d{1,10})-(?P<start>\d{1,20})\.\w{1,20}"
)


def mark() -> str:
    """Return what tells this run of Ansible from every other: machine, boot, process and when that was started."""
    parent = multiprocessing.parent_process()  # a task's templates are filled in by a fork of the program
    pid = os.getpid() if parent is None or parent.pid is None else parent.pid
    return f"{_host()}-{_boot()}-{pid}-{_started(pid) or 0}"


def left(folders: Iterable[Mapping[str, Any]], now: float) -> list[str]:
    """Return the paths of those folders that are ours and whose maker is dead.

    :param folders: what ansible.builtin.find returns.
    :param now: seconds since 1970.
    """
    return [str(folder["path"]) for folder in folders if _is_folder(folder) and _is_left(folder, now)]


def _is_folder(folder: Mapping[str, Any]) -> bool:
    return bool(folder.get("isdir")) and not folder.get("islnk")


def _is_left(folder: Mapping[str, Any], now: float) -> bool:
    found = _NAME.fullmatch(os.path.basename(str(folder["path"])))
    if found is None:
        return False
    if found["host"] != _host():
        return now - float(folder["mtime"]) > OTHERS
    if found["boot"] != _boot():
        return True
    started = _started(int(found["pid"]))
    return started is None or started != int(found["start"])


def _host() -> str:
    """Return what tells this machine, or container, from others: a process number means nothing elsewhere."""
    told = [socket.gethostname(), _read("/etc/machine-id")]
    with contextlib.suppress(OSError):  # no Linux
        told.append(str(os.stat("/proc/self/ns/pid").st_ino))
    return _short(" ".join(told))


def _boot() -> str:
    return _short(_read("/proc/sys/kernel/random/boot_id"))


def _started(pid: int) -> int | None:
    """Return when a process was started, in the kernel's ticks since the boot, 0 where that is not told; None when it is gone."""
    try:
        return int(_read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19])
    except (ValueError, IndexError):
        pass
    if os.path.isdir("/proc/self"):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return 0


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            return handle.read().strip()
    except OSError:
        return ""


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
