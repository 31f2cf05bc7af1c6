# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first release, as somebody once put it there by hand: folders, virtual environments, alembic upgrade head, start."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from support.paths import CACHE, ROOT
from support.processes import Unavailable

from .replicas import Replica, Supervisor

APP = ROOT / "demo" / "app"
#: The Python that this environment was made with; the releases' environments are made with it as well.
PYTHON = getattr(sys, "_base_executable", sys.executable)


def wheels() -> Path:
    """What the releases need from the package index, fetched once."""
    requirements = APP / "base" / "requirements.txt"
    name = hashlib.sha256(f"{sys.version}{requirements.read_text()}".encode()).hexdigest()[:12]
    folder = CACHE / "demo" / f"wheels-{name}"
    with open(CACHE / "demo" / "wheels.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            _run([sys.executable, "-m", "pip", "wheel", "--quiet", f"--wheel-dir={partial}", f"--requirement={requirements}"])
            partial.rename(folder)
    return folder


def virtualenv() -> list[str]:
    """The command that makes an environment of a release: faster than venv, since it copies a pip that it has unpacked once."""
    return [
        str(Path(sys.prefix) / "bin" / "virtualenv"),
        "--quiet",
        f"--python={PYTHON}",
        f"--app-data={CACHE / 'demo' / 'virtualenv'}",
    ]


def install(release: str, replicas: list[Replica], packages: Path) -> None:
    """Made once, and copied to the others."""
    first = replicas[0].folder / "releases"
    _run([sys.executable, "-B", str(APP / "releases.py"), "tree", str(first), release])
    folder = first / release
    _run([*virtualenv(), str(folder / "venv")])
    pip = [str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    _run([*pip, "--no-compile", f"--find-links={packages}", f"--requirement={folder / 'requirements.txt'}"])
    for replica in replicas:
        if replica is not replicas[0]:
            shutil.copytree(folder, replica.folder / "releases" / release, symlinks=True)
        (replica.folder / "current").symlink_to(f"releases/{release}")


def migrate_and_fill(replica: Replica, database_url: str, orders: int) -> None:
    current, environment = replica.folder / "current", {**os.environ, "DATABASE_URL": database_url, "PYTHONPATH": ""}
    for arguments in (("alembic", "upgrade", "head"), ("shop", "seed", f"--orders={orders}")):
        _run([str(current / "venv" / "bin" / "python"), "-m", *arguments], cwd=current, env=environment)


def start(replicas: list[Replica], supervisor: Supervisor) -> None:
    _run([str(supervisor.ctl), "-c", str(supervisor.configuration), "start", "all"])
    deadline = time.monotonic() + 60
    while not all(replica.health()[0] == 200 for replica in replicas):
        if time.monotonic() > deadline:
            raise Unavailable(f"The replicas do not serve: {[replica.health() for replica in replicas]}")
        time.sleep(0.1)


def _run(command: list[str], **options: object) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode:
        raise Unavailable(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
