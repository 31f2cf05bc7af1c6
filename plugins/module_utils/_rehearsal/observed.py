# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""C12: statements that running code was seen to use no longer work."""

from __future__ import annotations

from typing import Iterator

from .._core.plan import Finding
from .seen import Seen


def check(seen: Seen) -> Iterator[Finding]:
    broken = seen.facts.get("broken") or {}
    by_error: dict[str, list[str]] = {}
    for statement, error in broken.items():
        by_error.setdefault(error.rstrip("."), []).append(" ".join(statement.split()))
    for error, texts in by_error.items():
        many = f"{len(texts)} statements" if len(texts) > 1 else "A statement"
        yield Finding(
            "C12",
            "breaks",
            seen.revision,
            f"{many} of the running code fail{'' if len(texts) > 1 else 's'} afterwards ({error}): {texts[0][:160]}.",
            "Release code that no longer uses it first.",
            "Statements of the running code",
            source="statements",
        )
