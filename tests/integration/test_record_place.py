# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that does not last asks the cluster for the record of a deployment, unless it is told of a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import environments
from support.plays import play
from support.receiver import Answering, Quiet

pytestmark = pytest.mark.slow


class Cluster(Answering):
    """Keeps what it is asked for, and has nothing of it."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(_Nothing)


class _Nothing(Quiet):
    server: Cluster

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        body = json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}).encode()
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        yield made


@pytest.mark.parametrize(("told", "asked"), [({}, True), ({"deployment_record_store": "directory"}, False)])
def test_a_job_of_awx_looks_for_its_record_in_the_cluster(
    told: dict[str, str], asked: bool, cluster: Cluster, tmp_path: Path
) -> None:
    contexts = {"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}
    there = {"name": "c", "cluster": {"server": cluster.url}}
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "c", "contexts": [contexts], "clusters": [there]}
    (tmp_path / "config").write_text(json.dumps({**config, "users": [{"name": "u", "user": {"token": "t"}}]}))
    variables = {
        "ansible_python_interpreter": str(environments.virtual_environment("kubernetes", environments.controller_python())),
        "awx_job_id": 17,
        "application_name": "shop",
        "application_manager": "kubernetes",
        "application_kubernetes_namespace": "shop",
        "application_kubernetes_kubeconfig": str(tmp_path / "config"),
        "deployment_record_directory": str(tmp_path / "records"),
        **told,
    }
    tasks = [
        {"ansible.builtin.add_host": {"name": "here", "groups": ["application"]}},
        {"ansible.builtin.include_role": {"name": "dbops.alembic.deployment"}},
    ]
    done = play(tmp_path, tasks, hosts={"here": variables})
    assert bool(cluster.asked) is asked and done.status == (2 if asked else 0), done.printed
