# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What rehearsals that were killed have left in a database: from parameters to outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from ._argspec import ArgumentSpec
from ._bridge import Bridge
from ._database import database_spec
from ._errors import MigrationError

if TYPE_CHECKING:
    from ._worker.rehearsal import operations  # noqa: F401 - packed with the module that asks for it


def leftovers_spec() -> ArgumentSpec:
    return database_spec() + ArgumentSpec(options=dict(maintenance_database=dict(type="str")))


def run_leftovers(bridge: Bridge, params: Mapping[str, Any], check: bool = False) -> dict[str, Any]:
    """Remove what rehearsals that were killed have left, and return the module's result.

    :raises MigrationError: what the worker says went wrong.
    """
    request = {name: value for name, value in params.items() if value is not None and name not in ("python", "virtualenv")}
    reply = bridge.call(dict(request, operation="plan_leftovers", check=check))
    error = reply["error"]
    if error:
        raise MigrationError(str(error["message"]), error["kind"], error.get("hint"))
    removed = list(reply["facts"]["removed"])
    return {"changed": bool(removed), "removed": removed}
