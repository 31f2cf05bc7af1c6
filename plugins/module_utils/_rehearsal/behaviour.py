# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C05, C07, C08, C09, C10, C16, C17, C20, C21, M03, M04, M06, U08: triggers and functions: a statement does something else."""

from __future__ import annotations

import re
from typing import Iterator

from .._core.plan import Finding
from .._worker.rehearsal import refusing
from .columns import required, verdict
from .seen import Facts, Seen, plain
from .views import SECTION, access, changed, not_written_any_more

ENUMS = "Changing an enum"
_TURNS = re.compile(r"\bON (?:INSERT|UPDATE)\b", re.I)
_DROPS = re.compile(r"\bON (INSERT|UPDATE|DELETE) TO \S+\s+DO INSTEAD NOTHING", re.I)
_INSTEAD = "INSTEAD OF"
_FACTS = {
    "trigger": ("definition", "enabled"),
    "function": ("source", "returns", "security_definer", "volatile", "config", "language"),
    "rule": ("definition", "enabled"),
}


def check(seen: Seen) -> Iterator[Finding]:
    for change in seen.changes("type"):
        if change["before"] and change["after"] and change["before"]["labels"]:
            yield from _labels(change["before"], change["after"])
        if (
            change["before"]
            and change["after"]
            and (change["before"].get("attributes") or None) != (change["after"].get("attributes") or None)
        ):
            yield _attributes(change["before"], change["after"])
    for change in seen.changes("trigger", "function", "rule"):
        yield from _behaves(seen, change)
    yield from map(_sampled, seen.facts.get("sampled") or ())
    yield from map(_fails, seen.facts.get("failing") or ())
    yield from map(_unset, seen.facts.get("unset") or ())
    yield from map(_unable, seen.facts.get("unable") or ())
    yield from map(_exhausted, seen.facts.get("exhausted") or ())
    yield from map(_collides, seen.facts.get("colliding") or ())
    there = {str(table["name"]) for table in seen.facts["tables"].values()}
    yield from (_unidentified(name) for name in seen.facts.get("unidentified") or () if name in there)
    for change in seen.changes("relation"):
        yield from changed(seen, change["before"], change["after"])
    for change in seen.changes("policy"):
        entry = change["after"] or change["before"]
        if seen.existed(entry["relation"]):
            yield access(entry["name"], f"The policy {plain(entry['name'])} changes which rows old code sees or may write.")
    for change in seen.changes("column", "function", "schema"):
        old, new = change["before"], change["after"]
        if old and new and old["acl"] != new["acl"] and not seen.knows_roles:
            yield access(new["name"], f"The privileges on {plain(new['name'])} change: old code may be refused.")


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
            f"Add the new label beside the old one{_added(old['name'], added)}, release code that uses it, move the rows, and "
            "drop the old one in a later release.",
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


def _added(name: str, labels: list[str]) -> str:
    texts = ["ALTER TYPE {} ADD VALUE '{}'".format(plain(name), label.replace("'", "''")) for label in labels]
    return f" (with op.get_context().autocommit_block(): {'; '.join(f'op.execute({text!r})' for text in texts)})" if texts else ""


def _attributes(old: Facts, new: Facts) -> Finding:
    name, shown = plain(old["name"]), ", ".join(new["attributes"] or ())
    message = f"The type {name} has the attributes {shown} now: old code that writes or reads its values in whole fails."
    fix = f"Make a type of its own beside {name}, with a column of it, and drop the old one in a later release."
    return Finding("C05", "breaks", old["name"], message, fix, "Changing a column's type")


def _behaves(seen: Seen, change: Facts) -> Iterator[Finding]:
    kind, old, new = change["kind"], change["before"], change["after"]
    entry = new or old
    if kind == "function" and (old is None or new is None):
        return  # a new one disturbs nobody; a dropped one is another rule's
    if kind == "trigger" and new is None and _stood_in(seen, old):
        message = f"The trigger {plain(old['name'])} is dropped, which did {_events(old)} on the view {plain(old['table'])}."
        fix = "Make the trigger that replaces it in the same revision, or drop it when the old code is gone."
        yield Finding("C17", "breaks", old["table"], message, fix, SECTION)
        return
    if kind != "function" and not seen.existed(entry["relation"]):
        return
    if old and new and old.get("parameters") != new.get("parameters"):
        message = f"{plain(new['name'])} takes {new['parameters']} parameters now, and took {old['parameters']}: a call fails."
        yield Finding("C08", "breaks", new["name"], message, "Give the new one a name of its own.", SECTION)
        return
    if old and new and (new.get("least") or 0) > (old.get("least") or 0):
        message = (
            f"The function {plain(new['name'])} has a parameter without the default that it had: a call that leaves it out fails."
        )
        yield Finding("C08", "breaks", new["name"], message, "Keep the default until the old code is gone.", SECTION)
        return
    lost = _gives_less(old, new) if old and new else []
    if lost and old and new:
        message = f"The function {plain(new['name'])} gives no {', '.join(lost)} any more: a statement that names it there fails."
        yield Finding("C08", "breaks", new["name"], message, "Give the new one a name of its own.", SECTION)
        return
    if (
        kind == "function"
        and old
        and new
        and not _TABLE.match(str(old.get("gives")))
        and verdict(str(old["returns"]), str(new["returns"])) == "other"
    ):
        message = (
            f"The function {plain(new['name'])} gives {new['returns']} now, and gave {old['returns']}: the old code that computes "
            "or compares with it fails."
        )
        yield Finding("C08", "breaks", new["name"], message, "Give the new one a name of its own.", SECTION)
        return
    if old and new and all(old[fact] == new[fact] for fact in _FACTS[kind]):
        return
    told = (*(seen.facts.get("failing") or ()), *(seen.facts.get("sampled") or ()))
    if any(entry["oid"] in (item["oid"], item["function"]) for item in told):
        return  # that is told already
    skipping = next((item for item in seen.facts.get("skipping") or () if entry["oid"] in (item["oid"], item["function"])), None)
    if skipping and new is not None:
        yield from [_skips(skipping)] if kind == "trigger" or not _is_changed(seen, skipping) else []
        return
    raising = next((item for item in seen.facts.get("refusing") or () if item["function"] == entry["name"]), None)
    if kind == "function" and raising:
        yield _raises(raising)
        return
    called = (
        refusing.refuses(str(new.get("raises") or "")) if kind == "function" and old and new and not old.get("raises") else None
    )
    if called and new["returns"] not in ("trigger", "event_trigger"):
        yield _raises({"function": new["name"], "trigger": None, "always": called.always})
        return
    if kind == "rule" and new is not None and (dropped := _DROPS.search(str(new["definition"]))):
        message = (
            f"The rule {plain(new['name'])} does nothing instead of each {dropped.group(1).upper()} of the old code: it is lost."
        )
        fix = "Make the rule when the old code is gone, or do what it is for in a trigger."
        yield Finding("C07", "breaks", new["name"], message, fix, SECTION)
        return
    if kind == "rule" and new is not None and _silent(seen, new) and not (old and _silent(seen, old)):
        message = (
            f"The rule {plain(new['name'])} does something else instead and has no RETURNING: PostgreSQL refuses what the old code "
            "writes there with RETURNING, as SQLAlchemy does."
        )
        fix = f"End its statement with RETURNING and the columns of {plain(new['table'])}, or use a trigger."
        yield Finding("C07", "breaks", new["name"], message, fix, SECTION)
        return
    if (
        kind == "rule"
        and old is None
        and _TURNS.search(str(new["definition"]))
        and new["relation"] in (seen.facts.get("unique") or ())
    ):
        message = (
            f"The rule {plain(new['name'])} is new: PostgreSQL refuses an INSERT with ON CONFLICT on a table that has a rule for "
            "INSERT or UPDATE."
        )
        yield Finding("C07", "breaks", new["name"], message, "Use a trigger instead, which ON CONFLICT takes.", SECTION)
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


_INSTEAD_OF_IT = re.compile(r"\bON (?:INSERT|UPDATE|DELETE) TO \S+.*\bDO INSTEAD\s+(?!NOTHING)", re.I | re.S)


def _silent(seen: Seen, rule: Facts) -> bool:
    """Tell whether a rule takes the place of what is written to a table, and gives nothing back."""
    text = str(rule["definition"])
    return bool(_INSTEAD_OF_IT.search(text)) and not re.search(r"\bRETURNING\b|\bWHERE\b.*\bDO INSTEAD\b", text, re.I | re.S)


def _is_changed(seen: Seen, item: Facts) -> bool:
    """Tell whether the trigger itself is among what changes, so that it is told of that."""
    return any(change["after"] and change["after"]["oid"] == item["oid"] for change in seen.changes("trigger"))


def _skips(item: Facts) -> Finding:
    trigger, table = plain(item["trigger"]), plain(item["table"])
    if item["always"]:
        message = f"The trigger {trigger} lets no row through that the old code writes to {table}: it is lost, and nothing says so."
        fix = "Return NEW until the old code is gone, and declare the revision that does not contract."
        return Finding("C16", "breaks", item["trigger"], message, fix, SECTION)
    message = f"The trigger {trigger} lets some rows not through to {table}; whether the old code writes such does not show."
    fix = "Return NEW for them until the old code is gone; or look at what the old code writes, and allow it with the reason."
    return Finding("U08", "unknown", item["trigger"], message, fix, SECTION)


def _sampled(item: Facts) -> Finding:
    trigger, table, rows = plain(item["trigger"]), plain(item["table"]), item["rows"]
    tried = f"of the latest {rows} rows of {table}" if rows > 1 else f"of {table}"
    if item["error"]:
        told = str(item["error"]).rstrip(".")
        message = f"The trigger {trigger} refuses some {tried}, as the old code writes them: {told}."
        fix = "Let it only warn until the old code is gone, and declare the revision that refuses contract."
    elif item["dropped"]:
        message = f"The trigger {trigger} leaves {item['dropped']} {tried} unwritten, and nothing says so: the old code loses such."
        fix = "Return NEW for them until the old code is gone."
    else:
        columns = ", ".join(item["other"])
        message = (
            f"The trigger {trigger} gives some {tried} another value in {columns}, by which rows are found: the old code does not "
            "find what it wrote."
        )
        fix = "Write the value that is wanted into a column of its own, or do it when the old code is gone."
    return Finding("C16", "breaks", item["trigger"], message, fix, SECTION, source="data")


_TABLE = re.compile(r"^TABLE\((.*)\)$")


def _gives_less(old: Facts, new: Facts) -> list[str]:
    """Return the columns, with their types, that a function gave as a table and gives no more."""
    first, second = (_TABLE.match(str(each.get("gives") or "")) for each in (old, new))
    given = second.group(1).split(", ") if second else []
    return [each for each in first.group(1).split(", ") if each not in given] if first else []


def _stood_in(seen: Seen, trigger: Facts) -> bool:
    """Tell whether a trigger did what the statements on a view say, and neither another one does nor is the view gone."""
    others = [change["after"] for change in seen.facts["changes"] if change["kind"] == "trigger" and change["after"]]
    if _INSTEAD not in trigger["definition"] or any(
        _INSTEAD in each["definition"] and each["table"] == trigger["table"] for each in others
    ):
        return False
    views = [change for change in seen.facts["changes"] if change["kind"] == "relation" and change["before"]]
    found = next((change for change in views if change["before"]["oid"] == trigger["relation"]), None)
    if found is None:
        return True
    gone = found["after"] is None or found["named"] is not None
    return not gone and not not_written_any_more(found["before"], found["after"])


def _events(trigger: Facts) -> str:
    return str(trigger["definition"]).partition(f"{_INSTEAD} ")[2].partition(" ON ")[0]


#: Of smallint and integer, up and down. PostgreSQL manual, "CREATE SEQUENCE".
_ENDS_OF_TYPES = {2**15 - 1, 2**15, 2**31 - 1, 2**31}


def _exhausted(item: Facts) -> Finding:
    name, last = plain(item["sequence"]), item["last"]
    message = (
        f"The sequence {name} stands at {last} and has no next number from {item['least']} to {item['most']}: an INSERT of the old "
        "code that takes one from it fails."
    )
    full = {abs(int(item["least"])), abs(int(item["most"]))} & _ENDS_OF_TYPES
    bounds = "AS bigint" if full else "NO MINVALUE NO MAXVALUE"
    fix = f"Leave it room beyond {last}: op.execute('ALTER SEQUENCE {name} {bounds}')."
    return Finding("C20", "breaks", item["sequence"], message, fix, SECTION)


def _collides(item: Facts) -> Finding:
    name, table, column = plain(item["sequence"]), plain(item["table"]), item["column"]
    message = (
        f"The sequence {name} gives {item['next']} next, and {table}.{column} has numbers from {item['least']} to {item['most']}: "
        "an INSERT of the old code that takes one which is there fails."
    )
    back = f"ALTER SEQUENCE {name} INCREMENT BY {item['was']}"
    behind = f"SELECT setval('{name}', (SELECT max({column}) FROM {table}))"
    fix = f"Leave it where it stands, or: op.execute({back if item['step'] != item['was'] else behind!r})."
    return Finding("C20", "breaks", item["sequence"], message, fix, SECTION, source="data")


def _unidentified(name: str) -> Finding:
    message = (
        f"The table {plain(name)} is published with its updates and deletes, and nothing tells its rows from each other (no "
        "primary key, no replica identity, or it is not among the columns that are published): UPDATE and DELETE of the old code "
        "fail there."
    )
    fix = (
        f"In the same revision, before it is published: op.execute('ALTER TABLE {plain(name)} REPLICA IDENTITY FULL'); where "
        "columns are listed, list those of its key too."
    )
    return Finding("C21", "breaks", name, message, fix, SECTION)


def _unable(item: Facts) -> Finding:
    name, error = plain(item["function"]), str(item["error"]).rstrip(".")
    message = f"The function {name} is changed, and a call fails: {error}."
    if item["certain"]:
        fix = "Add the column before the function names it, or let the function name only columns that are there."
        return Finding("C16", "breaks", item["function"], message, fix, SECTION)
    fix = "Make the table before the function that names it; if who calls it makes it, allow this with the reason."
    return Finding("U08", "unknown", item["function"], message, fix, SECTION)


def _unset(item: Facts) -> Finding:
    trigger, columns = plain(item["trigger"]), ", ".join(map(plain, item["columns"]))
    message = (
        f"The trigger {trigger} gave {columns} a value in what the old code writes to {plain(item['table'])}, and nothing does any "
        "more: the old code, which relies on it, leaves it as it is."
    )
    fix = "Keep the trigger until all code writes the column itself, and drop it in a later revision that is declared contract."
    return Finding("C09", "breaks", item["columns"][0], message, fix, SECTION)


def _fails(item: Facts) -> Finding:
    trigger, table, error = plain(item["trigger"]), plain(item["table"]), str(item["error"]).rstrip(".")
    message = f"The trigger {trigger} fails for what the old code writes to {table}: {error}."
    fix = "Add the column before its function names it, or let the function name only columns that are there."
    return Finding("C16", "breaks", item["trigger"], message, fix, SECTION)


def _raises(raising: Facts) -> Finding:
    function, trigger = plain(raising["function"]), raising["trigger"] and plain(raising["trigger"])
    which = ("each" if raising["always"] else "some") + (" row" if trigger else " call") + ("" if raising["always"] else "s")
    who = f"the trigger {trigger} runs it for what old code writes" if trigger else "it raised none before"
    message = f"The function {function} raises an exception for {which} now, and {who}."
    if raising["always"]:
        fix = "Let it only warn until the old code is gone, and declare the revision that refuses contract."
        return Finding("C16", "breaks", raising["function"], message, fix, SECTION)
    fix = "Let it correct the row, or only warn, until the old code is gone; or look at what the old code writes, and allow it."
    return Finding("U08", "unknown", raising["function"], message, fix, SECTION)


def _left_out(seen: Seen, trigger: Facts, name: str) -> Facts | None:
    """Return the column of that name, if an INSERT of the old code may leave it out."""
    for column in seen.facts.get("checked") or ():
        if column["relation"] == trigger["relation"] and column["column"].lower() == name.lower():
            return column if not column["not_null"] and seen.leaves_out(column) else None
    return None
