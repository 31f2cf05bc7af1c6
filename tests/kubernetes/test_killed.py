# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller is killed while a deployment runs; another one recovers it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster, wait_until
from stage import Stage

from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1800), pytest.mark.needs_root, pytest.mark.slow]


@pytest.fixture(scope="module")
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Release 1.1 serves 200 orders on three pods; all work on the database is done in Jobs."""
    made = Stage(cluster, server, tmp_path_factory.mktemp("killed") / "s", python, replicas=3, migrator=False, jobs=True)
    try:
        for release in ("1.0", "1.1"):
            run = made.play("maintenance_window", release_version=release)
            assert run.status == 0, run.output
        made.seed(200)
        yield made
    finally:
        made.close()


def stopped(stage: Stage) -> bool:
    return stage.get("deployment", "shop")["spec"]["replicas"] == 0


def migrating(stage: Stage) -> bool:
    return bool(stage.get("jobs", "--selector=dbops.alembic/operation=upgrade,dbops.alembic/deployment=" + last(stage))["items"])


def activated(stage: Stage) -> bool:
    return "1.2" in stage.get("deployment", "shop")["spec"]["template"]["spec"]["containers"][0]["image"]


def last(stage: Stage) -> str:
    records = stage.records()
    return str(records[-1]["id"]) if records else "none"


def kill(process: subprocess.Popen[str]) -> None:
    """Kill the controller with all that it has started on this machine."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("moment", [stopped, migrating, activated])
def test_a_deployment_that_was_cut_off_is_recovered(stage: Stage, moment: Callable[[Stage], bool]) -> None:
    begun = len(stage.records())
    process = stage.start("dbops.alembic.maintenance_window", release_version="1.2")
    wait_until(lambda: len(stage.records()) > begun and moment(stage), 300, f"the deployment is {moment.__name__}")
    kill(process)
    record = stage.records()[-1]
    assert record["status"] == "open" and record["workloads"]["web"]["replicas"] == 3
    run = stage.play("recover")
    assert run.status == 0, run.output
    record = stage.records()[-1]
    ended = {"finished": ("1.2", "f90c3b6d2e18"), "reverted": ("1.1", "c64b2e98d075")}[record["status"]]
    assert stage.serves(ended[0]) and stage.contents()[0] == ended[1]
    assert stage.database.fetch("select count(*) from orders") == [(200,)]
    assert "dbops.alembic/before-stop" not in stage.get("deployment", "shop")["metadata"]["annotations"]
    if moment is migrating:
        assert record["status"] == "finished", "the Job went on without the controller, and its result was read"
    if record["status"] == "finished":
        # Nobody took the baseline of the rows, so how many were written since can not be known.
        assert stage.play("rollback", deployment_rows_given_up=-1).status == 0 and stage.serves("1.1")
