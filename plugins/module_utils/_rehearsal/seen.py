# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the worker saw of one revision, in the shape that the rules want."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping

Facts = Mapping[str, Any]
#: Lock → what it keeps out. PostgreSQL manual, "Explicit Locking", table "Conflicting Lock Modes". Shared is MySQL's. Reserved is
#: SQLite's, and is on the whole file (https://www.sqlite.org/lockingv3.html).
STRONG = {
    "AccessExclusive": "reads and writes",
    "Exclusive": "writes",
    "ShareRowExclusive": "writes",
    "Share": "writes",
    "Shared": "writes",
    "Reserved": "writes to the whole file",
}
#: PostgreSQL's locks on tables, the weakest first.
LOCKS = (
    "AccessShare",
    "RowShare",
    "RowExclusive",
    "ShareUpdateExclusive",
    "Share",
    "ShareRowExclusive",
    "Exclusive",
    "AccessExclusive",
)


@dataclass(frozen=True)
class Large:
    """From which size on a table is large: rows, or bytes where the rows were never counted or are wide."""

    rows: int = 100000
    bytes: int = 64 * 1024 * 1024

    def is_few(self, rows: int | None) -> bool:
        """Tell whether so many rows are a batch, which is changed in a moment."""
        return rows is not None and rows < max(1, self.rows // 10)

    def has(self, table: Facts) -> bool:
        return (table["rows"] or 0) >= self.rows or table["bytes"] >= self.bytes


@dataclass(frozen=True)
class Seen:
    """One revision as it ran, in one direction.

    :param facts: the worker's report.
    :param held: table → strongest lock that a revision before it still holds, where all of them share one transaction.
    """

    facts: Facts
    large: Large = field(default_factory=Large)
    held: Mapping[str, str] = field(default_factory=dict)

    @property
    def revision(self) -> str:
        return str(self.facts["revision"])

    @property
    def statements(self) -> list[Facts]:
        return list(self.facts["statements"])

    @property
    def dialect(self) -> str:
        return str(self.facts.get("dialect") or "postgresql")

    @property
    def whole(self) -> bool:
        """Whether it ran on all the rows, and not on an empty copy."""
        return bool(self.facts.get("whole"))

    @property
    def commits_by_itself(self) -> bool:
        """Whether the database commits each change of the schema as it comes."""
        return self.dialect != "postgresql"

    def changes(self, *kinds: str) -> Iterator[Facts]:
        """Yield what became of the objects of these kinds, without those that running code can't know."""
        for change in self.facts["changes"]:
            if change["kind"] in kinds and not change["pending"]:
                yield change

    def table(self, oid: Any) -> Facts:
        return self.facts["tables"].get(str(oid)) or {"name": "a new table", "rows": 0, "bytes": 0}

    def existed(self, oid: Any) -> bool:
        return str(oid) in self.facts["tables"]

    def replaced(self) -> set[str]:
        """Return the renamed tables whose name another one has, if its columns are known, which those of SQLite's views are not."""
        known = {entry["relation"] for change in self.changes("column") for entry in (change["named"], change["after"]) if entry}
        return {
            change["before"]["oid"]
            for change in self.changes("relation")
            if change["before"] and change["after"] and change["named"] and change["named"]["oid"] in known
        }

    def leaves_out(self, column: Facts) -> bool:
        """Tell whether an INSERT that does not name this column writes NULL: no default and no trigger gives a value."""
        given = column["default"] is not None or column["identity"] or column["generated"]
        return not given and column["table"] not in (self.facts.get("filled") or ())

    @property
    def renamed_types(self) -> dict[str, str]:
        """Return what a type was called → what it is called now."""
        found = [change for change in self.changes("type") if change["before"] and change["after"] and not change["named"]]
        names = [(change["before"]["name"], change["after"]["name"]) for change in found]
        return {spelt(old): spelt(new) for old, new in names if old != new for spelt in (str, plain)}

    def with_types_of_today(self, expression: str | None) -> str | None:
        """Return a default with its casts as the types are called now."""
        for old, new in self.renamed_types.items():
            expression = expression and re.sub(rf"::{re.escape(old)}(?![\w.])", f"::{new}", expression)
        return expression

    @property
    def knows_roles(self) -> bool:
        """Whether what the roles of running code may do was compared, so that a change of privileges says no more."""
        return self.facts.get("roles") is not None

    def is_covered(self, partition: Facts) -> bool:
        """Tell whether another partition takes the rows of one that is gone."""
        others = (change["after"] for change in self.facts["changes"] if change["kind"] == "relation" and change["after"])
        defaults = self.facts.get("default_partitions") or ()
        return partition["parent"] in defaults or any(
            other.get("parent") == partition["parent"] and other.get("bound") == partition["bound"] for other in others
        )

    def took_name(self, oid: Any) -> bool:
        """Tell whether this new table has the name that another one had, which is gone or renamed."""
        others = map(successor, self.changes("relation"))
        return any(other and str(other["oid"]) == str(oid) for other in others)

    def is_large(self, oid: Any) -> bool:
        return self.large.has(self.table(oid))

    def rows(self, oid: Any) -> int | None:
        rows = self.table(oid)["rows"]
        return None if rows is None else int(rows)

    def strong_locks(self, statement: Facts) -> dict[str, str]:
        """Return table → lock, of the locks that keep running code out while the statement runs."""
        own = {
            self.table(oid)["name"]: mode
            for oid, mode in statement["locks"].items()
            if mode in STRONG and (mode == "AccessExclusive" or not self.table(oid).get("stored"))  # nobody writes a stored query
        }
        return stronger(self.held, own) if statement["transactional"] and not statement["autocommit"] else own

    def left_held(self) -> dict[str, str]:
        """Return the locks that are held after it, where the revisions share one transaction; an autocommit block ends that."""
        found = dict(self.held)
        for statement in self.statements:
            if statement["autocommit"] or not statement["transactional"]:
                found = {}
            else:
                found = stronger(found, self.strong_locks(statement))
        return found

    def requires_new_column(self, oid: Any) -> bool:
        """Tell whether a column without a value for the rows that are there is added, which fails at the first of them."""
        return any(
            change["before"] is None and str(change["after"]["relation"]) == str(oid) and is_required(change["after"])
            for change in self.facts["changes"]
            if change["kind"] == "column"
        ) and (self.table(oid)["rows"] != 0 or self.table(oid)["bytes"] > 0)

    @property
    def downgrade(self) -> Seen | None:
        back = self.facts.get("downgrade")
        return Seen(back, self.large) if back else None


def stronger(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, str]:
    """Return the strongest lock of both on each table."""
    found = dict(first)
    for table, mode in second.items():
        if table not in found or (mode in LOCKS and found[table] in LOCKS and LOCKS.index(mode) > LOCKS.index(found[table])):
            found[table] = mode
    return found


def successor(change: Facts) -> Facts | None:
    """Return the other object that has the old name of this one, which was renamed or dropped."""
    return change["named"] or (change["after"] if change["remade"] else None)


def is_required(column: Facts) -> bool:
    """Tell whether an INSERT that does not know this column fails."""
    return bool(column["not_null"]) and column["default"] is None and not column["identity"] and not column["generated"]


def plain(name: str) -> str:
    """Return a name as people write it."""
    return name[len("public.") :] if name.startswith("public.") else name
