# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a flow does on a host and with the database, and what the operator's hooks cut it into."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter import database_calls, host_calls
from ansible_collections.dbops.alembic.plugins.module_utils._core.calls import DATABASE, HOST

HOOKS = [name for name in DATABASE if name.startswith(("before_", "after_"))]
HOST_HOOKS = [name for name in HOST["exchange"] + HOST["stop"] if name.startswith(("before_", "after_"))]
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
    found = database_calls.FilterModule().filters()["database_calls"](hooks, pending=pending, way_back=way_back)
    shown = {
        "steps": lambda call: " ".join(call["steps"]),
        "hook": lambda call: f"-{call['hook']}",
        "archive": lambda call: "archive",
    }
    assert [shown[call["kind"]](call) for call in found] == expected
    assert [call.get("there", False) for call in found] == [False] * (len(found) - 1) + [True]


BACK: dict[str, tuple[dict[str, Any], list[str], str]] = {
    "a restore": ({"move": "restore"}, [], "restoring restore stand restarting"),
    "a restore that may lose rows": ({"move": "restore", "counted": True}, [], "recount restoring restore stand restarting"),
    "a restore with hooks": (
        {"move": "restore", "counted": True},
        ["before_restore", "after_restore", "before_upgrade"],
        "recount restoring | -before_restore | restore stand | -after_restore | restarting",
    ),
    "a downgrade": ({"move": "downgrade", "counted": True}, [], "restoring downgrade restarting"),
    "a database that goes back alone": ({"move": "downgrade", "stays": True}, [], "restoring downgrade starting"),
}


@pytest.mark.parametrize("case", BACK)
def test_calls_on_the_way_back(case: str) -> None:
    options, hooks, expected = BACK[case]
    found = database_calls.FilterModule().filters()["database_calls"](hooks, **options)
    assert " | ".join(" ".join(call["steps"]) if call["kind"] == "steps" else f"-{call['hook']}" for call in found) == expected


BOTH = ["init_container", "activate"]
HOST_CASES: dict[str, tuple[str, list[str], dict[str, Any], str]] = {
    "stop": ("stop", [], {}, "stop"),
    "stop behind a balancer": ("stop", [], {"balanced": True}, "drain stop"),
    "stop with every hook": (
        "stop",
        HOST_HOOKS,
        {"balanced": True},
        "-before_drain drain -after_drain -before_stop stop -after_stop",
    ),
    "hooks of a balancer that there is not": ("stop", ["before_drain"], {}, "-before_drain stop"),
    "stop what has no traffic any more": ("stop", ["before_drain"], {"balanced": True, "drained": True}, "-before_drain stop"),
    "stop where nothing is to go back to": ("stop", [], {"balanced": True, "released": False}, "drain stop"),
    "start": ("start", [], {}, "start"),
    "start a workload": ("start", [], {"alone": ["activate"]}, "activate start"),
    "start one whose pods upgrade": ("start", [], {"alone": BOTH}, "init_container activate start"),
    "start with hooks": (
        "start",
        HOST_HOOKS,
        {"alone": BOTH},
        "-before_activate init_container activate -after_activate -before_start start -after_start",
    ),
    "start what goes back when it fails": ("start", [], {"balanced": True, "returns": True}, "start!"),
    "one that somebody may be served by": ("start", [], {"returns": True}, "start"),
    "one with tasks around its stop": ("start", ["after_stop"], {"balanced": True, "returns": True}, "start"),
    "one with other tasks": ("start", ["after_start"], {"balanced": True, "returns": True}, "start! -after_start"),
    "give traffic to what goes back when it fails": ("undrain", [], {"balanced": True, "returns": True}, "undrain"),
    "start without a release": (
        "start",
        HOST_HOOKS,
        {"alone": ["activate"], "released": False},
        "-before_activate activate -after_activate",
    ),
    "undrain": ("undrain", [], {"balanced": True}, "undrain"),
    "undrain without a balancer": ("undrain", [], {}, ""),
    "undrain without a release": ("undrain", HOST_HOOKS, {"balanced": True, "released": False}, "-before_undrain -after_undrain"),
    "exchange": ("exchange", [], {"balanced": True}, "drain start undrain"),
    "exchange without a release": ("exchange", ["before_start"], {"balanced": True, "released": False}, "drain -before_start stop"),
    "exchange a workload": ("exchange_workload", [], {"alone": ["activate"], "balanced": True}, "activate start"),
    "a stop that says it": ("stop", [], {"took": ["first stop"]}, "stop=first stop"),
    "a start that says it": ("start", [], {"took": ["first start", "first undrain"]}, "start=first start,first undrain"),
    "a start with something after it": ("start", ["after_start"], {"took": ["first start"]}, "start -after_start took"),
    "a start without a release that says it": (
        "start",
        [],
        {"alone": ["activate"], "released": False, "took": ["x"]},
        "activate took",
    ),
    "a workload that says it": ("start", [], {"alone": ["activate"], "took": ["first start"]}, "activate start took"),
    "traffic that says it": ("undrain", [], {"balanced": True, "took": ["first undrain"]}, "undrain took"),
    "another step that says it": ("look", [], {"took": ["first look"]}, "look took"),
    "another step": ("prepare", HOST_HOOKS, {"balanced": True}, "prepare"),
}


@pytest.mark.parametrize("case", HOST_CASES)
def test_calls_on_a_host(case: str) -> None:
    step, hooks, options, expected = HOST_CASES[case]
    found = host_calls.FilterModule().filters()["host_calls"](hooks, step=step, **options)
    shown = [
        f"-{call['hook']}"
        if call["kind"] == "hook"
        else call["kind"] + "!" * call.get("stops", False) + "=" * ("note" in call) + ",".join(call.get("note", []))
        for call in found
    ]
    assert " ".join(shown) == expected
