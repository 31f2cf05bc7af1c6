# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The closed list of what the worker does."""

from __future__ import annotations

from typing import Any, Callable, Dict

from .autogenerate import check, revision
from .environment import Send
from .migrate import migrate
from .observe import info, observe
from .preview import preview


def _observe(request: dict[str, Any], send: Send) -> dict[str, Any]:
    from . import project

    project.enter(request)
    project.versions()
    observe(request, send)
    return {}


Operation = Callable[[Dict[str, Any], Send], Dict[str, Any]]
OPERATIONS: dict[str, Operation] = {
    "info": info,
    "observe": _observe,
    "preview": preview,
    "upgrade": migrate,
    "downgrade": migrate,
    "stamp": migrate,
    "check": check,
    "revision": revision,
}
#: Packages of the worker → how the names of the operations begin that need them.
PARTS: dict[str, str | tuple[str, ...]] = {"database": ("database_", "plan_fleet"), "rehearsal": "plan"}
#: Operations that may change a database: tried again after a lock timeout, looked after when their process dies.
MIGRATIONS = ("upgrade", "downgrade", "stamp")
#: Operations that go on to their end when whoever asked for them is gone. What changes a database is not left halfway.
OUTLIVING = (*MIGRATIONS, "database_snapshot")


def find(name: str) -> Operation | None:
    """Return the operation of this name; the larger ones are loaded, and sent to the worker, only when asked for."""
    if name.startswith("database_"):
        from .database import DATABASE_OPERATIONS

        return DATABASE_OPERATIONS.get(name)
    if name.startswith("plan"):
        from .rehearsal import PLAN_OPERATIONS

        return PLAN_OPERATIONS.get(name)
    return OPERATIONS.get(name)
