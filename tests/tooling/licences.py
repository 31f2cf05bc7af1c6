#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks REUSE whether every file of the checkout says whose it is and under which licence."""

from __future__ import annotations

import subprocess
import sys

import environments
from support.paths import ROOT


def main() -> int:
    python = environments.virtual_environment("delivery", environments.controller_python())
    return subprocess.run([str(python.parent / "reuse"), "lint", "--lines"], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
