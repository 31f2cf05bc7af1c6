# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The worker's operations on one schema of a database, which nobody else is sent."""

from __future__ import annotations

from typing import Any, Callable

from ..database.engine import classified
from . import facts, restored

OPERATIONS: dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]] = {
    "database_schema": classified(restored.restore),
    "database_schema_info": classified(facts.info),
}
