#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""make bench: our tasks beside the plain command line, eight of each at once, many schemas beside a loop, and a
maintenance window beside one by hand."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.paths import TREE

sys.path.insert(0, str(TREE))
from bench import corpus, downtime, many, overhead, plan_cost, race, table
from support.postgres import Postgres


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="of each measurement; the median of them is shown")
    parser.add_argument("--races", type=int, default=3, help="of each kind")
    parser.add_argument("--revisions", type=int, nargs="*", default=(10, 1000), help="in the projects that are measured")
    parser.add_argument("--schemas", type=int, nargs="*", default=(50, 500), help="numbers of schemas to upgrade in one run")
    parser.add_argument("--databases", type=int, nargs="*", default=(200,), help="numbers of databases to upgrade in one run")
    parser.add_argument("--hosts", type=int, nargs="*", default=(1, 3, 10), help="numbers of hosts to compare downtime on")
    parser.add_argument("--windows", type=int, default=3, help="rounds of each maintenance window")
    parser.add_argument("--only-windows", action="store_true", help="measure maintenance windows and nothing else")
    parser.add_argument(
        "--only-plan", action="store_true", help="measure what the plan costs and how right it is, and nothing else"
    )
    parser.add_argument("--megabytes", type=int, default=200, help="size of the database there")
    arguments = parser.parse_args()
    if not arguments.only_windows and not arguments.only_plan:
        measure_calls(arguments)
    if not arguments.only_windows:
        measure_plan()
    if arguments.hosts and not arguments.only_plan:
        downtime.measure(tuple(arguments.hosts), arguments.megabytes, arguments.windows)


def measure_calls(arguments: argparse.Namespace) -> None:
    print(f"The machine was {100 * table.busy():.0f} % busy before this began")
    server = Postgres().create().start()
    try:
        with tempfile.TemporaryDirectory(prefix="dbops-bench-") as folder:
            for revisions in arguments.revisions:
                overhead.measure(server.database(), Path(folder) / str(revisions), revisions, arguments.rounds)
        race.measure(server, arguments.races)
        many.measure(server, "schemas", tuple(arguments.schemas))
        many.measure(server, "databases", tuple(arguments.databases))
    finally:
        server.remove()


def measure_plan() -> None:
    print(f"The machine was {100 * table.busy():.0f} % busy before this began")
    with in_memory(), tempfile.TemporaryDirectory(prefix="dbops-bench-") as folder:
        server = Postgres().create().start()
        try:
            plan_cost.measure(server, Path(folder))
            corpus.measure(server)
        finally:
            server.remove()


@contextlib.contextmanager
def in_memory() -> Iterator[None]:
    """Keep databases in memory where there is a folder of it: a copy of 500 tables is 3,500 files, and file systems differ."""
    usual, shared = tempfile.tempdir, "/dev/shm"
    try:
        tempfile.tempdir = shared if os.access(shared, os.W_OK) else usual
        yield
    finally:
        tempfile.tempdir = usual


if __name__ == "__main__":
    main()
