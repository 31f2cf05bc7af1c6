# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether a database is where it was expected, for whoever looks before an upgrade and for the upgrade itself."""

from __future__ import annotations

from typing import Sequence


def stands_at(current: Sequence[str], expected: Sequence[str]) -> bool:
    """Each name is the beginning of one revision, and no revision is without a name; ``base`` is none."""
    names = [name for name in expected if name != "base"]
    return len(names) == len(current) and all(sum(revision.startswith(name) for revision in current) == 1 for name in names)
