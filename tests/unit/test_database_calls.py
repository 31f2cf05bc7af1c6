# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a window does with the database in one call, and what the operator's hooks cut it into."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.filter.database_calls import FilterModule
from ansible_collections.dbops.alembic.plugins.module_utils._core.database_calls import ORDER

HOOKS = [name for name in ORDER if name.startswith(("before_", "after_"))]
CASES = {
    "all in one": (True, "snapshot", [], ["prove copy upgrading upgrade verify count starting"]),
    "nothing is copied": (True, "none", [], ["prove upgrading upgrade verify count starting"]),
    "an archive is written by its own tasks": (
        True,
        "archive",
        [],
        ["prove", "archive", "upgrading upgrade verify count starting"],
    ),
    "nothing is pending": (False, "none", [], ["starting"]),
    "hooks run all the same": (False, "snapshot", HOOKS, [*(f"-{name}" for name in HOOKS), "starting"]),
    "one before the upgrade": (
        True,
        "snapshot",
        ["before_upgrade"],
        ["prove copy upgrading", "-before_upgrade", "upgrade verify count starting"],
    ),
    "hooks of other steps": (
        True,
        "snapshot",
        ["before_drain", "after_start"],
        ["prove copy upgrading upgrade verify count starting"],
    ),
    "all of them": (
        True,
        "snapshot",
        HOOKS,
        [
            *("prove", "-before_snapshot", "copy", "-after_snapshot", "upgrading", "-before_upgrade", "upgrade verify count"),
            *("-after_upgrade", "starting"),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_calls(case: str) -> None:
    pending, way_back, hooks, expected = CASES[case]
    found = FilterModule().filters()["database_calls"](hooks, pending=pending, way_back=way_back)
    shown = {
        "steps": lambda call: " ".join(call["steps"]),
        "hook": lambda call: f"-{call['hook']}",
        "archive": lambda call: "archive",
    }
    assert [shown[call["kind"]](call) for call in found] == expected
