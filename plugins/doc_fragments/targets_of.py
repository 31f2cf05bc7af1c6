# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The input of filters that take many targets."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  _input:
    description:
      - Targets, as O(dbops.alembic.alembic_fleet#module:targets) lists them or RV(dbops.alembic.alembic_fleet#module:found) returns
        them.
    type: list
    elements: dict
    required: true
"""
