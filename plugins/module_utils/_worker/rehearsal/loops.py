# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What texts change that ran so often that nobody looks at them any more: little each time, and much until a transaction ends."""

from __future__ import annotations

from typing import Any, Callable, Iterable


class Loops:
    """:param told: makes the report of a statement."""

    def __init__(self, told: Callable[..., dict[str, Any]]) -> None:
        self._told, self._ends = told, 0
        self._name = ""
        self._known: dict[str, tuple[list[str], int]] = {}  # text → tables, rows that it changes each time
        self._now: dict[str, dict[str, Any]] = {}
        self._most: dict[str, dict[str, Any]] = {}

    @property
    def transaction(self) -> str:
        """What tells the present transaction from others."""
        return self._name or f"loop {self._ends}"

    def call(self, name: str) -> None:
        """Give the present transaction the name that its other statements have it by."""
        self._name = name

    def end(self) -> None:
        """Take note of the end of a transaction."""
        self._ends += 1
        self._now, self._name = {}, ""

    def learn(self, statement: str, tables: Iterable[str], rows: int | None) -> None:
        """Take note of what a statement changes, at least."""
        self._known[statement] = (list(tables), max(1, rows or 0))

    def go_on(self, statement: str, times: int = 1, rows: int | None = None) -> None:
        """Count a statement that has run in a transaction; ``rows``: how many it has changed, where that is known."""
        tables, each = self._known.get(statement, ([], 0))
        if not tables or rows == 0:
            return
        first = self._told(statement, transaction=self.transaction, touched=tables, affected=0, times=0)
        report = self._now.setdefault(statement, first)
        report["affected"] += each * times if rows is None else rows
        report["times"] += times
        self._most[statement] = max(self._most.get(statement, report), report, key=lambda found: int(found["affected"]))

    def reports(self) -> list[dict[str, Any]]:
        """Return of each text what it changed in the transaction where that was most."""
        return list(self._most.values())
