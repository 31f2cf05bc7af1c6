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
from urllib.parse import quote

from paths import RELEASES, ROOT, RUN, WHEELS

APPLICATION = ROOT / "demo" / "app"
PYTHONS = ("3.11", "3.13")  # of Debian 12 and 13
GLIBCS = ("manylinux2014", "manylinux_2_17", "manylinux_2_24", "manylinux_2_28")
WHEEL_RELEASE = "1.2"  # the one that a scenario installs as a wheel


def supply() -> None:
    """Make what is missing or out of date."""
    RELEASES.parent.mkdir(parents=True, exist_ok=True)
    with open(RELEASES.parent / "supplies.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = sorted(path for path in APPLICATION.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        _once(RELEASES, b"".join(path.read_bytes() for path in sources), _make_releases)
        _once(WHEELS, (APPLICATION / "base" / "requirements.txt").read_bytes() + str(PYTHONS).encode(), _fetch_wheels)


def _once(folder: Path, recipe: bytes, make: object) -> None:
    stamp, made_from = hashlib.sha256(recipe).hexdigest(), folder.with_name(folder.name + ".made-from")
    if made_from.exists() and made_from.read_text() == stamp:
        return
    made_from.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    make()  # type: ignore[operator]
    made_from.write_text(stamp)


def _make_releases() -> None:
    for form, names in (("tree", ()), ("archive", ()), ("git", ()), ("wheel", (WHEEL_RELEASE,))):
        _run(sys.executable, str(APPLICATION / "releases.py"), form, str(RELEASES / form), *names)


def _fetch_wheels() -> None:
    """The wheels for the hosts' Pythons, whatever Python runs here; setuptools builds what is installed from its sources."""
    for python in PYTHONS:
        platforms = [f"--platform={glibc}_{platform.machine()}" for glibc in GLIBCS]
        _run(
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"),
            *(f"--python-version={python}", "--implementation=cp", *platforms, f"--dest={WHEELS}"),
            *("--requirement", str(APPLICATION / "base" / "requirements.txt"), "setuptools", "wheel"),
        )


def write_secrets() -> None:
    """Passwords of this run, with characters that a URL, a shell, an ini file and a systemd unit each have a meaning for."""
    made = {name: f"{secrets.token_hex(6)}%@:#'$ ?&" for name in ("postgres", "shop", "reporting")}
    file = RUN / "secrets.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps({**made, "shop_quoted": quote(made["shop"], safe="")}))
    (RUN / "releases").unlink(missing_ok=True)
    (RUN / "releases").symlink_to(RELEASES)


def _run(*command: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
