# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine lacks for all tests to run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.paths import REQUIREMENTS


def lacks() -> list[str]:
    """In words; nothing for a machine on which every test can run."""
    found = [] if os.geteuid() == 0 else ["root: hosts in containers need it"]
    return found + [f"{package}: {purpose}" for package, purpose in packages().items() if not installed(package)]


def packages() -> dict[str, str]:
    """Debian package → what tests use it for."""
    lines = (REQUIREMENTS / "debian.txt").read_text().splitlines()
    listed = (line.split("#", 1) for line in lines if line and not line.startswith("#"))
    return {package.strip(): purpose.strip() for package, purpose in listed}


def installed(package: str) -> bool:
    if not shutil.which("dpkg-query"):
        return True  # not Debian: each test finds out by itself
    command = ["dpkg-query", "--show", "--showformat=${Status}", package]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.endswith(b"ok installed")
