# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file system that fills up in the middle of a window: of the records, and of all that Ansible needs on the host."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.stage import Stage
from support.postgres import Postgres

pytestmark = pytest.mark.slow

FILL = """\
- name: Fill the file system
  ansible.builtin.shell: cat /dev/zero > {folder}/filler || test "$(df --output=avail {folder} | tail -n 1)" -eq 0
  changed_when: false
"""


@pytest.fixture
def stage(tmp_path: Path, postgres: Postgres) -> Iterator[Stage]:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Stage(tmp_path / "s", postgres)
    made.archive("1.0", "1.1", "unhealthy")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def small(stage: Stage) -> Iterator[Path]:
    """A real file system of its own, where mounting one is allowed; `stage.folder/fill.yml` fills it."""
    folder = stage.folder / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=0700", "none", str(folder)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("no right to mount a file system")
    (stage.folder / "fill.yml").write_text(FILL.format(folder=folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_records_are_written_and_the_way_back_is_taken_in_the_room_that_was_kept(stage: Stage, small: Path) -> None:
    places = {"deployment_record_directory": str(small)}
    stage.play("maintenance_window", release_version="1.0", **places).ok()
    assert (small / ".room").stat().st_size == 1 << 20
    before = stage.contents()
    full = {**places, "deployment_hooks": {"before_upgrade": str(stage.folder / "fill.yml")}}
    run = stage.play("maintenance_window", release_version="unhealthy", **full)
    assert run.status == 2 and "release unhealthy was put back to 1.0" in run.output, run.output
    assert not (small / ".room").exists() and stage.serving() == {("1.0", 200, "1.0")} and stage.contents() == before
    refused = stage.play("maintenance_window", release_version="1.1", **places)
    assert refused.status == 2 and f"{small} has 0 MB left" in refused.output, refused.output
    (small / "filler").unlink()
    stage.play("maintenance_window", release_version="1.1", **places).ok()
    assert (small / ".room").exists() and stage.serving() == {("1.1", 200, "1.1")}


def test_a_run_that_can_do_nothing_more_names_what_goes_on_when_there_is_room(stage: Stage, small: Path) -> None:
    stage.more.update(ANSIBLE_REMOTE_TMP=str(small), TMPDIR=str(small), ANSIBLE_STDOUT_CALLBACK="dbops.alembic.deployment")
    stage.play("maintenance_window", release_version="1.0").ok()
    before = stage.contents()
    run = stage.play(
        "maintenance_window", release_version="1.1", deployment_hooks={"before_upgrade": str(stage.folder / "fill.yml")}
    )
    record = stage.records()[-1]
    assert run.status == 2 and record["status"] == "open" and f"Open          {record['id']} at upgrading" in run.output, run.output
    assert "make room on that file system" in run.output and "dbops.alembic.recover" in run.output
    assert stage.contents() == before
    (small / "filler").unlink()
    stage.play("recover").ok()
    assert stage.records()[-1]["status"] == "reverted" and stage.serving() == {("1.0", 200, "1.0")}
