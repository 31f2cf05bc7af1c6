# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The catalogue of the real PostgreSQL database, asked by the names that SQL has for its objects."""

from __future__ import annotations

import re
from typing import Any, Mapping

from .seen import Facts


class Known:
    """:param facts: what the worker read: entries, roles and rights; None where it could not."""

    def __init__(self, facts: Mapping[str, Any] | None = None) -> None:
        self.there = facts is not None
        facts = facts or {}
        self.entries: list[Facts] = list(facts.get("entries") or ())
        self.roles: list[str] = list(facts.get("roles") or ())
        self.rights = {(role, kind, name): set(held) for role, kind, name, held in facts.get("rights") or ()}

    def all(self, kind: str, name: str) -> list[Facts]:
        """Return the objects of this kind that a name can mean; functions go without their parameters."""
        found = []
        for entry in self.entries:
            if entry["kind"] == kind:
                there = str(entry["name"]).partition("(")[0] if kind == "function" else str(entry["name"])
                if there == name or ("." not in name and there.rpartition(".")[2] == name):
                    found.append(entry)
        return found

    def one(self, kind: str, name: str) -> Facts | None:
        """Return the object that a name means, if that is certain."""
        found = self.all(kind, name)
        return found[0] if len(found) == 1 else None

    def on(self, kind: str, table: str) -> list[Facts]:
        """Return the columns, constraints, triggers … of a table."""
        relation = self.one("relation", table)
        return [entry for entry in self.entries if relation and entry["kind"] == kind and entry.get("table") == relation["name"]]

    def column(self, table: str, column: str) -> Facts | None:
        return next((entry for entry in self.on("column", table) if entry["column"] == column), None)

    def constraint(self, table: str, name: str) -> Facts | None:
        return next((entry for entry in self.on("constraint", table) if str(entry["name"]).rpartition(".")[2] == name), None)

    def kept_from_null(self, table: str, column: str) -> Facts | None:
        """Return the check that says of a column that it is not NULL."""
        text = re.compile(rf'CHECK \(+"?{re.escape(column)}"? IS NOT NULL\)+(?: NOT VALID)?')
        checks = (entry for entry in self.on("constraint", table) if entry["type"] == "c")
        return next((entry for entry in checks if text.fullmatch(str(entry["definition"]))), None)

    def partitions(self, table: str) -> list[Facts]:
        relation = self.one("relation", table)
        return [entry for entry in self.entries if relation and entry.get("parent") == relation["oid"] and "bound" in entry]

    def users(self, table: str, column: str) -> list[str]:
        """Return the views and generated columns whose text names this column, which keep its type from being changed."""
        relation = self.one("relation", table)
        if relation is None:
            return []
        named, of = re.compile(rf"\b{re.escape(column)}\b"), re.compile(rf"\b{re.escape(table.rpartition('.')[2])}\b")
        views = [
            entry["name"]
            for entry in self.entries
            if entry["kind"] == "relation" and entry["query"] and named.search(entry["query"]) and of.search(entry["query"])
        ]
        made = [
            entry["name"] for entry in self.on("column", table) if entry["generated"] and named.search(str(entry["default"] or ""))
        ]
        return [*views, *made]

    def holders(self, kind: str, name: str, privileges: set[str]) -> list[str]:
        """Return the roles of running code that have one of these privileges; no privileges are all."""
        return [
            role
            for (role, what, there), held in self.rights.items()
            if what == kind
            and (there.split("(")[0] == name or ("." not in name and there.split("(")[0].rpartition(".")[2] == name))
            and (held & privileges if privileges else held)
        ]
