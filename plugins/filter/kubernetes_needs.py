# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter kubernetes_needs."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_needs
short_description: Say which rights a deployment will use in a namespace
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes where a deployment does what, and returns the parts of a Role that it will use in the namespace of a workload, as the
    option C(needs) of M(dbops.alembic.kubernetes_workload_info) has them.
  - What goes on in another namespace is not asked for here.
positional: _input
options:
  _input:
    description:
      - C(namespace) is that of the workload. C(migrates) is whether its host works on the database and keeps the record.
      - C(runner) is C(schema_runner), C(claim) is C(backup_kubernetes_claim), and C(jobs) is the namespace of the Jobs of both.
      - C(store) is V(configmap) where the record is one, and C(records) its namespace.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what is needed
  ansible.builtin.debug:
    msg: "{{ {'namespace': 'shop', 'runner': 'kubernetes_job', 'jobs': 'shop'} | dbops.alembic.kubernetes_needs }}"
"""

RETURN = r"""
_value:
  description: The parts.
  type: list
  elements: str
  sample: [workload, keda, job]
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.rights import used


def kubernetes_needs(place: Any) -> list[str]:
    if not isinstance(place, Mapping):
        raise AnsibleFilterError(f"kubernetes_needs: the input is of type {type(place).__name__}, not a dictionary")
    return used(place)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"kubernetes_needs": kubernetes_needs}
