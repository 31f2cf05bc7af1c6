# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The closed list of what the worker does for the plan: it runs pending revisions on a copy and watches them."""

from __future__ import annotations

from typing import Any, Callable

from . import described, run

OPERATIONS: dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]] = {
    "plan": run.plan,
    "plan_schema": described.described,
    "plan_clean": run.clean,
    "plan_leftovers": run.leftovers,
}
