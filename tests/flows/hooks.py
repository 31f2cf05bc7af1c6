# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of the operator that note when they run, and how the application answers meanwhile."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

#: Notes its name, the status that the application on this host answers with, and the revision of the database.
NOTE = """
- name: Ask the application and note it
  ansible.builtin.command:
    argv: [{python}, {ask}, "{{{{ shop_port }}}}", {log}, {name}, "{{{{ inventory_hostname }}}}"]
"""
ASK = """
import sys, urllib.error, urllib.request

port, log, *note = sys.argv[1:]
try:
    status = urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=60).status
except urllib.error.HTTPError as error:
    status = error.code
except OSError:
    status = -1
with open(log, "a") as noted:
    noted.write(" ".join([*note, str(status)]) + "\\n")
"""
FAIL = "\n- name: Fail\n  ansible.builtin.fail: {{msg: the pager does not answer}}\n  when: inventory_hostname == '{host}'\n"
THERE = [
    *("before_deployment", "before_drain", "after_drain", "before_stop", "after_stop", "before_snapshot", "after_snapshot"),
    *("before_upgrade", "after_upgrade", "before_activate", "after_activate", "before_start"),
]
SERVED = ["after_start", "before_undrain", "after_undrain", "before_archive", "after_archive", "after_deployment"]
BACK = [
    *(
        "after_failure",
        "before_drain",
        "after_drain",
        "before_stop",
        "after_stop",
        "before_restore",
        "after_restore",
        "before_activate",
    ),
    *("after_activate", "before_start", "after_start", "before_undrain", "after_undrain", "after_deployment"),
]
ON_HOSTS = {f"{when}_{step}" for when in ("before", "after") for step in ("drain", "stop", "activate", "start", "undrain")}


class Hooks:
    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.log, self.ask = folder, folder / "log", folder / "ask.py"
        self.ask.write_text(ASK)

    def files(self, *failing: str, host: str = "shop1") -> dict[str, str]:
        """What deployment_hooks takes: all there are, or those that are to be `failing` on that host."""
        self.log.write_text("")
        found = {}
        for name in set(failing) or {*THERE, *SERVED, *BACK}:
            path = self.folder / f"{name}.yml"
            note = NOTE.format(name=name, log=self.log, python=sys.executable, ask=self.ask)
            text = note + (FAIL.format(host=host) if name in failing else "")
            path.write_text(text)
            found[name] = str(path)
        return found

    @property
    def noted(self) -> list[tuple[str, str, int]]:
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [(name, host, int(status)) for name, host, status in lines]

    @property
    def order(self) -> list[str]:
        return [name for name, _notes in groupby(name for name, _host, _status in self.noted)]

    def answers(self, *names: str) -> set[int]:
        return {status for name, _host, status in self.noted if name in names}
