# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter record_place."""

from __future__ import annotations

DOCUMENTATION = r"""
name: record_place
short_description: Say where the record of a deployment is kept
version_added: 0.2.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - A controller that is made for one run, such as an execution environment of AWX, takes with it what was written on it. Where
    it is the migrator as well, and deploys to a cluster, the record belongs into the cluster.
positional: _input
options:
  _input:
    description: What was asked for, C(deployment_record_store).
    type: str
    choices: [auto, directory, configmap]
    required: true
  migrator:
    description:
      - What tells the migrator from a controller that does not last, and whether it has a cluster. C(inventory_hostname),
        C(ansible_connection), C(awx_job_id), C(tower_job_id) and C(application_manager), those that it has.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say where the record is kept
  ansible.builtin.debug:
    msg: "{{ ('auto' | dbops.alembic.record_place({'ansible_connection': 'local', 'application_manager': 'kubernetes'})).store }}"
"""

RETURN = r"""
_value:
  description: >-
    Where it is kept (C(store), C(directory) or C(configmap)), and whether what is written on the migrator outlives the run
    (C(lasts)).
  type: dict
  sample: {store: configmap, lasts: false}
"""

import os
from typing import Any, Callable, Mapping

from ansible_collections.dbops.alembic.plugins.plugin_utils import _lasting


def record_place(asked: str, migrator: Mapping[str, Any]) -> dict[str, Any]:
    outlives = _lasting.lasts(migrator, os.environ)
    return {"store": _lasting.store(asked, migrator, outlives), "lasts": outlives}


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"record_place": record_place}
