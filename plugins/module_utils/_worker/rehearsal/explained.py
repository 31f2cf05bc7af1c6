# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""PostgreSQL's plan of a statement, as EXPLAIN gives it in JSON."""

from __future__ import annotations

from typing import Any


class Plan:
    """What a plan as JSON says: which tables it reads as a whole, and which rows it changes."""

    def __init__(self, plan: Any, relations: dict[str, Any], creates: bool) -> None:
        self.oids = {item[0]: oid for oid, item in relations.items() if item[1] != "i"} if plan else {}
        self.scanned: set[str] = set()
        self.read: set[str] = set()
        self.written: set[str] = set()
        self.kind: str | None = None
        self.unfiltered = False
        self._upserts = False
        self._targets: set[str] = set()
        if plan:
            root = plan[0].get("Plan") or {}
            self.kind = "create" if creates else "select"
            self._walk(root, False)

    @property
    def targets(self) -> set[str]:
        """The tables that rows are written to."""
        return self._targets - {""}

    @property
    def changed(self) -> set[str]:
        """The tables in which rows that are there may change."""
        return self.targets if self.kind in ("update", "delete", "merge") or self._upserts else set()

    def _walk(self, node: dict[str, Any], limited: bool) -> None:
        kind, name = node.get("Node Type"), f"{node.get('Schema')}.{node.get('Relation Name')}"
        oid = self.oids.get(name)
        if kind == "ModifyTable":
            self.kind = str(node.get("Operation")).lower()
            self._upserts = self._upserts or node.get("Conflict Resolution") == "UPDATE"
            self._targets |= {oid} if oid else set()
            self._targets |= {
                self.oids.get(f"{target.get('Schema')}.{target.get('Relation Name')}", "")
                for target in node.get("Target Tables") or ()
            }
        elif kind == "LockRows":
            self.kind = "update"
            self._targets |= {self.oids.get(table, "") for table in _relations_below(node)}
        elif oid:
            self.read.add(oid)
            condition = {"Index Scan": "Index Cond", "Index Only Scan": "Index Cond", "Bitmap Heap Scan": "Recheck Cond"}.get(
                str(kind)
            )
            whole = kind in ("Seq Scan", "Foreign Scan", "Sample Scan") or (condition is not None and not node.get(condition))
            if whole and not limited:
                self.scanned.add(oid)
                if oid in self._targets and self.kind in ("update", "delete", "merge"):
                    self.written.add(oid)
                    self.unfiltered = self.unfiltered or not node.get("Filter")
        for below in node.get("Plans") or ():
            self._walk(below, limited or kind == "Limit")


def _relations_below(node: dict[str, Any]) -> set[str]:
    found = {f"{node.get('Schema')}.{node['Relation Name']}"} if node.get("Relation Name") else set()
    for below in node.get("Plans") or ():
        found |= _relations_below(below)
    return found
