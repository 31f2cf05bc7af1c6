#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""make bench: what our tasks cost beside the plain command line, and what eight of each do at the same time."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.paths import TREE

sys.path.insert(0, str(TREE))
from bench import overhead, race
from support.postgres import Postgres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="of each measurement; the median of them is shown")
    parser.add_argument("--races", type=int, default=3, help="of each kind")
    parser.add_argument("--revisions", type=int, nargs="*", default=(10, 1000), help="in the projects that are measured")
    arguments = parser.parse_args()
    server = Postgres().create().start()
    try:
        with tempfile.TemporaryDirectory(prefix="dbops-bench-") as folder:
            for revisions in arguments.revisions:
                overhead.measure(server.database(), Path(folder) / str(revisions), revisions, arguments.rounds)
        race.measure(server, arguments.races)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
