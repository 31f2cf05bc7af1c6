# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action of a module that waits for something: says for what, how long and until when, while it does."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible_collections.dbops.alembic.plugins.plugin_utils._following_action import printer
from ansible_collections.dbops.alembic.plugins.plugin_utils._waits import told, waited_for


class WaitingAction(NormalAction):
    #: The option that has the seconds until it is given up; else the task's own ``timeout`` has them.
    limit = ""

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        what = waited_for(self._task.action, self._task.args)
        with told(what, self._limit(), printer(self._task, task_vars or {})):
            found: dict[str, Any] = super().run(tmp, task_vars)
        return found

    def _limit(self) -> float | None:
        """Return the seconds; the module itself complains about a wrong number."""
        try:
            return float(self._task.args.get(self.limit) or self._task.timeout or 0) or None
        except (TypeError, ValueError):
            return None
