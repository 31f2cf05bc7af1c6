#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_check
short_description: See whether an application's models and its database agree
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Compares the models (C(target_metadata)) of an application's Alembic project with the database, as C(alembic check) does, with
    every Alembic from 1.8 on.
  - The database has to be at the heads of the scripts first, otherwise the error kind is V(database_behind).
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.project
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
  - dbops.alembic.attributes.alembic
options:
  fail_on_difference:
    description:
      - Fail when they do not agree, with the error kind V(models_differ). Otherwise only RV(in_sync) tells.
    type: bool
    default: true
seealso:
  - module: dbops.alembic.alembic_info
  - module: dbops.alembic.alembic_upgrade
  - module: dbops.alembic.alembic_downgrade
  - module: dbops.alembic.alembic_stamp
  - module: dbops.alembic.alembic_revision
"""

EXAMPLES = r"""
- name: Fail when somebody has changed the models without a migration
  dbops.alembic.alembic_check:
    chdir: /srv/orders/current
    virtualenv: /srv/orders/current/.venv
    url: "{{ orders_database_url }}"

- name: Only look
  dbops.alembic.alembic_check:
    chdir: /srv/orders/current
    virtualenv: /srv/orders/current/.venv
    fail_on_difference: false
  register: orders_models

- name: Say what differs
  ansible.builtin.debug:
    msg: "{{ item.operation }} {{ item.table }} {{ item.name }}: {{ item.detail }}"
  loop: "{{ orders_models.differences }}"
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
  description: >-
    One entry for each database or tenant that C(env.py) configured, with its RV(databases[].database) and
    RV(databases[].current).
  returned: when the project could be read
  type: list
  elements: dict
  contains:
    database:
      description: Which database or tenant the entry is about, as in RV(database).
      type: dict
      sample: {name: null, dialect: postgresql, host: db.example.com, database: orders, schema: public}
    current:
      description: Revisions that it is at.
      type: list
      elements: str
      sample: [ae1027a6acf5]
current:
  description: Revisions that the database is at.
  returned: when there is exactly one database
  type: list
  elements: str
  sample: [ae1027a6acf5]
in_sync:
  description: Whether models and database agree.
  returned: when they could be compared
  type: bool
  sample: false
differences:
  description: What would bring the database to the models.
  returned: when they could be compared
  type: list
  elements: dict
  contains:
    operation:
      description: What would bring the database to the models, in Alembic's words.
      type: str
      sample: add_column
    schema:
      description: Schema of the table.
      type: str
      sample: null
    table:
      description: Table.
      type: str
      sample: orders
    name:
      description: Name of the column, index or constraint.
      type: str
      sample: total
    detail:
      description: The rest of it, as text.
      type: str
      sample: total NUMERIC
    database:
      description: Name of the engine in a project with several databases.
      type: str
      sample: null
  sample:
    - operation: add_column
      schema: null
      table: orders
      name: total
      detail: total NUMERIC
      database: null

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

from ansible_collections.dbops.alembic.plugins.module_utils._argspec import check_spec
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for
from ansible_collections.dbops.alembic.plugins.module_utils._operations import run_check


def main() -> None:
    module = check_spec().create_module()
    try:
        outcome = run_check(bridge_for(module), module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**outcome.as_result())


if __name__ == "__main__":
    main()
