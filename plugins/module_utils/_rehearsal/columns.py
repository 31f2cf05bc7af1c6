# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C05, C09, C11, C15, M01, M02, M05, M09: a column takes or gives other values than before."""

from __future__ import annotations

import re
from typing import Iterator, Mapping

from .._core.plan import Finding
from .seen import Facts, Seen, is_required, plain

_TEXTS = ("character varying", "text", "citext", "character", "name")
_INTEGERS = ("tinyint", "smallint", "mediumint", "integer", "bigint")
_FLOATS = ("real", "double precision")
_TIMES = ("timestamp without time zone", "timestamp with time zone", "date")
_FAMILIES = (_TEXTS, (*_INTEGERS, "numeric", *_FLOATS), _TIMES, ("json", "jsonb"), ("bit", "bit varying"), ("cidr", "inet"))
#: What one has and the other has not. PostgreSQL manual, "JSON Functions and Operators".
_OF_JSON = {"json": "json_array_elements, json_each, …", "jsonb": "jsonb_set, @>, =, …"}
_UNSIGNED = " unsigned"
_TYPE = re.compile(r"^(.*?)(?:\((\d+)(?:,(-?\d+))?\))?( with(?:out)? time zone)?((?:\[\])*)$")
TYPES, DEFAULTS, REQUIRED = "Changing a column's type", "Changing a default", "Adding a required column"


def split(name: str) -> tuple[str, int | None, int | None]:
    """Return a type's name, its length or precision, and its scale."""
    match = _TYPE.match(name)
    if not match:
        return name, None, None
    base, first, second, zone, array = match.groups()
    return base + (zone or "") + array, first and int(first), second and int(second)  # type: ignore[return-value]


def verdict(old: str, new: str) -> str:
    """Return how a change of type looks to old code: "same", "wider", "narrower", "related" or "other".

    Wider: every value that was read or written is still the same. Narrower: some value that was written is refused.
    """
    if old == new:
        return "same"
    if old.endswith(_UNSIGNED) or new.endswith(_UNSIGNED):
        return _unsigned(old, new)
    (first, length, scale), (second, limit, places) = split(old), split(new)
    if first == second == "numeric":
        return _numeric(length, scale or 0, limit, places or 0)
    if first == second and (length is not None or limit is not None):
        return "wider" if limit is None or (length is not None and limit >= length) else "narrower"
    if first in _TEXTS and second in _TEXTS:
        if "citext" in (first, second) or "character" in (first, second):
            return "related"
        return (
            "wider"
            if (limit is None and second != "name") or (limit or 0) >= (length or limit or 0) + (length is None)
            else "narrower"
        )
    for order in (_INTEGERS, _FLOATS):
        if first in order and second in order:
            return "wider" if order.index(first) < order.index(second) else "narrower"
    return "related" if any(first in family and second in family for family in _FAMILIES) else "other"


def _unsigned(old: str, new: str) -> str:
    """A larger signed type holds what an unsigned one does; nothing else holds all of the other."""
    first, second = (name[: -len(_UNSIGNED)] if name.endswith(_UNSIGNED) else name for name in (old, new))
    if old.endswith(_UNSIGNED) == new.endswith(_UNSIGNED):
        return verdict(first, second)
    how = verdict(first, second)
    return "narrower" if how in ("same", "narrower") or (how == "wider" and new.endswith(_UNSIGNED)) else how


def change_of_type(seen: Seen, old: Facts, new: Facts) -> str:
    """Return the :func:`verdict` on a column. SQLite keeps any value in any column, and only prefers an affinity."""
    if "affinity" in old:
        return "same" if old["affinity"] == new["affinity"] else "related"
    was, now = str(seen.renamed_types.get(old["type"], old["type"])), str(new["type"])
    bases = seen.facts.get("domains") or {}
    how = verdict(_base(was, bases), _base(now, bases))
    return "narrower" if was != now and now in bases and how in ("same", "wider") else how  # a domain may refuse a value


def _base(name: str, bases: Mapping[str, str]) -> str:
    """Return what a domain is made of."""
    while name in bases:
        name = bases[name]
    return name


def _numeric(length: int | None, scale: int, limit: int | None, places: int) -> str:
    if limit is None:
        return "wider"
    return "wider" if length is not None and places >= scale and limit - places >= length - scale else "narrower"


def check(seen: Seen) -> Iterator[Finding]:
    yield from (_order(oid, columns, seen) for oid, columns in (seen.facts.get("reordered") or {}).items() if seen.existed(oid))
    for change in seen.changes("column"):
        old, new = change["before"], change["named"] or change["after"]  # old code sees what has the name
        if new is None or new["relkind"] not in "rpf":
            continue
        if old is None:
            yield from _added(seen, new)
        elif old["relkind"] in "rpf":
            yield from _type(seen, old, new)
            yield from _collation(old, new)
            yield from _kind(seen, old, new)
            yield from _default(seen, old, new)
            yield from _null(seen, old, new)


def _added(seen: Seen, new: Facts) -> Iterator[Finding]:
    if is_required(new) and (seen.existed(new["relation"]) or _is_new_to_old_code(seen, new)):
        yield Finding(
            "C11",
            "breaks",
            new["name"],
            f"The new column {plain(new['name'])} is NOT NULL and has no default: every INSERT of the old code fails.",
            "Add it with a server_default, or nullable: op.add_column(…, sa.Column(…, nullable=False, "
            "server_default='…')). The default "
            "can go in a later release, when all code writes the column.",
            REQUIRED,
            lock="AccessExclusive",
            rows=seen.rows(new["relation"]),
        )


def _order(oid: str, columns: list[str], seen: Seen) -> Finding:
    name = str(seen.table(oid)["name"])
    message = (
        f"The columns of {plain(name)} have another order now ({', '.join(columns)}): INSERT without a list of columns and "
        "SELECT * of the old code take one for another."
    )
    fix = "Look whether the old code always names its columns, as models do, and allow this with the reason."
    return Finding("U08", "unknown", name, message, fix, TYPES)


def _is_new_to_old_code(seen: Seen, new: Facts) -> bool:
    """Tell whether a table that took another's name has this column, and the other had not."""
    had = (change["before"]["name"] for change in seen.changes("column") if change["before"])
    return seen.took_name(new["relation"]) and new["name"] not in had


def _type(seen: Seen, old: Facts, new: Facts) -> Iterator[Finding]:
    how = change_of_type(seen, old, new)
    name, what = plain(old["name"]), f"from {old.get('declared') or old['type']} to {new.get('declared') or new['type']}"
    column, kind = f"{old['column']}_new", new.get("declared") or new["type"]
    text = f"ALTER TABLE {plain(str(old.get('table')))} ADD COLUMN {column} {kind}"
    run = f"op.execute({text!r})" if "table" in old else "op.add_column"
    fix = (
        f"Add {column} ({run}), write both, copy in batches (op.execute in an autocommit_block, some thousand rows each), read the "
        f"new one, and drop {old['column']} in a later release."
    )
    if how == "other":
        message = f"The type of {name} changes {what}: comparisons and writes of the old code fail."
        yield Finding("C05", "breaks", old["name"], message, fix, TYPES, lock="AccessExclusive", rows=seen.rows(old["relation"]))
    elif how == "narrower" and (cut := _cut(seen, new)):
        rows = "1000 or more" if cut >= 1000 else str(cut)
        message = f"The type of {name} changes {what}, in which {rows} values that are there have no room: such are refused."
        yield Finding("C18", "breaks", old["name"], message, fix, TYPES, rows=cut, source="data")
    elif how == "narrower":
        message = f"The type of {name} changes {what}: values that the old code may write are refused or cut."
        yield Finding("M01", "may_break", old["name"], message, fix, TYPES, rows=seen.rows(old["relation"]))
    elif how == "related" and {split(each["type"])[0] for each in (old, new)} == {"json", "jsonb"}:
        message = (
            f"The type of {name} changes {what}, which has other functions and operators: whether the old code calls "
            f"one of {old['type']} ({_OF_JSON[old['type']]}) does not show."
        )
        fix = f"Look whether the old code does, or only takes values out (-> and ->>), and allow this with the reason. Else: {fix}"
        yield Finding("U08", "unknown", old["name"], message, fix, TYPES, rows=seen.rows(old["relation"]))
    elif how == "related":
        message = f"The type of {name} changes {what}: the old code reads other values than it wrote."
        yield Finding("M09", "may_break", old["name"], message, fix, TYPES, rows=seen.rows(old["relation"]))


def _cut(seen: Seen, new: Facts) -> int:
    """Return how many values the revision itself makes smaller, which the old code wrote."""
    return next(
        (answer["rows"] or 0 for answer in seen.facts["checks"] if (answer["what"], answer["object"]) == ("cut", new["name"])), 0
    )


def _collation(old: Facts, new: Facts) -> Iterator[Finding]:
    """Where two texts that differ are equal, PostgreSQL has no LIKE before 18, and no regular expressions at all."""
    if old.get("collation") == new.get("collation") or None in (old.get("collation"), new.get("collation")):
        return
    name = plain(old["name"])
    if new.get("folds") and not old.get("folds"):
        message = (
            f"Texts that differ are equal in the new collation of {name} ({new['collation']}): LIKE and regular expressions of the "
            "old code fail on it, and = finds more rows."
        )
        fix = f"Add a column of this collation beside {name}, or compare by it where that is wanted (… COLLATE …)."
        yield Finding("C05", "breaks", old["name"], message, fix, TYPES)
    else:
        message = f"The column {name} has the collation {new['collation']} now: the old code reads its rows in another order."
        yield Finding("M09", "may_break", old["name"], message, "Check that the old code can live with it.", TYPES)


def _kind(seen: Seen, old: Facts, new: Facts) -> Iterator[Finding]:
    name = plain(old["name"])
    if new["generated"] and not old["generated"]:
        message = f"The column {name} becomes a generated one: the old code can no longer write it."
        yield Finding("C05", "breaks", old["name"], message, "Add the generated column under another name.", TYPES)
    elif old["generated"] and not new["generated"]:
        lost = seen.leaves_out(new)
        message = (
            f"The column {name} is no longer generated{', and neither a default nor a trigger gives it a value' if lost else ''}: "
            f"old code does not write it, so its rows have {'no' if lost else 'another'} value in it."
        )
        fix = (
            "Keep it generated until all code writes it; or let a trigger BEFORE INSERT OR UPDATE compute it, made in the same "
            "revision."
        )
        yield Finding("C09" if lost else "M02", "breaks" if lost else "may_break", old["name"], message, fix, DEFAULTS)
    if new["identity"] == "a" and old["identity"] != "a":
        message = f"The column {name} becomes GENERATED ALWAYS: an INSERT of the old code that gives a value fails."
        yield Finding("C05", "breaks", old["name"], message, "Use sa.Identity(always=False).", TYPES)


def _default(seen: Seen, old: Facts, new: Facts) -> Iterator[Finding]:
    if old["generated"] or new["generated"] or new["identity"]:
        return
    name = plain(old["name"])
    had = old["default"] is not None or old["identity"]
    why = (seen.facts.get("given") or {}).get(old["oid"])
    if why:
        message = (
            f"The column {name} has the default {new['default']}, and {why}: an INSERT of the old code that leaves it out fails."
        )
        fix = "Give it a default that is taken; or make the revision that is to take it before this one."
        yield Finding("C09", "breaks", old["name"], message, fix, DEFAULTS)
        return
    if had and new["default"] is None and new["not_null"]:
        yield Finding(
            "C09",
            "breaks",
            old["name"],
            f"The column {name} is NOT NULL and loses its default: an INSERT of the old code that relies on it fails.",
            "Release code that always writes the column first; drop the default in a later revision that is declared contract.",
            DEFAULTS,
            lock="AccessExclusive",
        )
    elif had and seen.with_types_of_today(old["default"]) != new["default"]:
        now = "no default any more" if new["default"] is None else f"the default {new['default']}"
        message = f"The column {name} has {now}: rows that the old code writes get another value."
        yield Finding("M02", "may_break", old["name"], message, "Check that the old code can read and wants that value.", DEFAULTS)


def required(seen: Seen, column: Facts, what: str) -> Finding:
    """Old code may leave out of its INSERT what it need not give, and nothing gives it now."""
    short = column["name"].rpartition(".")[2]
    return Finding(
        "C15",
        "breaks",
        column["name"],
        f"{what}, and neither a default nor a trigger gives it a value: an INSERT of the old code that leaves it out fails.",
        "Release code that always writes the column first, and declare this revision contract; or give it a default in the same "
        f"revision: op.alter_column('{plain(column['table'])}', '{short}', server_default='…').",
        "Making a column NOT NULL",
        lock="AccessExclusive",
        rows=seen.rows(column["relation"]),
    )


def _filled(seen: Seen, column: Facts) -> int:
    """Return how many rows that are NULL a pending revision fills."""
    return int(next((each["filled"] for each in seen.facts["checks"] if each["object"] == column["name"] and "filled" in each), 0))


def _null(seen: Seen, old: Facts, new: Facts) -> Iterator[Finding]:
    name = plain(old["name"])
    if new["not_null"] and not old["not_null"] and old["oid"] in (seen.facts.get("kept") or ()):
        return  # a check refused NULL before
    if new["not_null"] and not old["not_null"] and seen.leaves_out(new):
        yield required(seen, new, f"The column {name} becomes NOT NULL")
    elif new["not_null"] and not old["not_null"] and old["default"] is not None and _filled(seen, new):
        message = (
            f"The column {name} becomes NOT NULL, and {_filled(seen, new)} rows have NULL in it although it has a default: whether "
            "the old code writes NULL there does not show."
        )
        fix = "Look whether the old code does, or these rows are older than the default, and allow this with the reason."
        yield Finding(
            "U08", "unknown", old["name"], message, fix, "Making a column NOT NULL", rows=_filled(seen, new), source="data"
        )
    elif new["not_null"] and not old["not_null"]:
        yield Finding(
            "M01",
            "may_break",
            old["name"],
            f"The column {name} becomes NOT NULL: old code that writes NULL is refused.",
            "Release code that always writes the column first.",
            "Making a column NOT NULL",
            lock="AccessExclusive",
            rows=seen.rows(old["relation"]),
        )
    elif old["not_null"] and not new["not_null"]:
        message = f"The column {name} may be NULL now: old code that reads a NULL from it may fail."
        yield Finding(
            "M05", "may_break", old["name"], message, "Write no NULL until the old code is gone.", "Making a column NOT NULL"
        )
