# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter maker_left."""

from __future__ import annotations

DOCUMENTATION = r"""
name: maker_left
short_description: Tell which temporary folders were left by a run that is gone
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes what M(ansible.builtin.find) has found, and returns the paths of the folders that P(dbops.alembic.maker_prefix#filter)
    named and whose run is gone.
  - The run of another controller can not be looked into; its folders are left when they are older than a day.
positional: _input
options:
  _input:
    description:
      - The files of M(ansible.builtin.find).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Look for temporary folders
  ansible.builtin.find:
    paths: /tmp
    patterns: dbops-release.*
    file_type: directory
  register: temporary

- name: Remove those that a killed run has left
  ansible.builtin.file:
    path: "{{ item }}"
    state: absent
  loop: "{{ temporary.files | dbops.alembic.maker_left }}"
"""

RETURN = r"""
_value:
  description: Paths.
  type: list
  elements: str
  sample: [/tmp/dbops-release.1f0c9a3b-77aa01c2-4711-88123.k3x9_a]
"""

import time
from typing import Any, Callable, Iterable, Mapping

from ansible_collections.dbops.alembic.plugins.plugin_utils._maker import left


def maker_left(value: Iterable[Mapping[str, Any]]) -> list[str]:
    return left(value, time.time())


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"maker_left": maker_left}
