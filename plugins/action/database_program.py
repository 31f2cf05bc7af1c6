# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls the module of this name and shows its progress; the documentation is the module's."""

from __future__ import annotations

from ansible_collections.dbops.alembic.plugins.plugin_utils._following_action import FollowingAction


class ActionModule(FollowingAction):
    gone = (
        "{host} was lost while {action} was running, and could not be reached again for {seconds:.0f} seconds. The program may"
        " still be running there. Job {job}. Last error: {reason}"
    )

    def _follows(self) -> bool:
        return bool(self._task.args.get("grows"))
