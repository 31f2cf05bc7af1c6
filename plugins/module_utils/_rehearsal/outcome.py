# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""X01–X03, T01, U01–U03: it fails, it is not undone when it fails, or an empty copy can not tell."""

from __future__ import annotations

import re
from typing import Any, Iterator

from .._core.plan import Finding
from .seen import LOCKS, Facts, Seen, plain

#: What takes nothing from anybody.
_GIVES = re.compile(r"\s*(?:GRANT|COMMENT|SECURITY\s+LABEL|CREATE)\b", re.I)
_HINTS = (
    ("cannot run inside a transaction", "Run it inside with op.get_context().autocommit_block()."),
    (
        "unsafe use of new value",
        "Commit the new label before it is used: add it in a revision before, or inside with op.get_context().autocommit_block().",
    ),
    ("cannot be cast automatically", "Say how with postgresql_using in op.alter_column, and try it on real values."),
    ("other objects depend on it", "Drop or change first what depends on it, or recreate it in the same revision."),
    ("must be owner", "Run the migrations with the role that owns the objects."),
)
_WORDS = {
    "null": "has NULL in {rows} rows",
    "duplicate": "has {rows} groups of rows that are the same",
    "orphan": "has {rows} rows that point to nothing",
    "violation": "has {rows} rows that violate it",
    "pointed": "has {rows} rows that point to those which it deletes",
    "long": "has {rows} rows whose value has no room in it",
    "taken": "has {rows} rows with the keys of those that it inserts",
    "rows": "has rows, and the new column would have no value in them",
}
#: What PostgreSQL says where a foreign server is used without a user mapping.
_NO_WAY = "user mapping not found"
#: What a failed statement outside of a transaction leaves, and what to do then. PostgreSQL manual, at each of them.
_LEFT_BEHIND = (
    (
        re.compile(r"^\s*CREATE\s+(?:UNIQUE\s+)?INDEX\b", re.I),
        "A failed CREATE INDEX CONCURRENTLY leaves an invalid index, which is dropped by hand.",
    ),
    (
        re.compile(r"^\s*REINDEX\b", re.I),
        "A failed REINDEX CONCURRENTLY leaves an invalid index whose name ends with _ccnew, which is dropped by hand.",
    ),
    (re.compile(r"^\s*DROP\s+INDEX\b", re.I), "A failed DROP INDEX CONCURRENTLY leaves an invalid index; drop it once more."),
    (re.compile(r"\bDETACH\s+PARTITION\b", re.I), "A failed one is ended by ALTER TABLE … DETACH PARTITION … FINALIZE."),
    (re.compile(r"^\s*(?:DO|CALL)\b", re.I), "Write it such that it goes on where it stopped when it is run again."),
    (re.compile(r"^\s*VACUUM\b", re.I), "A failed VACUUM leaves nothing behind; run it again."),
)
UNSEEN = "What no statement shows"
DATA = "Changes that depend on the data"


def check(seen: Seen) -> Iterator[Finding]:
    error = seen.facts["error"]
    if error and seen.facts["refused"]:
        message = (
            f"It connects to another database ({', '.join(seen.facts['refused'])}), which was refused; so it was not rehearsed."
        )
        yield Finding("U03", "unknown", seen.revision, message, "Look at it by hand, and allow it with the reason.", DATA)
    left_out = [str(statement["sql"]) for statement in seen.statements if statement["left_out"]]
    if any(not _GIVES.match(text) for text in left_out) or (error and left_out):
        message = (
            f"It changes what is not of this database alone ({left_out[0][:100]}), which a rehearsal must not do, so that was left "
            f"out{'; what comes after it fails without it' if error else ''}."
        )
        fix = "Do such things outside of revisions; or rehearse it on another server (scratch_url), or look by hand, and allow it."
        yield Finding("U10", "unknown", seen.revision, message, fix, "What no statement shows")
    elif error and _NO_WAY in str(error["message"]):
        message = "It uses a foreign table, and the copy is given no way to the server behind it; so it was not rehearsed."
        yield Finding("U03", "unknown", seen.revision, message, "Look at it by hand, and allow it with the reason.", DATA)
    elif error and not seen.facts["refused"]:
        told = str(error["message"]).splitlines()[0].rstrip(".")
        hint = next((hint for part, hint in _HINTS if part in str(error["message"])), "Mend the revision.")
        where = "a copy of the file" if seen.whole else "an empty copy of the schema"
        yield Finding("X01", "fails", seen.revision, f"It fails on {where}: {told}.", hint, "A revision that fails")
    yield from _indexes(seen)
    yield from _data(seen)
    yield from _unseen(seen)
    if seen.commits_by_itself:
        yield from _implicit(seen)
        return
    for statement in seen.statements:
        if not statement["transactional"]:
            yield _not_undone(seen, statement)


def _indexes(seen: Seen) -> Iterator[Finding]:
    for change in seen.facts["changes"]:
        if (
            change["kind"] == "index"
            and change["after"]
            and not change["after"]["valid"]
            and "ON ONLY" not in change["after"]["definition"]
        ):
            name = change["after"]["name"]
            message = f"The index {plain(name)} is left invalid."
            yield Finding("X02", "fails", name, message, "Drop it and build it again.", "Adding an index")


def _data(seen: Seen) -> Iterator[Finding]:
    for answer in seen.facts["checks"]:
        if answer["what"] in ("data", "kept", "hidden", "cut", "used") or answer["rows"] == 0:
            continue  # what is kept is not checked, and told with the constraint, as how often an index was used with it
        if answer["what"] == "taken" and answer["changed_before"]:
            continue  # who takes rows away and puts others there takes away what is in the way
        name, table = answer["object"], plain(answer["table"])
        if answer["problem"]:
            message = (
                f"Whether the rows of {table} allow {plain(name)} is not known: {answer['problem'].splitlines()[0].rstrip('.')}."
            )
            yield Finding(
                "U04", "unknown", name, message, "Raise the time limit of the checks, or look by hand.", DATA, source="data"
            )
            continue
        rows = "1000 or more" if answer["rows"] >= 1000 else str(answer["rows"])
        what = f"{table} {_WORDS[answer['what']].format(rows=rows)} today"
        if answer["changed_before"]:
            message = f"{what}; a pending revision changes rows there first, so whether {plain(name)} succeeds is not known."
            yield Finding(
                "U04", "unknown", name, message, "Clean the rows up in a release before.", DATA, rows=answer["rows"], source="data"
            )
        else:
            message = f"It will fail on {plain(name)}: {what}."
            yield Finding("X03", "fails", name, message, "Clean the rows up first.", DATA, rows=answer["rows"], source="data")


def _unseen(seen: Seen) -> Iterator[Finding]:
    told: set[Any] = set()
    yield from _strange(seen)
    for statement in seen.statements:
        if statement["opaque"] and seen.revision not in told:
            told.add(seen.revision)
            message = f"It runs code in the database, and what that does to the rows does not show ({statement['sql'][:100]})."
            fix = "Look at it by hand, and allow it with the reason."
            yield Finding("U02", "unknown", seen.revision, message, fix, DATA)
        for oid in statement["read"]:
            if oid not in told and seen.rows(oid) != 0:
                told.add(oid)
                name = seen.table(oid)["name"]
                message = (
                    f"It reads rows of {plain(name)}; what it does with them does not show on an empty "
                    f"copy ({statement['sql'][:100]})."
                )
                fix = (
                    "Look whether these rows decide which statements run, and on how many rows each. If it is harmless, say so in "
                    f"the revision: deploy = {{'allow': {{'U01:{plain(name)}': 'the reason'}}}}."
                )
                yield Finding("U01", "unknown", name, message, fix, DATA, rows=seen.rows(oid))
        for oid in statement["procedural_writes"]:
            if (oid, "written") not in told and seen.rows(oid) != 0 and oid not in statement["scanned"]:
                told.add((oid, "written"))
                name = seen.table(oid)["name"]
                message = f"Code in the database writes rows of {plain(name)}; how many does not show on an empty copy."
                yield Finding(
                    "U02", "unknown", name, message, "Look at it by hand, and allow it with the reason.", DATA, rows=seen.rows(oid)
                )


def _strange(seen: Seen) -> Iterator[Finding]:
    """What the server shows and no statement explains is never harmless."""
    fix = (
        "Run it by op.execute, or by a cursor that op.get_bind().connection gives, so that it can be watched. Where that can not "
        "be, look at it by hand, and allow it with the reason."
    )
    for statement in seen.statements:
        if statement["unseen"]:
            name = _gravest(seen, statement)
            lock = statement["locks"].get(name)
            table = str(seen.table(name)["name"]) if name else seen.revision
            held = f" holds the lock {lock} on {plain(table)}" if lock else f" reads or rewrites {plain(table)}"
            said = f" (the last that the server heard: {statement['sql'][:100]})" if statement["sql"] else ""
            message = f"Its transaction{held}, and no statement that was seen does that{said}."
            yield Finding("U07", "unknown", table, message, fix, UNSEEN, lock=lock, rows=seen.rows(name) if name else None)
    strange = seen.facts.get("strange") or []
    if strange:
        shown = ", ".join(plain(name) for name in strange[:5])
        message = f"A transaction that was not seen has changed or read {shown}."
        yield Finding("U07", "unknown", seen.revision, message, fix, UNSEEN)


def _gravest(seen: Seen, statement: Facts) -> Any:
    """Return the table with the strongest lock, or one that was read."""
    locked = sorted(statement["locks"], key=lambda oid: LOCKS.index(statement["locks"][oid]), reverse=True)
    return next(iter([*locked, *statement["rewritten"], *statement["scanned"]]), None)


def _implicit(seen: Seen) -> Iterator[Finding]:
    """Tell it once of a revision where a change of the schema is no part of a transaction anyway."""
    texts = [str(statement["sql"]) for statement in seen.statements if not statement["transactional"]]
    if texts:
        yield Finding(
            "T01",
            "not_transactional",
            seen.revision,
            f"{len(texts)} of its {len(seen.statements)} statements commit by themselves; when a later one fails, what they "
            f"did stays ({texts[0][:100]}).",
            "One change of the schema for each revision, so that what a failure leaves is known.",
            "Databases other than PostgreSQL",
        )


def _left_behind(sql: str) -> str:
    return next((f" {text}" for pattern, text in _LEFT_BEHIND if pattern.search(sql)), "")


def _not_undone(seen: Seen, statement: Facts) -> Finding:
    name = next((str(seen.table(oid)["name"]) for oid in statement["locks"]), seen.revision)
    return Finding(
        "T01",
        "not_transactional",
        name,
        f"A statement runs outside a transaction; when it fails, what it did stays ({statement['sql'][:100]}).",
        f"One such statement for each revision.{_left_behind(str(statement['sql']))}",
        "Adding an index",
    )
