# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenarios, and what is done to them and asked of them.

lab up | down              make the hosts and wait for them; remove them and all that was made for them
lab references             the databases that a release has to end with
lab look                   print everything that can be asked
lab steps JSON             a list of commands, each a list of its name and its arguments: those in COMMANDS below
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import controller
import expect
import faults
import keeper
import killed
import load
import remote
import shop
import workload


def references() -> None:
    for release, before in (("1.0", None), ("1.1", "1.0"), ("1.2", "1.1"), ("wont_start", "1.1")):
        shop.make_reference(release, before)


def look(inventory: str = "three") -> None:
    print(json.dumps(shop.look(inventory), indent=2, sort_keys=True))


def serves(expected: dict[str, Any]) -> None:
    expect.serves(**expected)


def steps(text: str) -> None:
    for name, *arguments in json.loads(text):
        try:
            COMMANDS[name](*arguments)
        except (expect.Expected, controller.Unexpected) as problem:
            sys.exit(f"{name} {json.dumps(arguments)[:300]}\n{problem}")


COMMANDS = {
    "up": keeper.up,
    "down": keeper.down,
    "keep": lambda owner: keeper.keep(int(owner)),
    "references": references,
    "look": look,
    "steps": steps,
    # What a scenario does
    "reset": shop.reset,
    "forget": shop.forget,
    "orders": shop.write_orders,
    "play": controller.play,
    "run-on": remote.on,
    "workload": workload.begin,
    "killed": killed.killed_at,
    "kill-points": killed.find_points,
    "load": load.begin,
    "ask": load.ask,
    **faults.FAULTS,
    # What it asks
    "remember": expect.remember,
    "untouched": expect.untouched,
    "serves": serves,
    "workload-serves": workload.serves,
    "record": expect.record,
    "said": expect.said,
    "sql-says": expect.sql_says,
    "no-files": expect.no_files,
    "has-database": expect.has_database,
    "no-request-failed": expect.no_request_failed,
    "no-secrets": expect.no_secrets,
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])


main()
