# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls the module of this name for some seconds at a time and shows how far it came; the documentation is the module's."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()

#: Seconds between two lines of progress, unless the task says.
SLICE = 5.0


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        totals = {"rows": 0, "batches": 0, "seconds": 0.0}
        left = self._task.args.get("max_batches")
        while True:
            more = {"slice": self._task.args.get("slice") or SLICE}
            if left is not None and totals["batches"]:
                more["max_batches"] = max(1, int(left) - int(totals["batches"]))
            result = self._execute_module(module_args={**self._task.args, **more}, task_vars=task_vars)
            for name in totals:
                totals[name] = round(totals[name] + (result.get(name) or 0), 3)
            if result.get("finished") is not False or result.get("failed"):
                return {**result, **totals, "changed": totals["rows"] > 0} if "rows" in result else result
            if not self._task.no_log:
                display.display("  {rows} rows filled in {batches} batches, {seconds:.0f} s".format(**totals), stderr=True)
