# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root file systems of Debian, made once by debootstrap."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from paths import TREES

EVERYWHERE = (
    *("systemd-sysv", "dbus", "openssh-server", "iproute2", "procps"),
    *("python3", "python3-venv", "python3-apt", "sudo", "git", "supervisor", "postgresql-client"),
)
#: The machines with HAProxy and PostgreSQL are on the older Debian.
PACKAGES = {"bookworm": (*EVERYWHERE, "haproxy", "postgresql"), "trixie": EVERYWHERE}
#: Installed everywhere, running only where a scenario wants them.
SERVICES = ("haproxy", "postgresql", "supervisor")


def tree(suite: str) -> Path:
    """The root file system of that Debian release; takes a minute or two the first time."""
    folder = TREES / suite
    recipe = hashlib.sha256(" ".join((suite, *PACKAGES[suite])).encode()).hexdigest()
    TREES.mkdir(parents=True, exist_ok=True)
    with open(TREES / f"{suite}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made_from = TREES / f"{suite}.made-from"
        if not made_from.exists() or made_from.read_text() != recipe:
            made_from.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            _make(suite, folder)
            made_from.write_text(recipe)
    return folder


def _make(suite: str, folder: Path) -> None:
    print(f"making {folder} by debootstrap", flush=True)
    log = TREES / f"{suite}.log"
    include = ",".join(PACKAGES[suite])
    with open(log, "w") as out:
        done = subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={include}", suite, str(folder)], stdout=out, stderr=out, check=False
        )
    for left in ("proc", "sys"):  # debootstrap may leave them mounted
        subprocess.run(["umount", "--recursive", "--lazy", str(folder / left)], stderr=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"debootstrap {suite} failed:\n{log.read_text()[-2000:]}")
    for service in SERVICES:
        if service in PACKAGES[suite]:
            subprocess.run(["chroot", str(folder), "systemctl", "--quiet", "disable", service], check=True)
    (folder / "etc" / "machine-id").write_text("")  # each host gets its own at its first boot
    shutil.rmtree(folder / "var" / "cache" / "apt" / "archives", ignore_errors=True)
