# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which rows the policies of PostgreSQL take from a role of running code: what it saw or wrote before, and may no more."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable

from .access import Session, qualified
from .catalog import Catalog, Entry, belonging
from .real import WITHOUT_EFFECT
from .rights import names_of

#: So many rows are counted.
MOST = 1000
#: What a role does: the command of a policy, and whether it is about rows that are written.
_DOES = (("SELECT", "r", False), ("INSERT", "a", True), ("UPDATE", "w", False), ("UPDATE", "w", True), ("DELETE", "d", False))
_TEXTS = re.compile(r"'(?:[^']|'')*'")
_CALLED = re.compile(r"\b(\w+)\s*\(")
#: Settings, roles and other tables: what one session may see, another one may not.
_BY_SESSION = re.compile(r"\b(?:SELECT|CURRENT_\w+|SESSION_USER|USER)\b", re.I)
_WORDS = {"and", "or", "not", "in", "any", "all", "between", "values", "case", "when", "then", "else"}
#: Roles that policies are for, and the roles that each of them has.
_HAS = """
select r.rolname::text, r.rolbypassrls, coalesce(pg_has_role(r.oid, c.relowner, 'USAGE'), false),
       array(select m.oid::text from pg_roles m where pg_has_role(r.oid, m.oid, 'USAGE'))
from pg_roles r cross join pg_class c where r.rolname = any({roles}) and c.oid = {oid}"""


def narrowed(
    session: Session,
    names: list[str],
    changes: Iterable[dict[str, Any]],
    catalogs: tuple[Catalog, Catalog, Catalog],
    ask: Callable[[str], list[tuple[Any, ...]] | None],
) -> list[dict[str, Any]]:
    """Return role, table and command of which fewer rows are permitted; ``rows``: of those that there are, None is not known.

    :param catalogs: as the real database has it, and before and after the revision.
    :param ask: asks the real database.
    """
    base, before, after = catalogs
    entries = [entry for change in changes for entry in (change["after"] or change["before"],)]
    oids = {entry["relation"] for entry in entries if entry["kind"] == "policy"}
    oids |= {entry["oid"] for entry in entries if entry["kind"] == "relation" and entry.get("row_security")}
    found = []
    for oid in sorted(oids):
        key = ("relation", oid)
        if key in base and key in before and key in after:
            found += _of_table(session, names, oid, catalogs, ask)
    return found


def _of_table(session: Session, names: list[str], oid: str, catalogs: tuple[Catalog, Catalog, Catalog], ask: Any) -> list[Any]:
    base, before, after = (each[("relation", oid)] for each in catalogs)
    table, found = qualified(str(base["name"])), []
    for role, bypasses, owns, has in session.rows(_HAS.format(roles=names_of(names), oid=int(oid))):
        for command, letter, written in _DOES:
            first, second = (
                "true" if bypasses or not entry["row_security"] or (owns and not entry["force_row_security"]) else text
                for entry, text in (
                    (before, _condition(catalogs[1], oid, letter, written, has)),
                    (after, _condition(catalogs[2], oid, letter, written, has)),
                )
            )
            if first == second or second == "true" or _is_wider(catalogs, oid, letter, written, has, first):
                continue
            told = {"role": role, "table": after["name"], "command": command, "written": written, "rows": None}
            if not _by_session(f"{first} {second}"):
                rows = ask(
                    f"select count(*) from (select 1 from {table} where ({first}) and ({second}) is not true limit {MOST}) s"
                )
                told["rows"] = int(rows[0][0]) if rows else None
            found.append(told)
    return found


def _parts(catalog: Catalog, oid: str, letter: str, written: bool, has: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the conditions of which one has to be met, and those that all have to be."""
    own = [each for each in belonging(catalog, oid) if each["kind"] == "policy" and each["relation"] == oid]
    own = [each for each in own if each["command"] in ("*", letter) and _is_for(each, has)]
    texts = [(each["permissive"], (each["check"] if written else None) or each["using"] or "true") for each in own]
    return sorted(text for permissive, text in texts if permissive), sorted(text for permissive, text in texts if not permissive)


def _is_for(policy: Entry, has: Iterable[str]) -> bool:
    roles = str(policy["roles"]).strip("{}").split(",")
    return "0" in roles or bool(set(roles) & set(has))


def _condition(catalog: Catalog, oid: str, letter: str, written: bool, has: Iterable[str]) -> str:
    one, every = _parts(catalog, oid, letter, written, has)
    permitted = "true" if "true" in one else " or ".join(f"({each})" for each in one) or "false"
    return (
        " and ".join([f"({permitted})", *(f"({each})" for each in every if each != "true")])
        if permitted != "true" or every
        else "true"
    )


def _is_wider(
    catalogs: tuple[Catalog, Catalog, Catalog], oid: str, letter: str, written: bool, has: Iterable[str], first: str
) -> bool:
    """Tell whether nothing can be lost: what permitted is there still, and what refused is all that there was."""
    if first == "true":
        return False
    (one, every), (now, more) = (_parts(each, oid, letter, written, has) for each in catalogs[1:])
    return set(one) <= set(now) and set(more) <= set(every)


def _by_session(condition: str) -> bool:
    text = _TEXTS.sub("''", condition)
    called = {name.lower() for name in _CALLED.findall(text)}
    return bool(_BY_SESSION.search(text)) or not called <= (WITHOUT_EFFECT | _WORDS)
