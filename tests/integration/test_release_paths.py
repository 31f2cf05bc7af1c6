# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Alembic's project is within a release, told in each of both ways, in every role that looks for it.

With the oldest ansible-core, since every role plays here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments import CORES, core_programs
from flows.stage import Stage
from support import sources
from support.paths import ROOT
from support.postgres import Postgres
from support.sqlite import SqliteDatabase

pytestmark = pytest.mark.timeout(1800)
INI = (ROOT / "demo" / "app" / "base" / "alembic.ini").read_text().replace("prepend_sys_path = .", "prepend_sys_path = ../..")
WAYS = {
    "made of schema_release_path": {
        "schema_chdir": "{{ schema_release_path }}/share/migrations",
        "schema_virtualenv": "{{ schema_release_path }}/venv",
    },
    "relative to the release": {"schema_chdir": "share/migrations", "schema_virtualenv": "venv"},
}


@pytest.fixture(scope="module", params=["relative to the release", "made of schema_release_path"])
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stage]:
    """A host with a release that has its alembic.ini in a folder of its own, and none at the top."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    folder = tmp_path_factory.mktemp("stage") / "s"
    variables = {"backup_programs_directory": "", **WAYS[request.param]}
    place = SqliteDatabase(folder / "shop.sqlite")
    stage = Stage(folder, postgres, count=1, variables=variables, database=place, programs=core_programs(min(CORES)))
    for base in ("1.0", "1.1"):
        stage.altered(f"{base}.5", base, {"share/migrations/alembic.ini": INI, "alembic.ini": ""})
    try:
        yield stage
    finally:
        stage.close()


@pytest.mark.slow
def test_every_role_finds_it(stage: Stage) -> None:
    for release in ("1.0.5", "1.1.5"):
        run = stage.play("maintenance_window", release_version=release)
        assert run.status == 0, run.output
        assert stage.serving() == {(release, 200, release)}
        if release == "1.0.5":
            refused = stage.play("rollback", deployment_rows_given_up=-1)
            assert refused.status == 2 and "was the first one, so there is no former release" in refused.output, refused.output
            assert stage.serving() == {(release, 200, release)}
    record = stage.records()[-1]
    assert record["way_back"] == "snapshot" and Path(record["archive"]["path"]).exists()
    for playbook in ("status", "backup"):
        run = stage.play(playbook, release_version="1.1.5")
        assert run.status == 0, run.output
    back = stage.play("rollback", deployment_rows_given_up=-1)
    assert back.status == 0 and stage.serving() == {("1.0.5", 200, "1.0.5")}, back.output


def included(role: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """The variables with which tasks include that role."""

    def walk(tasks: object) -> Iterator[dict[str, str]]:
        for task in tasks if isinstance(tasks, list) else ():
            for part in ("block", "rescue", "always", "tasks"):
                yield from walk(task.get(part))
            given = task.get("ansible.builtin.include_role") or task.get("ansible.builtin.import_role") or {}
            if given.get("name") == role:
                yield task.get("vars") or {}

    for path in [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml")]:
        yield from ((path, variables) for variables in walk(sources.read(path)))


def test_a_copy_is_told_of_the_release_as_the_migrations_are() -> None:
    """What an inventory makes of schema_release_path is read by the role backup too."""
    found = list(included("dbops.alembic.backup"))
    assert len(found) > 10
    for path, variables in found:
        assert variables.get("schema_release_path") == variables.get("backup_release_path"), path
