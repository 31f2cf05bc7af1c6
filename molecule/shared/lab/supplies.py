# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts get beforehand, since they reach nothing: the releases, and the packages that these need."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable
from urllib.parse import quote

from paths import CACHE, ROOT, RUN

SUPPLIES = CACHE / "lab" / "supplies"
APPLICATION = ROOT / "demo" / "app"
REQUIREMENTS = APPLICATION / "base" / "requirements.txt"
PYTHONS = ("3.11", "3.13")  # of Debian 12 and 13
GLIBCS = ("manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_28")
WHEEL_RELEASE = "1.2"  # the one that a scenario installs as a wheel


def releases() -> Path:
    """The releases of the sample application: as trees, archives and wheels, and in a git repository."""
    sources = sorted(path for path in APPLICATION.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return _made("releases", b"".join(path.read_bytes() for path in sources), _make_releases)


def wheels() -> Path:
    """What the releases need, for the Pythons of the hosts, and setuptools for what is installed from sources."""
    return _made("wheels", REQUIREMENTS.read_bytes() + f"{PYTHONS} {platform.machine()}".encode(), _fetch_wheels)


def _made(name: str, recipe: bytes, make: Callable[[Path], None]) -> Path:
    """A folder that is made once of each recipe, so that hosts which use an older one keep it."""
    folder = SUPPLIES / f"{name}-{hashlib.sha256(recipe).hexdigest()[:12]}"
    SUPPLIES.mkdir(parents=True, exist_ok=True)
    with open(SUPPLIES / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder


def _make_releases(folder: Path) -> None:
    for form, names in (("tree", ()), ("archive", ()), ("git", ()), ("wheel", (WHEEL_RELEASE,))):
        _run(sys.executable, str(APPLICATION / "releases.py"), form, str(folder / form), *names)


def _fetch_wheels(folder: Path) -> None:
    for python in PYTHONS:
        platforms = [f"--platform={glibc}_{platform.machine()}" for glibc in GLIBCS]
        _run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"),
            *(f"--python-version={python}", "--implementation=cp", *platforms, f"--dest={folder}"),
            *("--requirement", str(REQUIREMENTS), "setuptools", "wheel"),
        )


def write_secrets() -> None:
    """Passwords of this run, with characters that a URL, a shell, an ini file and a systemd unit each have a meaning for."""
    made = {name: f"{secrets.token_hex(6)}%@:#'$ ?&" for name in ("postgres", "shop", "reporting")}
    file = RUN / "secrets.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({**made, "shop_quoted": quote(made["shop"], safe="")}))


def _run(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
