# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done about a deployment of many databases that failed or was cut off, as a table of what its ledger says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._core.decision import Observed, Policy, decide
from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet_decision import ledger_of
from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet_ledger import Standing
from ansible_collections.dbops.alembic.plugins.module_utils._core.record import Record

WHY = {"kind": "migration_failed", "message": "no"}
UP = Standing("upgraded", ("a",), ("b",))
BACK = Standing("returned", ("a",))
ALONE = Standing("returned", ("a",), failure=WHY)
FAILED = Standing("failed", ("a",), failure=WHY, clean=True)
STUCK = Standing("stuck", ("a",), failure=WHY)
HALFWAY = Standing("upgrading", ("a",))
RETURNING = Standing("returning", ("a",))
SAVING = Standing("saving", ("a",))
COPYING = Standing("saving", ("a",), snapshot="s")
REFUSED = Standing("refused", failure=WHY)


def record(step: str, policy: str = "all", failed: bool = False, kind: str = "maintenance_window") -> Record:
    failure: dict[str, Any] = {"step": step, "message": "no"} if failed else {}
    fleet = {"targets": 3, "on_failure": policy}
    return Record("d1", "shop", kind, "me", step=step, from_release="1", to_release="2", failure=failure, fleet=fleet, undoes="d0")


@pytest.mark.parametrize(
    ("step", "policy", "failed", "direction", "standings", "expected"),
    [
        # cut off, and nothing had gone wrong until then
        ("stopping", "all", False, "auto", [], ("revert", "keep", "from", False)),
        ("upgrading", "all", False, "auto", [], ("finish", "upgrade", "to", True)),
        ("upgrading", "all", False, "auto", [UP, HALFWAY], ("finish", "upgrade", "to", True)),
        ("upgrading", "halt", False, "auto", [UP, SAVING], ("finish", "upgrade", "to", True)),
        ("upgrading", "all", False, "revert", [], ("revert", "keep", "from", True)),
        # nothing was done to any, but nobody may connect to the one that was being copied
        ("upgrading", "all", False, "revert", [COPYING], ("revert", "restore", "from", True)),
        ("upgrading", "halt", True, "auto", [COPYING], ("revert", "restore", "from", True)),
        ("upgrading", "all", True, "auto", [BACK, SAVING], ("revert", "keep", "from", True)),
        ("upgrading", "all", False, "revert", [UP, HALFWAY], ("revert", "restore", "from", True)),
        ("starting", "all", False, "auto", [UP, UP], ("finish", "keep", "to", True)),
        ("archiving", "all", False, "auto", [UP, UP], ("finish", "keep", "to", False)),
        ("archiving", "all", False, "revert", [UP, UP], ("revert", "restore", "from", True)),
        ("restoring", "all", True, "auto", [UP, BACK], ("revert", "restore", "from", True)),
        ("restarting", "all", True, "auto", [BACK, BACK], ("revert", "keep", "from", True)),
        # cut off after one had failed: what the policy says is what the run was about to do
        ("upgrading", "all", False, "auto", [UP, FAILED], ("revert", "restore", "from", True)),
        ("upgrading", "halt", False, "auto", [UP, FAILED], ("halt", "keep", "", False)),
        ("upgrading", "one", False, "auto", [UP, ALONE, SAVING], ("finish", "upgrade", "to", True)),
        ("upgrading", "one", False, "auto", [RETURNING, ALONE], ("revert", "restore", "from", True)),
        ("upgrading", "one", False, "auto", [UP, REFUSED], ("finish", "upgrade", "to", True)),
        # the run itself says that it failed
        ("upgrading", "all", True, "auto", [BACK, ALONE], ("revert", "keep", "from", True)),
        ("upgrading", "all", True, "auto", [BACK, STUCK], ("halt", "keep", "", False)),
        ("upgrading", "halt", True, "auto", [UP, FAILED], ("halt", "keep", "", False)),
        ("upgrading", "halt", True, "finish", [UP, FAILED], ("finish", "upgrade", "to", True)),
        ("upgrading", "halt", True, "revert", [UP, FAILED], ("revert", "restore", "from", True)),
        ("starting", "all", True, "auto", [UP, UP], ("revert", "restore", "from", True)),
        ("starting", "all", True, "finish", [UP, UP], ("finish", "keep", "to", True)),
    ],
)
def test_what_follows(
    step: str, policy: str, failed: bool, direction: str, standings: list[Standing], expected: tuple[str, str, str, bool]
) -> None:
    observed = Observed(standings={f"t{number}": standing for number, standing in enumerate(standings)})
    found = decide(record(step, policy, failed), observed, Policy(direction))
    assert (found.action, found.database, found.code, found.stop) == expected and found.reason
    assert found.source == ("fleet" if found.database == "restore" else "")
    if found.action == "halt":
        assert any("deployment_recover_direction=finish" in remedy for remedy in found.remedies)


@pytest.mark.parametrize(
    ("step", "failed", "direction", "standings", "expected"),
    [
        ("stopping", False, "auto", [UP, UP], ("revert", "keep", "from", False)),
        ("restoring", False, "auto", [UP, UP], ("finish", "restore", "to", True)),
        ("restoring", False, "auto", [BACK, RETURNING], ("finish", "restore", "to", True)),
        ("restoring", False, "revert", [UP, UP], ("revert", "keep", "from", True)),
        ("restoring", True, "auto", [UP, STUCK], ("revert", "keep", "from", True)),
        ("restoring", True, "auto", [BACK, STUCK], ("halt", "keep", "", False)),
        ("restoring", True, "revert", [BACK, STUCK], ("halt", "keep", "", False)),
        ("restoring", True, "finish", [BACK, STUCK], ("finish", "restore", "to", True)),
        ("restoring", True, "auto", [BACK, BACK], ("finish", "keep", "to", True)),
        ("starting", True, "auto", [BACK, BACK], ("finish", "keep", "to", True)),
        ("archiving", False, "auto", [BACK, BACK], ("finish", "keep", "to", False)),
    ],
)
def test_what_follows_a_rollback(
    step: str, failed: bool, direction: str, standings: list[Standing], expected: tuple[str, str, str, bool]
) -> None:
    observed = Observed(standings={f"t{number}": standing for number, standing in enumerate(standings)})
    found = decide(record(step, failed=failed, kind="rollback"), observed, Policy(direction))
    assert (found.action, found.database, found.code, found.stop) == expected and found.reason
    assert bool(found.remedies) == (found.action == "halt")


def test_a_rollback_goes_on_in_the_ledger_of_what_it_undoes() -> None:
    assert ledger_of(record("restoring", kind="rollback")) == "d0.targets.jsonl"
    assert ledger_of(record("rolling", kind="rolling")) == ledger_of(record("upgrading")) == "d1.targets.jsonl"


def test_without_its_ledger_nobody_knows() -> None:
    found = decide(record("upgrading"), Observed(), Policy("revert"))
    assert found.action == "halt" and "ledger" in found.reason and found.remedies


def test_one_database_is_decided_on_as_ever() -> None:
    one = replace(record("restarting", failed=True), fleet={})
    assert decide(one, Observed(), Policy()).database == "keep"
