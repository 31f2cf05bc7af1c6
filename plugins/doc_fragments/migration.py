# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that change a database's revision."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  expect_current:
    description:
      - Revisions, or unique prefixes of them, at which the database has to be. When it is elsewhere and something would be done,
        the module fails with the error kind V(unexpected_revision) and does nothing.
      - An empty list or V([base]) means a database without any revision.
      - A database that is already where it should be is no failure, whatever this says.
    type: list
    elements: str
  lock:
    description:
      - Take a lock in the database, so that of several runs one works and the others wait, look again and find nothing left
        to do. Alembic itself takes none.
      - It is an advisory lock on PostgreSQL, C(GET_LOCK) on MySQL and MariaDB, and a locked file beside an SQLite database.
        It ends with the session that holds it, so a run that died leaves none behind.
      - It keeps runs of this collection apart; a C(alembic) program that somebody starts by hand does not know it.
    type: bool
    default: true
  lock_wait:
    description:
      - Seconds to wait for another run that holds the lock. After it the module fails with the error kind
        V(lock_unavailable), and says who holds it and since when.
    type: float
    default: 300
  lock_timeout:
    description:
      - Seconds that a single statement of a revision may wait for a lock that others hold on a table; V(0) means for ever.
      - While it waits, everybody else who wants the table queues up behind it. That is why it is short, and why the revision is
        tried again instead, see O(retries).
      - Not in force inside C(autocommit_block), where PostgreSQL would leave an invalid index behind.
    type: float
    default: 5
  statement_timeout:
    description:
      - Seconds that a single statement of a revision may run; V(0) means no limit. Not in force inside C(autocommit_block).
    type: float
    default: 0
  retries:
    description:
      - How many times to try again after a lock timeout, a deadlock or a serialization failure, and after nothing else. The
        attempt begins at the revision that failed, or at the first one where all share one transaction.
      - It is not tried again when a part of a revision that is not there as a whole is already committed.
    type: int
    default: 5
  retry_delay:
    description:
      - Seconds to wait before the first of the O(retries). Doubled for each further one, up to 30 seconds, with jitter.
    type: float
    default: 1
notes:
  - One transaction for each revision, so that a failure leaves the database at the last revision that succeeded. It is so where
    the end is the same as with Alembic's own program, which runs all revisions in one transaction. Where C(env.py) has done
    something in that transaction before C(run_migrations()), such as C(SET LOCAL), C(SET ROLE), a search path or a lock, it holds
    for all revisions; they keep that one transaction then, as they do where C(env.py) begins or commits it by itself. When one
    of them fails, all of the run are undone together. RV(ignore:databases[].database.transaction_per) says which it is.
  - On a database without transactional DDL (MySQL, MariaDB, SQLite) or in an C(autocommit_block), a revision that fails can leave
    a part of itself behind. RV(ignore:state) is V(dirty) then.
  - Where the database stands is read on a new connection after the work, never concluded from what was attempted.
  - Behind a proxy that pools transactions (PgBouncer) the lock is held in an open transaction, and a warning asks for a direct
    connection, because timeouts can not be set for the session there.
"""

    FOLLOW = r"""
options:
  job:
    description:
      - Name of the run, made up by the action plugin for each task. Under it the run goes on by itself on the host, so that a
        lost connection does not end it.
      - Give the name that a message of an unreachable host shows to attach to that run by hand and get its result, within a week.
        The other options are to be the same. When the host knows no such run, one is started under that name.
      - A name is for one run. A task that gives a fixed one gets the result of the first run again and again.
    type: str
  wait:
    description:
      - Seconds that one call of the module waits for the end of the O(job); without it, until the end. Set by the action plugin.
    type: float
  cursor:
    description:
      - Up to which event of the O(job) the progress has been seen. Set by the action plugin.
    type: int
  reconnect:
    description:
      - Seconds to go on trying to reach a host whose connection was lost during the run, before it is reported as unreachable.
      - The pauses between the attempts count, the attempts do not; how long one of those takes is the connection's C(timeout).
      - A host that can not be reached at the beginning of the task is unreachable at once.
    type: float
    default: 300
notes:
  - How far it came is shown on standard error, such as each revision when it begins and when it ends,
    C([3/12] ae1027a6 add orders.total … 2.1 s). With C(no_log) nothing is shown.
  - The run goes on when the connection is lost, and also when Ansible is stopped or the task's C(timeout) keyword ends the task.
    Where the module has the option C(timeout), it limits the run itself.
  - With the C(ssh) connection, set C(ServerAliveInterval) in C(ssh_common_args), or a connection that dies silently is not
    noticed for a long time.
"""
