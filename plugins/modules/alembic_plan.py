#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_plan
short_description: Say whether pending Alembic revisions can run while the old code serves
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
description:
  - Runs the pending revisions one by one on an empty copy of the schema, in the application's own Python, and watches them. It sees
    the locks that they hold, what they scan and rewrite, what becomes of every object that running code may use, and whether the
    downgrade of each really brings the schema back.
  - From that and from the sizes of the real tables follows a route. It is V(rolling), V(maintenance_window) or V(refuse), with the
    reason in a sentence.
  - Changes nothing in the database. The copy has a name of its own and is dropped in every case. Copies that a killed run left
    behind are dropped by the next one.
  - On MySQL and MariaDB it sees with which algorithm and lock the server alters each table. An SQLite file is copied with its
    rows, to a private folder below C(TMPDIR).
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.project
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
  - dbops.alembic.attributes.alembic
options:
  revision:
    description:
      - Revision that would be upgraded to, as the O(dbops.alembic.alembic_upgrade#module:revision) of
        M(dbops.alembic.alembic_upgrade).
    type: str
    default: head
  mode:
    description:
      - With V(auto), the revisions are rehearsed where that is possible. Where it is not, a warning says why, and the plan
        knows only what the SQL of the revisions shows, and on PostgreSQL the catalogue and the statement plans of the real
        database; all that they do not show is V(unknown). Where C(pglast) is installed in the application's Python or in the one
        that the module runs in, PostgreSQL's own parser takes the SQL apart, else a reader of ours. Where squawk (C(squawk-cli) on
        PyPI) is installed beside the application's Python or in the C(PATH), it reads the SQL for PostgreSQL too.
      - V(rehearse) fails where nothing can be rehearsed.
      - V(static) rehearses nothing.
    type: str
    choices: [auto, rehearse, static]
    default: auto
  scratch_url:
    description:
      - URL of an empty PostgreSQL database to rehearse in, for a role that may not create databases. The driver is the one that the
        project has.
      - Everything in it is dropped, before and after. A database that holds anything that was not left there by this module is
        refused.
      - The downgrades are then tried from the last revision on, up to the first that does not bring the schema back.
    type: str
  throwaway_cluster:
    description:
      - Where the role may not make a copy on its server and there is no O(scratch_url), rehearse in a PostgreSQL server that is
        started for it on this host, which takes about two seconds and 40 MB. It listens on a Unix socket in a private folder below
        C(TMPDIR) and nowhere else, has the same roles without their passwords, and is gone afterwards.
      - It takes PostgreSQL's server programs (C(initdb), C(postgres)) beside C(pg_dump). PostgreSQL refuses to run as root, so for
        root it runs as the user C(postgres), or as C(nobody), by C(setpriv) of util-linux.
      - Extensions that this host does not have are missing there, which a warning says.
    type: bool
    default: true
    version_added: 0.2.0
  maintenance_database:
    description:
      - Database to connect to for making the copy.
      - Without it, V(postgres), and V(template1) when the role may not connect to that.
    type: str
  postgresql_programs:
    description:
      - Folder with PostgreSQL's C(pg_dump). It may be newer than the server and not older.
      - Without it, they are looked for where distributions put them, and in the C(PATH).
    type: path
  large_rows:
    description:
      - From how many rows on a table is large, so that reading or rewriting it takes noticeable time.
      - The number of rows is the one of the real database's statistics. On SQLite they are counted, on the copy.
    type: int
    default: 100000
  large_mebibytes:
    description:
      - From how many mebibytes on a table is large, whatever its number of rows. This counts too for tables never analysed.
    type: int
    default: 64
  data_checks:
    description:
      - Ask the real rows whether they allow a new constraint (no NULL, no duplicates, no orphans, no violations), and how many
        rows have data in columns that are dropped. These queries only read.
    type: bool
    default: true
  data_checks_timeout:
    description:
      - Seconds that each query of O(data_checks) may take; V(0) means no limit. What could not be answered in time is V(unknown).
    type: float
    default: 10
  observed_statements:
    description:
      - How many of the most frequent statements in the extension C(pg_stat_statements) to try on the copy, before and after each
        revision. One that worked before and does not after is what old code would fail with.
      - They are planned and not run. V(0) tries none.
    type: int
    default: 0
  application_roles:
    description:
      - Roles that the running code has in PostgreSQL. What each may do with every table, column, sequence, function and schema is
        compared before and after each revision; what it can no longer do is V(breaks).
      - Without it, they are the login roles that are connected to the database, and those that have rights on something in it,
        superusers left out.
    type: list
    elements: str
    version_added: 0.2.0
  may_break:
    description:
      - What to do with a revision that may break old code, such as a new constraint that refuses rows which it could write.
      - With V(warn) it is told and changes nothing. With V(contract) the revision has to wait until the old code is gone.
    type: str
    choices: [warn, contract]
    default: warn
  unknown:
    description:
      - Route when something could not be found out, such as a revision that reads rows.
    type: str
    choices: [maintenance_window, refuse]
    default: maintenance_window
notes:
  - The code of the revisions really runs, on the copy. A connection to any other database is refused, but what a revision does
    elsewhere, such as a call over HTTP or a file, it does.
  - A revision may say what it is, in its file, with C(deploy = {"phase" = "contract", "allow" = {"C02:users.legacy" = "unread
    since 4.2"}}) written as a Python dictionary. It is read without importing the file. The reason is mandatory. The branch
    labels C(expand) and C(contract) count as the phase.
  - On PostgreSQL (11 or later), the copy takes the right to create databases, or O(throwaway_cluster), and the right to read
    the schema with C(pg_dump). On MySQL and
    MariaDB, it takes all rights on databases whose name begins with C(dbops_rehearsal_).
seealso:
  - module: dbops.alembic.alembic_upgrade
  - module: dbops.alembic.alembic_info
  - ref: ansible_collections.dbops.alembic.docsite.guide_zero_downtime
    description: The guide on zero-downtime migrations.
"""

EXAMPLES = r"""
- name: Find out how this release can be deployed
  dbops.alembic.alembic_plan:
    chdir: /srv/orders/releases/4.3
    virtualenv: /srv/orders/releases/4.3/.venv
    url: "{{ orders_database_url }}"
  register: orders_plan

- name: Say why it is not a rolling deployment
  ansible.builtin.debug:
    msg: "{{ orders_plan.route }}: {{ orders_plan.reason }}"
  when: orders_plan.route != 'rolling'

- name: Fail in a pipeline when the migrations need a maintenance window
  dbops.alembic.alembic_plan:
    chdir: /builds/orders
    virtualenv: /builds/orders/.venv
    url: "{{ staging_database_url }}"
    mode: rehearse
    may_break: contract
  register: orders_plan
  failed_when: orders_plan.route != 'rolling'
"""

RETURN = r"""
route:
  description:
    - V(rolling) when the running code can go on while RV(before) runs, and RV(after) can run when it is gone.
    - V(maintenance_window) when the application has to be stopped for it, or nobody knows.
    - V(refuse) when it will fail, or contradicts what a revision says of itself.
  returned: success
  type: str
  sample: rolling
reason:
  description: Why, in a sentence.
  returned: success
  type: str
  sample: 27c6a30d7c24 can run while the old code serves; ae1027a6acf5 can run when the last process of the old code is gone.
before:
  description: With the route V(rolling), the revisions to run while the old code serves.
  returned: success
  type: list
  elements: str
  sample: [27c6a30d7c24]
after:
  description: With the route V(rolling), the revisions to run when the last process of the old code is gone.
  returned: success
  type: list
  elements: str
  sample: [ae1027a6acf5]
rollback:
  description: Whether a downgrade of all that is pending was proved to lose nothing.
  returned: success
  type: dict
  contains:
    proved:
      description: Schema and rows are as before, as long as nobody has written to the new schema.
      type: bool
      sample: true
    proved_after_traffic:
      description: The same, and nothing that the new code writes is dropped either.
      type: bool
      sample: false
    reason:
      description: What speaks against it.
      type: str
      sample: "Revision 27c6a30d7c24: a downgrade discards what was written to public.users.bio since."
  sample: {proved: true, proved_after_traffic: true, reason: null}
mode:
  description: V(rehearsal), V(static) when something was not rehearsed, or V(none) when nothing is pending.
  returned: success
  type: str
  sample: rehearsal
revisions:
  description:
    - What was found of each pending revision, in the order in which they run; with several databases, database by database.
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
      sample: drop users.legacy
    down_revision:
      description: Revisions that it follows.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    path:
      description: File that it is in.
      type: str
      sample: /srv/orders/migrations/versions/ae1027a6acf5_drop_users_legacy.py
    database:
      description: Name of the engine in a project with several databases.
      type: str
      sample: null
    phase:
      description:
        - V(expand) can run beside the old code, V(contract) when it is gone, V(blocking) only while the application is stopped,
          and of V(unknown) nobody knows.
      type: str
      sample: contract
    declared_phase:
      description: Phase that the revision itself or a label of its branch says.
      type: str
      sample: contract
    transactional:
      description: Whether all its statements run in a transaction. Null when it was not rehearsed.
      type: bool
      sample: true
    statements:
      description:
        - Its statements, each with C(sql), C(transactional), C(locks) (table and strongest lock on tables that existed before),
          and the tables that it C(scanned), C(rewritten) or changed rows of (C(written)). C(algorithm) is C(instant), C(inplace)
          or C(copy) on MySQL and MariaDB, else null.
      type: list
      elements: dict
      sample:
        - sql: ALTER TABLE users DROP COLUMN legacy
          transactional: true
          algorithm: null
          locks: {public.users: AccessExclusive}
          scanned: []
          rewritten: []
          written: []
    findings:
      description:
        - What is wrong with it, the gravest first. The rules are listed in the guide.
      type: list
      elements: dict
      contains:
        rule:
          description: Stable id of the rule.
          type: str
          sample: C02
        class:
          description: One of V(fails), V(unknown), V(blocks), V(breaks), V(may_break), V(irreversible), V(not_transactional).
          type: str
          sample: breaks
        object:
          description: Object that it is about.
          type: str
          sample: public.users.legacy
        lock:
          description: Lock that is held.
          type: str
          sample: AccessExclusive
        rows:
          description: Rows of the real table that it is about, if that is known.
          type: int
          sample: 1500000
        message:
          description: What the danger is.
          type: str
          sample: The column users.legacy is dropped while the old code still selects and writes it.
        fix:
          description: How the same is reached safely.
          type: str
          sample: Take it out of the models first, release that, then drop it in a later revision that is declared contract.
        section:
          description: Heading of the guide on zero-downtime migrations that says more.
          type: str
          sample: Dropping a table or column
        source:
          description: Where it was seen, V(rehearsal), V(data), V(statements), V(sql), or by V(squawk).
          type: str
          sample: rehearsal
        allowed:
          description: Reason for which the revision allows it.
          type: str
          sample: null
      sample: []
    reversible:
      description:
        - What the rehearsal of the downgrade proved. C(schema_restored) and C(reapplies) say whether nothing is left over or
          missing and whether it can be applied again, C(blocks) whether the downgrade blocks; null is not known.
        - C(discards) lists what the downgrade drops with all that was written to it since, C(loses) what the upgrade itself
          destroys or changes, with the number of rows that have data. C(proved) is true when the downgrade brings schema and
          rows back, as long as nobody has written to the new schema, and C(proved_after_traffic) when it does even then.
      type: dict
      sample:
        schema_restored: true
        reapplies: true
        blocks: false
        discards: []
        loses: [{object: public.users.legacy, how: the column is dropped, rows: 1500000}]
        proved: false
        proved_after_traffic: false
  sample: []
databases:
  description:
    - One entry for each database or tenant, with C(database), C(initialised), C(read_only), C(current), C(mode), C(mode_reason),
      C(copy), C(second_opinion), C(parser), C(tables) and C(revisions).
    - C(tables) has each table of the real database with its number of C(rows) as the server's statistics have it, null where they
      do not; SQLite has none.
    - C(copy) says where it was rehearsed, in a C(database) of the same server, in the one that was C(given), in a throw-away
      C(cluster), or on a C(file).
    - C(second_opinion) is the name and version of squawk, where it read the SQL. C(parser) is those of pglast, where it took
      the SQL apart, null where that was our own reader or nothing was read.
  returned: success
  type: list
  elements: dict
  sample: []
versions:
  description: Versions of C(alembic), C(sqlalchemy) and C(python) that the project runs on.
  returned: success
  type: dict
  sample: {alembic: 1.16.5, sqlalchemy: 2.0.44, python: 3.12.3}

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
output:
  description: The end of what the application printed.
  returned: failure
  type: str
  sample: ""
"""

from ansible_collections.dbops.alembic.plugins.module_utils._argspec import plan_spec
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for
from ansible_collections.dbops.alembic.plugins.module_utils._plan import run_plan


def main() -> None:
    module = plan_spec().create_module()
    try:
        outcome = run_plan(bridge_for(module), module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**outcome.as_result())


if __name__ == "__main__":
    main()
