# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a maintenance window does with the database, as calls that are as few as the operator's own tasks between them allow."""

from __future__ import annotations

from typing import Any, Collection

#: In this order; a name that begins with before_ or after_ is a hook.
ORDER = (
    "prove",
    "before_snapshot",
    "copy",
    "archive",
    "after_snapshot",
    "upgrading",
    "before_upgrade",
    "upgrade",
    "verify",
    "count",
    "after_upgrade",
    "starting",
)


def database_calls(pending: bool, way_back: str, hooks: Collection[str]) -> list[dict[str, Any]]:
    """Return what is to be done one after the other: ``kind`` steps (with the ``steps``), hook (with its ``hook``), or archive.

    :param pending: whether any revision is.
    :param way_back: snapshot, archive, or what takes no step.
    :param hooks: names of those that the operator has defined.
    """
    left_out = {"snapshot": {"archive"}, "archive": {"copy"}}.get(way_back, {"copy", "archive"})
    found: list[dict[str, Any]] = []
    for name in ORDER:
        if name.startswith(("before_", "after_")):
            if name in hooks:
                found.append({"kind": "hook", "hook": name})
        elif name in left_out or (not pending and name != "starting"):
            continue
        elif name == "archive":
            found.append({"kind": "archive"})
        elif found and found[-1]["kind"] == "steps":
            found[-1]["steps"].append(name)
        else:
            found.append({"kind": "steps", "steps": [name]})
    return found
