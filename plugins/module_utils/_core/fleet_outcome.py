# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What was done to many databases: an entry each, groups of equal ones, numbers, and the sentence that sums it up."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping, Sequence

from .diff import migration_diff
from .outcome import STATES

Entry = Dict[str, Any]
#: What became of a target.
OUTCOMES = ("changed", "unchanged", "failed", "not_begun")
#: Where a database that was only read stands, best first.
STATUSES = ("at_target", "behind", "uninitialised", "ahead", "unknown_revision")
#: Names that are written out in a sentence.
SHOWN = 5
NO_FAILURE: Entry = dict.fromkeys(("kind", "message", "hint", "revision", "file", "line", "statement", "sqlstate"))
WHY = {"canary": "a canary failed", "max_failures": "more have failed than max_failures allows"}
_FULL = ("too many clients", "too many connections", "remaining connection slots")
FULL_HINT = "The server has no connection left. Each target takes two: lower parallel or parallel_per_server."


def blank(name: str, labels: Sequence[str], server: str, schema: str | None, canary: bool) -> Entry:
    """Return the entry of a target that was not begun."""
    return {
        "name": name,
        "labels": list(labels),
        "server": server,
        "database": None,
        "schema": schema,
        "canary": canary,
        "outcome": "not_begun",
        "changed": False,
        "state": None,
        "before": None,
        "after": None,
        "applied": [],
        "planned": [],
        "pending": [],
        "attempts": 0,
        "failure": None,
        "snapshot": None,
        "went_back": False,
        "schema_fingerprint": None,
    }


def migrated(entry: Entry, values: Mapping[str, Any], failure: Mapping[str, Any] | None, dry: bool) -> Entry:
    """Return ``entry`` with the result of an upgrade, a downgrade or a stamp of its target."""
    databases = values.get("databases") or []
    changed = bool(values.get("changed"))
    known = all(database["after"] is not None for database in databases) and databases
    found = {
        **_place(entry, databases),
        "state": values.get("state") if databases else "unknown",
        "before": _heads(databases, "before") if databases else None,
        "after": _heads(databases, "after") if known else None,
        "applied": [_applied(step) for database in databases for step in database["applied"]],
        "planned": [_named(step) for database in databases for step in database["planned"]],
        "pending": [revision for database in databases for revision in database["pending"]],
        "attempts": len(values.get("attempts") or ()),
        "changed": changed,
        "outcome": "failed" if failure else "changed" if changed else "unchanged",
        "failure": _failure(failure, values.get("failed_revision")) if failure else None,
    }
    if dry and not failure:  # it is where it was
        found.update(state="from_revision" if found["planned"] else "to_revision")
    return {**entry, **found}


def looked_at(entry: Entry, databases: Sequence[Mapping[str, Any]], failure: Mapping[str, Any] | None) -> Entry:
    """Return ``entry`` with what was read of its target."""
    heads = _heads(databases, "current") if databases else None
    state = max((database["status"] for database in databases), key=STATUSES.index, default="unknown")
    return {
        **entry,
        **_place(entry, databases),
        "state": state,
        "before": heads,
        "after": heads,
        "pending": [step["revision"] for database in databases for step in database["pending"]],
        "outcome": "failed" if failure else "unchanged",
        "failure": _failure(failure, None) if failure else None,
    }


def _place(entry: Entry, databases: Sequence[Mapping[str, Any]]) -> Entry:
    """Return where the target really led to, once that is known."""
    if not databases:
        return {}
    found = databases[0]["database"]
    server = "" if found.get("dialect") == "sqlite" else _address(found.get("host"), found.get("port"))
    schema = entry["schema"] or found.get("version_table_schema") or found.get("schema")
    return {"server": server or entry["server"], "database": found.get("database"), "schema": schema}


def _address(host: Any, port: Any) -> str:
    shown = f"[{host}]" if ":" in str(host or "") else str(host or "")
    return f"{shown}:{port}" if shown and port else shown


def _heads(databases: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    return sorted({revision for database in databases for revision in database[key] or ()})


def _named(step: Mapping[str, Any]) -> Entry:
    return {"revision": step["revision"], "message": step["message"]}


def _applied(step: Mapping[str, Any]) -> Entry:
    return {**_named(step), "seconds": step["seconds"]}


def _failure(failure: Mapping[str, Any], revision: Mapping[str, Any] | None) -> Entry:
    names = ("revision", "file", "line", "statement", "sqlstate")
    message, hint = str(failure["message"]), failure.get("hint")
    if any(part in message.lower() for part in _FULL):
        hint = FULL_HINT
    return {"kind": failure["kind"], "message": message, "hint": hint, **{name: (revision or {}).get(name) for name in names}}


def put_back(entry: Entry, back: Entry) -> Entry:
    """Return the entry of a target that was put back because of others, or was tried to be; ``back`` is what came of that."""
    where = {name: back[name] for name in ("after", "state", "pending")} if back["after"] is not None else {}
    if not back["went_back"]:
        return {**entry, **where, "went_back": False, "outcome": "failed", "failure": entry["failure"] or back["failure"]}
    done = {} if entry["outcome"] == "failed" else {"outcome": "unchanged"}
    return {**entry, **where, **done, "changed": False, "went_back": True}


def clashing(entry: Entry, other: str) -> Entry:
    """Return the entry of a target that led to the database of another one."""
    failure = {
        "kind": "wrong_database",
        "message": f"It is the database of the target {other} as well.",
        "hint": "See where url, environment and x_arguments of both lead; a variable that it does not read changes nothing.",
    }
    return {**entry, "outcome": "failed", "failure": _failure(failure, None)}


def readable(state: str, revision: str) -> str:
    """Return by which target a database is read whose run is gone: the revision itself, if it means the same from anywhere."""
    return "heads" if state != "upgraded" or any(sign in revision for sign in "+-") else revision


def lost(entry: Entry, state: str, revision: str) -> Entry:
    """Return the entry of a target whose run is gone, from what was read of it afterwards: it has arrived, or it has failed."""
    arrived = (
        not entry["failure"] and entry["state"] == "at_target" and state == "upgraded" and readable(state, revision) == revision
    )
    if arrived:
        return {**entry, "outcome": "changed", "changed": True, "before": None, "state": "to_revision"}
    message = "The process that worked on it is gone."
    if entry["failure"]:
        message += f" Where it stands could not be read: {entry['failure']['message']}"
    failure = {**NO_FAILURE, "kind": "worker_died", "message": message}
    return {**entry, "outcome": "failed", "changed": True, "before": None, "failure": failure}


def counted(entries: Iterable[Entry]) -> dict[str, int]:
    """Return how many targets there are, and how many with each outcome."""
    found = dict.fromkeys(("targets", *OUTCOMES), 0)
    for entry in entries:
        found["targets"] += 1
        found[entry["outcome"]] += 1
    return found


def grouped(entries: Iterable[Entry]) -> list[Entry]:
    """Return the targets that stand at the same place, the largest group first; ``at`` is None where that is not known."""
    found: dict[tuple[Any, ...], Entry] = {}
    for entry in entries:
        at = entry["after"]
        key = (None if at is None else tuple(at), entry["state"], tuple(entry["pending"]))
        fresh = {"at": at, "state": entry["state"], "pending": list(entry["pending"]), "count": 0, "targets": []}
        group = found.setdefault(key, fresh)
        group["count"] += 1
        group["targets"].append(entry["name"])
    return sorted(found.values(), key=lambda group: (-group["count"], group["targets"]))


def diffs(entries: Sequence[Entry], planned: Mapping[str, Sequence[Mapping[str, Any]]], dry: bool) -> list[dict[str, str]]:
    """Return Ansible's diff, once for all targets that make the same move.

    :param planned: name of one target of each group → its revisions with their SQL; in check mode only.
    """
    found: list[dict[str, str]] = []
    for names, entry in moves(entries):
        steps = next((planned[name] for name in names if name in planned), entry["planned"])
        move = {"database": {"name": listed(names)}, "before": entry["before"], "after": entry["after"], "planned": steps}
        found += migration_diff([move], dry)
    return found


def moves(entries: Iterable[Entry]) -> list[tuple[list[str], Entry]]:
    """Return the targets that make the same move, with the first of them; those that make none are left out."""
    found: dict[tuple[Any, ...], tuple[list[str], Entry]] = {}
    for entry in entries:
        if entry["before"] is not None and entry["planned"]:
            steps = tuple(step["revision"] for step in entry["planned"])
            key = (tuple(entry["before"]), None if entry["after"] is None else tuple(entry["after"]), steps)
            found.setdefault(key, ([], entry))[0].append(entry["name"])
    return list(found.values())


def listed(names: Sequence[str]) -> str:
    """Return the names in a few words."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def worst(entries: Iterable[Entry]) -> str:
    """Return the worst place where one of the targets that were begun stands."""
    order = {name: number for number, name in enumerate((*STATUSES, *STATES))}
    return max(
        (str(entry["state"]) for entry in entries if entry["state"]), key=lambda state: order.get(state, 0), default="unknown"
    )


def sentence(entries: Sequence[Entry], stop: str | None) -> str:
    """Return what went wrong with how many targets, and what was not begun because of it."""
    failed = [entry for entry in entries if entry["outcome"] == "failed"]
    rest = [entry["name"] for entry in entries if entry["outcome"] == "not_begun"]
    shown = "; ".join(f"{entry['name']} ({entry['failure']['kind']}): {entry['failure']['message']}" for entry in failed[:SHOWN])
    more = f"; and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
    text = f"{len(failed)} of {len(entries)} targets failed" + (f": {shown.rstrip('.')}{more}." if failed else ".")
    if rest:
        why = WHY.get(str(stop), "the run was cut off")
        text += f" {len(rest)} were not begun, because {why}: {listed(rest)}."
    return text
