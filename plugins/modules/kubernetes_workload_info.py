#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_workload_info
short_description: Look how a Deployment or StatefulSet of Kubernetes is
description:
  - Reads replicas, autoscalers, pods and their problems, and which releases are recorded on the workload.
  - With O(needs) it asks the cluster first whether all rights are there, and fails naming each one that is missing.
  - Without O(name) nothing else is done.
extends_documentation_fragment:
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
  - dbops.alembic.kubernetes
options:
  name:
    description: The name of the workload. Without it only the rights of O(needs) are asked for.
    type: str
    required: false
  version:
    description: A release whose image is wanted in RV(image).
    type: str
  containers:
    description: The containers that run the release. The only one, unless told otherwise.
    type: list
    elements: str
    default: []
  url_variable:
    description:
      - The variable of the environment in which the release has the URL of its database. Where it takes that from is told in
        RV(workload_url).
    type: str
    version_added: 0.2.0
  log_lines:
    description: How many lines of every container's log to read; V(0) reads none.
    type: int
    default: 0
  needs:
    description:
      - What the rights have to suffice for. V(workload) is stop, start and release. V(keda) is to pause a ScaledObject, and counts
        where the cluster has KEDA. V(job) is to run the worker in a Job, V(record) the deployment record in a ConfigMap.
    type: list
    elements: str
    choices: [workload, keda, job, record]
    default: []
seealso:
  - module: dbops.alembic.kubernetes_workload
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Look whether Jobs can be run and records kept in a namespace
  dbops.alembic.kubernetes_workload_info:
    namespace: operations
    needs: [job, record]

- name: Look how the shop is
  dbops.alembic.kubernetes_workload_info:
    namespace: shop
    name: web
    needs: [workload]
"""

RETURN = r"""
replicas:
  description: How many replicas are wanted.
  returned: success, with O(name)
  type: int
  sample: 3
ready:
  description: Whether every replica runs the present pod template and is available.
  returned: success, with O(name)
  type: bool
  sample: true
status:
  description: How it is, in words.
  returned: success, with O(name)
  type: str
  sample: 3 of 3 replicas are ready, 3 have the present template
scale:
  description: Replicas and autoscalers as they are now.
  returned: success, with O(name)
  type: dict
  sample: {replicas: 3, autoscalers: [], scaled_objects: []}
before_stop:
  description: What a stop wrote down. Empty for a workload that is not stopped.
  returned: success, with O(name)
  type: dict
  sample: {}
active_version:
  description: The release that the pod template is of. The tag of the image, where none is recorded.
  returned: success, with O(name)
  type: str
  sample: "1.1"
active_image:
  description: The image in the pod template.
  returned: success, with O(name)
  type: str
  sample: registry.example.com/shop:1.1
image:
  description: The image of O(version), or nothing where that release is not recorded.
  returned: success, with O(name)
  type: str
  sample: registry.example.com/shop:1.2
workload_url:
  description:
    - Where the release takes the URL of its database from, for O(dbops.alembic.alembic_info#module:kubernetes.workload_urls).
    - Empty without O(url_variable), and where no container has that variable. A password in the pod template is left out.
  returned: success, with O(name)
  type: dict
  sample:
    workload: deployment web
    namespace: shop
    sources: [{valueFrom: {secretKeyRef: {name: shop-database, key: url, optional: true}}}]
releases:
  description: The releases whose pod template is recorded, oldest first.
  returned: success, with O(name)
  type: list
  elements: str
  sample: ["1.0", "1.1"]
pods:
  description: The pods that may run a process, in words.
  returned: success, with O(name)
  type: list
  elements: str
  sample: ["web-7d9c6f9b6-x2x7k (Running, on node1)"]
problems:
  description: What keeps pods from serving.
  returned: success, with O(name)
  type: list
  elements: str
  sample: []
logs:
  description: The end of the log of every container.
  returned: success, with O(name)
  type: str
  sample: ""
missing_rights:
  description: The rights of O(needs) that are missing; where one is, the module fails.
  returned: success, and where a right is missing
  type: list
  elements: str
  sample: [patch deployments.apps]
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: right_missing
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: The guide on Kubernetes has a Role with all that is needed.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.info import run_workload_info, workload_info_spec


def main() -> None:
    module = workload_info_spec().create_module()
    try:
        result = run_workload_info(module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
