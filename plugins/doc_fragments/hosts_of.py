# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of filters that read what the hosts of an application have said."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  _input:
    description:
      - The variables of all hosts, that is C(hostvars).
    type: dict
    required: true
  hosts:
    description:
      - The hosts of the application.
    type: list
    elements: str
    required: true
"""
