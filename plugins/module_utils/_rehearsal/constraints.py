# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C07, C15, C18, C22, M01, M07: what may be written, what ON CONFLICT relies on, and what is found by an index."""

from __future__ import annotations

import re
from typing import Iterator

from .._core.plan import Finding
from .columns import required
from .seen import Facts, Seen, plain

SECTION = "Adding a constraint"
_NOT_NULL = re.compile(r"^CHECK \(+(?:\"[^\"]+\"|\w+) IS NOT NULL\)+(?: NOT VALID)?$")
_WORDS = {"c": "check", "f": "foreign key", "u": "unique constraint", "x": "exclusion constraint", "p": "primary key"}


def check(seen: Seen) -> Iterator[Finding]:
    for change in seen.changes("constraint", "index", "type", "relation"):
        old, new = change["before"], change["after"]
        if change["kind"] == "constraint":
            yield from _constraint(seen, change, old, new)
        elif change["kind"] == "index":
            yield from _index(seen, change, old, new)
        elif change["kind"] == "type":
            yield from _domain(seen, old, new)
        elif old and new and new["partition"] and not old["partition"]:
            message = f"The table {plain(new['name'])} becomes a partition: rows outside its bounds are refused."
            yield Finding("M01", "may_break", old["name"], message, "Check what the old code writes to it.", SECTION)


def _gone(seen: Seen, entry: Facts) -> bool:
    """Tell whether the table goes as well, which another rule tells of."""
    return any(
        change["kind"] == "relation"
        and change["before"]
        and change["after"] is None
        and change["before"]["oid"] == entry["relation"]
        for change in seen.facts["changes"]
    )


def _is_anew(change: Facts) -> bool:
    """Tell whether it was dropped, and another of its name is made on the same table."""
    return bool(change["remade"] and change["before"]["relation"] == change["after"]["relation"])


def _constraint(seen: Seen, change: Facts, old: Facts | None, new: Facts | None) -> Iterator[Finding]:
    if new is None and old is not None:
        if old["type"] in "pu" and not change["covered"] and not _gone(seen, old):
            yield _unique_gone(old, _WORDS[old["type"]])
        elif old["type"] == "u" and not _gone(seen, old) and not change["named"] and not _has_its_name(seen, old):
            yield _name_gone(old, "is dropped, and only an index or another constraint does what it did")
        return
    if old and new and _is_anew(change) and old["type"] in "pu" and not change["covered"]:
        yield _unique_gone(old, _WORDS[old["type"]], new)
        return
    if new is not None and new["type"] == "c" and seen.took_name(new["relation"]):
        anew = _values_refused(seen, new, f"The check {plain(new['name'])}")
        yield from [anew] if anew else []
    if old and new and _is_named_otherwise(change):
        yield _name_gone(old, f"is called {new['name'].rpartition('.')[2]} now")
    if new is None or new["parent"] or not seen.existed(new["relation"]) or (change["covered"] and new["type"] in "pu"):
        return
    if old is not None and old["definition"].replace(" NOT VALID", "") == new["definition"].replace(" NOT VALID", ""):
        return  # validated, renamed, or made again as it was
    if not _is_about_old_columns(seen, new):
        if new["type"] in "pu":
            yield from _one_row_only(seen, new, new["columns"])
        return
    stricter = _stricter_key(seen, change, new)
    if stricter is not None:
        yield stricter
        return
    column = _kept_from_null(seen, new)
    if column is not None and seen.leaves_out(column):
        yield required(seen, column, f"The check {plain(new['name'])} refuses NULL in {plain(column['name'])}")
        return
    refused = _refused(seen, new)
    if refused is not None:
        yield refused
        return
    yield Finding(
        "M01",
        "may_break",
        new["name"],
        f"The new {_WORDS[new['type']]} {plain(new['name'])} refuses rows that old code may write: {new['definition']}.",
        "Release code that keeps to it first.",
        SECTION,
        rows=seen.rows(new["relation"]),
    )


def _has_its_name(seen: Seen, old: Facts) -> bool:
    """Tell whether an index has the name of a unique constraint that is gone, by which an error of it is known."""
    there = (change["after"] for change in seen.changes("index") if change["after"])
    own = old["name"].rpartition(".")[2]
    return any(each["relation"] == old["relation"] and each["name"].rpartition(".")[2] == own for each in there)


def _is_named_otherwise(change: Facts) -> bool:
    """Tell whether a unique or exclusion constraint is there under another name only."""
    old, new = change["before"], change["after"]
    same = old["oid"] == new["oid"] and old["relation"] == new["relation"] and change["named"] is None
    return bool(same and old["type"] in "ux" and old["name"].rpartition(".")[2] != new["name"].rpartition(".")[2])


def _name_gone(old: Facts, how: str) -> Finding:
    own = old["name"].rpartition(".")[2]
    message = (
        f"The {_WORDS[old['type']]} {plain(old['name'])} {how}: old code that names it fails (ON CONFLICT ON CONSTRAINT {own}), "
        "or does not know the error that tells of it."
    )
    fix = f"Look whether the old code names {own}; keep its name until that is gone, or allow this with the reason."
    return Finding("U08", "unknown", old["name"], message, fix, "Dropping a constraint")


def _refused(seen: Seen, new: Facts) -> Finding | None:
    """Tell what a new check refuses for certain: the defaults of its columns, or rows that are there."""
    name = plain(new["name"])
    columns = (seen.facts.get("defaults") or {}).get(new["oid"])
    if columns:
        message = (
            f"The check {name} refuses the default of {', '.join(columns)}: an INSERT of the old code that leaves it out fails."
        )
        fix = "Change the default in the same revision, or release code that always writes the column first."
        return Finding("C18", "breaks", new["name"], message, fix, SECTION, rows=seen.rows(new["relation"]))
    what = f"the {_WORDS[new['type']]} {name}"
    return _values_refused(seen, new, f"The check {name}") or _rows_refused(
        seen, new, what, "an UPDATE of the old code of one of them"
    )


def _values_refused(seen: Seen, new: Facts, what: str) -> Finding | None:
    """Tell of values that a check before this one names and permits."""
    values = (seen.facts.get("refused") or {}).get(new["oid"])
    if not values:
        return None
    shown = f"{', '.join(values[:5])}{' …' if len(values) > 5 else ''}"
    message = f"{what} refuses {shown}, which was permitted before: what the old code writes with such a value fails."
    fix = "Let it permit what it did, and release code that writes no more of that; make it narrower in a later release."
    return Finding("C18", "breaks", new["name"], message, fix, SECTION)


def _rows_refused(seen: Seen, new: Facts, what: str, refused: str) -> Finding | None:
    """Tell of rows that are there and do not meet a check that is not validated, and of what is refused therefore."""
    kept = next((each for each in seen.facts["checks"] if _is_kept(each, new) and each["rows"]), None)
    if kept is None:
        return None
    rows = "1000 or more" if kept["rows"] >= 1000 else str(kept["rows"])
    message = f"{rows} rows of {plain(kept['table'])} do not meet {what}: {refused} is refused."
    fix = "Mend these rows in a revision before, in batches, and release code that writes no more of them."
    return Finding("C18", "breaks", new["name"], message, fix, SECTION, rows=kept["rows"], source="data")


def _is_kept(answer: Facts, new: Facts) -> bool:
    return bool(answer["what"] == "kept" and answer["object"] == new["name"])


_ACTION = re.compile(r"\bON (DELETE|UPDATE) (CASCADE|SET NULL|SET DEFAULT)\b")


def _stricter_key(seen: Seen, change: Facts, new: Facts) -> Finding | None:
    """Tell of a foreign key that followed a DELETE or UPDATE of the old code, and refuses it now."""
    if new["type"] != "f" or not seen.existed(new["relation"]) or seen.rows(new["relation"]) == 0:
        return None
    gone = [each["before"] for each in seen.changes("constraint") if each["before"] and (each["after"] is None or each is change)]
    same = ("relation", "columns", "foreign", "foreign_columns", "type")
    earlier = next((each for each in gone if all(each.get(fact) == new.get(fact) for fact in same)), None)
    had = {} if earlier is None else dict(_ACTION.findall(earlier["definition"]))
    missing = [f"{verb} {action}" for verb, action in had.items() if verb not in dict(_ACTION.findall(new["definition"]))]
    if not missing:
        return None
    verbs = " and ".join(each.split(" ")[0] for each in missing)
    message = (
        f"The foreign key {plain(new['name'])} is no longer ON {', ON '.join(missing)}: {verbs} of the old code of a row that "
        f"{plain(new['table'])} points to fails."
    )
    fix = "Release code that changes both tables itself first, and make the key stricter in a later revision."
    return Finding("C18", "breaks", new["name"], message, fix, SECTION, rows=seen.rows(new["relation"]))


_CONSTANT = re.compile(r"^(?:'(?:[^']|'')*'|-?[\d.]+|true|false)(?:::[\w .\"\[\]]+(?:\([\d,]+\))?)?$")


def _one_row_only(seen: Seen, new: Facts, numbers: list[str]) -> Iterator[Finding]:
    """What is unique in columns that the old code does not know has the same value in each row that it adds."""
    added = {
        change["after"]["oid"]: change["after"]
        for change in seen.facts["changes"]
        if change["kind"] == "column" and change["before"] is None
    }
    columns = [added.get(f"{new['relation']}/{number}") for number in numbers]
    nulls = "NULLS NOT DISTINCT" in new["definition"]
    filled = set(seen.facts.get("filled") or ())
    if not columns or any(each is None or each["table"] in filled or not _is_same(each, nulls) for each in columns):
        return
    shown = ", ".join(plain(each["name"]) for each in columns if each)
    message = f"{plain(new['name'])} lets each value of {shown} be there once, and all rows that the old code adds have the same."
    fix = "Leave the column without a default, so that it is NULL there, or make it unique when the old code is gone."
    yield Finding("C18", "breaks", new["name"], message, fix, SECTION)


def _is_same(column: Facts, nulls: bool) -> bool:
    if column["identity"] or column["generated"]:
        return False
    return nulls if column["default"] is None else bool(_CONSTANT.match(str(column["default"])))


def _kept_from_null(seen: Seen, new: Facts) -> Facts | None:
    """Return the column that a check keeps from being NULL and does nothing else to, where it could be NULL before."""
    if new["type"] != "c" or not _NOT_NULL.match(new["definition"]):
        return None
    checked = (column for column in seen.facts.get("checked") or () if not column["not_null"])
    return next((column for column in checked if column["table"] == new["table"] and column["number"] in new["columns"]), None)


def _is_about_old_columns(seen: Seen, new: Facts) -> bool:
    """Old code writes nothing but NULL or the default into a column that it does not know."""
    added = {change["after"]["oid"] for change in seen.facts["changes"] if change["kind"] == "column" and change["before"] is None}
    return any(f"{new['relation']}/{number}" not in added for number in new["columns"] or ())


def _index(seen: Seen, change: Facts, old: Facts | None, new: Facts | None) -> Iterator[Finding]:
    if old and new and _is_anew(change) and old["unique"] and not old["constraint"] and not change["covered"]:
        yield _unique_gone(old, "unique index", new)
    if old is not None and new is None and not old["constraint"] and not change["covered"] and not _gone(seen, old):
        if old["unique"] and old.get("relkind") == "m":
            message = f"The unique index {plain(old['name'])} is dropped, without which no REFRESH … CONCURRENTLY works."
            fix = "Make another one first, or refresh it without CONCURRENTLY."
            yield Finding("M07", "may_break", old["name"], message, fix, "Dropping an index", rows=seen.rows(old["relation"]))
        elif old["unique"]:
            yield _unique_gone(old, "unique index")
        elif used := _used(seen, old):
            yield used
        else:
            message = f"The index {plain(old['name'])} is dropped: statements of the old code that use it become slow."
            fix = "Drop it when the old code is gone."
            if seen.dialect == "postgresql":
                drop = f"with op.get_context().autocommit_block(): op.execute('DROP INDEX CONCURRENTLY {plain(old['name'])}')"
                fix = f"Look at pg_stat_user_indexes.idx_scan; drop it when the old code is gone: {drop}."
            yield Finding("M07", "may_break", old["name"], message, fix, "Dropping an index", rows=seen.rows(old["relation"]))
    if (
        old is None
        and new is not None
        and new["unique"]
        and not new["constraint"]
        and seen.existed(new["relation"])
        and not change["covered"]
    ):
        same = [] if new["predicate"] or new["expressions"] else list(_one_row_only(seen, new, str(new["columns"]).split()))
        message = f"The new unique index {plain(new['name'])} refuses rows that old code may write."
        yield from same or [Finding("M01", "may_break", new["name"], message, "Release code that keeps to it first.", SECTION)]


#: So often an index is not used by the planner alone, which looks for the least and the greatest value.
_OFTEN = 100


def _used(seen: Seen, old: Facts) -> Finding | None:
    """Tell of an index that the real server finds rows of a large table by, and nothing that takes its place is made."""
    made = (change["after"] for change in seen.changes("index") if change["after"] and change["after"]["oid"] != old["oid"])
    scans = next((each["rows"] for each in seen.facts["checks"] if (each["what"], each["object"]) == ("used", old["name"])), None)
    anew = any(each["relation"] == old["relation"] and each["valid"] for each in made)
    if (scans or 0) < _OFTEN or anew or not seen.is_large(old["relation"]):
        return None
    message = (
        f"The index {plain(old['name'])} is dropped, by which rows of {plain(old['table'])} were found {scans} times since the "
        "server counts: statements of the old code read the whole table instead."
    )
    fix = (
        "Drop it when the old code is gone, in a revision that is declared contract; if nobody uses it any more "
        "(pg_stat_user_indexes.idx_scan does not grow), allow this with the reason."
    )
    return Finding("C22", "breaks", old["name"], message, fix, "Dropping an index", rows=seen.rows(old["relation"]), source="data")


def _unique_gone(old: Facts, what: str, new: Facts | None = None) -> Finding:
    how = f"is made anew as {new['definition']}" if new else "is dropped"
    return Finding(
        "C07",
        "breaks",
        old["name"],
        f"The {what} {plain(old['name'])} {how}: an ON CONFLICT of the old code that relies on it fails, and doubles get in.",
        "Release code that does not rely on it first; drop it in a later revision that is declared contract.",
        "Dropping a constraint",
        lock="AccessExclusive",
    )


def _domain(seen: Seen, old: Facts | None, new: Facts | None) -> Iterator[Finding]:
    if not old or not new or new["kind"] != "type":
        return
    if old["checks"] != new["checks"] or (new["not_null"] and not old["not_null"]):
        name = plain(new["name"])
        again = "what the old code writes with such a value"  # a row of which only others change is not looked at
        refused = _values_refused(seen, new, f"The domain {name}") or _rows_refused(seen, new, f"the domain {name}", again)
        message = f"The domain {name} takes other values than before: old code may be refused."
        fix = "Release code that keeps to it first."
        strict = [each for each in seen.facts.get("strict") or () if seen.existed(each["relation"]) and seen.leaves_out(each)]
        if new["not_null"] and not old["not_null"] and strict:
            yield required(seen, strict[0], f"The domain {name} refuses NULL, as in {plain(strict[0]['name'])}")
            return
        yield refused or Finding("M01", "may_break", new["name"], message, fix, SECTION)
