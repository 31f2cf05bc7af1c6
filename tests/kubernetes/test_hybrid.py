# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One application on two hosts under supervisor and in the cluster, on one database, deployed by one run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from stage import Stage

from flows.stage import Stage as Hosts
from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1200), pytest.mark.needs_root, pytest.mark.slow]


class Hybrid:
    def __init__(self, hosts: Hosts, cluster: Stage):
        self.hosts, self.cluster = hosts, cluster
        path = hosts.folder / "inventory.json"
        inventory = json.loads(path.read_text())
        inventory["all"]["children"]["application"]["hosts"]["web"] = cluster.host
        path.write_text(json.dumps(inventory))

    def serve(self, release: str) -> bool:
        return self.hosts.serving() == {(release, 200, release)} and self.cluster.serves(release)


@pytest.fixture(scope="module")
def hybrid(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hybrid]:
    """Release 1.1 serves on both hosts and on two pods."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    hosts = Hosts(tmp_path_factory.mktemp("hybrid") / "h", server, variables={"schema_sessions_terminate_enabled": True})
    hosts.archive("1.0", "1.1", "1.2", "unhealthy")
    made = Hybrid(hosts, Stage(cluster, server, tmp_path_factory.mktemp("hybrid") / "k", python, database=hosts.database))
    try:
        first = hosts.play("maintenance_window", release_version="1.0")
        assert first.status == 0, first.output
        hosts.seed(200)
        second = hosts.play("maintenance_window", release_version="1.1")
        assert second.status == 0, second.output
        yield made
    finally:
        made.cluster.close(keep_database=True)
        hosts.close()


def test_a_window_covers_all(hybrid: Hybrid) -> None:
    assert hybrid.serve("1.1")
    record = hybrid.hosts.records()[-1]
    assert record["status"] == "finished"
    assert {name: host["to_release"] for name, host in record["hosts"].items()} == {"shop1": "1.1", "shop2": "1.1", "web": "1.1"}


@pytest.mark.parametrize(
    ("release", "extra", "why"),
    [
        ("unhealthy", {}, 'column \\"discount\\" does not exist'),
        ("1.2", {"release_image": "docker.io/local/shop:nowhere"}, "ImagePull"),
    ],
)
def test_when_one_kind_fails_all_go_back(hybrid: Hybrid, release: str, extra: dict[str, str], why: str) -> None:
    before = hybrid.hosts.contents()
    run = hybrid.hosts.play("maintenance_window", release_version=release, **extra)
    assert run.status == 2, run.output
    assert hybrid.serve("1.1") and hybrid.hosts.contents() == before
    record = hybrid.hosts.records()[-1]
    assert (record["status"], record["failure"]["step"]) == ("reverted", "starting")
    assert why.replace("\\", "") in record["failure"]["message"].replace("\\", "")


def test_a_rollback_covers_all(hybrid: Hybrid) -> None:
    before = hybrid.hosts.contents()
    assert hybrid.hosts.play("maintenance_window", release_version="1.2").status == 0
    assert hybrid.serve("1.2")
    run = hybrid.hosts.play("rollback")
    assert run.status == 0, run.output
    assert hybrid.serve("1.1") and hybrid.hosts.contents() == before
