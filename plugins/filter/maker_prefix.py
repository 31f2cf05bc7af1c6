# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter maker_prefix."""

from __future__ import annotations

DOCUMENTATION = r"""
name: maker_prefix
short_description: Begin the name of a temporary folder with the run that makes it
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Adds to the beginning of a name which controller, and which of its processes, makes the folder. With
    P(dbops.alembic.maker_left#filter) a later run finds out that it was left behind.
positional: _input
options:
  _input:
    description:
      - How the name begins, V(dbops-release.) or V(dbops-restore.).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Make a temporary folder
  ansible.builtin.tempfile:
    state: directory
    prefix: "{{ 'dbops-release.' | dbops.alembic.maker_prefix }}"
"""

RETURN = r"""
_value:
  description: The beginning of the name.
  type: str
  sample: dbops-release.1f0c9a3b-77aa01c2-4711-88123.
"""

from typing import Any, Callable

from ansible_collections.dbops.alembic.plugins.plugin_utils._maker import mark


def maker_prefix(value: str) -> str:
    return f"{value}{mark()}."


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"maker_prefix": maker_prefix}
