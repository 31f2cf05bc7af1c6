# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The closed list of what the worker does."""

from __future__ import annotations

import importlib
from typing import Any, Callable, Dict

from .autogenerate import check, revision
from .environment import Send
from .migrate import migrate
from .observe import info, observe
from .preview import preview
from .protocol import PARTS


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


def find(name: str) -> Operation | None:
    """Return the operation of this name; the larger ones are loaded only when asked for."""
    operation = OPERATIONS.get(name)
    for part, begins in PARTS.items():
        if operation is None and name.startswith(begins):
            # Not an import statement, so that a module is packed with this part only where it asks for it.
            operation = importlib.import_module(f"{__name__.rpartition('.')[0]}.{part}.operations").OPERATIONS.get(name)
    return operation
