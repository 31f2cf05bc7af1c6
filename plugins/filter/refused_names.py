# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter refused_names."""

from __future__ import annotations

DOCUMENTATION = r"""
name: refused_names
short_description: Say which names that a user gave can not be used
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes variables of the roles with their values, and says for each why it can not be used, where that is so. Versions,
    applications, references of git, services, groups, backups and folders each have a grammar.
  - Most of them become a part of a path. An empty version, V(..) or V(../../x) would be the folder of somebody else.
  - The roles and playbooks use it before they touch a host; other playbooks may.
positional: _input
options:
  _input:
    description:
      - The variables and their values. What is no variable of the roles is left alone.
      - What is empty is refused only where something is needed.
    type: dict
    required: true
  building:
    description:
      - Whether a release is to be built, so that its version and its source are needed, unless C(release_source) is V(none).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse names that can not be used
  ansible.builtin.fail:
    msg: "{{ refused | join('\n') }}"
  when: refused | length > 0
  vars:
    refused: "{{ {'application_name': application_name, 'release_version': release_version} | dbops.alembic.refused_names }}"
"""

RETURN = r"""
_value:
  description:
    - Which variable holds what, what it may hold, and what to do. Empty when all can be used.
  type: list
  elements: str
  sample:
    - "release_version holds '..'. It is the name of a release and its folder, and may hold letters, digits and . _ - + ~ !, …"
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._core import names


def refused_names(given: Any, building: bool = False) -> list[str]:
    if not isinstance(given, Mapping):
        raise AnsibleFilterError(f"refused_names: the input is of type {type(given).__name__}, not a dictionary of variables")
    return names.refusals({**given, "building": building})


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"refused_names": refused_names}
