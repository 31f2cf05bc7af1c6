# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments under an ansible.cfg that is somebody else's: what it says for all plays may not mean these."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.stage import OTHER_SETTINGS, Stage
from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow]  # test_hooks has all of it together, every day


#: Of each group none means anything to what another one of it does.
GROUPS = [
    ("ANSIBLE_STRATEGY", "ANSIBLE_HASH_BEHAVIOUR", "ANSIBLE_DISPLAY_SKIPPED_HOSTS"),
    ("ANSIBLE_ANY_ERRORS_FATAL", "ANSIBLE_PRIVATE_ROLE_VARS", "ANSIBLE_FORKS"),
    ("ANSIBLE_TASK_TIMEOUT", "ANSIBLE_INJECT_FACT_VARS"),
]
SETTINGS = {**OTHER_SETTINGS, "ANSIBLE_FORKS": "1"}
assert sorted(name for names in GROUPS for name in names) == sorted(SETTINGS)


@pytest.fixture(params=[pytest.param({name: SETTINGS[name] for name in names}, id=names[0]) for names in GROUPS])
def stage(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres) -> Iterator[Stage]:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Stage(tmp_path / "s", postgres, more=request.param)
    made.archive("1.1", "wont_start")
    yield made
    made.close()


def test_a_window_goes_there_and_back(stage: Stage) -> None:
    run = stage.play("maintenance_window", release_version="1.1")
    assert run.status == 0 and stage.serving() == {("1.1", 200, "1.1")}, run.output
    before = stage.contents()
    run = stage.play("maintenance_window", release_version="wont_start")
    assert run.status == 2 and stage.serving() == {("1.1", 200, "1.1")} and stage.contents() == before, run.output
    assert [record["status"] for record in stage.records()] == ["finished", "reverted"] and run.result["outcome"] == "reverted"
    record = stage.records()[-1]
    assert (record["failure"]["step"], record["to_release"]) == ("starting", "wont_start"), run.output
    again = stage.play("maintenance_window", release_version="1.1")
    assert again.status == 0 and again.changed == 0, again.output
