# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C13: a role of running code can no longer do what it could."""

from __future__ import annotations

from typing import Iterator

from .._core.plan import Finding
from .seen import Facts, Seen, plain

SECTION = "Privileges and policies"
_KINDS = {"relation": "", "S": "SEQUENCE ", "function": "FUNCTION ", "schema": "SCHEMA ", "type": "TYPE "}
_WORDS = {"relation": "", "S": "the sequence ", "function": "the function ", "schema": "the schema ", "type": "the type "}


def check(seen: Seen) -> Iterator[Finding]:
    told: dict[tuple[str, str, str], list[Facts]] = {}
    for item in seen.facts.get("lost") or ():
        told.setdefault((item["role"], item["kind"], item["object"]), []).append(item)
    for (role, kind, name), items in told.items():
        yield _lost(seen, role, kind, name, items)


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
