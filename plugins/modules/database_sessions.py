#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_sessions
short_description: Make sure that nobody is connected to an application's database
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Waits until the database has no session of the application left, which proves that the application is stopped everywhere.
  - Terminates who does not go by itself, if that is allowed. Otherwise the failure names who is left.
  - Keeps nobody from connecting again; M(dbops.alembic.database_snapshot) does, for as long as it works.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.database.sessions
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  wait:
    description:
      - Seconds to wait for the sessions to go by themselves; V(0) looks once.
    type: float
    default: 30
  terminate:
    description:
      - Whether to terminate the sessions that are left after O(wait).
      - For PostgreSQL the role needs the rights of the user whose session it is, or C(pg_signal_backend).
      - Not for SQLite, whose sessions are processes of the host.
    type: bool
    default: false
  terminate_wait:
    description:
      - Seconds to wait for terminated sessions to be gone.
    type: float
    default: 10
seealso:
  - module: dbops.alembic.database_sessions_info
"""

EXAMPLES = r"""
- name: Wait until no session of the old release is left
  dbops.alembic.database_sessions:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    users: [orders_app]
    wait: 60

- name: Wait a little, then end what is left
  dbops.alembic.database_sessions:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    wait: 10
    terminate: true
"""

RETURN = r"""
sessions:
  description: Sessions that are left; none, but in check mode and when the module fails.
  returned: success, and failure with the error kind database_busy
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
  returned: success, and failure with the error kind database_busy
  type: int
  sample: 1
complete:
  description: >-
    Whether sessions of every user could be seen. For MySQL and MariaDB that takes the privilege C(PROCESS), for SQLite root.
  returned: success, and failure with the error kind database_busy
  type: bool
  sample: true
pooler:
  description: Whether O(url) goes through a connection pooler, so that what is seen are the pooler's sessions.
  returned: success, and failure with the error kind database_busy
  type: bool
  sample: false
terminated:
  description: Sessions that were terminated, in check mode those that would be.
  returned: success, and failure with the error kind database_busy
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
  sample: []
waited_seconds:
  description: How long it took until nobody was left.
  returned: success, and failure with the error kind database_busy
  type: float
  sample: 1.204
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
  sample: database_busy
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Stop what is connected there, or set terminate.
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: "42501"
"""

from ansible_collections.dbops.alembic.plugins.module_utils._database import run_database, sessions_spec
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for


def main() -> None:
    module = sessions_spec().create_module()
    try:
        result = run_database(bridge_for(module), module.params, "database_sessions", module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
