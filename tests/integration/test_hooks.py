# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hooks of the operator: their order, the state of the application meanwhile, and what happens when they fail themselves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.hooks import BACK, ON_HOSTS, SERVED, THERE, Hooks
from flows.stage import OTHER_SETTINGS, Stage
from support.postgres import Postgres

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stage]:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    # What else is in ansible.cfg means nothing to a window that goes there, back or nowhere.
    made = Stage(tmp_path_factory.mktemp("hooks") / "s", postgres, more=OTHER_SETTINGS)
    made.archive("1.0", "1.1", "1.2", "unhealthy")
    try:
        assert made.play("maintenance_window", release_version="1.0").status == 0
        made.seed(50)
        yield made
    finally:
        made.close()


def state(stage: Stage) -> tuple[object, ...]:
    return stage.contents(), stage.serving()


def test_each_runs_at_its_step(stage: Stage, tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "hooks")
    run = stage.play("maintenance_window", release_version="1.1", deployment_hooks=hooks.files())
    assert run.status == 0, run.output
    assert hooks.order == THERE + SERVED
    for name in {*THERE, *SERVED}:
        hosts = sorted(host for noted, host, _status in hooks.noted if noted == name)
        assert hosts == (["shop1", "shop2"] if name in ON_HOSTS else ["shop1"]), name
    stopped = THERE[THERE.index("after_stop") :]
    assert hooks.answers(*stopped) == {-1}
    assert hooks.answers(*THERE[: THERE.index("after_stop")], *SERVED) == {200}


@pytest.mark.slow
def test_none_runs_in_check_mode_or_where_nothing_is_to_be_done(stage: Stage, tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "hooks")
    stage.play("maintenance_window", "--check", release_version="1.2", deployment_hooks=hooks.files()).ok()
    assert hooks.order == []
    active = stage.hosts[0].active
    stage.play("maintenance_window", release_version=active, deployment_hooks=hooks.files()).ok()
    assert hooks.order in ([], ["after_deployment"])


def test_those_of_the_way_back(stage: Stage, tmp_path: Path) -> None:
    hooks, before = Hooks(tmp_path / "hooks"), state(stage)
    run = stage.play("maintenance_window", release_version="unhealthy", deployment_hooks=hooks.files())
    assert run.status == 2 and run.result["outcome"] == "reverted", run.output
    assert hooks.order == THERE + BACK
    record = stage.records()[-1]
    assert (record["status"], record["failure"]["step"], record["to_release"]) == ("reverted", "starting", "unhealthy"), run.output
    assert 'column \\"discount\\" does not exist' in record["failure"]["message"]
    assert state(stage) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["before_upgrade", "before_drain", "after_stop", "after_start"])
def test_one_that_fails_is_a_step_that_failed(stage: Stage, tmp_path: Path, name: str) -> None:
    hooks, before = Hooks(tmp_path / "hooks"), state(stage)
    run = stage.play("maintenance_window", release_version="1.2", deployment_hooks=hooks.files(name))
    assert run.status == 2 and run.result["outcome"] == "reverted", run.output
    assert f"The hook {name} failed: the pager does not answer" in run.result["failure"]["message"]
    assert state(stage) == before


def test_before_deployment_refuses_it(stage: Stage, tmp_path: Path) -> None:
    hooks, before, records = Hooks(tmp_path / "hooks"), state(stage), len(stage.records())
    run = stage.play("maintenance_window", release_version="1.2", deployment_hooks=hooks.files("before_deployment"))
    assert run.status == 2 and "the pager does not answer" in run.output
    assert hooks.order == ["before_deployment"] and len(stage.records()) == records
    assert state(stage) == before


@pytest.mark.slow
def test_one_that_fails_does_not_bar_the_way_back(stage: Stage, tmp_path: Path) -> None:
    hooks, before = Hooks(tmp_path / "hooks"), state(stage)
    failing = ("after_failure", "before_restore", "before_undrain")
    run = stage.play("maintenance_window", release_version="unhealthy", deployment_hooks=hooks.files(*failing))
    assert run.status == 2 and run.result["outcome"] == "reverted", run.output
    assert state(stage) == before
    for name in failing:
        assert f"The hook {name} failed on shop1: the pager does not answer" in run.result["warnings"]
    assert stage.records()[-1]["warnings"] == run.result["warnings"]


@pytest.mark.slow
def test_one_that_fails_at_the_end_takes_nothing_from_the_report(stage: Stage, tmp_path: Path) -> None:
    """Last, since it deploys."""
    hooks = Hooks(tmp_path / "hooks")
    run = stage.play("maintenance_window", release_version="1.2", deployment_hooks=hooks.files("after_archive", "after_deployment"))
    assert run.status == 2 and run.result["outcome"] == "finished" and "release 1.2 serves" in run.output, run.output
    assert "the pager does not answer" in run.output
    assert run.result["warnings"] == ["After the deployment: The hook after_archive failed: the pager does not answer"]
    archive = stage.records()[-1]["archive"]
    assert Path(archive["path"]).is_file() and run.result["archive"]["path"] == archive["path"]
    assert stage.serving() == {("1.2", 200, "1.2")}
