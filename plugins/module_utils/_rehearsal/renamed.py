# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C03, C04, M08: something that running code uses has another name, or another object has its name."""

from __future__ import annotations

from typing import Iterator

from .._core.plan import Finding
from .dropped import LOOSE, TABLES
from .seen import Facts, Seen, plain, successor

SECTION = "Renaming a table or column"


def check(seen: Seen) -> Iterator[Finding]:
    for change in seen.changes("extension"):
        if change["before"] and change["after"] and change["before"]["schema"] != change["after"]["schema"]:
            yield _extension(change["before"], change["after"])
    moved = [change["before"]["name"] + "." for change in seen.changes("schema") if change["before"]]
    for change in seen.changes("relation", "column", "type", "function", *LOOSE):
        old, new = change["before"], change["after"]
        if old is None or old.get("owned") or old.get("embedded") or str(old["name"]).startswith(tuple(moved)):
            continue
        if change["kind"] == "relation" and (
            change["named"] is not None or (change["remade"] and old["relkind"] != new["relkind"])
        ):
            yield _other_object(seen, old)
        elif change["kind"] == "column" and _has_another(change):
            yield _other_column(seen, old)
        elif new is None or change["named"] is not None:
            continue
        elif change["kind"] == "column":
            if old["column"] != new["column"]:
                yield _column(seen, old, new)
        elif old["name"] != new["name"]:
            yield _object(seen, change["kind"], old, new)


def _extension(old: Facts, new: Facts) -> Finding:
    message = (
        f"The extension {old['name']} moves from the schema {old['schema']} to {new['schema']}: old code that names its functions, "
        "types and operators without a schema does not find them, or only as far as its search_path goes."
    )
    fix = f"Leave it in {old['schema']} until all code has {new['schema']} in its search_path."
    return Finding("C03", "breaks", old["name"], message, fix, SECTION)


def _other_object(seen: Seen, old: Facts) -> Finding:
    return Finding(
        "M08",
        "may_break",
        old["name"],
        f"Another object takes the name {plain(old['name'])}: what the old code does with it has to work there too.",
        "A view takes INSERT, UPDATE and DELETE only when it is simple (one table, no aggregates); test the "
        "old release against it.",
        SECTION,
        rows=seen.rows(old["oid"]),
    )


def _has_another(change: Facts) -> bool:
    """Tell whether another column of the same table has the name of this one, which was renamed or dropped."""
    other = successor(change)
    return bool(other and other["relation"] == change["before"]["relation"])


def _other_column(seen: Seen, old: Facts) -> Finding:
    return Finding(
        "M08",
        "may_break",
        old["name"],
        f"Another column takes the name {plain(old['name'])}: the old code does not find the values that it wrote.",
        "Give the new column a name of its own, write both, copy in batches, and drop the old one in a later release.",
        SECTION,
        rows=seen.rows(old["relation"]),
    )


def _column(seen: Seen, old: Facts, new: Facts) -> Finding:
    if old.get("relkind") in ("v", "m"):
        fix = f"Leave {old['column']} where it is, and give the view {new['column']} as one more column, at its end (" + (
            f"CREATE OR REPLACE VIEW {plain(old['table'])}); drop {old['column']} in a later release."
            if old["relkind"] == "v"
            else f"of one made anew beside {plain(old['table'])}); drop the old one in a later release."
        )
    else:
        fix = (
            f"Add {new['column']} beside it (op.add_column), write both, copy in batches, read the new one, and drop "
            f"{old['column']} in a later release. Or keep the column's name and rename the attribute in the model only."
        )
    return Finding(
        "C04",
        "breaks",
        old["name"],
        f"The column {plain(old['name'])} is renamed to {new['column']}: every statement of the old code that names it fails.",
        fix,
        SECTION,
        lock="AccessExclusive",
    )


def _object(seen: Seen, kind: str, old: Facts, new: Facts) -> Finding:
    what = TABLES[old["relkind"]] if kind == "relation" else kind
    other = ""
    if kind == "relation" and old["relkind"] != "S":
        other = (
            f" Or keep a view of the old name in the same revision (op.execute('CREATE VIEW {plain(old['name'])} AS SELECT …'))."
        )
    elif kind == "function":
        other = " Or keep a function of the old name that calls it, in the same revision."
    return Finding(
        "C03",
        "breaks",
        old["name"],
        f"The {what} {plain(old['name'])} is renamed to {plain(new['name'])}: every statement of the old code that names it fails.",
        f"Keep the name until the old code is gone; models can have another one.{other}",
        SECTION,
        lock="AccessExclusive" if kind == "relation" else None,
    )
