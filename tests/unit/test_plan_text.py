# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as text: what is shown of each revision, in 80 columns."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.plugin_utils._plan_text import plan

STATEMENT = {
    "sql": "ALTER TABLE orders\n  ADD COLUMN a INTEGER",
    "locks": {"public.orders": "AccessExclusive"},
    "rewritten": ["public.orders"],
}
FINDING = {
    "rule": "C02",
    "class": "breaks",
    "object": "small.old",
    "message": "The column small.old is dropped.",
    "fix": "Drop it later.",
    "allowed": None,
}
STEP: dict[str, Any] = {
    "revision": "a1",
    "message": "orders have a currency\nand more",
    "phase": "expand",
    "reversible": {"schema_restored": True, "proved": True},
    "statements": [STATEMENT],
    "findings": [FINDING],
}
PLAN: dict[str, Any] = {
    "route": "maintenance_window",
    "reason": "a1 breaks what runs.",
    "revisions": [STEP],
    "rollback": {"proved": False, "reason": "Nobody knows."},
}


def test_a_plan_shows_each_revision_with_its_statements_locks_and_findings() -> None:
    assert plan(PLAN) == [
        "Route: maintenance window. a1 breaks what runs.",
        "",
        "a1 orders have a currency",
        "  expand; downgrade proved",
        "  ALTER TABLE orders ADD COLUMN a INTEGER",
        "    AccessExclusive on public.orders, rewritten",
        "  C02 breaks: The column small.old is dropped.",
        "    fix: Drop it later.",
        "",
        "Rolling back by downgrade: not proved. Nobody knows.",
    ]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"reversible": {"schema_restored": None}}, "  expand; downgrade not rehearsed"),
        ({"reversible": {"schema_restored": False, "proved": False}}, "  expand; downgrade not proved"),
        ({"findings": [{**FINDING, "allowed": "known"}]}, "  C02 breaks (allowed: known): The column small.old is dropped."),
        (
            {"statements": [{**STATEMENT, "rewritten": [], "scanned": ["public.orders"]}]},
            "    AccessExclusive on public.orders, scanned",
        ),
    ],
)
def test_what_is_told_of_a_revision(more: dict[str, Any], line: str) -> None:
    assert line in plan({**PLAN, "revisions": [{**STEP, **more}]})


@pytest.mark.parametrize(
    ("rollback", "told"),
    [
        ({"proved_after_traffic": True, "proved": True}, "proved to lose nothing."),
        ({"proved": True, "reason": "It writes."}, "loses nothing until the new code has written. It writes."),
    ],
)
def test_what_is_told_of_the_way_back(rollback: dict[str, Any], told: str) -> None:
    assert " ".join(plan({**PLAN, "rollback": rollback})[9:]) == f"Rolling back by downgrade: {told}"


def test_a_plan_of_nothing_is_a_line() -> None:
    assert plan({"route": "rolling", "reason": "Nothing is pending.", "revisions": []}) == ["Route: rolling. Nothing is pending."]


def test_long_statements_are_shortened_and_lines_fit_a_terminal() -> None:
    lines = plan({**PLAN, "revisions": [{**STEP, "statements": [{**STATEMENT, "sql": "SELECT " + "a, " * 500}]}]})
    assert (
        all(len(line) <= 80 for line in lines)
        and lines[4].startswith("  SELECT a, a")
        and any(line.endswith(" …") for line in lines)
    )
    assert lines[5].startswith("    a, a")


def test_a_plan_of_many_databases_has_each_kind() -> None:
    kind = {"targets": ["acme", "bolt"], "count": 2, "at": ["a0"], "failure": None, "revisions": [STEP]}
    lines = plan({"route": "rolling", "reason": "All can.", "plans": [kind], "targets": [], "groups": []})
    assert lines[:3] == ["rolling: All can.", "2 at a0: acme, bolt", "  a1 orders have a currency"]
