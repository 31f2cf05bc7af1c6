# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One application on two hosts under supervisor and in the cluster, on one database, deployed by one run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cluster import Cluster
from images import NOWHERE
from stage import Probed

from flows.balanced import STRICT, BalancedStage, Balancer
from flows.load import Load
from support.postgres import Postgres
from support.processes import Unavailable, program

pytestmark = [pytest.mark.timeout(1200), pytest.mark.needs_root, pytest.mark.slow]


class Hybrid:
    """Clients have two ways in: a balancer in front of the hosts, and one in front of the pods."""

    def __init__(self, hosts: BalancedStage, cluster: Probed):
        self.hosts, self.cluster = hosts, cluster
        path = hosts.folder / "inventory.json"
        inventory = json.loads(path.read_text())
        inventory["all"]["children"]["application"]["hosts"]["web"] = {**cluster.host, "traffic_method": "none"}
        path.write_text(json.dumps(inventory))
        self.balancer = Balancer(cluster.folder, STRICT)
        self.balancer.start({"web": f"{cluster.address}:8000"})

    @contextmanager
    def load(self) -> Iterator[tuple[Load, Load]]:
        with self.hosts.load() as one, Load(self.balancer.port) as other:
            yield one, other

    def close(self) -> None:
        self.balancer.stop()
        self.cluster.close(keep_database=True)
        self.hosts.close()

    def serve(self, release: str) -> bool:
        return self.hosts.serving() == {(release, 200, release)} and self.cluster.serves(release)


@pytest.fixture(scope="module")
def hybrid(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hybrid]:
    """Release 1.1 serves on both hosts and on two pods."""
    try:
        program("supervisord")
        program("haproxy")
    except Unavailable as problem:
        pytest.skip(str(problem))
    known = {name: ',CARRIER_KEY="known"' for name in ("shop1", "shop2")}  # release wont_start does start there
    variables = {"schema_sessions_terminate_enabled": True}
    hosts = BalancedStage(tmp_path_factory.mktemp("hybrid") / "h", server, variables=variables, settings=known)
    hosts.archive("1.0", "1.1", "1.2", "unhealthy", "wont_start")
    made = Hybrid(hosts, Probed(cluster, server, tmp_path_factory.mktemp("hybrid") / "k", python, database=hosts.database))
    try:
        first = hosts.play("maintenance_window", release_version="1.0")
        assert first.status == 0, first.output
        hosts.seed(200)
        second = hosts.play("maintenance_window", release_version="1.1")
        assert second.status == 0, second.output
        yield made
    finally:
        made.close()


def test_a_window_covers_all(hybrid: Hybrid) -> None:
    assert hybrid.serve("1.1")
    record = hybrid.hosts.records()[-1]
    assert record["status"] == "finished"
    assert {name: host["to_release"] for name, host in record["hosts"].items()} == {"shop1": "1.1", "shop2": "1.1", "web": "1.1"}


@pytest.mark.parametrize(
    ("release", "extra", "why"),
    [("unhealthy", {}, 'column \\"discount\\" does not exist'), ("1.2", {"release_image": NOWHERE}, "ImagePull")],
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


def test_rolling_reverts_the_hosts_when_the_pods_fail(hybrid: Hybrid) -> None:
    with hybrid.load() as loads:
        run = hybrid.hosts.play("rolling", release_version="wont_start")
    record = hybrid.hosts.records()[-1]
    assert run.status == 2, run.output
    assert (record["status"], record["failure"]["hosts"], record["batches_begun"]) == ("reverted", ["web"], 3), run.output
    assert [load.failed for load in loads] == [[], []] and loads[0].releases == {"1.1", "wont_start"}
    assert hybrid.serve("1.1")
    hybrid.hosts.downgrade("wont_start", "c64b2e98d075")


def test_rolling_covers_all_and_fails_no_request(hybrid: Hybrid) -> None:
    with hybrid.load() as loads:
        run = hybrid.hosts.play("rolling", release_version="1.2")
    assert run.status == 0, run.output
    assert hybrid.hosts.records()[-1]["batches"] == [["shop1"], ["shop2"], ["web"]]
    assert [load.failed for load in loads] == [[], []] and all(load.releases == {"1.1", "1.2"} for load in loads)
    assert hybrid.serve("1.2")
