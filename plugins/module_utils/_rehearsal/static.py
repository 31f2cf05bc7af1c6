# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""U05: what was not rehearsed is not known."""

from __future__ import annotations

from .._core.plan import Finding
from .seen import Seen

SECTION = "When nothing can be rehearsed"


def not_seen(revision: str) -> list[Finding]:
    """Return what is said of a revision that did not run, because one before it failed or nothing could run."""
    message = f"{revision} was not rehearsed."
    return [Finding("U05", "unknown", revision, message, "See the reason why, in the warnings or in the revision before.", SECTION)]


def findings(seen: Seen) -> list[Finding]:
    return not_seen(seen.revision)
