# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows a deployment, a status, a plan or an archive as text, whatever callback there is; the documentation is the module's."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Callable, Mapping

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.dbops.alembic.plugins.plugin_utils._plan_text import plan
from ansible_collections.dbops.alembic.plugins.plugin_utils._status import status
from ansible_collections.dbops.alembic.plugins.plugin_utils._summary import archive, summary
from ansible_collections.dbops.alembic.plugins.plugin_utils._text import clean

display = Display()

WRITERS: Mapping[str, Callable[[Any], list[str]]] = {
    "deployment": summary,
    "status": lambda found: status(found, datetime.now(timezone.utc)),
    "plan": plan,
    "archive": lambda found: archive(found) or ["Check mode: nothing was written."],
}


def told_by_callback() -> bool:
    """Whether the callback of this collection shows the lines itself, from the result."""
    callback = constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK")
    return callback == "dbops.alembic.deployment" and not display.verbosity


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        names = [list(WRITERS)]
        spec: dict[str, Any] = {**{name: {"type": "dict"} for name in WRITERS}, "handed_on": {"type": "bool", "default": False}}
        _result, options = self.validate_argument_spec(spec, names, required_one_of=names)
        lines = [line for name, writer in WRITERS.items() if options[name] is not None for line in writer(clean(options[name]))]
        if not self._task.no_log and not told_by_callback():
            display.display("\n".join(["", *lines]))
        found = {f"dbops_{name}": options[name] for name in WRITERS if options[name] is not None}
        stats = {"ansible_stats": {"data": found, "per_host": False, "aggregate": True}} if options["handed_on"] else {}
        return {"changed": False, "lines": lines, **stats}
