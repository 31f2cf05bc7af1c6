# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter host_needs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_needs
short_description: Say what a host has to bring for a deployment
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Returns the options of M(dbops.alembic.host_check) for one host.
positional: _input
options:
  _input:
    description:
      - What is to be done on the host. C(builds), C(serves), C(migrates) and C(hooks) are switches; the others are called as the
        variables that they hold, without the role's name where that leaves no doubt, such as C(source), C(root) and C(services).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Find out whether the host brings what is needed
  dbops.alembic.host_check:
  module_defaults:
    dbops.alembic.host_check: "{{ {'builds': true, 'source': 'git', 'root': '/srv/shop'} | dbops.alembic.host_needs }}"
"""

RETURN = r"""
_value:
  description: The options of M(dbops.alembic.host_check).
  type: dict
  sample: {root: /srv/shop, python: [python3], programs: [git], unit_files_binding: true, room_binding: true}
"""

from typing import Any, Callable

from ansible_collections.dbops.alembic.plugins.module_utils._core.asked_needs import Asked, needs
from ansible_collections.dbops.alembic.plugins.plugin_utils._given import made


def host_needs(given: Any) -> dict[str, Any]:
    return needs(made("host_needs", Asked, given))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_needs": host_needs}
