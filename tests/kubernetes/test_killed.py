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
    return "1.2" in stage.template["spec"]["containers"][0]["image"]


def last(stage: Stage) -> str:
    records = stage.records()
    return str(records[-1]["id"]) if records else "none"


def kill(process: subprocess.Popen[str]) -> None:
    """Kill the controller with all that it has started on this machine."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def recovered(stage: Stage) -> str:
    """Recover from another controller; one of the two good ends is there, and the record tells which."""
    run = stage.play("recover")
    assert run.status == 0, run.output
    record = stage.records()[-1]
    ended = {"finished": ("1.2", "f90c3b6d2e18"), "reverted": ("1.1", "c64b2e98d075")}[record["status"]]
    assert stage.serves(ended[0]) and stage.contents()[0] == ended[1]
    assert stage.database.fetch("select count(*) from orders") == [(200,)]
    assert "dbops.alembic/before-stop" not in stage.get("deployment", "shop")["metadata"]["annotations"]
    return str(record["status"])


@pytest.mark.timeout(3 * 3600)
def test_at_every_step(stage: Stage) -> None:
    """Before the first task that changes something, and after each, as a run that nobody killed lists them."""
    run, tasks = stage.changes("maintenance_window", release_version="1.2")
    assert run.status == 0 and tasks, run.output
    stage.play("rollback", deployment_rows_given_up=-1).ok()
    wrong = {}
    for moment, (task, number) in [("before", tasks[0]), *(("after", done) for done in tasks)]:
        records, point = len(stage.records()), f"{moment} {task} ({number})"
        stage.killed_at("maintenance_window", task, moment, number, release_version="1.2")
        try:
            ended = recovered(stage) if len(stage.records()) > records else "not begun"
            print(f"{point}: {ended}")
            assert ended != "finished" or stage.play("rollback", deployment_rows_given_up=-1).status == 0
            assert stage.serves("1.1")
        except AssertionError as problem:
            wrong[point] = str(problem)[-3000:]
            print(f"{point}: {wrong[point]}")
            stage.play("recover").ok()
            assert stage.serves("1.1"), wrong
    assert not wrong


@pytest.mark.parametrize("moment", [stopped, migrating, activated])
def test_a_deployment_that_was_cut_off_is_recovered(stage: Stage, moment: Callable[[Stage], bool]) -> None:
    begun = len(stage.records())
    process = stage.start("dbops.alembic.maintenance_window", release_version="1.2")
    wait_until(lambda: len(stage.records()) > begun and moment(stage), 300, f"the deployment is {moment.__name__}")
    kill(process)
    record = stage.records()[-1]
    assert record["status"] == "open" and record["workloads"]["web"]["replicas"] == 3
    ended = recovered(stage)
    if moment is migrating:
        assert ended == "finished", "the Job went on without the controller, and its result was read"
    if ended == "finished":
        # Nobody took the baseline of the rows, so how many were written since can not be known.
        stage.play("rollback", deployment_rows_given_up=-1).ok()
        assert stage.serves("1.1")
