# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are in this checkout."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("DBOPS_CACHE") or ROOT / ".cache").absolute()
VENVS = CACHE / "venvs"
TREE = CACHE / "tree"
FIXTURES = ROOT / "tests" / "fixtures" / "projects"
REQUIREMENTS = ROOT / "tests" / "requirements"
