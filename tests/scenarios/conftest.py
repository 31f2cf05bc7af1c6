# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs Molecule's scenarios on hosts that are made for this run and removed after it, however it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

import environments
from support.paths import CACHE, ROOT, TREE, VENVS

#: What makes the hosts, and the Debian package that it comes from.
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "git": "git",
    "mount": "mount",
}
Molecule = Callable[..., "subprocess.CompletedProcess[str]"]


def why_not() -> str:
    """Why this machine can't run the scenarios; empty when it can."""
    if os.geteuid() != 0:
        return "the hosts are systemd-nspawn containers, and only root can make them"
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)})
    if missing:
        return f"not installed: {', '.join(missing)}"
    overlays = any("overlay" in line.split() for line in Path("/proc/filesystems").read_text().splitlines())
    return "" if overlays else "this kernel has no overlay file system"


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # the workers of pytest-xdist come later
        shutil.rmtree(CACHE / "results" / "molecule", ignore_errors=True)


@pytest.fixture(scope="session")
def molecule() -> Iterator[Molecule]:
    reason = why_not()
    if reason and os.environ.get("DBOPS_REQUIRE_SERVICES"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    environments.tree()
    python = environments.virtual_environment("molecule", environments.controller_python())
    run = CACHE / "lab" / f"run-{os.getpid()}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON", "MOLECULE_"))},
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]),
        "ANSIBLE_HOME": f"{run}-ansible",
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
        "ANSIBLE_FORKS": "10",
        "NO_COLOR": "1",
        "ANSIBLE_NOCOLOR": "1",
        "DBOPS_CACHE": str(CACHE),
        "DBOPS_LAB": str(run),
        "DBOPS_LAB_OWNER": str(os.getpid()),
    }

    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [str(VENVS / "molecule" / "bin" / "molecule"), "-c", "molecule/config.yml", *arguments]
        return subprocess.run(
            argv, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    try:
        made = command("create", "--scenario-name", "default")
        assert made.returncode == 0, made.stdout[-8000:]
        yield command
    finally:
        command("destroy", "--scenario-name", "default")
        subprocess.run([str(python), str(ROOT / "molecule" / "shared" / "lab"), "down"], env=environment)
        shutil.rmtree(f"{run}-ansible", ignore_errors=True)
