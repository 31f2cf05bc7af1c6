#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_upgrade
short_description: Upgrade a database with the Alembic migrations of an application
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Runs the pending revisions of an application's Alembic project, in the application's own Python, and reports what the
    database says afterwards.
  - Of several runs at the same time one works. The others wait for it, look again and find nothing left to do.
  - Shows each revision while it runs. A lost connection to the host neither ends the upgrade nor loses its result.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.project
  - dbops.alembic.migration
  - dbops.alembic.migration.follow
  - dbops.alembic.attributes
  - dbops.alembic.attributes.alembic
  - dbops.alembic.attributes.follow
options:
  revision:
    description:
      - Target, as Alembic understands it, such as V(head), V(heads), V(+2), a revision or the beginning of one,
        V(branch@head) or V(ae10+2).
      - V(head) is refused when the scripts have several heads. Ask for all of them with V(heads).
      - A target that points backwards is refused; that is M(dbops.alembic.alembic_downgrade).
    type: str
    default: head
  max_pending:
    description:
      - Refuse to run more revisions than this, with the error kind V(too_many_pending). V(1) makes sure that a release brings
        one revision and no more.
    type: int
  initialise:
    description:
      - What to do with a database that has no version table, which Alembic has never touched.
      - V(upgrade) runs all revisions from the first one.
      - V(command) runs O(initialise_command) under the lock, looks again, stamps O(initialise_revision) if there is one and
        the command has left no version table, and runs what is pending then. For an application whose migrations can not
        start from an empty database.
      - V(stamp) records O(initialise_revision) without running anything, and upgrades from there. For a database whose tables
        were there before Alembic was.
      - V(refuse) fails with the error kind V(not_initialised).
    type: str
    choices: [upgrade, command, stamp, refuse]
    default: upgrade
  initialise_command:
    description:
      - Program and arguments, run in O(chdir) with the O(environment), and with the folder of the application's Python first
        in the path. Required with O(initialise=command).
    type: list
    elements: str
  initialise_revision:
    description:
      - Revision to stamp. Required with O(initialise=stamp).
    type: str
attributes:
  check_mode:
    support: full
    details:
      - The same plan, not carried out. Each revision is shown with its SQL as far as it can be rendered without running it;
        one that reads the database is marked as not previewable, and is no failure.
      - With O(initialise=command) the command is not run.
  diff_mode:
    support: full
    details:
      - Shows the revisions of the database before and after, and the SQL of each revision.
seealso:
  - module: dbops.alembic.alembic_info
  - module: dbops.alembic.alembic_downgrade
  - module: dbops.alembic.alembic_fleet
  - module: dbops.alembic.alembic_stamp
  - module: dbops.alembic.alembic_check
  - module: dbops.alembic.alembic_revision
"""

EXAMPLES = r"""
- name: Upgrade the database to the newest revision
  dbops.alembic.alembic_upgrade:
    chdir: /srv/orders/current
    virtualenv: /srv/orders/current/.venv
    url: "postgresql+psycopg://orders_owner:{{ orders_password | urlencode }}@db.example.com/orders"

- name: Upgrade a project that reads its database URL from the environment, and only from a known revision
  dbops.alembic.alembic_upgrade:
    chdir: /srv/shop
    virtualenv: /srv/shop/venv
    environment:
      DATABASE_URL: "{{ shop_database_url }}"
    expect_current: [27c6a30d7c24]
    max_pending: 3

- name: Say the options of the project once
  module_defaults:
    group/dbops.alembic.alembic:
      chdir: /srv/orders/current
      virtualenv: /srv/orders/current/.venv
      url: "{{ orders_database_url }}"
  block:
    - name: Upgrade all branches, and give up when a lock is not to be had within two seconds, ten times
      dbops.alembic.alembic_upgrade:
        revision: heads
        lock_timeout: 2
        retries: 9

    - name: See that models and database agree
      dbops.alembic.alembic_check:

- name: Upgrade an application that makes its first tables itself
  dbops.alembic.alembic_upgrade:
    config: /srv/tracking/alembic.ini
    python: /srv/tracking/bin/python
    initialise: command
    initialise_command: [tracking, initdb]

- name: Upgrade a Flask application with Flask-Migrate, whose env.py wants an application context
  dbops.alembic.alembic_upgrade:
    chdir: /srv/blog
    virtualenv: /srv/blog/venv
    prelude: |
      from blog import create_app
      app = create_app()
      app.app_context().push()
      config = app.extensions["migrate"].migrate.get_config()
    environment:
      DATABASE_URL: "{{ blog_database_url }}"

- name: Attach to an upgrade whose host was reported as unreachable
  dbops.alembic.alembic_upgrade:
    chdir: /srv/orders/current
    virtualenv: /srv/orders/current/.venv
    job: 0b6c6b1f4d0e4b0c8a4f8f1c9d0a7e55
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
    - An entry has the keys RV(database), RV(before), RV(after), RV(planned), RV(applied), RV(rolled_back), RV(pending),
      RV(state), RV(lock), RV(invalid_indexes) and RV(other_moves), which stand at the top level too when there is exactly one
      entry.
  returned: when the project could be read
  type: list
  elements: dict
  contains:
    database:
      description: Which database or tenant the entry is about, as in RV(database).
      type: dict
      sample: {name: null, dialect: postgresql, host: db.example.com, database: orders, schema: tenant_acme}

before:
  description: Revisions that the database was at before anything was done; an empty list for a database without any.
  returned: when the database could be reached, and there is exactly one
  type: list
  elements: str
  sample: [27c6a30d7c24]
after:
  description:
    - Revisions that the database is at now, read on a new connection after the work.
    - In check mode nothing is done, so it is where it was.
  returned: when the database could be reached, and there is exactly one
  type: list
  elements: str
  sample: [ae1027a6acf5]
planned:
  description: Revisions that the run set out to run, in that order.
  returned: when the database could be reached, and there is exactly one
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
    sql:
      description: Its SQL, rendered without running it. V(none) when it can not be rendered.
      returned: in check mode with C(--diff)
      type: str
      sample: ALTER TABLE orders ADD COLUMN total NUMERIC;
    previewable:
      description: Whether its SQL could be rendered.
      returned: in check mode with C(--diff)
      type: bool
      sample: true
    reason:
      description: Why its SQL could not be rendered; a revision that reads the database, for example.
      returned: in check mode with C(--diff)
      type: str
      sample: null
  sample:
    - revision: ae1027a6acf5
      message: add orders.total
      down_revision: [27c6a30d7c24]
      depends_on: []
      branch_labels: []
      path: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py
applied:
  description: Revisions that were run and are there to stay. Empty in check mode.
  returned: when the database could be reached, and there is exactly one
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
    path:
      description: File that it is in.
      type: str
      sample: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py
    seconds:
      description: How long it took, its commit included.
      type: float
      sample: 2.1
    sql:
      description: The statements that it ran, without their parameters.
      type: list
      elements: str
      sample: [ALTER TABLE orders ADD COLUMN total NUMERIC]
  sample:
    - revision: ae1027a6acf5
      message: add orders.total
      path: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py
      seconds: 2.1
      sql: [ALTER TABLE orders ADD COLUMN total NUMERIC]
rolled_back:
  description: Revisions that were begun or run, and that the database has taken back.
  returned: when the database could be reached, and there is exactly one
  type: list
  elements: str
  sample: []
pending:
  description: Revisions of the plan that are still to do.
  returned: when the database could be reached, and there is exactly one
  type: list
  elements: str
  sample: []
lock:
  description: How the migration lock was held; nothing when there was nothing to do, because then it is not taken.
  returned: when the database could be reached, and there is exactly one
  type: dict
  contains:
    mode:
      description: >-
        V(session) for a lock of a session of its own, V(transaction) behind a proxy that pools transactions, V(file) for SQLite,
        V(none) without a lock.
      type: str
      sample: session
    waited_seconds:
      description: How long another run was waited for.
      type: float
      sample: 0.0
    kept:
      description: Whether the lock was still ours when it was released.
      type: bool
      sample: true
    holder:
      description: Who held it, when it had to be waited for.
      type: dict
      sample: null
  sample:
    mode: session
    waited_seconds: 0.0
    kept: true
    holder: null
other_moves:
  description:
    - Moves of the database, from some revisions to others, that happened around this run and are not its own. A warning tells of
      each.
    - They come from a prelude, an application or an C(env.py) that migrates by itself when it is loaded, or from somebody else.
  returned: when the database could be reached, and there is exactly one
  type: list
  elements: dict
  contains:
    when:
      description: V(before) the work of this run began, or V(after) it had ended.
      type: str
      sample: before
    from:
      description: Revisions that it was at; an empty list for a database without any.
      type: list
      elements: str
      sample: []
    to:
      description: Revisions that it was at then.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    by_project:
      description:
        - Whether a process of this run was seen to do it. Then the result is C(changed).
        - Otherwise the project has started another process for it, or it was somebody else.
      type: bool
      sample: true
  sample: []
invalid_indexes:
  description: Indexes (PostgreSQL) that are invalid now and were not before.
  returned: when the database could be reached, and there is exactly one
  type: list
  elements: str
  sample: []
state:
  description:
    - Where the database stands; with several, the worst of them.
    - V(from_revision) is where it was, V(to_revision) is where it should be, V(between) has some of the planned revisions and
      nothing else, V(dirty) holds a part of a revision that failed, V(unknown) could not be read;
      RV(applied) then has what the run saw committed.
  returned: when the database was looked at
  type: str
  sample: to_revision
attempts:
  description: Each attempt, with what ended it. There are several only after lock timeouts, deadlocks and serialization failures.
  returned: when the worker could be started
  type: list
  elements: dict
  contains:
    number:
      description: Counted from 1.
      type: int
      sample: 1
    seconds:
      description: How long it took.
      type: float
      sample: 5.3
    error_kind:
      description: What ended it; V(none) when it succeeded.
      type: str
      sample: lock_timeout
    sqlstate:
      description: The database's own code of the error.
      type: str
      sample: 55P03
    revision:
      description: Revision that was running.
      type: str
      sample: ae1027a6acf5
    blockers:
      description: Sessions that held locks on the tables of the statement (PostgreSQL).
      type: list
      elements: dict
      contains:
        pid:
          description: Process of the session on the server.
          type: int
          sample: 4711
        user:
          description: Its user.
          type: str
          sample: report
        application:
          description: Its application name.
          type: str
          sample: nightly-report
        client:
          description: Address that it comes from.
          type: str
          sample: 10.0.0.7
        state:
          description: What it is doing.
          type: str
          sample: idle in transaction
        since:
          description: Since when its transaction is open, in UTC.
          type: str
          sample: "2026-01-20T12:01:07Z"
        query:
          description: Its last statement, with the literals replaced.
          type: str
          sample: SELECT * FROM orders WHERE id = ?
        locks:
          description: The locks that it holds.
          type: str
          sample: orders AccessShareLock
      sample:
        - pid: 4711
          user: report
          application: nightly-report
          client: 10.0.0.7
          state: idle in transaction
          since: "2026-01-20T12:01:07Z"
          query: SELECT * FROM orders WHERE id = ?
          locks: orders AccessShareLock
  sample:
    - number: 1
      seconds: 0.8
      error_kind: null
      sqlstate: null
      revision: null
      blockers: []

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

failed_revision:
  description: The revision that failed, and where and why.
  returned: failure, when a revision was running
  type: dict
  contains:
    revision:
      description: Revision that was running.
      type: str
      sample: ae1027a6acf5
    message:
      description: First line of its text.
      type: str
      sample: add orders.total
    file:
      description: File in which it happened.
      type: str
      sample: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py
    line:
      description: Line of it.
      type: int
      sample: 21
    source:
      description: Text of that line.
      type: str
      sample: op.add_column("orders", sa.Column("total", sa.Numeric))
    statement:
      description: SQL statement that failed, without its parameters.
      type: str
      sample: ALTER TABLE orders ADD COLUMN total NUMERIC
    sqlstate:
      description: The database's own code of the error.
      type: str
      sample: 55P03
    error:
      description: The error's text.
      type: str
      sample: "LockNotAvailable: canceling statement due to lock timeout"
  sample:
    revision: ae1027a6acf5
    message: add orders.total
    file: /srv/orders/migrations/versions/ae1027a6acf5_add_orders_total.py
    line: 21
    source: op.add_column("orders", sa.Column("total", sa.Numeric))
    statement: ALTER TABLE orders ADD COLUMN total NUMERIC
    sqlstate: 55P03
    error: "LockNotAvailable: canceling statement due to lock timeout"

job:
  description: Name of the run, to attach to it by hand with O(job).
  returned: when the host was lost during the run
  type: str
  sample: 0b6c6b1f4d0e4b0c8a4f8f1c9d0a7e55
"""

from ansible_collections.dbops.alembic.plugins.module_utils._argspec import upgrade_spec
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for
from ansible_collections.dbops.alembic.plugins.module_utils._operations import run_upgrade


def main() -> None:
    module = upgrade_spec().create_module()
    try:
        outcome = run_upgrade(bridge_for(module), module.params, dry=module.check_mode, diff=module._diff)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**outcome.as_result())


if __name__ == "__main__":
    main()
