# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Moves of a database, from some revisions to others, that happened around a run and were not its own."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

ADVICE = "Let it leave migrations to this module; the guide says how."


def other_moves(context: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return what a context of the worker's reply says of moves ``before`` its work began and ``after`` it had ended."""
    found = {"before": context.get("moved"), "after": (context.get("observed") or {}).get("moved")}
    return tuple({"when": when, **move} for when, move in found.items() if move)


def told(move: Mapping[str, Any]) -> str:
    """Return what a person is told of a move."""
    way = f"from {_heads(move['from'])} to {_heads(move['to'])}"
    loaded = "while it was loaded" if move["when"] == "before" else "when it was loaded again after the run, to look"
    if move["by_project"]:
        return f"The project moved the database by itself {loaded}, {way}. That is no part of this run. {ADVICE}"
    return (
        f"The database moved {way} while the project was loaded, and not by this run: the project starts a migration of its own, "
        f"or somebody else migrated at that time. If it was the project: {ADVICE[0].lower()}{ADVICE[1:]}"
    )


def _heads(revisions: Sequence[str]) -> str:
    return ", ".join(revisions) or "base"
