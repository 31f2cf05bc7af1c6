# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a migration did, derived from the worker's reply: heads read anew count, not what was attempted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from .diff import migration_diff
from .graph import Graph, ancestors
from .moves import other_moves, told

#: Where a database stands after a migration, best first.
STATES = ("to_revision", "from_revision", "between", "dirty", "unknown")
#: What tells databases from each other, and is shown nowhere.
HIDDEN = ("schema_translate_map", "served_by")
STANDS = {
    "to_revision": "The database is at the target ({after}).",
    "from_revision": "The database is as it was, at {after}.",
    "between": "The database is between: some revisions are applied, it is at {after}.",
    "dirty": "The database is dirty: something of a revision that is not there as a whole is committed; its version says {after}.",
    "unknown": "Where the database stands could not be read.",
}


@dataclass(frozen=True)
class Database:
    """What happened to one database, or one tenant in it."""

    database: Mapping[str, Any]
    before: Sequence[str]
    after: Sequence[str] | None
    planned: Sequence[Mapping[str, Any]]
    applied: Sequence[Mapping[str, Any]]
    rolled_back: Sequence[str]
    pending: Sequence[str]
    state: str
    lock: Mapping[str, Any] | None
    invalid_indexes: Sequence[str]
    other_moves: Sequence[Mapping[str, Any]] = ()

    @property
    def changed(self) -> bool:
        moved = any(move["by_project"] for move in self.other_moves)
        if self.after is None:
            return moved or bool(self.applied)
        return self.state == "dirty" or moved or sorted(self.after) != sorted(self.before)

    def as_result(self) -> dict[str, Any]:
        return {
            "database": _shown(self.database),
            "before": list(self.before),
            "after": None if self.after is None else list(self.after),
            "planned": [dict(step) for step in self.planned],
            "applied": [dict(step) for step in self.applied],
            "rolled_back": list(self.rolled_back),
            "pending": list(self.pending),
            "state": self.state,
            "lock": None if self.lock is None else dict(self.lock),
            "invalid_indexes": list(self.invalid_indexes),
            "other_moves": [dict(move) for move in self.other_moves],
        }


@dataclass(frozen=True)
class Failed:
    """Why a migration failed."""

    kind: str
    message: str
    hint: str | None
    failed_revision: Mapping[str, Any] | None
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Migration:
    """The outcome of an upgrade, a downgrade or a stamp; in check mode what it would be.

    ``would_change`` is set in check mode only.
    """

    databases: Sequence[Database]
    attempts: Sequence[Mapping[str, Any]]
    versions: Mapping[str, str] | None
    warnings: Sequence[str]
    output: str
    failure: Failed | None
    dry: bool = False

    @property
    def changed(self) -> bool:
        if self.dry:
            return not self.failure and any(database.planned for database in self.databases)
        return any(database.changed for database in self.databases)

    @property
    def state(self) -> str:
        return max((database.state for database in self.databases), key=STATES.index, default="unknown")

    def as_result(self, diff: bool = True) -> dict[str, Any]:
        """Return the module's result; with one database its keys stand at the top too."""
        databases = [database.as_result() for database in self.databases]
        result: dict[str, Any] = dict(databases[0]) if len(databases) == 1 else {}
        result.update(
            changed=self.changed,
            databases=databases,
            state=self.state,
            attempts=[dict(item) for item in self.attempts],
            versions=self.versions,
        )
        if diff:
            result["diff"] = migration_diff(databases, self.dry)
        if self.failure:
            result.update(self.failure.facts, failed_revision=self.failure.failed_revision, output=self.output)
        return result


def migration(reply: Mapping[str, Any], operation: str, dry: bool = False) -> Migration:
    """Return the outcome that the worker's ``reply`` to ``operation`` (upgrade, downgrade, stamp) means."""
    graph = reply.get("graph") or {}
    databases = tuple(_database(context, graph, operation, dry, reply["error"] is None) for context in reply.get("contexts") or ())
    error = reply["error"] or _unverified(databases, reply.get("contexts") or (), dry)
    return Migration(
        databases=databases,
        attempts=tuple(reply.get("attempts") or ()),
        versions=reply.get("versions"),
        output=reply.get("output") or "",
        dry=dry,
        warnings=tuple(reply.get("warnings") or ()) + _warnings(databases),
        failure=_failed(error, databases) if error else None,
    )


def _database(context: Mapping[str, Any], graph: Graph, operation: str, dry: bool, ok: bool) -> Database:
    observed = context.get("observed")
    after = None if observed is None else sorted(observed["current"])
    done = _done(context, graph, operation, after, ok)
    ran = {entry["revision"]: entry for entry in context["ran"]}
    applied = [_applied(step, ran.get(step["revision"])) for step in context["planned"] if step["revision"] in done and not dry]
    invalid = (observed or {}).get("invalid_indexes") or []
    moves = other_moves(context)
    moved_after = any(move["when"] == "after" for move in moves)  # what is there now says nothing of what the run left
    return Database(
        database=context["database"],
        before=context["before"],
        after=after,
        planned=context["planned"],
        applied=applied,
        rolled_back=[
            entry["revision"]
            for entry in ran.values()
            if not entry["committed"] and entry["revision"] not in done and after is not None and not moved_after
        ],
        pending=[step["revision"] for step in context["planned"] if step["revision"] not in done],
        state=_state(context, done, after, ok and not dry),
        lock=context.get("lock"),
        invalid_indexes=sorted(set(invalid) - set(context.get("invalid_before") or ())),
        other_moves=moves,
    )


def _done(context: Mapping[str, Any], graph: Graph, operation: str, after: Sequence[str] | None, ok: bool) -> frozenset[str]:
    """Return which of the planned revisions the database has (upgrade) or has no more (downgrade) now."""
    planned = [step["revision"] for step in context["planned"]]
    if after is None:  # it could not be read: what the run itself saw committed
        kept = {entry["revision"] for entry in context["ran"] if entry.get("kept")}
        return frozenset(revision for revision in planned if revision in kept)
    if operation == "stamp":
        return frozenset(planned if ok else (step["revision"] for step in context["planned"] if _stamped(step, after)))
    there = ancestors(graph, after)
    stamps = {step["revision"] for step in context["planned"] if step.get("message") == "stamp" and step.get("path") is None}
    return frozenset(
        revision for revision in planned if (revision in there) == (operation == "upgrade") or (revision in stamps and ok)
    )


def _stamped(step: Mapping[str, Any], after: Sequence[str]) -> bool:
    """Tell whether the version table holds what a stamp was to write, and no more what it was to replace."""
    wanted = [] if step["revision"] == "base" else step["revision"].split(",")
    replaced = set(step.get("down_revision") or ()) - set(wanted)
    return set(wanted) <= set(after) and not replaced & set(after)


def _state(context: Mapping[str, Any], done: frozenset[str], after: Sequence[str] | None, ended_well: bool) -> str:
    if after is None:
        return "unknown"
    if context.get("unseen"):  # what it was before is known to nobody
        at_heads = context["observed"]["status"] == "at_target"
        return "to_revision" if at_heads and context["unseen"] == "upgrade" else "unknown"
    if any(entry["committed"] and entry["revision"] not in done for entry in context["ran"]):
        return "dirty"
    planned = {step["revision"] for step in context["planned"]}
    if planned <= done and (planned or ended_well):
        return "to_revision"
    return "between" if done else "from_revision"


def _applied(step: Mapping[str, Any], ran: Mapping[str, Any] | None) -> dict[str, Any]:
    known = ran or {"seconds": None, "sql": []}
    return {
        "revision": step["revision"],
        "message": step["message"],
        "path": step["path"],
        "seconds": known["seconds"],
        "sql": list(known["sql"]),
    }


def _unverified(databases: Sequence[Database], contexts: Sequence[Mapping[str, Any]], dry: bool) -> dict[str, Any] | None:
    """Return the error of a run that ended well and did not leave the database where it should be."""
    for database in () if dry else databases:
        if database.rolled_back:
            return {
                "kind": "not_persisted",
                "message": f"env.py ran {', '.join(database.rolled_back)} and did not commit: nothing of it is in the database.",
                "hint": "It runs SQL on the connection before context.configure(), or migrates without "
                "context.begin_transaction(): it has to commit what it begins itself.",
            }
        if database.after is None:
            return {
                "kind": "verification_failed",
                "message": "env.py showed another database when it ran again to verify.",
                "hint": None,
            }
        moved = next((move for move in database.other_moves if move["when"] == "after"), None)
        if database.pending and moved:
            return {"kind": "verification_failed", "message": f"The run ended well. {told(moved)}", "hint": None}
        if database.pending:
            return {
                "kind": "verification_failed",
                "message": f"The run ended well, and {', '.join(database.pending)} is not in the database.",
                "hint": None,
            }
        if database.invalid_indexes:
            return {
                "kind": "verification_failed",
                "message": f"The migration left invalid indexes: {', '.join(database.invalid_indexes)}.",
                "hint": "Drop each and build it again (REINDEX INDEX CONCURRENTLY).",
            }
    return None


def _failed(error: Mapping[str, Any], databases: Sequence[Database]) -> Failed:
    details = {name: error.get(name) for name in ("revision", "file", "line", "source", "statement", "sqlstate")}
    titles = {step["revision"]: step["message"] for database in databases for step in database.planned}
    failed = (
        dict(details, message=titles.get(error.get("revision") or ""), error=error["message"]) if error.get("revision") else None
    )
    known = {"kind", "message", "hint", "traceback", "use_url", "revision", *(details if failed else ())}
    facts = {name: value for name, value in error.items() if name not in known and value is not None}
    return Failed(error["kind"], _sentence(error, titles, databases), error.get("hint"), failed, facts)


def _sentence(error: Mapping[str, Any], titles: Mapping[str, str], databases: Sequence[Database]) -> str:
    """Return what happened, where, and where the database stands."""
    text = str(error["message"]).rstrip(".")
    if error.get("revision"):
        title = titles.get(error["revision"])
        text = f"Revision {error['revision']}{f' ({title})' if title else ''} failed: {text}"
        if error.get("line"):
            text += f" ({error['file']}:{error['line']})"
    blockers = error.get("blockers") or ()
    if blockers:
        text += ". Blocked by " + "; ".join(_blocker(item) for item in blockers)
    stands = [_stands(database) for database in databases if database.planned]
    return " ".join([f"{text}.", *stands])


def _blocker(item: Mapping[str, Any]) -> str:
    who = f"{item['user']}, {item['application'] or 'unnamed'}, {item['state']} since {item['since']}"
    return f"pid {item['pid']} ({who}: {item['locks']})"


def _stands(database: Database) -> str:
    text = STANDS[database.state].format(after=", ".join(database.after or ()) or "base")
    if database.after is None and database.applied:
        text += f" This run committed {', '.join(step['revision'] for step in database.applied)}."
    if database.database.get("transaction_per") == "run" and len(database.rolled_back) > 1:
        undone = ", ".join(database.rolled_back)
        text += f" All revisions of this run share a transaction of env.py, so {undone} were undone together."
    name = database.database.get("name") or database.database.get("schema")
    return f"[{name}] {text}" if database.database.get("name") or name not in (None, "public") else text


def _warnings(databases: Sequence[Database]) -> tuple[str, ...]:
    found = [told(move) for database in databases for move in database.other_moves]
    for database in databases:
        if database.lock and database.lock.get("mode") == "transaction":
            found.append(
                "The database is reached through a transaction-pooling proxy, so the lock is held in an open transaction; "
                "give migrations a direct connection."
            )
        if database.lock and database.lock.get("kept") is False:
            found.append("The migration lock was lost while the migration ran: another run may have run beside it.")
    return tuple(dict.fromkeys(found))


def _shown(database: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in database.items() if name not in HIDDEN}
