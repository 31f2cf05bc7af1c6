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
  - With O(directory) it is written there under a temporary name, read back, given its name and described, as
    M(dbops.alembic.archive_folder) does it in single steps; so that one under its own name is always whole.
  - While it is written, how many bytes there are is shown from time to time.
  - With O(path) the archive is written under the name that is given; give it its final name when it is whole.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.migration.follow
  - dbops.alembic.attributes
  - dbops.alembic.attributes.follow
attributes:
  check_mode:
    support: full
    details:
      - Nothing is written. The database is not looked at; whether the folder can be used and has the room is.
  diff_mode:
    support: partial
    details:
      - Which archives there are, with O(directory).
options:
  path:
    description:
      - Where the archive is written on this host. A file that is there is written over.
      - Either this or O(directory) is needed.
    type: path
  directory:
    description:
      - The folder of the archives. It is made with mode C(0700) when it is missing; one that everybody may write to is refused.
    type: path
    version_added: 0.2.0
  name:
    description:
      - The file name of the archive in O(directory). An archive of this database that has the name already is replaced.
    type: str
    version_added: 0.2.0
  described_as:
    description:
      - The database that the archive in O(directory) is of, as what is written beside it has it. It is another than O(database)
        where that is a snapshot of it.
    type: str
    version_added: 0.2.0
  servers:
    description:
      - The address of the server that has the database, such as V(db1.example.com:5432), and after it former addresses of the same
        server. The first is written beside an archive.
      - Another server may have a database of the same name. Archives of another one in O(directory) are not replaced.
        Without this option the server is not looked at.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  facts:
    description:
      - What is known of the archive in O(directory) and is written beside it, such as its format and its revisions.
    type: dict
    default: {}
    version_added: 0.2.0
  space_needed:
    description:
      - How many bytes have to be free in O(directory), or nothing is written.
    type: int
    default: 0
    version_added: 0.2.0
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
  - module: dbops.alembic.archive_folder
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

- name: Write one, and keep it whole or not at all
  dbops.alembic.database_archive:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    directory: /var/backups/orders
    name: orders-20260301.pgc
    described_as: orders
    facts: {format: custom}
"""

RETURN = r"""
path:
  description: Where the archive is.
  returned: success
  type: str
  sample: /var/backups/orders/.partial-orders.pgc
archive:
  description: What is written beside the archive, as RV(dbops.alembic.archive_folder#module:archive). V(null) in check mode.
  returned: success with O(directory)
  type: dict
  sample: {path: /var/backups/orders/orders-20260301.pgc, database: orders, bytes: 104857}
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
job:
  description: Name of the run, to attach to it by hand with O(job).
  returned: when the host was lost during the run
  type: str
  sample: 0b6c6b1f4d0e4b0c8a4f8f1c9d0a7e55
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

from ansible_collections.dbops.alembic.plugins.module_utils._dump import dump_spec, take_dump
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError


def main() -> None:
    module = dump_spec().create_module()
    try:
        result = take_dump(module.params, module.run_command, module.warn, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
