# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter host_failures."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_failures
short_description: Tell what hosts say, each thing once
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes hosts with the text of each, and returns the lines. Hosts that say the same are told together.
positional: _input
options:
  _input:
    description:
      - Host and text, or a list of texts. A text may have several lines, such as those of P(dbops.alembic.failure_text#filter).
    type: dict
    required: true
  brief:
    description:
      - Returns one line for each thing that is said, with how it begins and what to do.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say what hosts say
  ansible.builtin.debug:
    msg: "{{ {'shop1': 'it could not be reached', 'shop2': 'it could not be reached'} | dbops.alembic.host_failures }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
  sample: ["shop1, shop2: it could not be reached"]
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core import failure


def host_failures(reasons: Any, brief: bool = False) -> list[str]:
    if not isinstance(reasons, Mapping):
        raise AnsibleFilterError(
            f"host_failures: the input is of type {type(reasons).__name__}, not a dictionary of hosts and texts"
        )
    texts = {str(host): [str(item) for item in text] if isinstance(text, list) else str(text) for host, text in reasons.items()}
    return failure.brief(texts) if brief else failure.by_host(texts)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_failures": host_failures}
