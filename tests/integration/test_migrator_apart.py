# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host in the group migrator that serves nothing: releases are built there, and none is ever active."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from flows.stage import Stage
from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stage]:
    """Release 1.1 serves after 1.0; releases are kept for one deployment only."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Stage(tmp_path_factory.mktemp("stage") / "s", postgres, variables={"release_keep_count": 1}, migrator=True)
    made.archive("1.0", "1.1", "1.2", "unhealthy")
    try:
        for release in ("1.0", "1.1"):
            run = made.play("maintenance_window", release_version=release)
            assert run.status == 0, run.output
        yield made
    finally:
        made.close()


def releases(stage: Stage, host: str) -> list[str]:
    return sorted(path.name for path in (stage.folder / host / "releases").iterdir() if not path.name.startswith("."))


def test_the_status_takes_the_release_that_the_hosts_have(stage: Stage) -> None:
    """Not the newest that is there, which failed or was taken back."""
    assert "the database is at c64b2e98d075; nothing is pending" in shown(stage)
    failed = stage.play("maintenance_window", release_version="unhealthy")
    assert failed.status == 2 and failed.result["outcome"] == "reverted" and "unhealthy" in releases(stage, "apart"), failed.output
    assert "the database is at c64b2e98d075; nothing is pending" in shown(stage)
    back = stage.play("rollback", deployment_rows_given_up=-1, deployment_downgrade_trusted=True)
    assert back.status == 0 and stage.serving() == {("1.0", 200, "1.0")}, back.output
    assert "the database is at 8d25e9c3f6a4; nothing is pending" in shown(stage)


def test_old_releases_are_removed_there_too(stage: Stage) -> None:
    for release in ("1.1", "1.2"):
        run = stage.play("maintenance_window", release_version=release)
        assert run.status == 0, run.output
    assert releases(stage, "apart") == releases(stage, "shop1") and "1.0" not in releases(stage, "apart")


def test_backups_are_written_and_pruned_and_restored(stage: Stage) -> None:
    for playbook in ("backup", "prune"):
        run = stage.play(playbook)
        assert run.status == 0, run.output
    archive = max((stage.folder / "archives").glob("*.pgc"))
    before = stage.contents()
    stage.seed(20)
    restored = stage.play("restore", deployment_restore_from=str(archive), deployment_rows_given_up=-1)
    assert restored.status == 0 and stage.serving() == {("1.2", 200, "1.2")}, restored.output
    assert stage.contents() == before


def shown(stage: Stage) -> str:
    run = stage.play("status")
    assert run.status == 0, run.output
    return run.output
