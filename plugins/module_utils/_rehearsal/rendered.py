# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One revision as SQL that nobody has run, and what is known of the real database beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from .known import Known
from .seen import Large

SECTION = "When nothing can be rehearsed"


@dataclass(frozen=True)
class Rendered:
    """
    :param sql: None where it could not be rendered, for ``problem``.
    :param tables: table → {rows, bytes} of the real database.
    :param squawk: what squawk found in it: rule, line and column (from 0), message.
    :param parsed: its statements as PostgreSQL's own parser reads them, if there is one: sql, and end in the text.
    :param known: the catalogue of the real database.
    :param plans: statement → what the server plans for it: rows that it changes, tables that it scans.
    """

    revision: str
    sql: str | None
    problem: str | None
    tables: Mapping[str, Any]
    version_tables: tuple[str, ...]
    large: Large
    dialect: str = "postgresql"
    squawk: Sequence[Mapping[str, Any]] = ()
    parsed: Sequence[Mapping[str, Any]] | None = None
    known: Known = field(default_factory=Known)
    plans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def size(self, table: str) -> Mapping[str, Any]:
        """Return the size of a table; one that the real database does not have counts as large, since it is not known."""
        unknown = {"rows": None, "bytes": self.large.bytes}
        names = [table] if "." in table else [name for name in self.tables if name.rpartition(".")[2] == table]
        return max((self.tables.get(name, unknown) for name in names), key=lambda size: size["bytes"], default=unknown)

    def is_large(self, table: str) -> bool:
        return self.large.has(self.size(table))


def unquoted(name: str) -> str:
    return name.replace('"', "").replace("`", "")
