#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: alembic_fleet
short_description: Upgrade many databases with the Alembic migrations of one application
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
description:
  - Upgrades, downgrades, stamps or reads many databases, or schemas of one, that belong to the same code. For an application with a
    database or a schema for each customer.
  - One process of the application's Python imports Alembic, SQLAlchemy and the driver once, and of the project the revisions and
    what C(env.py) begins with, such as its models. A child of it works on each target, and does what
    M(dbops.alembic.alembic_upgrade) does with one database, with its own lock, limits and retries.
  - A target that fails stops nothing but itself, until more have failed than O(max_failures). A canary group goes first.
  - Run again, it goes on with the targets that are not there yet.
  - Shows each target when it has ended. A lost connection to the host neither ends the run nor loses its result.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.project
  - dbops.alembic.migration
  - dbops.alembic.migration.follow
  - dbops.alembic.attributes
  - dbops.alembic.attributes.alembic
  - dbops.alembic.attributes.follow
options:
  state:
    description:
      - V(listed) says in RV(found) which targets there are, and looks at none of them.
      - V(current) reads where each target stands, and changes nothing.
      - V(planned) says what V(upgraded) would do, and changes nothing. Targets that stand at the same place with the same schema
        are one kind, and the pending revisions of each kind are rehearsed once, as M(dbops.alembic.alembic_plan) does, on a copy of
        the first target of the kind. RV(drift) has the targets whose schema is not that of the others at the same revisions.
      - V(upgraded) runs the pending revisions up to O(revision).
      - V(downgraded) goes back to O(revision).
      - V(stamped) records O(revision) without running anything.
      - V(returned) brings each target back to where it was before the run whose O(ledger) it is.
      - V(pruned) removes the oldest snapshots of each target, as M(dbops.alembic.database_snapshot) does, but for O(keep_count).
    type: str
    choices: [listed, current, planned, upgraded, downgraded, stamped, returned, pruned]
    required: true
  revision:
    description:
      - As in M(dbops.alembic.alembic_upgrade), M(dbops.alembic.alembic_downgrade) and M(dbops.alembic.alembic_stamp).
      - Unless told, V(head) with O(state=upgraded) and O(state=planned), and V(heads) with O(state=current), where it says what
        counts as pending.
      - Required with O(state=downgraded) and O(state=stamped).
    type: str
  targets:
    description:
      - The databases, in the order in which they are worked on.
      - What a target does not say, O(url), O(environment) and O(x_arguments) of the module say for it.
      - Exactly one of O(targets) and O(query) is required.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the target in results and messages. No two are the same.
        type: str
        required: true
      url:
        description: As O(url), for this target.
        type: str
      environment:
        description: More environment variables, on top of O(environment).
        type: dict
        default: {}
      x_arguments:
        description: More arguments for C(env.py), after O(x_arguments).
        type: list
        elements: str
        default: []
      schema:
        description:
          - The schema of this target. O(schema_variable), O(schema_x_argument) and O(schema_search_path) say how the project learns
            of it; one of them is needed then.
        type: str
      labels:
        description: Words to choose targets by, such as a region, for O(canary).
        type: list
        elements: str
        default: []
  query:
    description:
      - Find the targets instead of listing them. RV(targets) shows what was found; look with O(state=listed) or
        O(state=current) first.
      - A query that finds nothing fails.
    type: dict
    suboptions:
      list:
        description:
          - V(schemas) are the schemas of the database (PostgreSQL), each a target with O(targets[].schema).
          - V(databases) are the databases of the server (PostgreSQL, MySQL, MariaDB) that can be connected to, each a target whose
            URL has that database. Those that belong to the server itself are left out, but for C(postgres).
          - V(rows) are the rows that O(query.sql) gives.
          - V(files) are SQLite databases on the host, by their paths.
        type: str
        choices: [schemas, databases, rows, files]
        required: true
      url:
        description:
          - Where to look. Unless told, O(url).
          - Targets get O(url), with another database where they are databases, and this one only where there is no O(url).
        type: str
      match:
        description:
          - Patterns of the shell, such as V(tenant_*); a name has to match one of them. Without any, all names do.
          - With O(query.list=files) the paths, such as V(/srv/tenants/*.sqlite). Required then.
        type: list
        elements: str
        default: []
      exclude:
        description: Patterns of the shell of names to leave out.
        type: list
        elements: str
        default: []
      sql:
        description:
          - A statement that only reads, with the column C(name) and, if wanted, C(schema), C(database) and C(labels), the latter
            separated by commas or an array. Required with O(query.list=rows).
        type: str
  compare:
    description:
      - With O(state=current), read what is in each target too, and tell in RV(drift) which are not as the others.
      - O(state=planned) always does.
    type: bool
    default: false
  rehearsal:
    description:
      - How O(state=planned) rehearses and judges.
    type: dict
    suboptions:
      mode:
        description: As O(dbops.alembic.alembic_plan#module:mode) of M(dbops.alembic.alembic_plan).
        type: str
        choices: [auto, rehearse, static]
        default: auto
      scratch_url:
        description:
          - As O(dbops.alembic.alembic_plan#module:scratch_url) of M(dbops.alembic.alembic_plan).
          - One kind at a time is rehearsed then.
        type: str
      throwaway_cluster:
        description: As O(dbops.alembic.alembic_plan#module:throwaway_cluster) of M(dbops.alembic.alembic_plan).
        type: bool
        default: true
      maintenance_database:
        description: As O(dbops.alembic.alembic_plan#module:maintenance_database) of M(dbops.alembic.alembic_plan).
        type: str
      postgresql_programs:
        description: As O(dbops.alembic.alembic_plan#module:postgresql_programs) of M(dbops.alembic.alembic_plan).
        type: path
      large_rows:
        description: As O(dbops.alembic.alembic_plan#module:large_rows) of M(dbops.alembic.alembic_plan).
        type: int
        default: 100000
      large_mebibytes:
        description: As O(dbops.alembic.alembic_plan#module:large_mebibytes) of M(dbops.alembic.alembic_plan).
        type: int
        default: 64
      data_checks:
        description: As O(dbops.alembic.alembic_plan#module:data_checks) of M(dbops.alembic.alembic_plan).
        type: bool
        default: true
      data_checks_timeout:
        description: As O(dbops.alembic.alembic_plan#module:data_checks_timeout) of M(dbops.alembic.alembic_plan).
        type: float
        default: 10
      observed_statements:
        description: As O(dbops.alembic.alembic_plan#module:observed_statements) of M(dbops.alembic.alembic_plan).
        type: int
        default: 0
      application_roles:
        description: As O(dbops.alembic.alembic_plan#module:application_roles) of M(dbops.alembic.alembic_plan).
        type: list
        elements: str
      may_break:
        description: As O(dbops.alembic.alembic_plan#module:may_break) of M(dbops.alembic.alembic_plan).
        type: str
        choices: [warn, contract]
        default: warn
      unknown:
        description: As O(dbops.alembic.alembic_plan#module:unknown) of M(dbops.alembic.alembic_plan).
        type: str
        choices: [maintenance_window, refuse]
        default: maintenance_window
  url_variable:
    description: Environment variable in which the project looks for its URL. It is set for each target that has one.
    type: str
  url_x_argument:
    description: Name of the C(-x) argument in which the project looks for its URL, such as V(url).
    type: str
  schema_variable:
    description: Environment variable in which the project looks for its schema.
    type: str
  schema_x_argument:
    description: Name of the C(-x) argument in which the project looks for its schema, such as V(tenant).
    type: str
  schema_search_path:
    description:
      - Begin each session of a target with its schema as the only one in the search path, for a project that knows nothing of
        schemas. It is a part of the URL then (PostgreSQL with psycopg or psycopg2, and no PgBouncer between).
      - Types and functions of extensions that are in another schema have to be named with it.
    type: bool
    default: false
  parallel:
    description:
      - How many targets are worked on at a time.
      - Each takes two connections at most, one for the migration and one for its lock.
    type: int
    default: 4
  parallel_per_server:
    description:
      - How many of them on the same server, by the host and port of the URL. No limit of its own unless told. SQLite has no server.
      - Targets of which no URL is known, neither in O(url) nor in a variable nor in an argument, count as on one server.
    type: int
  max_failures:
    description:
      - How many targets may fail before no further one is begun, as a number or as a percentage of all targets, such as V(10%),
        rounded down. V(100%) goes on whatever fails.
      - Targets that are worked on at that moment are brought to their end.
      - The task fails when any target has failed, also where it went on.
      - With O(state=current), with O(state=planned) and in check mode all targets are read, whatever fails.
    type: str
    default: "0"
  canary:
    description:
      - Names or labels of targets that go first. The others begin when all of these have ended well; when one fails, none of them
        begins, whatever O(max_failures) says.
    type: list
    elements: str
    default: []
  batches:
    description:
      - Sizes of batches, as numbers or percentages, as C(serial) of a play has them. A batch begins when all targets of the one
        before have ended. The last size is repeated. Without any, all targets are one batch.
    type: list
    elements: str
    default: []
  ledger:
    description:
      - A file on the host in which each step of each target is written down before it is taken, with where the target stood before.
        It is made where it is not there. Each deployment has one of its own.
      - With it and O(state=upgraded) a run that was cut off is finished by running the task again, a target that failed goes back
        as O(on_failure) says, and RV(verdict) says what may start. O(state=returned) needs it.
      - Only one run at a time writes to it; another one waits for O(lock_wait) seconds.
      - A time such as V(20261129T080000Z) in its name is in the names of the snapshots too.
    type: path
  way_back:
    description:
      - What a target goes back by, with O(ledger); of several, the first one that can be used.
      - With O(state=planned) it is found out whether it can, see RV(ways_back).
      - V(snapshot) copies each target that has something pending before it is upgraded, as M(dbops.alembic.database_snapshot) does,
        for targets that are a database or a file each (PostgreSQL, SQLite). The role needs the right to create databases, and
        nobody else may have a session. A target that can not be copied for such a reason fails, untouched; one that is a schema, or
        in MySQL or MariaDB, goes back by V(downgrade) where that is wanted too, and fails where not.
      - V(downgrade) runs the downgrades of the revisions, for schemas and MariaDB, and where these lose nothing.
    type: list
    elements: str
    choices: [snapshot, downgrade, none]
    default: [none]
  on_failure:
    description:
      - What happens when a target fails, with O(ledger).
      - With V(one) it goes back by itself, and the others go on. When more than O(max_failures) have failed, or a canary, all go
        back.
      - With V(all) all go back, those that are upgraded too.
      - With V(halt) each stays where it is.
    type: str
    choices: [one, all, halt]
    default: halt
  rows_given_up:
    description:
      - How many rows that were written to a target since it was upgraded may be lost when its snapshot is put back; V(-1) is any
        number. A target with more of them does not go back.
    type: int
    default: 0
  keep_count:
    description: How many snapshots of each target are kept. Required with O(state=pruned).
    type: int
  max_pending:
    description: Refuse a target with more pending revisions than this, with the error kind V(too_many_pending).
    type: int
  initialise:
    description: As in M(dbops.alembic.alembic_upgrade), for each target without a version table.
    type: str
    choices: [upgrade, command, stamp, refuse]
    default: upgrade
  initialise_command:
    description: As in M(dbops.alembic.alembic_upgrade). Required with O(initialise=command).
    type: list
    elements: str
  initialise_revision:
    description: As in M(dbops.alembic.alembic_upgrade). Required with O(initialise=stamp).
    type: str
attributes:
  check_mode:
    support: full
    details:
      - Each target is read, and what would be done is told. Nothing is written.
  diff_mode:
    support: full
    details:
      - Shows once for all targets that make the same move where they stand before and after. In check mode the SQL of each pending
        revision too, rendered once for each such group.
notes:
  - What C(env.py) imports before anything else is imported once where that is the same for all targets. An import is left to each
    target, with those after it, when it asks for a variable that the targets do not have in common, opens a file or a connection,
    starts a thread, or fails. So are all imports that come after a statement of C(env.py) which may change what they find, those of
    a project with O(prelude), and those of a few targets, when there are no more than O(parallel).
  - O(timeout), the locks, the limits and the retries hold for each target by itself.
  - O(state=planned) compares schemas, not rows. Sizes and rows are those of the first target of a kind, so data of another one may
    still make its upgrade fail. Under PostgreSQL a schema that is given as O(targets[].schema) is compared alone; else all schemas
    of the database are. Owners and privileges are not compared.
  - Two targets that turn out to be the same database are a mistake, and the second one fails with the error kind
    V(wrong_database). A variable that the project does not read would otherwise make all targets one.
  - It works on a host, and not in a Job of Kubernetes.
  - Snapshots are left when all is done, until O(state=pruned) removes them.
  - When the process on the host that works on the targets is killed, what it had begun is read anew, and the task fails and says
    what was done, what was begun and what was not. Run it again then.
seealso:
  - module: dbops.alembic.alembic_upgrade
  - module: dbops.alembic.alembic_info
"""

EXAMPLES = r"""
- name: Upgrade a database for each customer; one that fails goes back by itself, and with more than 2 in 100 all do
  dbops.alembic.alembic_fleet:
    state: upgraded
    chdir: /srv/shop/current
    virtualenv: /srv/shop/current/.venv
    targets: "{{ shop_databases }}"
    ledger: /var/lib/dbops/shop/20261129T080000Z.targets.jsonl
    way_back: [snapshot]
    on_failure: one
    max_failures: 2%
  register: shop_upgrade
  failed_when: shop_upgrade.verdict | default('halt') != 'finish'

- name: Upgrade a database for each customer, first that of our own company, and stop when more than 2 in 100 have failed
  dbops.alembic.alembic_fleet:
    state: upgraded
    chdir: /srv/shop/current
    virtualenv: /srv/shop/current/.venv
    targets:
      - name: our_own
        url: "{{ shop_url_of_our_own }}"
        labels: [first]
      - name: acme
        url: "{{ shop_url_of_acme }}"
      - name: globex
        url: "{{ shop_url_of_globex }}"
    canary: [first]
    parallel: 8
    parallel_per_server: 4
    max_failures: 2%

- name: Upgrade a schema for each customer, of which env.py learns with -x tenant=...
  dbops.alembic.alembic_fleet:
    state: upgraded
    chdir: /srv/shop/current
    virtualenv: /srv/shop/current/.venv
    url: "{{ shop_database_url }}"
    schema_x_argument: tenant
    targets:
      - {name: acme, schema: acme}
      - {name: globex, schema: globex}

- name: Upgrade a schema for each customer that the table of customers has, those of the smallest plan first
  dbops.alembic.alembic_fleet:
    state: upgraded
    chdir: /srv/shop/current
    virtualenv: /srv/shop/current/.venv
    url: "{{ shop_database_url }}"
    schema_x_argument: tenant
    query:
      list: rows
      sql: SELECT slug AS name, schema_name AS schema, plan AS labels FROM public.customers WHERE active
    canary: [trial]

- name: Rehearse what is pending, once for all databases that are equal, and show which are not as the others
  dbops.alembic.alembic_fleet:
    state: planned
    chdir: /srv/shop/releases/1.4
    virtualenv: /srv/shop/releases/1.4/.venv
    targets: "{{ shop_databases }}"
    parallel: 8
  register: shop_plan
  failed_when: shop_plan is failed or shop_plan.route == 'refuse' or shop_plan.drift | length > 0

- name: Read where all of them stand
  dbops.alembic.alembic_fleet:
    state: current
    chdir: /srv/shop/current
    virtualenv: /srv/shop/current/.venv
    url_variable: DATABASE_URL
    parallel: 16
    targets: "{{ shop_databases }}"
  register: shop_where
"""

RETURN = r"""
targets:
  description: One entry for each target, in the order of O(targets).
  returned: when the options could be used, not with O(state=listed)
  type: list
  elements: dict
  contains:
    name:
      description: Name of the target.
      type: str
      sample: acme
    labels:
      description: Its labels.
      type: list
      elements: str
      sample: [eu]
    server:
      description: Host and port of its server; empty for a file.
      type: str
      sample: db1.example.com:5432
    database:
      description: The database that the project really connected to.
      type: str
      sample: shop_acme
    schema:
      description: Its schema.
      type: str
      sample: public
    canary:
      description: Whether it was one of O(canary).
      type: bool
      sample: false
    outcome:
      description:
        - V(changed), V(unchanged), V(failed), or V(not_begun).
        - In check mode V(changed) is what would be.
      type: str
      sample: changed
    changed:
      description: Whether anything of it is changed; that may be so where it failed.
      type: bool
      sample: true
    state:
      description:
        - Where it stands, as RV(dbops.alembic.alembic_upgrade#module:state) has it.
        - With O(state=current) one of V(at_target), V(behind), V(ahead), V(uninitialised) and V(unknown_revision).
      type: str
      sample: to_revision
    before:
      description: Revisions that it was at, those of all databases of the target; nothing where that is not known.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    after:
      description: Revisions that it is at now, read on a new connection after the work; nothing where that is not known.
      type: list
      elements: str
      sample: [ae1027a6acf5]
    planned:
      description: Revisions that the run set out to run.
      type: list
      elements: dict
      sample: [{revision: ae1027a6acf5, message: add orders.total}]
    applied:
      description: Revisions that were run and are there to stay.
      type: list
      elements: dict
      sample: [{revision: ae1027a6acf5, message: add orders.total, seconds: 0.2}]
    pending:
      description: Revisions that are still to do.
      type: list
      elements: str
      sample: []
    attempts:
      description: How many attempts it took. There are several only after lock timeouts, deadlocks and serialization failures.
      type: int
      sample: 1
    snapshot:
      description: Snapshot that was made of it; nothing where none was.
      type: str
      sample: shop_acme__snapshot_20261129t080000z
    went_back:
      description: Whether it was brought back to where it was.
      type: bool
      sample: false
    schema_fingerprint:
      description: The same for targets in which the same tables, columns, indexes and so on are; nothing where that was not read.
      type: str
      sample: 7b0e6f31c2d94a85
    failure:
      description: Why it failed; nothing where it did not.
      type: dict
      contains:
        kind:
          description: What went wrong, as C(error_kind) of M(dbops.alembic.alembic_upgrade).
          type: str
          sample: migration_failed
        message:
          description: What happened, where, and where the database stands.
          type: str
          sample: "Revision ae1027a6acf5 (add orders.total) failed: …"
        hint:
          description: What to do next.
          type: str
          sample: null
        revision:
          description: Revision that was running.
          type: str
          sample: ae1027a6acf5
        file:
          description: File in which it happened.
          type: str
          sample: /srv/shop/current/migrations/versions/ae1027a6acf5_add_orders_total.py
        line:
          description: Line of it.
          type: int
          sample: 21
        statement:
          description: SQL statement that failed, without its parameters.
          type: str
          sample: ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total > 0)
        sqlstate:
          description: The database's own code of the error.
          type: str
          sample: "23514"
      sample: null
found:
  description: Which targets there are.
  returned: with O(state=listed)
  type: list
  elements: dict
  contains:
    name:
      description: Name of the target.
      type: str
      sample: acme
    labels:
      description: Its labels.
      type: list
      elements: str
      sample: [eu]
    schema:
      description: Its schema, where it is one.
      type: str
      sample: acme
    database:
      description: The database that O(query) has found, where it is not that of O(url).
      type: str
      sample: null
    file:
      description: The SQLite file that O(query) has found.
      type: str
      sample: null
counts:
  description: How many targets there are, and how many with each outcome.
  returned: when the options could be used, not with O(state=listed)
  type: dict
  sample: {targets: 500, changed: 497, unchanged: 0, failed: 3, not_begun: 0}
groups:
  description: The targets by where they stand, the largest group first.
  returned: when the options could be used, not with O(state=listed)
  type: list
  elements: dict
  contains:
    at:
      description: Revisions that all of the group are at; nothing where that is not known.
      type: list
      elements: str
      sample: [ae1027a6acf5]
    state:
      description: As RV(targets[].state); nothing for those that were not begun.
      type: str
      sample: to_revision
    pending:
      description: Revisions that are still to do.
      type: list
      elements: str
      sample: []
    count:
      description: How many they are.
      type: int
      sample: 497
    targets:
      description: Their names.
      type: list
      elements: str
      sample: [acme, globex]
plans:
  description: What is pending for each kind of targets, the largest kind first.
  returned: with O(state=planned)
  type: list
  elements: dict
  contains:
    at:
      description: Revisions that all of the kind are at.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    state:
      description: As RV(targets[].state).
      type: str
      sample: behind
    pending:
      description: Revisions that would be run.
      type: list
      elements: str
      sample: [ae1027a6acf5]
    schema_fingerprint:
      description: As RV(targets[].schema_fingerprint).
      type: str
      sample: 7b0e6f31c2d94a85
    count:
      description: How many targets they are.
      type: int
      sample: 497
    targets:
      description: Their names.
      type: list
      elements: str
      sample: [acme, globex]
    rehearsed:
      description: Name of the target that was rehearsed for all of them.
      type: str
      sample: acme
    route:
      description: As RV(dbops.alembic.alembic_plan#module:route); nothing where it could not be judged.
      type: str
      sample: maintenance_window
    reason:
      description: Why.
      type: str
      sample: The table users is rewritten.
    before:
      description: As RV(dbops.alembic.alembic_plan#module:before).
      type: list
      elements: str
      sample: [ae1027a6acf5]
    after:
      description: As RV(dbops.alembic.alembic_plan#module:after).
      type: list
      elements: str
      sample: []
    rollback:
      description: As RV(dbops.alembic.alembic_plan#module:rollback).
      type: dict
      sample: {proved: true}
    mode:
      description: As RV(dbops.alembic.alembic_plan#module:mode).
      type: str
      sample: rehearsal
    revisions:
      description: As RV(dbops.alembic.alembic_plan#module:revisions).
      type: list
      elements: dict
      sample: []
    failure:
      description: C(kind), C(message) and C(hint) of why it could not be judged; nothing where it was.
      type: dict
      sample: null
route:
  description: The way that all targets can go, which is the worst of RV(plans).
  returned: with O(state=planned)
  type: str
  sample: maintenance_window
reason:
  description: Why.
  returned: with O(state=planned)
  type: str
  sample: The table users is rewritten.
ways_back:
  description: How the targets that have something pending would go back, an entry for each way and reason.
  returned: with O(state=planned), empty without O(way_back)
  type: list
  elements: dict
  contains:
    way:
      description: V(snapshot), V(downgrade), or V(none) where O(way_back) has none that could be used now.
      type: str
      sample: snapshot
    reason:
      description: Why there is none, as said of the first of the targets.
      type: str
      sample: ""
    count:
      description: How many targets they are.
      type: int
      sample: 500
    targets:
      description: Their names.
      type: list
      elements: str
      sample: [acme, globex]
revisions:
  description:
    - What is pending on any target, in the order in which it runs, each as RV(plans[].revisions) has it. A revision that is not the
      same for all kinds counts as what it is where it is worst.
  returned: with O(state=planned)
  type: list
  elements: dict
  sample: [{revision: ae1027a6acf5, message: add orders.total, phase: expand}]
before:
  description: Those of RV(revisions) that run while the old code serves, before a rollout.
  returned: with O(state=planned)
  type: list
  elements: str
  sample: [ae1027a6acf5]
after:
  description: Those of RV(revisions) that wait until no old code runs.
  returned: with O(state=planned)
  type: list
  elements: str
  sample: []
to_revision:
  description: Revisions that all targets would be at; nothing where O(revision) is relative.
  returned: with O(state=planned)
  type: list
  elements: str
  sample: [ae1027a6acf5]
drift:
  description:
    - Targets whose schema is not that of most others at the same revisions, an entry for each such schema. Empty where all that
      should be equal are.
  returned: with O(state=planned) and with O(compare)
  type: list
  elements: dict
  contains:
    at:
      description: The revisions.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    targets:
      description: Names of the targets that have this other schema.
      type: list
      elements: str
      sample: [hooli]
    count:
      description: How many they are.
      type: int
      sample: 1
    compared_with:
      description: Name of one target of those that most are like.
      type: str
      sample: acme
    equal:
      description: How many targets are like that one.
      type: int
      sample: 496
    differences:
      description: What is not the same. Of a table that is V(missing) or V(extra), its columns and indexes are not told besides.
      type: list
      elements: dict
      contains:
        what:
          description: V(missing), V(extra) or V(different), seen from the other targets.
          type: str
          sample: missing
        kind:
          description: Such as V(table), V(column), V(index), V(constraint), V(view), V(trigger) or V(function).
          type: str
          sample: index
        name:
          description: Its name, with its table and without the schema that the target has for itself.
          type: str
          sample: orders_by_customer
        expected:
          description: How the others have it; nothing where they have it not.
          type: str
          sample: CREATE INDEX orders_by_customer ON orders USING btree (customer_id)
        found:
          description: How these have it; nothing where they have it not.
          type: str
          sample: null
failed_targets:
  description: Names of the targets that failed.
  returned: when the options could be used, not with O(state=listed)
  type: list
  elements: str
  sample: []
not_begun:
  description: Names of the targets that were not begun.
  returned: when the options could be used, not with O(state=listed)
  type: list
  elements: str
  sample: []
stopped:
  description:
    - Why no further target was begun, V(canary), V(max_failures), or V(worker_died) when the process that worked on them was
      killed; nothing when all were begun.
  returned: when the options could be used, not with O(state=listed)
  type: str
  sample: null
verdict:
  description:
    - What all targets have come to, so what may start now.
    - V(finish) means that each is upgraded, or with O(on_failure=one) back by itself; the new release may start.
    - V(revert) means that each is where it was; the former release may start.
    - V(halt) means that some are neither; nothing should start before somebody has looked.
  returned: with O(ledger), when the options could be used
  type: str
  sample: finish
verdict_reason:
  description: Why.
  returned: with O(ledger), when the options could be used
  type: str
  sample: All targets are upgraded.
error_kind:
  description: >-
    V(targets_failed) when targets failed, or why none was begun;
    R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: targets_failed
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Check host, port and database name, and that the server is up.
job:
  description: Name of the run, to attach to it by hand with O(job).
  returned: when the host was lost during the run
  type: str
  sample: 0b6c6b1f4d0e4b0c8a4f8f1c9d0a7e55
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._fleet.call import run_fleet
from ansible_collections.dbops.alembic.plugins.module_utils._fleet.spec import fleet_spec


def main() -> None:
    module = fleet_spec().create_module()
    try:
        result = run_fleet(module.params, module.check_mode, module._diff, module.warn)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
