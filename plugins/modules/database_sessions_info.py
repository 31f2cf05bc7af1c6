#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_sessions_info
short_description: Say who is connected to an application's database
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Lists the sessions of clients on a database. Background workers of the server are none, and sessions of this collection
    never count.
  - For SQLite, which has no server, these are the processes of this host that hold the file open.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.database.sessions
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
seealso:
  - module: dbops.alembic.database_sessions
"""

EXAMPLES = r"""
- name: See who is connected
  dbops.alembic.database_sessions_info:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    exclude_users: [monitoring]
  register: orders_sessions
"""

RETURN = r"""
sessions:
  description: Sessions that are connected.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: Process of the server that serves it (of the application, for SQLite).
      type: int
      sample: 4711
    user:
      description: Database user.
      type: str
      sample: orders_app
    application:
      description: Name that the application has given itself.
      type: str
      sample: gunicorn
    client:
      description: Address of the client, V(local) for a Unix socket.
      type: str
      sample: 10.0.0.12
    state:
      description: What it is doing.
      type: str
      sample: idle in transaction
    since:
      description: Since when, that is since its transaction began or its state changed (UTC).
      type: str
      sample: "2026-11-21T06:39:00Z"
    query:
      description: Its last statement, shortened and without literals.
      type: str
      sample: "SELECT orders.total FROM orders WHERE orders.id = ?"
  sample:
    - pid: 4711
      user: orders_app
      application: gunicorn
      client: 10.0.0.12
      state: idle in transaction
      since: "2026-11-21T06:39:00Z"
      query: "SELECT orders.total FROM orders WHERE orders.id = ?"
count:
  description: How many those are.
  returned: success
  type: int
  sample: 1
complete:
  description: >-
    Whether sessions of every user could be seen. For MySQL and MariaDB that takes the privilege C(PROCESS), for SQLite root.
  returned: success
  type: bool
  sample: true
pooler:
  description: Whether O(url) goes through a connection pooler, so that what is seen are the pooler's sessions.
  returned: success
  type: bool
  sample: false
dialect:
  description: Kind of database.
  returned: success
  type: str
  sample: postgresql
database:
  description: Name of the database; the path of an SQLite one.
  returned: success
  type: str
  sample: orders
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: connection_failed
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Check host, port and database name, and that the server is up.
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: "42501"
"""

from ansible_collections.dbops.alembic.plugins.module_utils._database import run_database, sessions_info_spec
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for


def main() -> None:
    module = sessions_info_spec().create_module()
    try:
        result = run_database(bridge_for(module), module.params, "database_sessions_info")
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
