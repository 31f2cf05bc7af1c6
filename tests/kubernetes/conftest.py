# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests on a real cluster; without one they are skipped, and the summary says why."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import images
from cluster import Cluster

import environments
import support.helm
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


@pytest.fixture(scope="session")
def helm() -> Path:
    try:
        return support.helm.helm()
    except Unavailable as problem:
        pytest.skip(str(problem))
