#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs everything, one shard after the other, and keeps a table of what each came to in .cache/results/shards.json.

whole.py [K/N]     that shard alone; else all of them. A shard that was green for this commit, with nothing changed since, is
                   not run again by the latter.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import environments
import run
import shards
from environments import say
from outcome import words
from support.paths import ROOT
from support.venvs import NoInterpreter

TABLE = run.RESULTS / "shards.json"
Table = dict[str, dict[str, Any]]


def state() -> str:
    """The commit that is checked out; empty where something differs from it or there is no repository, so that nothing is green."""
    try:
        changed, commit = (
            subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (("status", "--porcelain"), ("rev-parse", "HEAD"))
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return "" if changed else commit


def green(table: Table, shard: str, commit: str) -> bool:
    """Whether that shard has passed for that commit."""
    entry = table.get(shard, {})
    return bool(commit) and entry.get("commit") == commit and entry.get("status") == 0


def load(file: Path) -> Table:
    """The table; an unreadable one is none, since a run can be cut off while it is written."""
    try:
        found: Table = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found


def run_shard(shard: str) -> dict[str, Any]:
    """Run it in a process of its own, and return its line of the table."""
    number, of = shards.cut(shard)
    counts = run.RESULTS / f"shard-{number}-of-{of}" / "counts.json"
    counts.unlink(missing_ok=True)
    before = state()
    status = subprocess.run([sys.executable, str(Path(run.__file__)), "--shard", shard], cwd=ROOT, check=False).returncode
    found = json.loads(counts.read_text()) if counts.exists() else {"seconds": 0, "counts": {}, "skipped": {}}
    return {"status": status, "commit": before if before == state() else "", **found}


def show(table: Table, names: list[str]) -> None:
    say("\n━━ All shards")
    for name in names:
        entry = table.get(name)
        if not entry:
            say(f"not run  {name}")
            continue
        verdict = "passed" if entry["status"] == 0 else "FAILED"
        commit = entry["commit"][:12] or "changed since a commit"
        say(f"{verdict:8} {name:8} {entry['seconds']:6.0f} s  {words(Counter(entry['counts']))}  ({commit})")
        for reason, number in entry["skipped"].items():
            say(f"           {number:4} × skipped: {reason}")


def main() -> int:
    environments.virtual_environment("dev", environments.controller_python())
    environments.tree()
    run.RESULTS.mkdir(parents=True, exist_ok=True)
    alone = sys.argv[1] if len(sys.argv) > 1 else ""
    number = shards.cut(alone)[1] if alone else shards.wanted(shards.units(run.environment(True), run.paths, ROOT))
    names = [alone] if alone else [f"{each}/{number}" for each in range(1, number + 1)]
    for name in names:
        if not alone and green(load(TABLE), name, state()):
            say(f"━━ Shard {name} has passed for this commit")
            continue
        entry = run_shard(name)
        TABLE.write_text(json.dumps({**load(TABLE), name: entry}, indent=1))
        if entry["status"] == run.INTERRUPTED:
            break
    table = load(TABLE)
    show(table, names)
    return 0 if all(table.get(name, {}).get("status") == 0 for name in names) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NoInterpreter, environments.Failed, ValueError, RuntimeError) as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(run.INTERRUPTED)
