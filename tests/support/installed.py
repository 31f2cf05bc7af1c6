# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Collections installed in a folder that has nothing of the checkout, and programs run with them and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True)
class Installed:
    """Collections in `folder`/ansible_collections, and a place to work in that is no checkout."""

    folder: Path
    place: Path

    @property
    def collection(self) -> Path:
        return self.folder / "ansible_collections" / "dbops" / "alembic"

    def run(self, program: str, *arguments: str, programs: Path = PROGRAMS, status: int = 0) -> str:
        environment = {
            "PATH": os.pathsep.join([str(programs), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.place),
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder),
            "ANSIBLE_REMOTE_TMP": str(self.place / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",  # the collection stays as it was installed
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        }
        done = subprocess.run(
            [str(programs / program), *arguments], cwd=self.place, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout
