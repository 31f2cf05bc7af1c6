# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""U08: what code knows by name, a state or a key of JSON, is in no row any more."""

from __future__ import annotations

from typing import Iterator, Sequence

from .._core.plan import Finding
from .outcome import DATA
from .seen import Facts, Seen, plain


def check(seen: Seen) -> Iterator[Finding]:
    for place, statement in enumerate(seen.statements):
        for item in statement.get("vanished") or ():
            name = str(item["column"])
            gone = [value for value in item["values"] if not _comes_back(name, value, seen.statements[place + 1 :])]
            if not gone:
                continue
            shown, what = ", ".join(map(repr, gone)), "A DELETE" if statement["writes"] == "delete" else "An UPDATE"
            message = (
                f"{what} leaves no row with {shown} in {plain(name)}: old code that asks for it finds nothing, and whether it "
                f"does so does not show ({statement['sql'][:100]})."
            )
            fix = (
                "Release code that knows the old and the new ones, and change the rows when the old code is gone, in a revision "
                "that is declared contract; or look whether the old code names them, and allow it with the reason."
            )
            yield Finding("U08", "unknown", name, message, fix, DATA, source="data")


def _comes_back(column: str, value: str, later: Sequence[Facts]) -> bool:
    """Tell whether a statement that follows adds a row with this value, as far as its text says it."""
    literal, table = "'{}'".format(value.replace("'", "''")), column.split(".")[-2]
    return any(each["writes"] == "insert" and literal in each["sql"] and table in each["sql"] for each in later)
