#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_archive
short_description: Write an archive of a PostgreSQL database, and count the very rows that are in it
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Runs C(pg_dump) on this host, reaching the server as O(url) says. What it says when it fails is in the message.
  - With O(count) the rows of every table are counted in the same snapshot of the database that C(pg_dump) reads, while others go on
    writing, so that a restore of the archive can be compared with them.
  - The archive is written under the name that is given; give it its final name when it is whole.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written, and nothing is looked at.
  diff_mode:
    support: none
options:
  path:
    description:
      - Where the archive is written on this host. A file that is there is written over.
    type: path
    required: true
  format:
    description:
      - The format of C(pg_dump).
    type: str
    choices: [custom, directory, plain]
    default: custom
  jobs:
    description:
      - How many tables are read at once, with O(format=directory).
    type: int
    default: 1
  database:
    description:
      - Another database of the same server, a snapshot for example. The one of O(url) unless told otherwise.
    type: str
  programs:
    description:
      - The folder of C(pg_dump), when it is not on the PATH.
    type: path
  count:
    description:
      - Whether to count the rows.
    type: bool
    default: false
  checksum:
    description:
      - Whether to sum up the content of the rows, too.
    type: bool
    default: false
seealso:
  - module: dbops.alembic.database_restore_info
  - plugin: dbops.alembic.archive_proof
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Write an archive
  dbops.alembic.database_archive:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    path: /var/backups/orders/.partial-orders.pgc
    count: true
  register: orders_archive
"""

RETURN = r"""
path:
  description: Where the archive is.
  returned: success
  type: str
  sample: /var/backups/orders/.partial-orders.pgc
tables:
  description: What each table holds in the archive, as RV(dbops.alembic.database_rows#module:tables). Nothing without O(count).
  returned: success, not in check mode
  type: dict
  sample: {public.orders: {rows: 1000, exact: true, checksum: null}}
seconds:
  description: How long it took.
  returned: success, not in check mode
  type: float
  sample: 12.5
dialect:
  description: Kind of database.
  returned: success, not in check mode
  type: str
  sample: postgresql
database:
  description: Name of the database.
  returned: success, not in check mode
  type: str
  sample: orders
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: archive_failed
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Install it, or set programs to its folder.
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: "42501"
"""

from ansible_collections.dbops.alembic.plugins.module_utils._bridge import Bridge
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._restore import dump_spec, run_dump


def main() -> None:
    module = dump_spec().create_module()
    try:
        result = run_dump(Bridge.for_module(module), module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
