# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are. One run of the scenarios keeps everything in the folder RUN (DBOPS_LAB names another)."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("DBOPS_CACHE") or ROOT / ".cache").absolute()
RUN = Path(os.environ.get("DBOPS_LAB") or CACHE / "lab" / "run").absolute()
TREES = CACHE / "lab" / "trees"  # root file systems, read-only below each host's own layer
COLLECTIONS = Path(os.environ.get("DBOPS_COLLECTIONS") or CACHE / "tree").absolute()  # where the collection under test is
KEY = RUN / "id_ed25519"
INVENTORY = RUN / "inventory"
LOGS = CACHE / "results" / "molecule"  # what the playbooks printed; kept until the next run
LAST = RUN / "last.log"
