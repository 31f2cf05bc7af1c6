# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls the module of this name, says what it waits for, and notes when it was done; the documentation is the module's."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.dbops.alembic.plugins.plugin_utils._waiting_action import WaitingAction


class ActionModule(WaitingAction):
    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        found = super().run(tmp, task_vars)
        note, noted = (self._task.args.get(name) for name in ("note", "noted"))
        if note and not found.get("failed") and not found.get("unreachable"):
            texts = [note] if isinstance(note, str) else note
            found["noted"] = {**(noted or {}), **dict.fromkeys(texts, time.time())}
        return found
