# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C01, C02, C08, U08: something that running code uses is gone."""

from __future__ import annotations

from typing import Iterator

from .._core.plan import Finding
from .seen import Facts, Seen, plain
from .views import partition_gone

TABLES = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence"}
#: What belongs to no relation, and is found by its name alone.
LOOSE = ("operator", "cast", "text search configuration", "collation")
SECTION = "Dropping a table or column"


def check(seen: Seen) -> Iterator[Finding]:
    schemas, replaced = _gone_schemas(seen), seen.replaced()
    for change in seen.changes("relation", "column", "type", "function", *LOOSE, "extension"):
        old = change["before"]
        if old is None or change["named"] is not None or old.get("embedded"):
            continue
        if change["after"] is not None:
            if change["kind"] == "column" and old["relation"] in replaced:
                yield from _missing(seen, old)
            continue
        if old["kind"] != "extension" and str(old["name"]).startswith(tuple(f"{schema}." for schema in schemas)):
            continue
        yield from _CHECKS[change["kind"]](seen, old)
    for name, error in (seen.facts.get("ambiguous") or {}).items():
        message = f"Another function takes the name of {plain(name)}, and a call of the old code fails: {error.rstrip('.')}."
        yield Finding("C08", "breaks", name, message, "Give the new function a name of its own.", SECTION)
    for schema in schemas:
        yield Finding(
            "C08",
            "breaks",
            schema,
            f"The schema {schema} is no longer there under this name.",
            "Move what is in it release by release.",
            SECTION,
        )


def _gone_schemas(seen: Seen) -> list[str]:
    changes = list(seen.changes("schema"))
    return [
        change["before"]["name"]
        for change in changes
        if change["before"] and (change["after"] or {}).get("name") != change["before"]["name"]
    ]


def _relation(seen: Seen, old: Facts) -> Iterator[Finding]:
    if old["owned"]:
        return  # a sequence that goes with its column
    name, what = plain(old["name"]), TABLES[old["relkind"]]
    if old["partition"]:
        yield partition_gone(seen, old, "dropped")
        return
    yield Finding(
        "C01",
        "breaks",
        old["name"],
        f"The {what} {name} is dropped while the old code still uses it.",
        f"Release code that no longer uses {name} first; drop it in a later revision (op.drop_table) that is declared contract.",
        SECTION,
        lock="AccessExclusive",
        rows=seen.rows(old["oid"]),
    )


def _column(seen: Seen, old: Facts) -> Iterator[Finding]:
    gone = {change["before"]["oid"] for change in seen.facts["changes"] if change["kind"] == "relation" and _vanished(change)}
    if old["relation"] in gone:
        return  # told of its table
    yield Finding(
        "C02",
        "breaks",
        old["name"],
        f"The column {plain(old['name'])} is dropped while the old code still selects and writes it.",
        "Take it out of the models first (and give it a default or make it nullable), release that, then drop "
        "it in a later revision "
        "that is declared contract.",
        SECTION,
        lock="AccessExclusive",
        rows=seen.rows(old["relation"]),
    )


def _missing(seen: Seen, old: Facts) -> Iterator[Finding]:
    table, _dot, column = plain(old["name"]).rpartition(".")
    yield Finding(
        "C02",
        "breaks",
        old["name"],
        f"What takes the name {table} has no column {column}: every statement of the old code that names it fails.",
        f"Give it the column {column}, and leave it out in a later release.",
        SECTION,
        rows=seen.rows(old["relation"]),
    )


def _vanished(change: Facts) -> bool:
    return change["before"] is not None and change["after"] is None and change["named"] is None


def _type(seen: Seen, old: Facts) -> Iterator[Finding]:
    yield Finding(
        "C08",
        "breaks",
        old["name"],
        f"The type {plain(old['name'])} is dropped: statements of the old code that cast to it fail.",
        "Release code that no longer names it first; drop it in a later revision that is declared contract.",
        SECTION,
    )


def _function(seen: Seen, old: Facts) -> Iterator[Finding]:
    if old["returns"] in ("trigger", "event_trigger"):
        return  # nobody calls it; what its triggers did is told of them
    name = plain(old["name"])
    others = {
        change["after"]["name"].split("(")[0]
        for change in seen.facts["changes"]
        if change["kind"] == "function" and change["after"]
    }
    if old["name"].split("(")[0] in others:
        yield _other_parameters(seen, old, name)
        return
    yield Finding(
        "C08",
        "breaks",
        old["name"],
        f"The function {name} is dropped while the old code may call it.",
        "Release code that no longer calls it first; drop it in a later revision that is declared contract.",
        SECTION,
    )


def _other_parameters(seen: Seen, old: Facts, name: str) -> Finding:
    calls = seen.facts.get("calls") or {}
    fix = "Make the new one beside the old one, and drop the old one in a later revision."
    by_name = (seen.facts.get("calls_by_name") or {}).get(old["name"])
    if by_name and not calls.get(old["name"]):
        message = f"The function {name} gets other parameters, and a call that gives them by name fails: {by_name.rstrip('.')}."
        fix = "Keep their names; or look whether the old code gives them by name (=>), and allow it with the reason."
        return Finding("U08", "unknown", old["name"], message, fix, SECTION)
    if old["procedure"] and not _is_called_still(seen, old):
        message = f"The procedure {name} is there no more as the old code calls it: CALL with its parameters fails."
        return Finding("C08", "breaks", old["name"], message, fix, SECTION)
    if old["name"] in calls and calls[old["name"]] is None:
        message = f"The function {name} gets other parameters; a call with those of the old one still finds it."
        return Finding("M04", "may_break", old["name"], message, fix, SECTION)
    if calls.get(old["name"]):
        message = f"The function {name} gets other parameters, and a call of the old code fails: {calls[old['name']].rstrip('.')}."
        return Finding("C08", "breaks", old["name"], message, fix, SECTION)
    message = f"The function {name} gets other parameters: calls of the old code fail unless the new ones have defaults."
    return Finding("M04", "may_break", old["name"], message, fix, SECTION)


def _is_called_still(seen: Seen, old: Facts) -> bool:
    """Tell whether a new procedure of this name takes the parameters of the old one, and needs no more of them."""
    new = [change["after"] for change in seen.facts["changes"] if change["kind"] == "function" and change["after"]]
    same = [each for each in new if each["procedure"] and each["name"].split("(")[0] == old["name"].split("(")[0]]
    return any(f"{each['arguments']}, ".startswith(f"{old['arguments']}, ") and each["least"] <= old["least"] for each in same)


def _loose(seen: Seen, old: Facts) -> Iterator[Finding]:
    message = f"The {old['kind']} {plain(old['name'])} is dropped while the old code may use it."
    fix = "Release code that no longer uses it first; drop it in a later revision that is declared contract."
    yield Finding("C08", "breaks", old["name"], message, fix, SECTION)


def _extension(seen: Seen, old: Facts) -> Iterator[Finding]:
    yield Finding(
        "C08",
        "breaks",
        old["name"],
        f"The extension {old['name']} is dropped, with all its functions, types and operators.",
        "Release code that no longer uses them first; drop it in a later revision that is declared contract.",
        SECTION,
    )


_CHECKS = {"relation": _relation, "column": _column, "type": _type, "function": _function, "extension": _extension}
_CHECKS.update(dict.fromkeys(LOOSE, _loose))
