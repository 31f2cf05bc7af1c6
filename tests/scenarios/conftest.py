# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs Molecule's scenarios on hosts that are made for this run and removed after it, however it ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
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
#: Each Debian release takes some minutes to make, so the second one is made only where a scenario wants it.
HOSTS, DEBIAN_13 = ["lb1", "db1", "app1", "app2", "app3"], ["new1"]
Molecule = Callable[..., "subprocess.CompletedProcess[str]"]


def missing_packages() -> str:
    """What would have to be installed; empty when all is there."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    missing = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program, path=path)})
    return f"hosts in containers need these Debian packages: {', '.join(missing)}" if missing else ""


def forbidden() -> str:
    """Why this machine can't have hosts in containers, whatever is installed; empty when it can."""
    if os.geteuid() != 0:
        return "the hosts are systemd-nspawn containers, and only root can make them"
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        parts = {name: Path(folder, name) for name in ("lowerdir", "upperdir", "workdir", "root")}
        for part in parts.values():
            part.mkdir()
        layers = ",".join(f"{name}={part}" for name, part in parts.items() if name != "root")
        mount = ["unshare", "--mount", "--net", "mount", "-t", "overlay", "-o", layers, "overlay", str(parts["root"])]
        tried = subprocess.run(mount, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return f"root can not make what hosts in containers need: {tried.stdout.strip()}" if tried.returncode else ""


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # the workers of pytest-xdist come later
        shutil.rmtree(CACHE / "results" / "molecule", ignore_errors=True)


@pytest.fixture(scope="session")
def able() -> None:
    """Skip or fail where there can be no hosts."""
    if reason := forbidden():
        pytest.skip(reason)
    if reason := missing_packages():
        (pytest.fail if os.environ.get("DBOPS_REQUIRE_SERVICES") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def molecule(request: pytest.FixtureRequest, able: None) -> Iterator[Molecule]:
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
        "DBOPS_LAB_HOSTS": ",".join(HOSTS + DEBIAN_13 * any("debian13" in item.name for item in request.session.items)),
        "DBOPS_LAB_OWNER": str(os.getpid()),
    }

    def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        argv = [str(VENVS / "molecule" / "bin" / "molecule"), "-c", "molecule/config.yml", *arguments]
        return subprocess.run(
            argv,
            cwd=ROOT,
            env={**environment, **{name: value for name, value in variables.items() if value}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    try:
        made = command("create", "--scenario-name", "default")
        assert made.returncode == 0, made.stdout[-8000:]
        yield command
    finally:
        command("destroy", "--scenario-name", "default")
        subprocess.run([str(python), str(ROOT / "molecule" / "shared" / "lab"), "down"], env=environment)
        shutil.rmtree(f"{run}-ansible", ignore_errors=True)
