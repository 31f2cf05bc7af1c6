# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers that a test run starts: as a plain user, on a free port, gone when the run is gone, however it ended."""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Callable

from .waiting import PATIENCE

PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Unavailable(Exception):
    """A service can't be had on this machine; the message says why."""


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def plain_user(*wanted: str) -> str | None:
    """Who runs a server: ourselves, or, since database servers refuse root, the first of these users that exists."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in (*wanted, "nobody"):
        if name in known:
            return name
    raise Unavailable("running as root, and there is no plain user to run a server as")


def program(name: str, *folders: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if not found:
        raise Unavailable(f"{name} is not installed")
    return found


def service_folder(kind: str, user: str | None) -> Path:
    """A folder of that user's in the temporary directory. Folders that a killed run left behind are removed first."""
    home = Path(tempfile.gettempdir())
    for left in home.glob(f"dbops-{kind}-*"):
        owner = left.name.split("-")[2]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"dbops-{kind}-{os.getpid()}-", dir=home))
    if user:
        shutil.chown(folder, user, pwd.getpwnam(user).pw_gid)
    return folder


def run_as(user: str | None, command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    """Run to the end as that user; the output is in the error when it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **_identity(user), **options)  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed with {done.returncode}:\n{done.stdout[-4000:]}")
    return done  # type: ignore[no-any-return]


def _identity(user: str | None) -> dict[str, object]:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


class Daemon:
    """A server in the foreground of its own process group. It gets `deathsig` when our process dies, a kill -9 included."""

    def __init__(self, command: list[str], user: str | None, log: Path, deathsig: int = signal.SIGTERM):
        self.command, self.user, self.log, self.deathsig = command, user, log, deathsig
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, ready: Callable[[], bool], seconds: float = PATIENCE) -> None:
        parent = os.getpid()

        def tie_to_parent() -> None:  # runs after the change of user, which would clear the setting
            _prctl(PR_SET_PDEATHSIG, int(self.deathsig))
            if os.getppid() != parent:
                os._exit(1)

        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=tie_to_parent,
                **_identity(self.user),
            )  # type: ignore[call-overload]
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise Unavailable(f"{self.command[0]} did not come up:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGTERM, seconds: float = 60) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.process = None
