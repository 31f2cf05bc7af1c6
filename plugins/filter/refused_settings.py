# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter refused_settings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: refused_settings
short_description: Say which variables do not go together
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Each of them may be right by itself. The role P(dbops.alembic.deployment#role) asks this before any host is touched.
positional: _input
options:
  _input:
    description:
      - What the playbook is asked to do on one host. The keys are C(builds), C(serves), C(migrates), C(opens_window),
        C(one_database), C(source), C(manager), C(runner), C(store), C(jobs), C(archive_jobs), C(claim), C(without_pods), C(fleet),
        C(fleet_apart), C(has_database) and C(fleet_url), each as the variable has it that it is called after.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse what does not go together
  ansible.builtin.fail:
    msg: "{{ refused | join('\n') }}"
  when: refused | length > 0
  vars:
    refused: "{{ {'builds': true, 'serves': true, 'source': 'git', 'manager': 'kubernetes'} | dbops.alembic.refused_settings }}"
"""

RETURN = r"""
_value:
  description: What does not go together, and what to set. Empty when all is well.
  type: list
  elements: str
  sample:
    - "release_source is git, and application_manager is kubernetes: a workload of Kubernetes gets its release by image or …"
"""

from typing import Any, Callable

from ansible_collections.dbops.alembic.plugins.module_utils._core.settings import Settings, refusals
from ansible_collections.dbops.alembic.plugins.plugin_utils._given import made


def refused_settings(given: Any) -> list[str]:
    return refusals(made("refused_settings", Settings, given))


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"refused_settings": refused_settings}
