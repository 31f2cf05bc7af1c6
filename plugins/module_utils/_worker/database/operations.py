# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The closed list of what the worker does with whole databases: sessions, snapshots, rows."""

from __future__ import annotations

from typing import Any, Callable

from . import dump, listed, needs, rows, sessions, snapshot
from .engine import classified

OPERATIONS: dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]] = {
    "database_sessions": classified(sessions.sessions),
    "database_sessions_info": classified(sessions.sessions_info),
    "database_snapshot": classified(snapshot.snapshot),
    "database_snapshot_info": classified(snapshot.snapshot_info),
    "database_rows": classified(rows.rows),
    "database_dump": classified(dump.dump),
    "database_restore_info": classified(needs.restore_info),
    "database_targets": classified(listed.targets),
}
