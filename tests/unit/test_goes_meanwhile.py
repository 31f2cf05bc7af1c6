# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders that several runs share: what another run makes and removes while this one looks is nothing to this one."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils import _jobs as jobs
from ansible_collections.dbops.alembic.plugins.module_utils._host import needs
from ansible_collections.dbops.alembic.plugins.module_utils._worker.database import marks
from ansible_collections.dbops.alembic.plugins.module_utils._worker.database.engine import Server
from ansible_collections.dbops.alembic.plugins.module_utils._worker.database.files import Files
from ansible_collections.dbops.alembic.plugins.module_utils._worker.rehearsal.folder import Folder
from sqlalchemy import make_url

from support.waiting import until

#: What other runs do, as often as they can.
OTHERS = """
import os, sys, tempfile
while True:
    for number in range(20):
        for name, text in ((f"shop{number}.db", ""), (f"shop{number}.db.dbops.json", sys.argv[2])):
            with open(os.path.join(sys.argv[1], name), "w") as handle:
                handle.write(text)
        os.close(os.open(os.path.join(sys.argv[1], f"{number:032x}.{number}.lock"), os.O_CREAT))
        os.mkdir(os.path.join(sys.argv[1], f"dbops-release.{number}"))
        os.mkdir(os.path.join(sys.argv[1], f"dbops_rehearsal_0123abcd_{number:08d}"))
    for number in range(20):
        for name in (f"shop{number}.db.dbops.json", f"shop{number}.db"):
            os.unlink(os.path.join(sys.argv[1], name))
        os.unlink(os.path.join(sys.argv[1], f"{number:032x}.{number}.lock"))
        os.rmdir(os.path.join(sys.argv[1], f"dbops-release.{number}"))
        os.rmdir(os.path.join(sys.argv[1], f"dbops_rehearsal_0123abcd_{number:08d}"))
"""
TIMES = 500
MARK = marks.written({"kind": marks.SNAPSHOT, "of": "shop.db"})


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which others come and go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", OTHERS, str(tmp_path), MARK]) as others:
        until(lambda: any(tmp_path.iterdir()))
        yield tmp_path
        assert others.poll() is None
        others.kill()


def test_jobs_of_others_end_while_old_ones_are_removed(shared: Path) -> None:
    for number in range(TIMES):
        old = shared / f"old{number}.jsonl"
        old.touch()
        os.utime(old, (0, time.time() - jobs.KEEP_SECONDS - 60))
        jobs.Jobs(str(shared))._prune()
        assert not old.exists()


def test_rehearsals_of_others_end_while_leavings_are_looked_for(shared: Path) -> None:
    left = shared / "dbops_rehearsal_ffffffff_leftover"
    for _number in range(TIMES):
        folder = Folder("of", "another", "family")
        left.mkdir(exist_ok=True)
        assert left.name not in folder.prune(check=True), "of nobody's family"


def test_builds_of_others_end_while_leavings_are_looked_for(shared: Path) -> None:
    left = shared / "dbops-restore.left"
    left.mkdir()
    for _number in range(TIMES):
        assert str(left) in [found["path"] for found in needs._temporary()]


def test_copies_of_others_go_while_copies_are_listed(shared: Path) -> None:
    own = shared / "shop__snapshot.db"
    own.touch()
    Path(f"{own}.dbops.json").write_text(MARK)
    files = Files(Server(make_url(f"sqlite:///{shared}/shop.db")), {})
    for _number in range(TIMES):
        assert own.name in [entry["name"] for entry in files.listed()]
