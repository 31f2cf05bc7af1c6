# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter host_checks."""

from __future__ import annotations

DOCUMENTATION = r"""
name: host_checks
short_description: Say on which hosts something tells whether the application serves
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Reads what C(application_manager), C(health_url) and C(health_command) of each host say.
positional: _input, hosts
extends_documentation_fragment:
  - dbops.alembic.hosts_of
"""

EXAMPLES = r"""
- name: Say where nobody looks whether the application serves
  ansible.builtin.debug:
    msg: "{{ (hostvars | dbops.alembic.host_checks(groups.application)).unasked }}"
"""

RETURN = r"""
_value:
  description: The hosts by what tells it.
  type: dict
  contains:
    without_pods:
      description: Those that are no workload of Kubernetes, whose pods have probes.
      type: list
      elements: str
      sample: [shop1, shop2]
    unasked:
      description: Those of them that have no health check, sorted.
      type: list
      elements: str
      sample: [shop2]
"""

from typing import Any, Callable, Mapping, Sequence

from ansible.errors import AnsibleError
from jinja2.exceptions import UndefinedError


def host_checks(hostvars: Mapping[str, Mapping[str, Any]], hosts: Sequence[str]) -> dict[str, list[str]]:
    variables = {str(host): hostvars[host] for host in hosts}
    without = [host for host, given in variables.items() if given.get("application_manager") != "kubernetes"]
    asked = [host for host in without if any(_given(variables[host], name) for name in ("health_url", "health_command"))]
    return {"without_pods": without, "unasked": sorted(set(without) - set(asked))}


def _given(variables: Mapping[str, Any], name: str) -> bool:
    try:
        return bool(variables.get(name))
    except (AnsibleError, UndefinedError):
        return True  # one that can not be made is told where it is used


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_checks": host_checks}
