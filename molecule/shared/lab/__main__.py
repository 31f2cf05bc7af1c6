# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of the scenarios, and what is done to them and asked of them.

lab up | down                       make the hosts and wait for them; remove them and all that was made for them
lab references                      the databases that a release has to end with
lab reset RELEASE [INVENTORY]       that release serves; no trace of a deployment is left
lab remember | look [INVENTORY]     keep, or print, everything that can be asked
lab play PLAYBOOK OPTIONS           run a playbook; OPTIONS is JSON, see controller.py
lab said TEXT…                      each text is in what the last playbook printed
lab serves RELEASE [INVENTORY] [ROWS] [HOST,…]   the release serves on its schema with those rows, everywhere but on these hosts
lab one-of RELEASE,… [INVENTORY]    one of these releases serves, on its own database
lab untouched [INVENTORY]           nothing has changed since `remember`
lab record STATUS [INVENTORY]       how the newest deployment ended
lab orders NUMBER                   customers order
lab on HOST COMMAND                 a shell command there
lab FAULT ARGUMENT…                 see faults.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import controller
import expect
import faults
import keeper
import remote
import shop


def references() -> None:
    for release, before in (("1.0", None), ("1.1", "1.0"), ("1.2", "1.1")):
        shop.make_reference(release, before)


def look(inventory: str = "three") -> None:
    print(json.dumps(shop.look(inventory), indent=2, sort_keys=True))


def play(name: str, options: str = "{}") -> None:
    print(controller.play(name, json.loads(options)))


def said(*texts: str) -> None:
    output = " ".join(controller.LAST.read_text().split())
    missing = [text for text in texts if " ".join(text.split()) not in output]
    if missing:
        raise expect.Expected(f"the playbook did not print {missing}; it printed:\n{controller.LAST.read_text()[-6000:]}")


def silent(*texts: str) -> None:
    found = [text for text in texts if text in controller.LAST.read_text()]
    if found:
        raise expect.Expected(f"the playbook printed {found}")


COMMANDS = {
    "up": keeper.up,
    "down": keeper.down,
    "keep": lambda owner: keeper.keep(int(owner)),
    "references": references,
    "reset": shop.reset,
    "remember": lambda inventory="three": expect.remember(inventory),
    "look": look,
    "play": play,
    "said": said,
    "silent": silent,
    "serves": lambda release, inventory="three", rows="", down="": expect.serves(
        release, inventory, rows, tuple(filter(None, down.split(",")))
    ),
    "one-of": lambda releases, inventory="three": print(expect.one_of(releases.split(","), inventory)),
    "untouched": lambda inventory="three": expect.untouched(inventory),
    "record": lambda status, inventory="three": expect.record(status, inventory),
    "orders": lambda number: shop.write_orders(int(number)),
    "on": lambda host, command: print(remote.on(host, command)),
    **faults.FAULTS,
}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    try:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
    except (expect.Expected, controller.Unexpected) as problem:
        sys.exit(str(problem))


main()
