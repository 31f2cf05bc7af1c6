# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build of the images that was killed has left is removed by the next one, and nothing of this machine with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from images import clear

pytestmark = pytest.mark.needs_root


@pytest.mark.parametrize("name", ["base", "a base"])
def test_what_a_killed_build_has_mounted_is_let_go(tmp_path: Path, name: str) -> None:
    """debootstrap mounts /proc, and something may be mounted below that."""
    folder, beside = tmp_path / name, tmp_path / f"{name} of others"
    for place, kind in ((folder / "mnt", "tmpfs"), (folder / "mnt" / "proc", "proc"), (beside, "tmpfs")):
        place.mkdir(parents=True)
        subprocess.run(["mount", "-t", kind, kind, str(place)], check=True)
    try:
        clear(folder)
        assert not folder.exists() and beside.is_mount() and Path("/proc/self/status").exists()
    finally:
        subprocess.run(["umount", str(beside)], check=True)
    clear(folder)
