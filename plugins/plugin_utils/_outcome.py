# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fact deployment_result, completed: what serves now, what was lost, when what happened. Plain Python."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._rehearsal.seen import LOCKS

from . import _times, _verdict
from ._text import part

Facts = Mapping[str, Any]


def complete(result: Facts, known: Facts) -> dict[str, Any]:
    """Return ``result`` with what follows from it and from what this run knows besides (see ``_verdict``)."""
    marks: list[Facts] = list(known.get("marks") or ())
    known = {**known, "passes": _times.passes(marks)}
    states = _verdict.hosts(result, known)
    colour, headline = _verdict.headline(result, known, states.values())
    return {
        **result,
        "verdict": {"colour": colour, "text": headline, "serves": _verdict.serves(states)},
        "host_states": states,
        "database_revision": _verdict.database(result, known),
        "data": _verdict.data(result, known),
        "revisions": revisions(result, known),
        "rows": rows(part(known.get("rows_before")), part(known.get("rows_after"))),
        **_when(result, known, marks, states),
    }


def _when(result: Facts, known: Facts, marks: list[Facts], states: Mapping[str, Facts]) -> dict[str, Any]:
    first = float(marks[0]["at"]) if marks else 0.0
    earlier = _times.recorded(known.get("recorded") or (), first) if known.get("recovering") and marks else []
    ended = float(known.get("now") or 0) or (float(marks[-1]["at"]) if marks else 0.0)
    over = all(state["state"] in ("serves", "nothing") for state in states.values())
    down: dict[str, Any] = {}
    if result.get("kind") != "rolling" and not known.get("stopped_nothing"):
        down = _times.downtime(marks, earlier, over)
    began = _times.seconds(known.get("created_at")) or first
    return {
        "timeline": _times.timeline(
            [*earlier, *marks], ended, None if known.get("recovering") else int(known.get("batches_begun") or 0)
        ),
        "downtime": down,
        "downtime_seconds": down.get("seconds", 0),
        # A rolling deployment takes its hosts out of their traffic, and nobody looks whether requests were answered meanwhile.
        "downtime_measured": result.get("kind") != "rolling" and bool(marks or known.get("stopped_nothing")),
        "started_at": _times.iso(began),
        "ended_at": _times.iso(ended),
    }


def revisions(result: Facts, known: Facts) -> list[dict[str, Any]]:
    """Return the revisions that were to run, in order, each with its ``state``, statements, locks and what the plan found."""
    rehearsed = {str(item.get("revision")): item for item in known.get("rehearsed") or ()}
    applied = {str(item.get("revision")): item for item in result.get("applied") or ()}
    names = dict.fromkeys(str(item.get("revision")) for item in [*(result.get("pending") or ()), *applied.values()])
    pending = {str(item.get("revision")): item for item in result.get("pending") or ()}
    failed = str(part(result.get("failure")).get("revision") or "")
    found: list[dict[str, Any]] = []
    reached = failed not in names
    for name in names:
        reached = reached or name == failed
        given = part(applied.get(name) or rehearsed.get(name) or pending.get(name))
        found.append(
            {
                "revision": name,
                "message": str(given.get("message") or "").split("\n", 1)[0],
                "path": str(given.get("path") or ""),
                "seconds": part(applied.get(name)).get("seconds"),
                "state": "failed" if name == failed else _state(name, applied, reached, result, known),
                "statements": _statements(part(applied.get(name)), part(rehearsed.get(name))),
                "locks": _locks(part(rehearsed.get(name))),
                "findings": [_finding(item) for item in part(rehearsed.get(name)).get("findings") or ()],
            }
        )
    return found


def _state(name: str, applied: Mapping[str, Any], reached: bool, result: Facts, known: Facts) -> str:
    moved = part(known.get("decision")).get("database") in ("restore", "downgrade")
    if result.get("outcome") == "reverted" and (name in applied or not reached):
        return "put_back" if moved else "applied" if name in applied else "not_kept"
    if name in applied:
        return "applied"
    return "ran" if not reached else "not_run"


def _statements(applied: Facts, rehearsed: Facts) -> list[dict[str, Any]]:
    """What ran; with the locks of the rehearsal, where it ran the same number of statements."""
    seen: Sequence[Facts] = rehearsed.get("statements") or ()
    given: Sequence[Any] = applied.get("sql") or ()
    if not given:
        return [_statement(item.get("sql"), item) for item in seen]
    same = {" ".join(str(item.get("sql")).split()): item for item in seen}
    return [_statement(sql, part(same.get(" ".join(str(sql).split())))) for sql in given]


def _statement(sql: Any, seen: Facts) -> dict[str, Any]:
    return {
        "sql": str(sql),
        "locks": dict(part(seen.get("locks"))),
        "rewritten": list(seen.get("rewritten") or ()),
        "scanned": list(seen.get("scanned") or ()),
    }


def _locks(rehearsed: Facts) -> dict[str, str]:
    """Return table → the strongest lock that the rehearsal saw on it."""
    found: dict[str, str] = {}
    for statement in rehearsed.get("statements") or ():
        for table, lock in part(statement.get("locks")).items():
            if table not in found or _strength(lock) > _strength(found[table]):
                found[table] = str(lock)
    return dict(sorted(found.items()))


def _strength(lock: Any) -> int:
    return LOCKS.index(lock) if lock in LOCKS else -1


def _finding(item: Facts) -> dict[str, str]:
    return {name: str(item.get(name) or "") for name in ("rule", "class", "object", "message", "fix", "allowed")}


def rows(before: Facts, after: Facts) -> dict[str, dict[str, Any]]:
    """Return table → its rows ``before`` and ``after``, and whether both were counted (``exact``); nothing of unknown tables."""
    found = {}
    for name in sorted({*before, *after}):
        then, now = part(before.get(name)), part(after.get(name))
        if then.get("rows") is None and now.get("rows") is None:
            continue
        exact = bool(then.get("exact", not then) and now.get("exact", not now))
        found[name] = {
            "before": then.get("rows"),
            "after": now.get("rows"),
            "exact": exact,
            "new": bool(before and after) and not then,
            "gone": bool(before and after) and not now,
        }
    return found
