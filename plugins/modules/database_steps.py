#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_steps
short_description: Prove, copy, upgrade, verify and count a database, or put it back, in one call
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Takes the steps of O(steps) one after the other, as M(dbops.alembic.database_sessions), M(dbops.alembic.database_snapshot),
    M(dbops.alembic.deployment_record), M(dbops.alembic.alembic_upgrade), M(dbops.alembic.alembic_check) and
    M(dbops.alembic.database_rows) take them, with the same checks, and stops at the first that fails.
  - The application's Python is started once, and imports once what the steps need. That is what makes it faster than as many tasks.
  - Shows each revision while it runs. A lost connection to the host neither ends the steps nor loses their result.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.project
  - dbops.alembic.migration.follow
  - dbops.alembic.attributes
  - dbops.alembic.attributes.follow
options:
  record:
    description:
      - The deployment record that the steps with O(steps[].record) write, see M(dbops.alembic.deployment_record).
    type: dict
    suboptions:
      directory:
        description: Folder of the records.
        type: path
        required: true
      id:
        description: Name of the record.
        type: str
        required: true
      owner:
        description:
          - Who has begun it, or has taken it over.
          - A record that belongs to somebody else by now is not written, and no further step is taken.
        type: str
        required: true
  session:
    description:
      - Name of a process on the host in which the steps are taken, as RV(dbops.alembic.database_preflight#module:session) has it; 8
        to 64 letters, digits, C(_) or C(-). Where there is none, or it was made for another application, another one is started.
      - It stays for the next call with the same name, has nothing open meanwhile, and ends by itself after a minute.
      - It has no part in check mode.
    type: str
    version_added: 0.2.0
  steps:
    description:
      - What to do, in this order. Each has one key, which says what, with the options of that step.
    type: list
    elements: dict
    required: true
    suboptions:
      prove:
        description: Wait until no session of the application is left, as M(dbops.alembic.database_sessions) does.
        type: dict
        suboptions:
          users:
            description: Shell patterns of database users. With it, only sessions of these count.
            type: list
            elements: str
            default: []
          exclude_users:
            description: Shell patterns of database users whose sessions do not count.
            type: list
            elements: str
            default: []
          applications:
            description: Shell patterns of application names. With it, only sessions of these count.
            type: list
            elements: str
            default: []
          exclude_applications:
            description: Shell patterns of application names whose sessions do not count.
            type: list
            elements: str
            default: []
          wait:
            description: Seconds to wait for the sessions to go by themselves.
            type: float
            default: 30
          terminate:
            description: Whether to terminate the sessions that are left after that.
            type: bool
            default: false
          terminate_wait:
            description: Seconds to wait for terminated sessions to be gone.
            type: float
            default: 10
          may_be_missing:
            description: Whether a database that does not exist yet is one without sessions.
            type: bool
            default: false
      copy:
        description: Make a snapshot of the database, as M(dbops.alembic.database_snapshot) does. PostgreSQL and SQLite.
        type: dict
        suboptions:
          name:
            description: Name of the snapshot. One that exists is left as it is.
            type: str
          revisions:
            description: Alembic revisions that the database is at, to be kept with the snapshot.
            type: list
            elements: str
            default: []
          note:
            description: A text to be kept with the snapshot.
            type: str
          accept:
            description: Reasons against the copy that do not count.
            type: list
            elements: str
            choices: [logical_replication_slots, subscriptions, security_labels, insufficient_space, pooler, database_missing]
            default: []
          wait:
            description: Seconds to wait for sessions to go, and for another call that is at work.
            type: float
            default: 30
          maintenance_database:
            description: Database to connect to meanwhile.
            type: str
          free_bytes:
            description: Free space on the database server, where it can not be measured.
            type: int
      record:
        description:
          - Write down that a step of the deployment begins.
          - What was applied and counted in the same call before is written with it.
        type: dict
        suboptions:
          step:
            description: The step of the deployment.
            type: str
            required: true
            choices:
              - stopping
              - upgrading
              - starting
              - archiving
              - restoring
              - restarting
              - expanding
              - rolling
              - backfilling
              - contracting
              - downgrading
              - returning
          facts:
            description: What else to write.
            type: dict
            default: {}
      upgrade:
        description: Run the pending revisions, as M(dbops.alembic.alembic_upgrade) does.
        type: dict
        suboptions:
          revision:
            description: Target, as Alembic understands it.
            type: str
            default: head
          max_pending:
            description: Refuse to run more revisions than this.
            type: int
          initialise:
            description: What to do with a database that has no version table.
            type: str
            choices: [upgrade, command, stamp, refuse]
            default: upgrade
          initialise_command:
            description: Program and arguments for O(steps[].upgrade.initialise=command).
            type: list
            elements: str
          initialise_revision:
            description: Revision to stamp, for O(steps[].upgrade.initialise=stamp).
            type: str
          expect_current:
            description: Revisions at which the database has to be.
            type: list
            elements: str
          lock:
            description: Whether to take the migration lock.
            type: bool
            default: true
          lock_wait:
            description: Seconds to wait for another run that holds it.
            type: float
            default: 300
          lock_timeout:
            description: Seconds that a statement of a revision may wait for a lock on a table.
            type: float
            default: 5
          statement_timeout:
            description: Seconds that a statement of a revision may run; V(0) means no limit.
            type: float
            default: 0
          retries:
            description: How many times to try again after a lock timeout, a deadlock or a serialization failure.
            type: int
            default: 5
          retry_delay:
            description: Seconds to wait before the first of those.
            type: float
            default: 1
      verify:
        description: Fail unless the upgrade has left the database at its target, with no index invalid that was valid.
        type: dict
        suboptions:
          models:
            description: Whether to compare the models with the database too, as M(dbops.alembic.alembic_check) does.
            type: bool
            default: false
      count:
        description:
          - Note what is there, as M(dbops.alembic.database_rows) does, to know later what was written since.
          - Where that can't be done, RV(rows) is empty and there is a warning.
        type: dict
        suboptions:
          count:
            description: How to count.
            type: str
            choices: [exact, estimate, written]
            default: written
          checksum:
            description: Whether to sum up the content too.
            type: bool
            default: true
          exclude:
            description: Shell patterns of tables to leave out.
            type: list
            elements: str
            default: []
          statement_timeout:
            description: Seconds for each table; V(0) means no limit.
            type: float
            default: 0
          wait:
            description: Seconds to wait for what the server's counters do not show yet.
            type: float
            default: 2
      recount:
        description:
          - Count what was written since, as M(dbops.alembic.database_rows) does, and refuse to lose more than is given up, with the
            error kind V(rows_written).
        type: dict
        suboptions:
          since:
            description: What was counted then.
            type: dict
            required: true
          given_up:
            description: Rows that may be lost.
            type: int
            default: 0
          count:
            description: How to count.
            type: str
            choices: [exact, estimate, written]
            default: written
          checksum:
            description: Whether to sum up the content too.
            type: bool
            default: true
          exclude:
            description: Shell patterns of tables to leave out.
            type: list
            elements: str
            default: []
          statement_timeout:
            description: Seconds for each table; V(0) means no limit.
            type: float
            default: 0
          wait:
            description: Seconds to wait for what the server's counters do not show yet.
            type: float
            default: 2
      restore:
        description: Put a snapshot back, as M(dbops.alembic.database_snapshot) does.
        type: dict
        suboptions:
          name:
            description: Name of the snapshot.
            type: str
            required: true
          accept:
            description: Reasons against it that do not count.
            type: list
            elements: str
            choices: [logical_replication_slots, subscriptions, security_labels, insufficient_space, pooler, database_missing]
            default: []
          wait:
            description: Seconds to wait for sessions to go.
            type: float
            default: 30
          terminate:
            description: Whether to terminate the sessions that are left after that.
            type: bool
            default: false
          maintenance_database:
            description: Database to connect to meanwhile.
            type: str
      downgrade:
        description: Downgrade the database, as M(dbops.alembic.alembic_downgrade) does, to one revision after the other.
        type: dict
        suboptions:
          revisions:
            description: Revisions to end at; an empty list means before all.
            type: list
            elements: str
            required: true
          lock:
            description: Whether to take the migration lock.
            type: bool
            default: true
          lock_wait:
            description: Seconds to wait for the migration lock.
            type: float
            default: 300
          lock_timeout:
            description: Seconds that a statement waits for a lock.
            type: float
            default: 5
          statement_timeout:
            description: Seconds that a statement may take; V(0) means no limit.
            type: float
            default: 0
          retries:
            description: How often to try again after a lock timeout.
            type: int
            default: 5
          retry_delay:
            description: Seconds before the first of these, doubled for each further one.
            type: float
            default: 1
      stand:
        description: Look where the database stands, and end with the error kind V(verification_failed) where it is elsewhere.
        type: dict
        suboptions:
          revisions:
            description: Revisions that it has to be at; an empty list means none.
            type: list
            elements: str
            required: true
          databases:
            description: How many databases C(env.py) has. Where it fails after it has read as many, they count as read.
            type: int
            default: 1
          retries:
            description: How often to look again while it does not answer.
            type: int
            default: 5
          delay:
            description: Seconds between two looks.
            type: float
            default: 2
      look:
        description:
          - Find out what a way back has to know. What can not be found out is told as unknown, and no failure.
        type: dict
        suboptions:
          databases:
            description: How many databases C(env.py) has. Where it fails after it has read as many, they count as read.
            type: int
            default: 1
          maintenance_database:
            description: As for M(dbops.alembic.database_snapshot).
            type: str
          snapshot:
            description: Name of the snapshot that the database would be put back to.
            type: str
          since:
            description: RV(rows) RV(ignore:.tables) of an earlier call. With it, the rows that were written since are counted.
            type: dict
          exclude:
            description: Shell patterns of tables that do not count.
            type: list
            elements: str
            default: []
          wait:
            description: Seconds to wait for the counters of the server, see M(dbops.alembic.database_rows).
            type: float
            default: 2
          retries:
            description: How often to look again while the database does not answer.
            type: int
            default: 5
          delay:
            description: Seconds between two looks.
            type: float
            default: 2
      decide:
        description:
          - Say what is to be done about the deployment of O(record), as M(dbops.alembic.deployment_record_info) does, given what
            the step C(look) has found before.
        type: dict
        suboptions:
          direction:
            description: Whether to finish or to revert, where both are possible.
            type: str
            choices: [auto, finish, revert]
            default: auto
          dirty:
            description: Whether something of a failed revision is committed. Not given means that it is not known.
            type: bool
          downgrade_trusted:
            description: Whether the downgrade of this deployment is known to restore the schema and to lose nothing.
            type: bool
            default: false
          rows_given_up:
            description: How many rows may be lost by going back; V(-1) is any number.
            type: int
            default: 0
attributes:
  check_mode:
    support: full
    details:
      - Each step says what it would do. Later steps see the database as it is, not as the earlier ones would leave it.
  diff_mode:
    support: full
    details:
      - Shows the revisions of the database before and after, and the SQL of each revision, as M(dbops.alembic.alembic_upgrade)
        does.
notes:
  - O(timeout) holds for each step by itself.
  - When the process that takes the steps is killed, no further step begins. One that runs is brought to its end if it is a copy or
    an upgrade whose own process lives. The deployment record says which step had begun.
seealso:
  - module: dbops.alembic.alembic_upgrade
  - module: dbops.alembic.database_sessions
  - module: dbops.alembic.database_snapshot
  - module: dbops.alembic.database_rows
  - module: dbops.alembic.deployment_record
"""

EXAMPLES = r"""
- name: Copy the database, upgrade it and hold the models against it, once nobody is connected
  dbops.alembic.database_steps:
    chdir: /srv/orders/current
    virtualenv: /srv/orders/current/.venv
    url: "{{ orders_database_url }}"
    steps:
      - prove: {users: [orders_app]}
      - copy: {name: orders__snapshot_1}
      - upgrade: {expect_current: [27c6a30d7c24]}
      - verify: {models: true}

- name: Put it back, once nobody is connected
  dbops.alembic.database_steps:
    chdir: /srv/orders/current
    virtualenv: /srv/orders/current/.venv
    url: "{{ orders_database_url }}"
    steps:
      - prove: {users: [orders_app]}
      - restore: {name: orders__snapshot_1}
      - stand: {revisions: [27c6a30d7c24]}
"""

RETURN = r"""
steps:
  description: The steps that were begun, in this order.
  returned: success and failure
  type: list
  elements: dict
  contains:
    step:
      description: What was done.
      type: str
      sample: upgrade
    name:
      description: The same, or for a record the step of the deployment.
      type: str
      sample: upgrade
    ago:
      description: Seconds between its beginning and the end of the call.
      type: float
      sample: 1.25
failed_step:
  description: The step that failed.
  returned: failure
  type: str
  sample: copy
migration:
  description: The result of the upgrade, as M(dbops.alembic.alembic_upgrade) has it; empty when none was begun.
  returned: success and failure
  type: dict
  sample: {state: to_revision, before: [], after: [27c6a30d7c24]}
databases:
  description: The databases of RV(migration).
  returned: success and failure
  type: list
  elements: dict
  sample: []
applied:
  description: The revisions that the upgrade has applied.
  returned: success and failure
  type: list
  elements: dict
  sample: [{revision: 27c6a30d7c24, message: create orders, seconds: 0.04}]
snapshot:
  description: The snapshot, as M(dbops.alembic.database_snapshot) has it.
  returned: success and failure
  type: dict
  sample: {name: orders__snapshot_1, kind: snapshot, usable: true}
rows:
  description: What was counted, with the key C(tables); empty when nothing was.
  returned: success and failure
  type: dict
  sample: {tables: {public.orders: {rows: 3, exact: true, checksum: "17"}}}
rows_written:
  description: >-
    How many rows were written since, as the steps C(recount) and C(look) found; nothing where that is not known, or nobody asked.
  returned: success and failure
  type: int
  sample: 0
current:
  description: The revisions that the steps C(stand) and C(look) found the database at; nothing where nobody looked.
  returned: success and failure
  type: list
  elements: str
  sample: [27c6a30d7c24]
copied:
  description: What the step C(look) found of the snapshot, one of V(complete), V(incomplete), V(absent) and V(unknown).
  returned: success and failure
  type: str
  sample: complete
decision:
  description: What the step C(decide) says; nothing where nobody asked.
  returned: success and failure
  type: dict
  sample: {action: revert, database: restore, source: snapshot, code: from, reason: The database is between., remedies: []}
record:
  description: The deployment record as it was last written.
  returned: success and failure
  type: dict
  sample: {id: 20261121T063900Z, step: starting}
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._steps.run import take_steps
from ansible_collections.dbops.alembic.plugins.module_utils._steps.spec import steps_spec


def main() -> None:
    module = steps_spec().create_module()
    try:
        result = take_steps(module.params, module.check_mode, module._diff)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
