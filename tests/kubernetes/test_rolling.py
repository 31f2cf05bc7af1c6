# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling deployments of three pods under steady load, with all work on the database in Jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from releases import write_tree
from stage import Probed, Stage

from flows.balanced import STRICT, Balancer, downgrade
from flows.load import Load
from support.postgres import Postgres
from support.processes import Unavailable, program

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs_root, pytest.mark.slow]
#: Release → the revision that it brings the database to.
HEAD = {"1.1": "c64b2e98d075", "1.2": "f90c3b6d2e18", "wont_start": "4ea17030c8dd"}


class Rolled(Probed):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.balancer = Balancer(self.folder, STRICT)
        self.balancer.start({"web": f"{self.address}:8000"})

    def load(self) -> Load:
        return Load(self.balancer.port)

    @property
    def last(self) -> dict:
        return self.records()[-1]

    def downgrade(self, release: str) -> None:
        """Take back by hand what that release has left expanded, for the next test."""
        tree = self.folder / "trees" / release
        if not tree.exists():
            write_tree(release, tree)
        downgrade(self.app, tree, self.url, HEAD["1.1"])

    def close(self, keep_database: bool = False) -> None:
        self.balancer.stop()
        super().close(keep_database)


@pytest.fixture(scope="module")
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rolled]:
    """Release 1.1 serves 200 orders on three pods."""
    variables = {"deployment_rolling_lock_timeout_seconds": 1, "health_release_key": "release"}
    try:
        program("haproxy")
    except Unavailable as problem:
        pytest.skip(str(problem))
    folder = tmp_path_factory.mktemp("rolling") / "s"
    made = Rolled(cluster, server, folder, python, replicas=3, migrator=False, jobs=True, variables=variables)
    try:
        first = made.play("maintenance_window", release_version="1.1")
        assert first.status == 0, first.output
        made.seed(200)
        yield made
    finally:
        made.close()


def test_a_migration_that_is_blocked_gives_up_and_names_who_blocks_it(stage: Rolled) -> None:
    with stage.load() as load, stage.database.holding("select * from customers limit 1", application_name="night report"):
        run = stage.play("rolling", release_version="1.2", deployment_rolling_retries=2)
    assert run.status == 2 and "night report" in stage.last["failure"]["message"], run.output
    assert (stage.last["status"], stage.last["batches_begun"]) == ("reverted", 0)
    assert load.unharmed and load.releases == {"1.1"}, load
    assert stage.contents()[0] == HEAD["1.1"] and stage.serves("1.1")


def test_pods_that_do_not_start_are_given_up_while_the_others_serve(stage: Rolled) -> None:
    before = stage.template
    with stage.load() as load:
        run = stage.play("rolling", release_version="wont_start")
    assert run.status == 2 and stage.last["status"] == "reverted", run.output
    assert stage.last["failure"]["hosts"] == ["web"] and "CrashLoopBackOff" in stage.last["failure"]["message"]
    assert load.unharmed and load.releases == {"1.1"}, load
    assert stage.serves("1.1") and stage.template == before and stage.contents()[0] == HEAD["wont_start"]
    stage.downgrade("wont_start")


def test_a_good_release_and_its_rollback_fail_no_request(stage: Rolled) -> None:
    before = stage.template
    with stage.load() as load:
        run = stage.play("rolling", release_version="1.2")
    assert run.status == 0 and stage.last["status"] == "finished", run.output
    assert load.unharmed and load.releases == {"1.1", "1.2"}, load
    assert stage.serves("1.2") and stage.contents()[0] == HEAD["1.2"]
    version, records = stage.get("deployment", "shop")["metadata"]["resourceVersion"], len(stage.records())
    second = stage.play("rolling", release_version="1.2")
    assert (second.status, second.changed, second.result["outcome"]) == (0, 0, "nothing_to_do"), second.output
    assert stage.get("deployment", "shop")["metadata"]["resourceVersion"] == version and len(stage.records()) == records
    with stage.load() as load:
        back = stage.play("rollback")
    assert back.status == 0 and stage.last["undoes"], back.output
    assert load.unharmed and load.releases == {"1.1", "1.2"}, load
    assert stage.serves("1.1") and stage.template == before and stage.contents()[0] == HEAD["1.2"]
    stage.downgrade("1.2")


@pytest.mark.parametrize(
    ("task", "moment", "direction"),
    [
        ("Begin the record", "after", "finish"),
        ("Upgrade the database", "before", "finish"),
        ("Upgrade the database", "after", "finish"),
        ("Upgrade the database", "after", "revert"),
        ("Set the pod template of the release", "after", "finish"),
        ("Set the pod template of the release", "after", "revert"),
        ("Bring the workload to the wanted state", "after", "finish"),
    ],
)
def test_a_deployment_whose_controller_died_is_recovered(stage: Rolled, task: str, moment: str, direction: str) -> None:
    before = stage.template
    with stage.load() as load:
        stage.killed_at("rolling", task, moment, release_version="1.2")
        assert stage.last["status"] == "open"
        run = stage.play("recover", release_version="1.2", deployment_recover_direction=direction)
    assert run.status == 0 and not load.failed, (load, run.output)
    if direction == "finish":
        assert stage.last["status"] == "finished" and stage.serves("1.2") and stage.contents()[0] == HEAD["1.2"]
        back = stage.play("rollback")
        assert back.status == 0, back.output
    else:
        assert stage.last["status"] == "reverted"
    assert stage.serves("1.1") and stage.template == before
    stage.downgrade("1.2")


def test_a_workload_that_would_be_missed_is_refused(stage: Rolled) -> None:
    """Last, since it changes the workload."""
    stage.apply(Stage.workload(stage, 3, "1.1"))
    records = len(stage.records())
    run = stage.play("rolling", release_version="1.2")
    assert run.status == 2 and "Nothing was touched" in run.output, run.output
    assert "web: no container has a readinessProbe" in run.output and "deployment_rolling_gaps_enabled" in run.output
    assert len(stage.records()) == records and stage.contents()[0] == HEAD["1.1"]
