#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_archive
short_description: Archive and restore a PostgreSQL database in Jobs of Kubernetes
description:
  - Runs C(pg_dump) and C(pg_restore) in the image of O(kubernetes), for a database that can be reached from inside the cluster
    only. The archives are on a PersistentVolumeClaim.
  - An archive is written under a temporary name, read back by C(pg_restore --list), given a checksum, and then renamed. A file
    with C(.json) after its name says what it is.
  - The URL comes from the Secret. Its password is handed on inside the pod as an environment variable; it is never in the Job, in
    an argument or in a file.
extends_documentation_fragment:
  - dbops.alembic.application.job
  - dbops.alembic.attributes
options:
  claim:
    description: The PersistentVolumeClaim of the archives. It is in the namespace of the Jobs.
    type: str
    required: true
  directory:
    description: Where the claim is in the pods. It begins the path of every archive.
    type: str
    default: /archives
  state:
    description:
      - V(present) writes the archive O(name) unless it is there and whole.
      - V(described) writes what O(about) says beside the archive O(name), in the place of what stands there, when the checksum of
        the archive is O(sha256).
      - V(restored) checks the checksum and reads the archive into the database O(database), which is to be empty.
      - V(pruned) removes archives that are too many or too old, never the last one.
    type: str
    choices: [present, described, restored, pruned]
    default: present
  name:
    description: The file name of the archive. Needed unless O(state=pruned).
    type: str
  prefix:
    description: What the names begin with of the archives that O(state=pruned) looks at.
    type: str
    default: ""
  format:
    description: The format of the archive. Of V(directory), several parts are written and read at once.
    type: str
    choices: [custom, directory]
    default: custom
  jobs:
    description: How many parts, with O(format=directory).
    type: int
    default: 2
  database:
    description:
      - Another database of the same server than that of the URL.
      - With O(state=described), the one that the archive is of.
      - With O(state=pruned), only archives of this database and of its snapshots are removed.
    type: str
  servers:
    description:
      - Former addresses of the server of the URL, such as V(db1.example.com:5432). Beside each archive is written of which server
        it is. One of another server is neither replaced nor pruned, nor one that names none, as version 0.1.0 wrote it.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  leave_out:
    description:
      - What of the archive is left out with O(statements), because the database has it already;
        RV(dbops.alembic.database_restore_info#module:kept) of M(dbops.alembic.database_restore_info).
    type: list
    elements: str
    default: []
  about:
    description: What else to write beside the archive; all of it with O(state=described).
    type: dict
    default: {}
  count:
    description:
      - Count the rows of every table in the same snapshot of the database that C(pg_dump) reads, while others go on writing, so
        that a restore of the archive can be compared with them. Needs C(psql) in the image.
      - An archive that is there and whole is written anew unless a proof stands beside it.
    type: bool
    default: false
  checksum:
    description: With O(count), sum up the content of the rows, too.
    type: bool
    default: false
  needed_bytes:
    description: Refuse to write an archive with less free space than this on the claim.
    type: int
    default: 0
  revisions:
    description: The revisions to note beside the archive.
    type: list
    elements: str
    default: []
  sha256:
    description: The checksum that the archive was given. Needed for O(state=restored) and O(state=described).
    type: str
  statements:
    description:
      - SQL to run before the archive is restored, in the same transaction as that, so that it is all or nothing. For a role that
        may not create databases, where the present content has to go first.
    type: str
  keep_count:
    description: How many archives O(state=pruned) keeps; V(0) keeps any number.
    type: int
    default: 0
  keep_seconds:
    description: How old the archives may be that O(state=pruned) keeps; V(0) keeps them however old they are.
    type: float
    default: 0
  programs:
    description: The folder of C(pg_dump), C(pg_restore) and C(psql) in the image, when they are not on its C(PATH).
    type: str
attributes:
  check_mode:
    support: partial
    details:
      - O(state=present), O(state=described) and O(state=restored) report a change without looking, since looking would be a Job of
        its own.
  diff_mode:
    support: partial
    details: With O(state=pruned).
notes:
  - The image needs a shell, awk, coreutils or busybox, and the programs of PostgreSQL, not older than the server. It needs no
    Python. The official images of PostgreSQL will do.
  - With O(kubernetes.user), the claim is made writable for this user by C(fsGroup), where the kind of volume knows that.
seealso:
  - module: dbops.alembic.kubernetes_archive_info
  - module: dbops.alembic.database_snapshot
  - plugin: dbops.alembic.archive_proof
    plugin_type: filter
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Archive the database
  dbops.alembic.kubernetes_archive:
    claim: shop-archives
    name: shop-20260301.pgc
    kubernetes:
      namespace: shop
      application: shop
      image: postgres:17
      secret: shop-database
      user: 999
  register: archived

- name: Read it into the empty database beside the present one
  dbops.alembic.kubernetes_archive:
    state: restored
    claim: shop-archives
    name: shop-20260301.pgc
    sha256: "{{ archived.archive.sha256 }}"
    database: shop__side
    kubernetes:
      namespace: shop
      application: shop
      image: postgres:17
      secret: shop-database
      user: 999
"""

RETURN = r"""
archive:
  description: What is written beside the archive.
  returned: success, with O(state=present) and not in check mode
  type: dict
  sample:
    path: /archives/shop-20260301.pgc
    claim: shop-archives
    format: custom
    database: shop
    revisions: [c64b2e98d075]
    server: db.shop.svc:5432
    bytes: 104857
    sha256: 5c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f
    created_at: "2026-03-01T22:00:09Z"
tables:
  description: What each table holds in the archive, as RV(dbops.alembic.database_rows#module:tables).
  returned: success, with O(count), when the archive was written
  type: dict
  sample: {public.orders: {rows: 1000, exact: true, checksum: null}}
removed:
  description: The paths of the archives that were removed, or in check mode would be.
  returned: success, with O(state=pruned)
  type: list
  elements: str
  sample: [/archives/shop-20260101.pgc]
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: archive_failed
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: The worker never ran, so nothing was touched.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.archive import archive_spec, run_archive


def main() -> None:
    module = archive_spec().create_module()
    try:
        result = run_archive(module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
