# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C10, C14, C16, M03, M04, M06, U08: enums, triggers, views, functions, privileges: the same statement does something else."""

from __future__ import annotations

import re
from typing import Iterator

from .._core.plan import Finding
from .._worker.rehearsal import refusing
from .columns import required
from .seen import Facts, Seen, plain

SECTION = "Triggers, views and functions"
ENUMS = "Changing an enum"
PARTITIONS = "Partitions"
_UPPER = re.compile(r"\bTO \('(\d{4}-\d\d-\d\d)")
_FACTS = {
    "trigger": ("definition", "enabled"),
    "function": ("source", "returns", "security_definer", "volatile", "config", "language"),
    "rule": ("definition", "enabled"),
}


def check(seen: Seen) -> Iterator[Finding]:
    for change in seen.changes("type"):
        if change["before"] and change["after"] and change["before"]["labels"]:
            yield from _labels(change["before"], change["after"])
    for change in seen.changes("trigger", "function", "rule"):
        yield from _behaves(seen, change)
    for change in seen.changes("relation"):
        yield from _relation(seen, change["before"], change["after"])
    for change in seen.changes("policy"):
        entry = change["after"] or change["before"]
        if seen.existed(entry["relation"]):
            yield _access(entry["name"], f"The policy {plain(entry['name'])} changes which rows old code sees or may write.")
    for change in seen.changes("column", "function", "schema"):
        old, new = change["before"], change["after"]
        if old and new and old["acl"] != new["acl"] and not seen.knows_roles:
            yield _access(new["name"], f"The privileges on {plain(new['name'])} change: old code may be refused.")


def _labels(old: Facts, new: Facts) -> Iterator[Finding]:
    name = plain(old["name"])
    gone = [label for label in old["labels"] if label not in (new["labels"] or ())]
    added = [label for label in new["labels"] or () if label not in old["labels"]]
    if gone:
        yield Finding(
            "C10",
            "breaks",
            old["name"],
            f"The enum {name} has no {', '.join(map(repr, gone))} any more: statements of the old code that name it fail.",
            "Add the new label beside the old one, release code that uses it, move the rows, and drop the old "
            "one in a later release.",
            ENUMS,
        )
    elif added:
        yield Finding(
            "M03",
            "may_break",
            old["name"],
            f"The enum {name} gets {', '.join(map(repr, added))}: old code that reads it may not know what it is.",
            "Write it only when the old code is gone.",
            ENUMS,
        )


def _behaves(seen: Seen, change: Facts) -> Iterator[Finding]:
    kind, old, new = change["kind"], change["before"], change["after"]
    entry = new or old
    if kind == "function" and (old is None or new is None):
        return  # a new one disturbs nobody; a dropped one is another rule's
    if kind != "function" and not seen.existed(entry["relation"]):
        return
    if old and new and all(old[fact] == new[fact] for fact in _FACTS[kind]):
        return
    refused = refusing.of_change(change, seen.facts["changes"])
    column = _left_out(seen, new, refused.column) if new is not None and refused and refused.column else None
    if column is not None:
        yield required(seen, column, f"The trigger {plain(entry['name'])} refuses NULL in {plain(column['name'])}")
        return
    if refused and refused.always:
        message = f"The trigger {plain(entry['name'])} raises an exception for each row: what the old code writes there is refused."
        fix = "Let it only warn until the old code is gone, and declare the revision that refuses contract."
        yield Finding("C16", "breaks", entry["name"], message, fix, SECTION)
        return
    if refused:
        yield Finding(
            "U08",
            "unknown",
            entry["name"],
            f"The trigger {plain(entry['name'])} raises an exception for some rows; whether old code writes such does not show.",
            "Let it correct the row, or only warn, until the old code is gone; or look at what the old code writes, and allow it.",
            SECTION,
        )
        return
    how = "new on a table that old code writes" if old is None else "dropped" if new is None else "changed"
    message = f"The {kind} {plain(entry['name'])} is {how}: the same statement of old code does something else."
    yield Finding("M04", "may_break", entry["name"], message, "Check that the old code can live with it.", SECTION)


def _left_out(seen: Seen, trigger: Facts, name: str) -> Facts | None:
    """Return the column of that name, if an INSERT of the old code may leave it out."""
    for column in seen.facts.get("checked") or ():
        if column["relation"] == trigger["relation"] and column["column"].lower() == name.lower():
            return column if not column["not_null"] and seen.leaves_out(column) else None
    return None


def _relation(seen: Seen, old: Facts | None, new: Facts | None) -> Iterator[Finding]:
    if old is None or new is None:
        return
    name = plain(new["name"])
    if old["query"] and new["query"] and old["query"] != new["query"] and old["name"] == new["name"]:
        message = f"The view {name} has another query: old code may read other rows."
        yield Finding("M04", "may_break", old["name"], message, "Check that the old code can live with it.", SECTION)
    if old["partition"] and not new["partition"]:
        yield partition_gone(seen, old, "detached")
    if (new["row_security"], new["force_row_security"]) != (old["row_security"], old["force_row_security"]):
        yield _access(old["name"], f"Row security of {name} changes which rows old code sees or may write.")
    if old["acl"] != new["acl"] and not seen.knows_roles:
        yield _access(old["name"], f"The privileges on {name} change: old code may be refused.")


def partition_gone(seen: Seen, old: Facts, how: str) -> Finding:
    """Rows go with it, and what has its bounds can not be written, unless the bounds are past or another partition takes them."""
    name, rows = plain(old["name"]), seen.rows(old["oid"])
    upper = _UPPER.search(str(old["bound"]))
    past = bool(upper and seen.facts.get("today") and upper.group(1) <= seen.facts["today"])
    if past or seen.is_covered(old):
        message = f"The partition {name} is {how}: its rows are gone from the table that it was part of."
        return Finding("M04", "may_break", old["name"], message, "Do it when nobody asks for its rows.", PARTITIONS, rows=rows)
    message = (
        f"The partition {name} is {how}: its rows are gone from the table that it was part of, and a row with its bounds "
        f"({old['bound']}) is refused there."
    )
    fix = "Attach what replaces it in the same transaction, or do it when no code writes such rows any more."
    return Finding("C14", "breaks", old["name"], message, fix, PARTITIONS, rows=rows)


def _access(name: str, message: str) -> Finding:
    return Finding("M06", "may_break", name, message, "Check it with the role of the application.", "Privileges and policies")
