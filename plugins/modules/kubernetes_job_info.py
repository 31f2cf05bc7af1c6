#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_job_info
short_description: Find the Jobs that a deployment ran in, and read their results
description:
  - Migrations, snapshots and whatever else runs with the option C(kubernetes) of this collection's modules runs in Jobs. They go
    on when the controller that made them dies.
  - This module finds them again, from any controller, waits until they have ended, and reads the result of the migration from
    its log.
extends_documentation_fragment:
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
options:
  kubeconfig:
    description: The file that says how to reach the cluster. Without it, what kubernetes.core takes from its environment.
    type: path
  context:
    description: The context of the kubeconfig.
    type: str
  namespace:
    description: The namespace of the Jobs.
    type: str
    required: true
  application:
    description: The application's name.
    type: str
    required: true
  deployment:
    description: The id of the deployment. Without it, all Jobs of the application that are left.
    type: str
  wait:
    description: Seconds to wait until they have ended; V(0) does not wait.
    type: float
    default: 0
seealso:
  - module: dbops.alembic.alembic_upgrade
  - module: dbops.alembic.deployment_record_info
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Wait for the Job of a deployment that was cut off
  dbops.alembic.kubernetes_job_info:
    namespace: shop
    application: shop
    deployment: 20260301T220000Z-2.4.0
    wait: 600
  register: left
"""

RETURN = r"""
jobs:
  description:
    - The Jobs, oldest first. C(status) is V(running), V(succeeded), V(failed), or V(died) for one that ended without an answer.
  returned: success
  type: list
  elements: dict
  sample:
    - name: shop-upgrade-0f3a9c1d2b4e5f60
      operation: upgrade
      deployment: 20260301T220000Z-2.4.0
      created_at: "2026-03-01T22:00:09Z"
      status: succeeded
      reason: ""
migration:
  description: The result of the last migration, as its module would have returned it. Empty where there was none.
  returned: success
  type: dict
  sample: {"state": "to_revision", "changed": true}
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: worker_timeout
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Wait for it, or delete it and run recover again.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.jobs_info import job_info_spec, run_job_info


def main() -> None:
    module = job_info_spec().create_module()
    try:
        result = run_job_info(module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
