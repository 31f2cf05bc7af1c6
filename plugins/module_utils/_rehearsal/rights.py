# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C13, C19, M10, U09: a role of running code can no longer do what it could."""

from __future__ import annotations

from typing import Iterator

from .._core.plan import Finding
from .seen import Facts, Seen, plain
from .views import not_written_any_more

SECTION = "Privileges and policies"
_KINDS = {"database": "DATABASE …", "relation": "", "S": "SEQUENCE ", "function": "FUNCTION ", "schema": "SCHEMA ", "type": "TYPE "}
_WORDS = {
    "database": "this database",
    "relation": "",
    "S": "the sequence ",
    "function": "the function ",
    "schema": "the schema ",
    "type": "the type ",
}


def check(seen: Seen) -> Iterator[Finding]:
    told: dict[tuple[str, str, str], list[Facts]] = {}
    unwritable = {
        (change["before"]["name"], word)
        for change in seen.changes("relation")
        if change["before"] and change["after"]
        for word in not_written_any_more(change["before"], change["after"])
    }
    lost = [item for item in seen.facts.get("lost") or () if not item["whole"]]
    gone = {(item["role"], item["object"], item["privilege"]) for item in lost}
    yield from _narrowed(seen, gone)
    yield from _fewer_rows(seen)
    for item in seen.facts.get("shadowed") or ():
        yield _shadowed(item)
    for role, name, value in seen.facts.get("settings") or ():
        yield _set(seen, role, name, value)
    for item in seen.facts.get("lacking") or ():
        yield _lacking(item)
    for item in lost:
        if (item["object"], item["privilege"]) in unwritable:
            continue  # which is told of the view
        told.setdefault((item["role"], item["kind"], item["object"]), []).append(item)
    for (role, kind, name), items in told.items():
        yield _lost(seen, role, kind, name, items)


def _narrowed(seen: Seen, gone: set[tuple[str, str, str]]) -> Iterator[Finding]:
    """Policies with a condition: whether the rows of the old code meet it, only their values and its settings tell."""
    told: dict[tuple[str, str], list[str]] = {}
    asked = {(each["role"], each["table"]) for each in seen.facts.get("policies") or () if each["rows"] is not None}
    doubted = {(each["role"], each["table"]) for each in seen.facts.get("policies") or () if each["rows"] is None}
    for item in seen.facts.get("lost") or ():
        if (item["role"], item["object"]) in asked - doubted:
            continue  # the rows that are there were asked
        if _hides_no_row(seen, item):
            continue  # a policy changes, and another rule tells that
        if item["whole"] and (item["role"], item["object"], item["privilege"]) not in gone:
            told.setdefault((item["role"], item["object"]), []).append(item["privilege"])
    for (role, name), commands in told.items():
        shown = ", ".join(commands)
        message = (
            f"{shown} of the role {role} on {plain(name)} reach only the rows that a policy permits, where they reached every row."
        )
        fix = (
            f"Look what the policies of {plain(name)} ask for (a setting, a column) and whether the old code gives it; let "
            "one permit everything until it does (USING (true)), or allow this with the reason."
        )
        yield Finding("U09", "unknown", name, message, fix, SECTION)


def _fewer_rows(seen: Seen) -> Iterator[Finding]:
    """What a role saw or wrote and may no more: the rows that are there say it, or a setting of the session does."""
    told: dict[tuple[str, str], list[Facts]] = {}
    for item in seen.facts.get("policies") or ():
        told.setdefault((item["role"], item["table"]), []).append(item)
    known = {(each["role"], each["object"]) for each in seen.facts.get("lost") or ()}
    for (role, name), items in told.items():
        fewer = [item for item in items if item["rows"]]
        shown = ", ".join(dict.fromkeys(item["command"] for item in fewer or items))
        if fewer:
            rows = max(item["rows"] for item in fewer)
            many = "1000 or more" if rows >= 1000 else str(rows)
            message = (
                f"{shown} of the role {role} on {plain(name)} reach {many} rows less that are there, or such rows are refused."
            )
            fix = f"Let a policy of {plain(name)} permit them until the old code is gone."
            yield Finding("C13", "breaks", name, message, fix, SECTION, rows=rows, source="data")
        elif any(item["rows"] is None for item in items) and (role, name) not in known:
            message = (
                f"A policy narrows {shown} of the role {role} on {plain(name)} by what its session or other tables say; whether "
                "the old code meets it does not show."
            )
            fix = "Look whether the old code gives what it asks for, and allow this with the reason."
            yield Finding("U09", "unknown", name, message, fix, SECTION)


def _shadowed(item: Facts) -> Finding:
    what = "function" if item["kind"] == "function" else "type" if item["kind"] == "type" else "relation"
    message = (
        f"The {what} {item['object']} is found before {plain(item['other'])} by the search_path of the role {item['role']}: the "
        "old code that names it without a schema gets another one."
    )
    fix = "Give it another name, or a schema that is not in the search_path of the old code."
    return Finding("C19", "breaks", item["object"], message, fix, SECTION)


def _hides_no_row(seen: Seen, item: Facts) -> bool:
    """Tell whether all rows that are there meet the policies which this revision makes or changes, whoever asks."""
    made = [change["after"] for change in seen.changes("policy") if change["after"] and change["after"]["table"] == item["object"]]
    known = {answer["object"] for answer in seen.facts["checks"] if answer["what"] == "hidden" and answer["rows"] == 0}
    same = all(each["check"] in (None, each["using"]) for each in made)
    return same and any(each["command"] == "*" for each in made) and all(each["name"] in known for each in made)


def _set(seen: Seen, role: str, name: str, value: str) -> Finding:
    """A setting of the database is that of every new session of the old code."""
    who = f"the role {role}" if role else "the database"
    schemas = [schema.strip().strip('"') for schema in value.split(",")]
    breaks = (name == "search_path" and "public" not in schemas) or (
        name == "default_transaction_read_only" and value.lower() in ("on", "true", "yes", "1")
    )
    message = f"Each new session of {who} begins with {name} = {value}: "
    message += "statements of the old code fail." if breaks else "the same statement of old code may do something else."
    fix = "Let the new code set it for its own sessions, or do it when the old code is gone."
    return Finding("C19" if breaks else "M10", "breaks" if breaks else "may_break", seen.revision, message, fix, SECTION)


def _lacking(item: Facts) -> Finding:
    user, role, privilege = plain(item["user"].partition(" ")[2]), item["role"], item["privilege"]
    what, shown = item["user"].partition(" ")[0], f"{_KINDS[item['kind']]}{plain(item['on'])}"
    message = (
        f"The {what} {user} runs with the rights of who uses it, and the role {role} has no {privilege} on "
        f"{_WORDS[item['kind']]}{plain(item['on'])}: statements of the old code fail."
    )
    other = "" if what == "view" else ", or make the function SECURITY DEFINER"
    fix = f"Grant it in the same revision: op.execute('GRANT {privilege} ON {shown} TO {role}'){other}."
    return Finding("C13", "breaks", item["object"], message, fix, SECTION)


def _lost(seen: Seen, role: str, kind: str, name: str, items: list[Facts]) -> Finding:
    privileges = ", ".join(item["privilege"] + _columns(item) for item in items)
    blocked = _is_blocked(seen, name)
    if blocked:
        why = "row security is on, and no policy permits it, so no row is read or written"
        words = " FOR " + items[0]["privilege"] if len(items) == 1 else ""
        fix = (
            f"Make the policy in the same revision: op.execute('CREATE POLICY {role}_all ON {plain(name)}{words} TO {role} "
            "USING (…) WITH CHECK (…)')."
        )
    else:
        why = _why(seen, name)
        shown = f"{_KINDS[kind]}{plain(name)}"
        grant = f"op.execute('GRANT {privileges} ON {shown} TO {role}')"
        fix = f"Grant it in the same revision: {grant}. Revoke it when the old code is gone."
    message = (
        f"The role {role} has no {privileges} on {_WORDS[kind]}{plain(name)} any more ({why}): statements of the old code fail."
    )
    return Finding("C13", "breaks", name, message, fix, SECTION)


def _columns(item: Facts) -> str:
    return f" ({', '.join(item['columns'])})" if item["columns"] else ""


def _is_blocked(seen: Seen, name: str) -> bool:
    tables = [change for change in seen.changes("relation") if change["after"] and change["after"]["name"] == name]
    policies = [change for change in seen.changes("policy") if (change["after"] or change["before"])["table"] == name]
    return any(item["after"].get("row_security") for item in tables) or bool(policies)


def _why(seen: Seen, name: str) -> str:
    for change in seen.facts["changes"]:
        new = change["after"]
        if new is not None and new["name"] == name and (change["remade"] or change["before"] is None):
            return "it was made anew, without the grants of what had the name"
        if change["named"] is not None and change["named"]["name"] == name:
            return "another object took its name, which has not its grants"
    return "it was revoked"
