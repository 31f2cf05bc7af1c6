# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that the applications under test live in, made on demand below .cache/venvs/app-<name>.

Each is described by tests/requirements/app-<name>.txt and made again when that file changes. Made with /usr/bin/python3 where
there is one, since an interpreter in somebody's home can't be run by another user.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from .paths import REQUIREMENTS, VENVS

ALEMBICS = ("alembic18", "alembic113", "alembic120")
OLD_AND_NEW_PYTHONS = ("3.8", "3.9", "3.12", "3.13")


class NoInterpreter(Exception):
    """This machine has no such Python."""


def application(name: str, version: str | None = None) -> Path:
    """The Python of the environment `name`, made if need be; `version` ("3.8") asks for another Python than the usual one."""
    folder = VENVS / (f"app-{name}-py{version}" if version else f"app-{name}")
    return environment(folder, REQUIREMENTS / f"app-{name}.txt", interpreter(version))


def environment(folder: Path, requirements: Path, base: Path | None = None) -> Path:
    """The Python of the environment in `folder`, made again when its requirements or its interpreter have changed."""
    folder, base = folder.resolve(), base or interpreter()  # its programs name it, and a link to it may be gone tomorrow
    stamp = hashlib.sha256(requirements.read_bytes() + str(base).encode()).hexdigest()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamped = folder / ".made-from"
        if not stamped.exists() or stamped.read_text() != stamp:
            _make(folder, base, requirements)
            stamped.write_text(stamp)
    return folder / "bin" / "python"


def _make(folder: Path, base: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _run([str(base), "-m", "venv", str(folder)])
    _run(
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
    )


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_clean_environment())
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")


def _clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}


def interpreter(version: str | None = None) -> Path:
    """A real interpreter (never a pyenv shim) that can make virtual environments."""
    if version is None:
        found = [Path("/usr/bin/python3"), Path(shutil.which("python3") or "/nowhere")]
    else:
        homes = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if "shims" not in part]
        found = [home / f"python{version}" for home in [Path("/usr/bin"), Path("/usr/local/bin"), *homes]]
        found += _pyenv(version)
    for path in found:
        if os.access(path, os.X_OK) and _can_make_venvs(path):
            return path
    raise NoInterpreter(f"no Python {version or 3} with the venv and ensurepip modules on this machine")


def _pyenv(version: str) -> list[Path]:
    """Those of pyenv; none where it is somebody else's, whose folder we may not look into."""
    folder = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    return sorted(folder.glob(f"versions/{version}.*/bin/python{version}")) if os.access(folder, os.R_OK | os.X_OK) else []


@functools.cache  # each test asks for its application's environment
def _can_make_venvs(python: Path) -> bool:
    probe = subprocess.run([str(python), "-c", "import venv, ensurepip"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return probe.returncode == 0
