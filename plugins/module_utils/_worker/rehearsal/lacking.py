# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a role of running code lacks for views, functions and triggers of PostgreSQL that run with the rights of who uses them."""

from __future__ import annotations

import re
from typing import Any, Iterator

from .access import Session
from .catalog import Catalog, Entry, of_kind, spellings
from .refusing import TEXTS
from .rights import Rights

_READS = """
select distinct n.nspname || '.' || c.relname from pg_rewrite r
join pg_depend d on d.objid = r.oid and d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
join pg_class c on c.oid = d.refobjid join pg_namespace n on n.oid = c.relnamespace
where r.ev_class = {oid} and c.oid <> r.ev_class"""
#: Functions that are called for the role which writes a row: those of a default, a check or an index.
_CALLS = """
select distinct n.nspname || '.' || p.proname || '(' || oidvectortypes(p.proargtypes) || ')' from pg_depend d
join pg_proc p on p.oid = d.refobjid and d.refclassid = 'pg_proc'::regclass join pg_namespace n on n.oid = p.pronamespace
where n.nspname !~ '^pg_' and {of}"""
_OF = {
    "column": "d.classid = 'pg_attrdef'::regclass and d.objid in (select oid from pg_attrdef where adrelid = {0} and adnum = {1})",
    "constraint": "d.classid = 'pg_constraint'::regclass and d.objid = {0}",
    "index": "d.classid = 'pg_class'::regclass and d.objid = {0}",
}
_SOURCE = "select prosrc from pg_proc where oid = {oid}"
_NAME = r"([\w.\"]+)"
_NEEDS = tuple(
    (privilege, re.compile(pattern, re.I))
    for privilege, pattern in (
        ("INSERT", rf"\bINSERT\s+INTO\s+{_NAME}"),
        ("UPDATE", rf"\bUPDATE\s+(?:ONLY\s+)?{_NAME}\s+(?:(?:AS\s+)?\w+\s+)?SET\b"),
        ("DELETE", rf"\bDELETE\s+FROM\s+(?:ONLY\s+)?{_NAME}"),
        ("SELECT", rf"(?<!\bDELETE)\s(?:FROM|JOIN)\s+(?:ONLY\s+)?{_NAME}(?!\s*\()"),
    )
)
#: An INSERT without a list gives every column.
_LISTED = re.compile(rf"\bINSERT\s+INTO\s+{_NAME}\s*\(([^()]*)\)", re.I)
_EVENTS = re.compile(r"\b(INSERT|UPDATE|DELETE)\b")
_NEXT = re.compile(r"\bnextval\('([^']+)'")


def found(session: Session, changes: list[dict[str, Any]], before: Catalog, after: Catalog, rights: Rights) -> list[dict[str, Any]]:
    """Return who uses what, and which privilege on which relation it lacks for that since this revision."""
    told: dict[tuple[str, str, str], dict[str, Any]] = {}
    for user, held, needs in _users(session, changes, before, after):
        for (role, kind, name), privileges in rights.items():
            if (kind, name) != (held[0], held[1]) or not set(held[2]) & set(privileges):
                continue
            for privilege, relation, sort in needs:
                if privilege not in (rights.get((role, sort, relation)) or {}) and (role, sort, relation) in rights:
                    item = {"role": role, "user": user, "object": name, "privilege": privilege, "on": relation, "kind": sort}
                    told.setdefault((role, user, relation), item)
    return list(told.values())


def _users(
    session: Session, changes: list[dict[str, Any]], before: Catalog, after: Catalog
) -> Iterator[tuple[str, tuple[str, str, tuple[str, ...]], list[tuple[str, str, str]]]]:
    """Yield what is used, by whom (kind, object and any of its privileges), and what is needed for it."""
    for change in changes:
        old, new = change["before"], change["after"]
        if new is not None and change["kind"] in _OF:
            yield from _of_expressions(session, change["kind"], old, new, before)
        if new is None or (old is None and change["kind"] not in ("trigger", "column")):
            continue
        if change["kind"] == "relation" and new["relkind"] == "v" and _invokes(new):
            if not _invokes(old) or old["query"] != new["query"]:
                names = [str(row[0]) for row in session.rows(_READS.format(oid=int(new["oid"])))]
                yield (
                    f"view {new['name']}",
                    ("relation", new["name"], ("SELECT",)),
                    [("SELECT", name, "relation") for name in names],
                )
        elif change["kind"] == "column":
            sequence = takes_numbers(new)
            if sequence and not (old and takes_numbers(old) == sequence) and ("relation", new["relation"]) in before:
                yield f"default of {new['name']}", ("relation", new["table"], ("INSERT",)), [("USAGE", sequence, "S")]
        elif change["kind"] == "function" and not new["security_definer"]:
            if old["security_definer"] == new["security_definer"] and old["source"] == new["source"]:
                continue
            needs = _needed(session, new, after)
            if new["returns"] == "trigger":
                for trigger in _triggers(after, new["oid"]):
                    yield _of_trigger(trigger, needs)
            else:
                name = f"{new['name'].split('(')[0]}({new['arguments']})"
                yield f"function {name}", ("function", name, ("EXECUTE",)), needs
        elif change["kind"] == "trigger" and ("relation", new["relation"]) in before:
            function = after.get(("function", str(new["function"])))
            if function is not None and not function["security_definer"]:
                yield _of_trigger(new, _needed(session, function, after))


def _of_expressions(
    session: Session, kind: str, old: Entry | None, new: Entry, before: Catalog
) -> Iterator[tuple[str, tuple[str, str, tuple[str, ...]], list[tuple[str, str, str]]]]:
    """Yield what calls functions where a row is written."""
    fact = "default" if kind == "column" else "definition"
    calls = "(" in str(new[fact]) and (
        kind == "column" or new.get("type") in ("c", "x") or new.get("expressions") or new.get("predicate")
    )
    if not calls or ("relation", new["relation"]) not in before or (old and old[fact] == new[fact]):
        return
    asked = _CALLS.format(of=_OF[kind].format(*(int(number) for number in new["oid"].split("/"))))
    names = [str(row[0]) for row in session.rows(asked)]
    if names:
        what = "default of" if kind == "column" else "check" if kind == "constraint" else "index"
        held = ("relation", new["table"], ("INSERT", "UPDATE"))
        yield f"{what} {new['name']}", held, [("EXECUTE", name, "function") for name in names]


def _invokes(view: Entry) -> bool:
    return any(re.fullmatch(r"security_invoker=(?:true|on|yes|1)", option) for option in view.get("options") or ())


def _triggers(catalog: Catalog, function: str) -> list[Entry]:
    return [each for each in of_kind(catalog, "trigger") if str(each["function"]) == str(function)]


def _of_trigger(trigger: Entry, needs: list[tuple[str, str, str]]) -> Any:
    events = tuple(_EVENTS.findall(trigger["definition"].partition(" ON ")[0]))
    return f"trigger {trigger['name']}", ("relation", trigger["table"], events), needs


def _needed(session: Session, function: Entry, catalog: Catalog) -> list[tuple[str, str, str]]:
    """Return what the text of a function needs, as far as it shows."""
    text = " " + TEXTS.sub("''", str(session.value(_SOURCE.format(oid=int(function["oid"]))) or ""))
    there: dict[str, set[str]] = {}
    for entry in of_kind(catalog, "relation"):
        for name in spellings(entry):
            there.setdefault(name, set()).add(entry["name"])
    needs = []
    for privilege, pattern in _NEEDS:
        for name in pattern.findall(text):
            names = there.get(name.replace('"', ""), set())
            if len(names) == 1:
                (relation,) = names
                needs.append((privilege, relation, "relation"))
    for name, listed in _LISTED.findall(text):
        names = there.get(name.replace('"', ""), set())
        given = {column.strip().strip('"') for column in listed.split(",")}
        needs += [("USAGE", sequence, "S") for relation in names for sequence in _sequences(catalog, relation, given)]
    return needs


def _sequences(catalog: Catalog, table: str, given: set[str]) -> Iterator[str]:
    """Yield the sequences that the defaults of a table take numbers from, where an INSERT leaves a column out."""
    for entry in of_kind(catalog, "column"):
        name = takes_numbers(entry) if entry["table"] == table and entry["column"] not in given else None
        if name:
            yield name


def takes_numbers(column: Entry) -> str | None:
    """Return the sequence that a default takes numbers from."""
    match = _NEXT.search(str(column.get("default") or ""))
    name = match.group(1).replace('"', "") if match else None
    return name if name is None or "." in name else f"{column['table'].split('.')[0]}.{name}"
