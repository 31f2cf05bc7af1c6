# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter printable."""

from __future__ import annotations

DOCUMENTATION = r"""
name: printable
short_description: Make text that others wrote fit for a terminal or a report
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Writes control and escape characters out, V(\\x1b) for the one that begins a command of a terminal; line feeds and tabs stay.
  - Masks passwords that a URL, C(password=) or a statement announces.
positional: _input
options:
  _input:
    description:
      - The text, or a list or dictionary with texts.
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Show why it failed
  ansible.builtin.debug:
    msg: "{{ failed.msg | dbops.alembic.printable }}"
"""

RETURN = r"""
_value:
  description: The same, printable.
  type: raw
"""

from typing import Any, Callable

from ansible_collections.dbops.alembic.plugins.module_utils._worker.redaction import Redactor


def printable(value: Any) -> Any:
    return Redactor().clean(value)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"printable": printable}
