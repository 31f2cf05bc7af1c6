# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls the module of this name and says what it waits for; the documentation is the module's."""

from __future__ import annotations

from ansible_collections.dbops.alembic.plugins.plugin_utils._waiting_action import WaitingAction


class ActionModule(WaitingAction):
    limit = "timeout"
