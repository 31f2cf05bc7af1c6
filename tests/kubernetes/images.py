# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of the sample application, each from one root file system made by debootstrap; kept in .cache/kubernetes."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cluster import Cluster

from support.paths import CACHE, ROOT

sys.path.insert(0, str(ROOT / "demo" / "app"))
from releases import write_tree

HOME = CACHE / "kubernetes"
#: What a container does not need.
LEFT_OUT = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/i18n",
    "var/cache",
    "var/lib/apt",
    "usr/lib/python3.11/test",
)
#: A host that has no registry, so nothing is ever fetched.
REPOSITORY = "localhost/shop"
#: An image that nobody has.
NOWHERE = f"{REPOSITORY}:nowhere"
#: The releases that there are images of.
WANTED = ("1.0", "1.1", "1.2", "broken_migration", "wont_start", "unhealthy")
#: The user that the application runs as.
USER = 10001


def digest() -> str:
    """What tells one state of the images from another."""
    found = hashlib.sha256(REPOSITORY.encode())
    for path in sorted((ROOT / "demo" / "app").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(f"{path.relative_to(ROOT)}".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def base() -> Path:
    """A root file system with Python, pg_dump and what the application needs, in /app/venv; made once."""
    folder = HOME / "base"
    if not (folder / "made").exists():
        clear(folder)
        _make(folder)
        (folder / "made").touch()
    return folder


def clear(folder: Path) -> None:
    """Remove what a killed build has left, and first unmount what it had mounted there: its /proc is this machine's own."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    mounted = [line.split()[1].replace(r"\040", " ") for line in mounts]
    for place in reversed([place for place in mounted if place.startswith(f"{folder.resolve()}/")]):
        _run("umount", place)
    if folder.exists():
        shutil.rmtree(folder)


def _make(folder: Path) -> None:
    _run("debootstrap", "--variant=minbase", "--include=python3,python3-venv,postgresql-client", "bookworm", str(folder))
    (folder / "app").mkdir()
    wheels = folder / "wheels"
    download = ("download", "--quiet", "--only-binary=:all:", "--python-version=3.11", "--dest", str(wheels))
    _run(sys.executable, "-m", "pip", *download, "-r", str(ROOT / "demo" / "app" / "base" / "requirements.txt"))
    _run("chroot", str(folder), "python3", "-m", "venv", "/app/venv")
    names = [f"/wheels/{wheel.name}" for wheel in wheels.iterdir()]
    _run("chroot", str(folder), "/app/venv/bin/python", "-m", "pip", "install", "--quiet", "--no-index", *names)
    shutil.rmtree(wheels)
    for name in LEFT_OUT:
        shutil.rmtree(folder / name, ignore_errors=True)


def release(name: str, folder: Path) -> Path:
    """The root file system of one release in `folder`, its code in /app; the files of the base are shared with it."""
    root = folder / name
    _run("cp", "--archive", "--link", str(base()), str(root))
    written = write_tree(name, folder / f"{name}.tree")
    shutil.copytree(written, root / "app", dirs_exist_ok=True)
    shutil.rmtree(written)
    return root


def supply(cluster: Cluster) -> None:
    """Let the cluster know the images; a namespace there says of which state of the application they are."""
    wanted = {"dbops.alembic/images": digest()}
    there = cluster.try_kubectl("get", "namespace", "dbops-images", "--output=json")
    if not there.returncode and wanted.items() <= (json.loads(there.stdout)["metadata"].get("annotations") or {}).items():
        return
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / "base.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in HOME.glob("releases.*"):
            clear(left)
        with tempfile.TemporaryDirectory(prefix="releases.", dir=HOME) as folder:
            for name in WANTED:
                cluster.load(f"{REPOSITORY}:{name}", release(name, Path(folder)))
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "dbops-images", "annotations": wanted}})


def _run(*command: str) -> None:
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV"))}
    environment = {**ours, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}")
