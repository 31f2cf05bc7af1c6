# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter refused_hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: refused_hosts
short_description: Say why a playbook must not run with the hosts that it has
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Looks for groups that have no hosts, for hosts that C(--limit) leaves out although they are needed, and for those on which
    another deployment of the same run has worked.
positional: _input, migrators, application, playing, partly, alone, hostvars
options:
  _input:
    description:
      - The groups of the inventory, that is the variable C(groups).
    type: dict
    required: true
  migrators:
    description:
      - Name of the group of the migrator.
    type: str
    required: true
  application:
    description:
      - Name of the group of the application's hosts.
    type: str
    required: true
  playing:
    description:
      - The hosts that are left, as C(ansible_play_hosts_all) of a play over all hosts. Without it only the groups are looked at.
    type: list
    elements: str
  partly:
    description:
      - Whether hosts of the application may be left out.
    type: bool
    default: false
  alone:
    description:
      - Whether the controller has what it takes by itself.
    type: bool
    default: false
  hostvars:
    description:
      - The variables of all hosts, where the playbook begins or recovers a deployment.
    type: dict
"""

EXAMPLES = r"""
- name: Refuse to deploy half
  ansible.builtin.fail:
    msg: "{{ refused }}"
  when: refused | length > 0
  vars:
    refused: "{{ groups | dbops.alembic.refused_hosts('migrator', 'application', ansible_play_hosts_all) }}"
"""

RETURN = r"""
_value:
  description: Why, and what to do. Empty when all is well.
  type: str
  sample: "--limit leaves out shop2, and a deployment is of all application hosts and of the migrator: …"
"""

from typing import Any, Callable, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._core import settings
from ansible_collections.dbops.alembic.plugins.plugin_utils._said import said


def refused_hosts(
    groups: Mapping[str, Sequence[str]],
    migrators: str,
    application: str,
    playing: Sequence[str] | None = None,
    partly: bool = False,
    alone: bool = False,
    hostvars: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    if playing is None:
        found = said(hostvars or {}, settings.taking_part(groups, migrators, application))
        again = settings.refused_again(host for host, one in found.items() if one.worked())
        return again if groups.get(application) else settings.no_hosts(application)
    return settings.refused_hosts(groups, migrators, application, playing, bool(partly), bool(alone))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"refused_hosts": refused_hosts}
