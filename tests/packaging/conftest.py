# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user gets it: built, and installed in a folder that has nothing of the checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.installed import PROGRAMS, Installed
from support.paths import ROOT, TREE


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([str(PROGRAMS / "ansible-galaxy"), "collection", "build", str(ROOT), "--output-path", str(out)], check=True)
    (built,) = out.glob("dbops-alembic-*.tar.gz")
    return built


@pytest.fixture(scope="session")
def installed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Installed beside the collections that it depends on, with no server asked: their versions have to satisfy galaxy.yml."""
    made = Installed(tmp_path_factory.mktemp("collections"), tmp_path_factory.mktemp("place"))
    (made.folder / "ansible_collections").mkdir()
    for namespace in ("community", "kubernetes"):
        (made.folder / "ansible_collections" / namespace).symlink_to(TREE / "ansible_collections" / namespace)
    made.run("ansible-galaxy", "collection", "install", "--offline", str(archive), "--collections-path", str(made.folder))
    return made
