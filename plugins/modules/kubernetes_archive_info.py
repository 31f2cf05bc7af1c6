#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_archive_info
short_description: Find the archives of a database on a PersistentVolumeClaim
description:
  - Reads in a Job of Kubernetes what M(dbops.alembic.kubernetes_archive) has written, and how much space there is for more.
extends_documentation_fragment:
  - dbops.alembic.application.job
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
options:
  claim:
    description: The PersistentVolumeClaim of the archives. It is in the namespace of the Jobs.
    type: str
    required: true
  directory:
    description: Where the claim is in the pods.
    type: str
    default: /archives
  prefix:
    description: What the names of the archives begin with.
    type: str
    default: ""
  name:
    description: The file name of an archive whose checksum is wanted.
    type: str
  database:
    description: Only archives of this database and of its snapshots.
    type: str
    version_added: 0.2.0
  servers:
    description: Former addresses of the server of the URL, such as V(db1.example.com:5432).
    type: list
    elements: str
    default: []
    version_added: 0.2.0
seealso:
  - module: dbops.alembic.kubernetes_archive
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Look which archives there are
  dbops.alembic.kubernetes_archive_info:
    claim: shop-archives
    prefix: shop-
    kubernetes:
      namespace: shop
      application: shop
      image: postgres:17
      secret: shop-database
      user: 999
  register: found
"""

RETURN = r"""
archives:
  description:
    - What is written beside each archive of the server that the URL names, the oldest first. One that names no server, as version
      0.1.0 wrote it, is among them.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /archives/shop-20260301.pgc
      claim: shop-archives
      format: custom
      database: shop
      revisions: [c64b2e98d075]
      server: db.shop.svc:5432
      bytes: 104857
      sha256: 5c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f
      created_at: "2026-03-01T22:00:09Z"
server:
  description: The server that the URL names; its host and port.
  returned: success
  type: str
  sample: db.shop.svc:5432
other_servers:
  description: The servers of archives that are not listed.
  returned: success
  type: list
  elements: str
  sample: [staging.shop.svc:5432]
free_bytes:
  description: How much space is free on the claim.
  returned: success
  type: int
  sample: 1073741824
sha256:
  description: The checksum of the archive O(name) as it is now. Empty where it is not there, or none was named.
  returned: success
  type: str
  sample: 5c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: job_failed
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: The worker never ran, so nothing was touched.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.archive import archive_info_spec, run_archive_info


def main() -> None:
    module = archive_info_spec().create_module()
    try:
        result = run_archive_info(module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
