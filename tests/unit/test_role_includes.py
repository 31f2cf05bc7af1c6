# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts include of a role: before ansible-core 2.20 all get the tasks of the first, unless a loop tells them apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from support import sources
from support.paths import ROOT

TASKS = ROOT / "roles" / "deployment" / "tasks"
#: The tasks of hosts; all others run on the migrator alone.
OF_HOSTS = ("host_", "serve_", "stop_")


def tasks_of(found: Any) -> Iterator[dict[str, Any]]:
    for task in found or ():
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks_of(task.get(part))


def test_hosts_that_differ_in_what_they_include_are_told_apart() -> None:
    seen = []
    for path in sorted(TASKS.glob("*.yml")):
        if not path.name.startswith(OF_HOSTS):
            continue
        for task in tasks_of(sources.read(path)):
            entry = str((task.get("ansible.builtin.include_role") or {}).get("tasks_from", ""))
            if "{{" in entry:
                seen.append(path.name)
                item = (task.get("loop_control") or {}).get("loop_var", "item")
                assert "loop" in task and entry.strip("{} ").split(".")[0] == item, f"{path.name}: {task['name']}"
    assert len(seen) >= 6, seen
