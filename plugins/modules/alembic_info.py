#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_info
short_description: Say where a database stands in an application's Alembic migrations
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Reads the revisions of the database and of the scripts, in the application's own Python, and says what is pending.
  - Takes no lock and writes nothing, not even the version table.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.project
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
  - dbops.alembic.attributes.alembic
options:
  target:
    description:
      - What pending revisions are counted up to, as the O(dbops.alembic.alembic_upgrade#module:revision) of
        M(dbops.alembic.alembic_upgrade).
    type: str
    default: heads
seealso:
  - module: dbops.alembic.alembic_upgrade
  - module: dbops.alembic.alembic_downgrade
  - module: dbops.alembic.alembic_stamp
  - module: dbops.alembic.alembic_check
  - module: dbops.alembic.alembic_revision
"""

EXAMPLES = r"""
- name: Look where the database stands
  dbops.alembic.alembic_info:
    chdir: /srv/orders/current
    virtualenv: /srv/orders/current/.venv
    url: "{{ orders_database_url }}"
  register: orders_schema

- name: Refuse a release whose migrations are not all there
  ansible.builtin.assert:
    that: orders_schema.status in ['at_target', 'behind']
    fail_msg: "The database is {{ orders_schema.status }}."

- name: Say what is pending
  ansible.builtin.debug:
    msg: "{{ item.revision }} {{ item.message }}"
  loop: "{{ orders_schema.pending }}"
"""

RETURN = r"""
versions:
  description: Versions of what the project runs on.
  returned: when Alembic could be imported
  type: dict
  contains:
    alembic:
      description: Version of Alembic.
      type: str
      sample: 1.16.5
    sqlalchemy:
      description: Version of SQLAlchemy.
      type: str
      sample: 2.0.44
    python:
      description: Version of the application's Python.
      type: str
      sample: 3.12.3
  sample:
    alembic: 1.16.5
    sqlalchemy: 2.0.44
    python: 3.12.3

database:
  description:
    - The database that the project really connected to. There is never a URL or a password in it.
    - With several databases or tenants, see RV(databases[].database).
  returned: when C(env.py) configured exactly one database
  type: dict
  contains:
    name:
      description: Name of the engine in a project with several databases.
      type: str
      sample: null
    dialect:
      description: SQLAlchemy's name of the kind of database.
      type: str
      sample: postgresql
    driver:
      description: Driver in use.
      type: str
      sample: psycopg
    server_version:
      description: Version of the server.
      type: str
      sample: "16.4"
    host:
      description: Host, or the folder of the socket.
      type: str
      sample: db.example.com
    port:
      description: Port.
      type: int
      sample: 5432
    database:
      description: Name of the database; the path of an SQLite database.
      type: str
      sample: orders
    user:
      description: User.
      type: str
      sample: orders_owner
    schema:
      description: Current schema (PostgreSQL).
      type: str
      sample: public
    version_table:
      description: Name of Alembic's version table.
      type: str
      sample: alembic_version
    version_table_schema:
      description: Schema of the version table, if C(env.py) names one.
      type: str
      sample: null
    transactional_ddl:
      description: Whether a failed revision is rolled back as a whole on this kind of database.
      type: bool
      sample: true
    transaction_per:
      description:
        - V(revision) when each revision is committed by itself. V(run) when the revisions of a run share a transaction, because
          C(env.py) has set something up in it or begins it by itself; a failure then undoes them all.
      type: str
      sample: revision
    pooler:
      description: Whether a proxy that pools transactions stands before the server.
      type: bool
      sample: false
  sample:
    name: null
    dialect: postgresql
    driver: psycopg
    server_version: "16.4"
    host: db.example.com
    port: 5432
    database: orders
    user: orders_owner
    schema: public
    version_table: alembic_version
    version_table_schema: null
    transactional_ddl: true
    transaction_per: revision
    pooler: false

databases:
  description:
    - One entry for each database or tenant that C(env.py) configured.
    - An entry has the keys RV(database), RV(initialised), RV(current), RV(pending), RV(status), RV(unknown), RV(read_only)
      and RV(invalid_indexes), which stand at the top level too when there is exactly one entry.
    - An C(env.py) that fails when databases were read makes the module fail; those that it had come to are here all the same.
  returned: when the project could be read, or a part of it
  type: list
  elements: dict
  contains:
    database:
      description: Which database or tenant the entry is about, as in RV(database).
      type: dict
      sample: {name: null, dialect: postgresql, host: db.example.com, database: orders, schema: tenant_acme}

initialised:
  description: Whether the database has a version table.
  returned: when there is exactly one database
  type: bool
  sample: true
current:
  description: Revisions that the database is at.
  returned: when there is exactly one database
  type: list
  elements: str
  sample: [27c6a30d7c24]
pending:
  description: Revisions that an upgrade to O(target) would run, in that order.
  returned: when there is exactly one database
  type: list
  elements: dict
  contains:
    revision:
      description: Revision.
      type: str
      sample: ae1027a6acf5
    message:
      description: First line of its text.
      type: str
      sample: add orders.total
    down_revision:
      description: Revisions that it follows; several for a merge.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    depends_on:
      description: Revisions of other branches that it depends on.
      type: list
      elements: str
      sample: []
    branch_labels:
      description: Labels of its branch.
      type: list
      elements: str
      sample: []
    path:
      description: File that it is in.
      type: str
      sample: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py
  sample:
    - revision: ae1027a6acf5
      message: add orders.total
      down_revision: [27c6a30d7c24]
      depends_on: []
      branch_labels: []
      path: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py

status:
  description:
    - V(at_target) when nothing is pending, V(behind) when something is, V(ahead) when the database is at revisions above
      O(target), V(unknown_revision) when it holds a revision that the scripts do not have, V(uninitialised) when it has no
      version table.
  returned: when there is exactly one database
  type: str
  sample: behind
unknown:
  description: Revisions of the database that the scripts do not have; it is ahead of this release, or belongs to another project.
  returned: when there is exactly one database
  type: list
  elements: str
  sample: []
read_only:
  description:
    - Why the database takes no writes, or V(null) where it does as far as can be seen.
    - V(standby) for a standby of PostgreSQL, V(server) for MySQL or MariaDB with C(read_only) and a role that may not write then,
      V(file) for a file of SQLite that this user may not write to.
  returned: when there is exactly one database
  type: str
  sample: null
  version_added: 0.2.0
invalid_indexes:
  description: >-
    Invalid indexes (PostgreSQL) that nobody is building right now, left behind by a C(CREATE INDEX CONCURRENTLY) that failed.
  returned: when there is exactly one database
  type: list
  elements: str
  sample: [public.ix_orders_total]
heads:
  description: Heads of the scripts. More than one means that somebody has to merge.
  returned: success
  type: list
  elements: str
  sample: [ae1027a6acf5]
bases:
  description: Revisions of the scripts that follow none.
  returned: success
  type: list
  elements: str
  sample: [1975ea83b712]
branches:
  description: Revisions at which the scripts branch.
  returned: success
  type: list
  elements: str
  sample: []
history:
  description: All revisions of the scripts, the newest first.
  returned: success
  type: list
  elements: dict
  contains:
    revision:
      description: Revision.
      type: str
      sample: ae1027a6acf5
    message:
      description: First line of its text.
      type: str
      sample: add orders.total
    down_revision:
      description: Revisions that it follows; several for a merge.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    depends_on:
      description: Revisions of other branches that it depends on.
      type: list
      elements: str
      sample: []
    branch_labels:
      description: Labels of its branch.
      type: list
      elements: str
      sample: []
    path:
      description: File that it is in.
      type: str
      sample: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py
  sample:
    - revision: ae1027a6acf5
      message: add orders.total
      down_revision: [27c6a30d7c24]
      depends_on: []
      branch_labels: []
      path: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py

error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: lock_timeout
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Check host, port and database name, and that the server is up.
output:
  description: The end of what the application printed.
  returned: failure
  type: str
  sample: ""

file:
  description: File in which it happened.
  returned: failure, where it is known
  type: str
  sample: /srv/orders/migrations/env.py
line:
  description: Line of it.
  returned: failure, where it is known
  type: int
  sample: 12
source:
  description: Text of that line.
  returned: failure, where it is known
  type: str
  sample: from orders.settings import settings
statement:
  description: SQL statement that failed, without its parameters.
  returned: failure, where it is known
  type: str
  sample: SELECT alembic_version.version_num FROM alembic_version
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: 42P01
"""

from ansible_collections.dbops.alembic.plugins.module_utils._argspec import info_spec
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for
from ansible_collections.dbops.alembic.plugins.module_utils._operations import run_info


def main() -> None:
    module = info_spec().create_module()
    try:
        outcome = run_info(bridge_for(module), module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**outcome.as_result())


if __name__ == "__main__":
    main()
