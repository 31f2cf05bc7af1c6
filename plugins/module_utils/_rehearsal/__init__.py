# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The rules of the plan. Each looks at what the worker saw of one revision; _core/plan.py says what follows."""

from __future__ import annotations

from dataclasses import replace

from .._core.plan import CLASSES, Finding
from . import behaviour, blocking, columns, constraints, dropped, observed, outcome, renamed, reversal, rights, values
from .seen import Seen

#: What each rule says of a lock is PostgreSQL's; elsewhere only what was seen is told.
SEEN_LOCKS = ("Shared", "Reserved")

CHECKS = (
    outcome.check,
    blocking.check,
    observed.check,
    dropped.check,
    rights.check,
    renamed.check,
    columns.check,
    constraints.check,
    behaviour.check,
    values.check,
    reversal.check,
)


def findings(seen: Seen) -> list[Finding]:
    """Return what the rules find, the gravest first; what two rules say in the same words is said once."""
    found = {(finding.rule, finding.target, finding.message): finding for check in CHECKS for finding in check(seen)}
    if seen.dialect != "postgresql":
        found = {key: each if each.lock in SEEN_LOCKS else replace(each, lock=None) for key, each in found.items()}
    return sorted(found.values(), key=lambda finding: CLASSES.index(finding.kind))
