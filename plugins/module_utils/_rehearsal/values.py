# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""U08: what code knows by name, a state or a key of JSON, is in no row any more."""

from __future__ import annotations

from typing import Iterator

from .._core.plan import Finding
from .outcome import DATA
from .seen import Seen, plain


def check(seen: Seen) -> Iterator[Finding]:
    for statement in seen.statements:
        for item in statement.get("vanished") or ():
            name, shown = str(item["column"]), ", ".join(map(repr, item["values"]))
            message = (
                f"An UPDATE leaves no row with {shown} in {plain(name)}: old code that asks for it finds nothing, and whether it "
                f"does so does not show ({statement['sql'][:100]})."
            )
            fix = (
                "Release code that knows the old and the new ones, and change the rows when the old code is gone, in a revision "
                "that is declared contract; or look whether the old code names them, and allow it with the reason."
            )
            yield Finding("U08", "unknown", name, message, fix, DATA, source="data")
