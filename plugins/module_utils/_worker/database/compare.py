# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What changed between two counts of a database, and how many rows were written in between."""

from __future__ import annotations

from typing import Any, Mapping

from ..failure import Failure

_NONE: Mapping[str, Any] = {"rows": 0, "exact": True, "checksum": None}


def compare(before: Mapping[str, Mapping[str, Any]], now: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return which tables gained and lost rows, which differ, and of which nobody can tell.

    A table that is missing on one side counts as empty there. ``same`` is only true when checksums on both sides prove it.
    ``rows_written`` is ``None`` where one table is enough not to know it.
    """
    written: dict[str, int | None] = {}
    gained: dict[str, int] = {}
    lost: dict[str, int] = {}
    different: list[str] = []
    unknown: list[str] = []
    proved = set(before) == set(now)
    for name in sorted(set(before) | set(now)):
        old, new = before.get(name, _NONE), now.get(name, _NONE)
        try:
            more = None if not (old["exact"] and new["exact"]) else int(new["rows"]) - int(old["rows"])
            sums = old["checksum"], new["checksum"]
            written[name] = _written(old, new, more)
        except (KeyError, TypeError, ValueError):
            raise Failure(
                "options_invalid",
                f"since is not the 'tables' of an earlier result ({name}).",
                "Give it result.tables of database_rows.",
            ) from None
        if more is None and written[name] is None:
            unknown.append(name)
        elif more:
            (gained if more > 0 else lost)[name] = abs(more)
        if None not in sums and sums[0] != sums[1]:
            different.append(name)
        proved = proved and None not in sums and sums[0] == sums[1] and more == 0
    return {
        "gained": gained,
        "lost": lost,
        "rows_gained": sum(gained.values()),
        "rows_lost": sum(lost.values()),
        "different": different,
        "unknown": unknown,
        "written": {name: rows for name, rows in written.items() if rows},
        "rows_written": None if None in written.values() else sum(rows or 0 for rows in written.values()),
        "same": proved,
    }


def _written(old: Mapping[str, Any], new: Mapping[str, Any], more: int | None) -> int | None:
    """Return how many rows of one table were written: by its counter, else at least as many as counts and checksums show."""
    if "counter" in new or "counter" in old:
        if old is _NONE:
            return None if new["written"] is None else int(new["written"])
        if old.get("counter") != new.get("counter") or None in (old["written"], new["written"]) or old["written"] > new["written"]:
            return None
        return int(new["written"]) - int(old["written"])
    if more is None or old is _NONE or new is _NONE:
        return None if more is None else abs(more)
    if None in (old["checksum"], new["checksum"]):
        return None
    return max(abs(more), int(old["checksum"] != new["checksum"]))
