# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C14, C17, M04, M06, U08: views, partitions and what inherits: other rows are read, or can no longer be written."""

from __future__ import annotations

import re
from typing import Iterator

from .._core.plan import Finding
from .seen import Facts, Seen, plain

SECTION = "Triggers, views and functions"
PARTITIONS = "Partitions"
_UPPER = re.compile(r"\bTO \('(\d{4}-\d\d-\d\d)")
#: As pg_relation_is_updatable() tells them.
_WRITES = {"INSERT": 8, "UPDATE": 4, "DELETE": 16}


def changed(seen: Seen, old: Facts | None, new: Facts | None) -> Iterator[Finding]:
    if old is None or new is None:
        return
    name = plain(new["name"])
    if old["query"] and new["query"] and old["query"] != new["query"] and old["name"] == new["name"]:
        message = f"The view {name} has another query: old code may read other rows."
        yield Finding("M04", "may_break", old["name"], message, "Check that the old code can live with it.", SECTION)
    lost = [word for word in not_written_any_more(old, new) if _is_written(seen, old, word)]
    if lost:
        told = " and ".join(lost)
        message = f"The view {name} takes no {told} any more: its query is no longer simple, or the trigger that did it is gone."
        fix = "Keep the query simple (one table, no DISTINCT, no aggregates), or make an INSTEAD OF trigger in the same revision."
        yield Finding("C17", "breaks", old["name"], message, fix, SECTION)
    if _checks(new) and not _checks(old) and int(new.get("writable") or 0) & 12:
        message = (
            f"The view {name} refuses rows that it does not show (WITH CHECK OPTION); whether the old code writes such there does "
            "not show."
        )
        fix = "Look whether the old code writes by this view rows that its query leaves out, and allow it with the reason."
        yield Finding("U08", "unknown", old["name"], message, fix, SECTION)
    if old.get("populated") and not new.get("populated") and new["relkind"] == "m":
        message = f"The materialized view {name} is left without data: every query of the old code that reads it fails."
        fix = f"Fill it in the same revision: op.execute('REFRESH MATERIALIZED VIEW {name}')."
        yield Finding("C17", "breaks", old["name"], message, fix, SECTION)
    if old["partition"] and not new["partition"]:
        yield partition_gone(seen, old, "detached")
    yield from _parents(seen, old, new)
    if (new["row_security"], new["force_row_security"]) != (old["row_security"], old["force_row_security"]):
        yield access(old["name"], f"Row security of {name} changes which rows old code sees or may write.")
    if old["acl"] != new["acl"] and not seen.knows_roles:
        yield access(old["name"], f"The privileges on {name} change: old code may be refused.")


def _is_written(seen: Seen, view: Facts, word: str) -> bool:
    """Tell whether a role of old code that writes could do this to a view; where the roles are not known, any may."""
    writers = seen.facts.get("writers")
    told = {(item["role"], item["object"], item["privilege"]) for item in seen.facts.get("lost") or ()}
    return not writers or any((role, view["name"], word) in told for role in writers)


def _checks(view: Facts) -> bool:
    return any(str(option).startswith("check_option=") for option in view.get("options") or ())


def _parents(seen: Seen, old: Facts, new: Facts) -> Iterator[Finding]:
    """Whoever reads a table reads those that inherit from it too."""
    renamed = {
        change["before"]["name"]
        for change in seen.changes("relation")
        if change["before"] and (change["after"] or {}).get("name") != change["before"]["name"]
    }
    name, rows = plain(new["name"]), seen.rows(old["oid"])
    first, second = (set(each.get("inherits") or ()) for each in (old, new))
    for parent in sorted(first - second - renamed) if rows != 0 else ():
        message = f"The table {name} is no longer part of {plain(parent)}: its rows are gone from what the old code reads there."
        fix = f"Do it when no code reads them by {plain(parent)} any more, in a revision that is declared contract."
        yield Finding("C14", "breaks", old["name"], message, fix, PARTITIONS, rows=rows)
    for parent in sorted(second - first) if rows != 0 and not first & renamed else ():
        message = f"The table {name} becomes part of {plain(parent)}: the old code reads and changes its rows there too."
        fix = "Look whether the old code can live with them there, and allow this with the reason; or do it when it is gone."
        yield Finding("U08", "unknown", old["name"], message, fix, PARTITIONS, rows=rows)


def not_written_any_more(old: Facts, new: Facts) -> list[str]:
    """Return the statements that a view took and takes no more."""
    gone = int(old.get("writable") or 0) & ~int(new.get("writable") or 0)
    return [word for word, bit in _WRITES.items() if gone & bit] if old["relkind"] == new["relkind"] == "v" else []


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


def access(name: str, message: str) -> Finding:
    return Finding("M06", "may_break", name, message, "Check it with the role of the application.", "Privileges and policies")
