# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter kubernetes_places."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_places
short_description: Say which rights a deployment will use in which namespace
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes what a host will do in a cluster, and returns each namespace once, with the parts of a Role that will be used there,
    as the option C(needs) of M(dbops.alembic.kubernetes_workload_info) has them.
positional: _input
options:
  _input:
    description:
      - For each thing that will be done C(needs), and C(namespace), C(kubeconfig) and C(context) of where. For a workload its
        C(kind), C(name), C(containers) and C(builds), whether it gets a new release, too. What is empty is left out.
      - C(why) says in words what leads there. It is left out where a workload does.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what is needed
  ansible.builtin.debug:
    msg: "{{ asked | dbops.alembic.kubernetes_places }}"
  vars:
    asked: [{namespace: shop, needs: [job]}, {namespace: shop, needs: [record]}]
"""

RETURN = r"""
_value:
  description: The namespaces.
  type: list
  elements: dict
  sample: [{namespace: shop, kubeconfig: "", context: "", needs: [job, record], why: ""}]
"""

from typing import Any, Callable, Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.rights import places


def kubernetes_places(asked: Any) -> list[dict[str, Any]]:
    if not isinstance(asked, (list, tuple)) or not all(isinstance(item, Mapping) for item in asked):
        raise AnsibleFilterError(f"kubernetes_places: the input is of type {type(asked).__name__}, not a list of dictionaries")
    return places(asked)


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"kubernetes_places": kubernetes_places}
