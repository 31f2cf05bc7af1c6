#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_release
short_description: Set the release of a Deployment or StatefulSet of Kubernetes
description:
  - A release is a pod template. Preparing one writes it down on the workload, beside the one that is active, and changes no pod.
    Activating sets exactly the template that was written down, whatever Kubernetes' own revision history says.
  - What is active is written down as well, so that it can be activated again.
extends_documentation_fragment:
  - dbops.alembic.attributes
  - dbops.alembic.kubernetes
options:
  state:
    description: V(prepared) only writes the release down; V(active) sets it.
    type: str
    choices: [prepared, active]
    default: active
  version:
    description: The name of the release.
    type: str
    required: true
  containers:
    description: The containers, init containers too, that run the release. The only one, unless told otherwise.
    type: list
    elements: str
    default: []
  image:
    description: The image of the release. The rest of the pod template stays as it is now.
    type: str
  manifest:
    description: The manifest of the workload, for server-side apply. The number of replicas in it is left out.
    type: dict
  init_container:
    description:
      - The init container that upgrades the database as the pods of an active release start, as
        M(dbops.alembic.migration_manifests) makes it. It comes last, with the image of the release, and is no part of what is
        written down.
    type: dict
  url_variable:
    description:
      - The variable of the environment in which the release has the URL of its database. Where it takes that from is told in
        RV(workload_url).
    type: str
    version_added: 0.2.0
  keep_count:
    description: How many releases to keep written down.
    type: int
    default: 5
  protected:
    description: Versions that are kept whatever O(keep_count) says.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: dbops.alembic.kubernetes_workload
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Prepare release 1.2
  dbops.alembic.kubernetes_release:
    namespace: shop
    name: web
    state: prepared
    version: "1.2"
    image: registry.example.com/shop:1.2

- name: Set it
  dbops.alembic.kubernetes_release:
    namespace: shop
    name: web
    version: "1.2"
"""

RETURN = r"""
version:
  description: The release.
  returned: success
  type: str
  sample: "1.2"
former_version:
  description: The release that was active before.
  returned: success
  type: str
  sample: "1.1"
image:
  description: The image of the release.
  returned: success
  type: str
  sample: registry.example.com/shop:1.2
former_image:
  description: The image that was active before.
  returned: success
  type: str
  sample: registry.example.com/shop:1.1
releases:
  description: The releases that are written down, oldest first.
  returned: success
  type: list
  elements: str
  sample: ["1.0", "1.1", "1.2"]
rollout_gaps:
  description: Why a rolling update to that release would leave requests without an answer, or never end. Empty when it would not.
  returned: success
  type: list
  elements: str
  sample: ["no container has a readinessProbe, so a pod gets requests as soon as its process runs"]
workload_url:
  description:
    - Where the release takes the URL of its database from, for O(dbops.alembic.alembic_info#module:kubernetes.workload_urls).
    - Empty without O(url_variable), and where no container has that variable. A password in the pod template is left out.
  returned: success
  type: dict
  sample:
    workload: deployment web
    namespace: shop
    sources: [{valueFrom: {secretKeyRef: {name: shop-database, key: url, optional: true}}}]
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: release_unknown
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Prepare it with state=prepared.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.release import release_spec, run_release


def main() -> None:
    module = release_spec().create_module()
    try:
        result = run_release(module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
