# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What both ends of the worker's pipe go by. The module that starts the worker reads this and nothing of what the worker does."""

from __future__ import annotations

PROTOCOL = 1
#: Packages of the worker → how the names of the operations begin that need them.
PARTS: dict[str, str | tuple[str, ...]] = {
    "database": ("database_", "plan_fleet"),
    "schema": "database_schema",
    "rehearsal": "plan",
}
#: Operations that may change a database: tried again after a lock timeout, looked after when their process dies.
MIGRATIONS = ("upgrade", "downgrade", "stamp")
#: The operation that only looks where a database stands.
READ = "info"
#: Operations that go on to their end when whoever asked for them is gone. What changes a database is not left halfway.
OUTLIVING = (*MIGRATIONS, "database_snapshot")
