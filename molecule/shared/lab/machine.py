# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host: a systemd-nspawn container with a real systemd, its own writable layer over a Debian tree, and SSH."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from network import Network
from paths import KEY, RUN

CGROUPS = Path("/sys/fs/cgroup")
REBOOT = 133  # how systemd-nspawn ends when the system in it wants to start again
#: Nobody logs in, and each takes some of the inotify instances that root may have, which a dozen hosts share.
UNWANTED = ("console-getty", "systemd-logind")
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Machine:
    def __init__(self, network: Network, name: str, address: str, tree: Path):
        self.network, self.name, self.address, self.tree = network, name, address, tree
        self.folder = RUN / "hosts" / name
        self.root = self.folder / "root"
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self, hosts_file: str) -> None:
        for part in ("upper", "work", "root"):
            (self.folder / part).mkdir(parents=True)
        layers = f"lowerdir={self.tree},upperdir={self.folder / 'upper'},workdir={self.folder / 'work'}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(self.root)], check=True)
        (self.root / "etc" / "hostname").write_text(self.name + "\n")
        (self.root / "etc" / "hosts").write_text(hosts_file)
        for service in UNWANTED:
            (self.root / "etc" / "systemd" / "system" / f"{service}.service").symlink_to("/dev/null")
        ssh = self.root / "root" / ".ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        (ssh / "authorized_keys").write_text(KEY.with_suffix(".pub").read_text())
        self.network.plug_in(self.name, self.address)

    def boot(self) -> None:
        command = [
            *("systemd-nspawn", "--quiet", "--register=no", "--settings=no", "--boot", "--console=read-only"),
            *(f"--directory={self.root}", f"--machine={self.network.unique(self.name)}"),
            f"--network-namespace-path=/run/netns/{self.network.unique(self.name)}",
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
            *(f"--bind-ro={(RUN / name).resolve()}:/srv/{name}" for name in ("wheels", "releases")),
            *(["--keep-unit"] if self.cgroups() else []),
        ]
        with open(self.folder / "console.log", "ab") as console:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=self._enter, start_new_session=True
            )

    def _enter(self) -> None:
        """In the child: die with the keeper, and live in control groups of our own."""
        _prctl(1, int(signal.SIGKILL))
        for group in self.cgroups():
            group.mkdir(parents=True, exist_ok=True)
            (group / "cgroup.procs").write_text(str(os.getpid()))

    def cgroups(self) -> list[Path]:
        """Where systemd runs, nspawn asks it for a scope; elsewhere two systemds would share one control group."""
        if Path("/run/systemd/system").exists():
            return []
        roots = [CGROUPS / "systemd", CGROUPS / "unified"] if (CGROUPS / "systemd").exists() else [CGROUPS]
        return [root / self.network.unique(self.name) for root in roots if root.exists()]

    def answers(self, seconds: float = 300) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self.address, 22), 1) as ssh:
                if ssh.recv(4) == b"SSH-":
                    return True
            time.sleep(0.1)
        return False

    def said(self) -> str:
        return f"{self.name}:\n" + (self.folder / "console.log").read_text(errors="replace")[-1000:]

    def switch_off(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def remove(self, seconds: float = 5) -> None:
        """Wait for the end, enforce it, and leave nothing."""
        if self.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
        remove_folder(self.folder)
        for group in self.cgroups():
            remove_cgroup(group)
        for left in ("propagate", "unix-export"):
            shutil.rmtree(Path("/run/systemd/nspawn") / left / self.network.unique(self.name), ignore_errors=True)


def remove_folder(folder: Path) -> None:
    subprocess.run(["umount", "--lazy", str(folder / "root")], stderr=subprocess.DEVNULL, check=False)
    if not os.path.ismount(folder / "root"):
        shutil.rmtree(folder, ignore_errors=True)


def remove_cgroup(group: Path) -> None:
    """All at once and until none is left: a systemd that is still alive would start again what was killed."""
    for _attempt in range(200):
        folders = sorted((path for path in [group, *group.rglob("*")] if path.is_dir()), reverse=True)
        pids = [pid for folder in folders for pid in _processes(folder)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not pids:
            for folder in folders:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        if not group.exists():
            return
        time.sleep(0.05)


def _processes(group: Path) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]
    return []
