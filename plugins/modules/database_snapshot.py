#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_snapshot
short_description: Make, restore and remove snapshots of a database inside its server
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - On PostgreSQL, a snapshot is a copy of the database on the same server, made at the speed of a file copy. To restore it, the
    names are swapped. That takes no longer for a large database than for a small one.
  - What belongs to a database and is not copied with it is carried over, namely owner, privileges, connection limit, tablespace,
    settings of the database and of roles in it, and the comment.
  - On SQLite, a snapshot is a file beside the database, made by SQLite's backup API.
  - On MySQL and MariaDB there are no snapshots; the module fails with the error kind V(archive_required).
  - While it copies or renames, nobody else may be connected, so the module lets nobody in for that time. It undoes this also when
    it fails. What a call left behind that was killed is put right by the next one, whatever its O(state).
  - Only databases that carry a mark of this collection in their comment are ever dropped or renamed back.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.database.snapshots
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  state:
    description:
      - V(present) makes a snapshot.
      - V(restored) puts the snapshot O(name) in the place of the database. What was the database until then is kept beside it, see
        RV(kept), until it is removed by V(absent). It can be put back by V(restored), too. The snapshot is used up. When the
        module is called again for a snapshot that was restored before, nothing changes.
      - V(absent) removes the snapshot O(name).
      - V(pruned) removes old snapshots, the oldest first and never the newest.
      - V(repaired) only puts right what a call that was cut off has left behind.
    type: str
    choices: [present, restored, absent, pruned, repaired]
    default: present
  name:
    description:
      - Name of the snapshot.
      - For V(present), a name made of the database's name and the time unless told otherwise, so that every call makes another
        snapshot. With a name of your own, a second call changes nothing.
      - Required for V(restored) and V(absent).
    type: str
  content:
    description:
      - V(copy) is a copy.
      - V(empty) is an empty database of the same kind (owner, privileges, settings, encoding, locale) to read an archive into,
        which V(restored) then puts in the place of the database. PostgreSQL only. Nobody has to leave for that.
    type: str
    choices: [copy, empty]
    default: copy
  template:
    description:
      - For O(content=empty), a database of the server to copy instead of the server's own empty one. It brings what only a
        superuser may create, extensions for example. The role has to own it, or it is marked as a template.
    type: str
  revisions:
    description:
      - Alembic revisions that the database is at, to be kept with the snapshot.
    type: list
    elements: str
    default: []
  note:
    description:
      - A text to be kept with the snapshot, the name of a deployment for example.
    type: str
  wait:
    description:
      - Seconds to wait for sessions to go, and for another call that is at work.
    type: float
    default: 30
  terminate:
    description:
      - Whether to terminate, at once, the sessions that are in the way.
    type: bool
    default: false
  keep_count:
    description:
      - For V(pruned), how many snapshots of each of O(kinds) to keep.
      - One of O(keep_count) and O(keep_seconds) is required for V(pruned). With both, a snapshot that either would remove is
        removed.
    type: int
  keep_seconds:
    description:
      - For V(pruned), how old a snapshot may be, in seconds.
    type: float
  kinds:
    description:
      - For V(pruned), the kinds to prune.
    type: list
    elements: str
    choices: [snapshot, before_restore, side]
    default: [snapshot]
seealso:
  - module: dbops.alembic.database_snapshot_info
  - module: dbops.alembic.database_rows
"""

EXAMPLES = r"""
- name: Make a snapshot before the upgrade
  dbops.alembic.database_snapshot:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    name: orders__snapshot_{{ deployment_id }}
    revisions: "{{ orders_schema.current }}"
    note: deployment {{ deployment_id }}
    terminate: true

- name: Go back to it
  dbops.alembic.database_snapshot:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    state: restored
    name: orders__snapshot_{{ deployment_id }}
    terminate: true
  register: orders_restore

- name: Remove the damaged database, once it is no longer wanted
  dbops.alembic.database_snapshot:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    state: absent
    name: "{{ orders_restore.kept }}"

- name: Keep the snapshots of a week
  dbops.alembic.database_snapshot:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    state: pruned
    keep_seconds: 604800
"""

RETURN = r"""
snapshot:
  description: The snapshot that was made, or was there; in check mode the one that would be made.
  returned: success, with O(state=present)
  type: dict
  contains:
    name:
      description: Name of the database that it is, or of the file beside an SQLite database.
      type: str
      sample: orders__snapshot_20261121T063900Z
    kind:
      description: >-
        V(snapshot), V(before_restore) for what was the database until a restore, V(side) for an empty one that was made for an
        archive, or V(unfinished).
      type: str
      sample: snapshot
    of:
      description: Database that it belongs to.
      type: str
      sample: orders
    created:
      description: When it was made (UTC).
      type: str
      sample: "2026-11-21T06:39:00Z"
    revisions:
      description: What O(dbops.alembic.database_snapshot#module:revisions) said when it was made.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    note:
      description: What O(dbops.alembic.database_snapshot#module:note) said when it was made.
      type: str
      sample: deployment 20261121-2.4.0
    restored_from:
      description: For V(before_restore), the snapshot that took the place of the database.
      type: str
      sample:
    size_bytes:
      description: Its size, if the role may know it.
      type: int
      sample: 7755455
    owner:
      description: Its owner.
      type: str
      sample: orders_owner
    usable:
      description: Whether it is whole.
      type: bool
      sample: true
    path:
      description: Its path, for SQLite.
      type: str
      sample:
  sample:
    name: orders__snapshot_20261121T063900Z
    kind: snapshot
    of: orders
    created: "2026-11-21T06:39:00Z"
    revisions: [27c6a30d7c24]
    note: deployment 20261121-2.4.0
    restored_from:
    size_bytes: 7755455
    owner: orders_owner
    usable: true
    path:
snapshots:
  description: Snapshots of the database afterwards, the newest first.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the database that it is, or of the file beside an SQLite database.
      type: str
      sample: orders__snapshot_20261121T063900Z
    kind:
      description: >-
        V(snapshot), V(before_restore) for what was the database until a restore, V(side) for an empty one that was made for an
        archive, or V(unfinished).
      type: str
      sample: snapshot
    of:
      description: Database that it belongs to.
      type: str
      sample: orders
    created:
      description: When it was made (UTC).
      type: str
      sample: "2026-11-21T06:39:00Z"
    revisions:
      description: What O(dbops.alembic.database_snapshot#module:revisions) said when it was made.
      type: list
      elements: str
      sample: [27c6a30d7c24]
    note:
      description: What O(dbops.alembic.database_snapshot#module:note) said when it was made.
      type: str
      sample: deployment 20261121-2.4.0
    restored_from:
      description: For V(before_restore), the snapshot that took the place of the database.
      type: str
      sample:
    size_bytes:
      description: Its size, if the role may know it.
      type: int
      sample: 7755455
    owner:
      description: Its owner.
      type: str
      sample: orders_owner
    usable:
      description: Whether it is whole.
      type: bool
      sample: true
    path:
      description: Its path, for SQLite.
      type: str
      sample:
  sample:
    - name: orders__snapshot_20261121T063900Z
      kind: snapshot
      of: orders
      created: "2026-11-21T06:39:00Z"
      revisions: [27c6a30d7c24]
      note: deployment 20261121-2.4.0
      restored_from:
      size_bytes: 7755455
      owner: orders_owner
      usable: true
      path:
removed:
  description: Names of the snapshots that were removed.
  returned: success
  type: list
  elements: str
  sample: []
kept:
  description: Name that what was the database has now.
  returned: success, with O(state=restored)
  type: str
  sample: orders__before_restore_20261121T064500Z
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 3.1
blocked_seconds:
  description: For how long of that nobody was let in.
  returned: success
  type: float
  sample: 3.0
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
sessions:
  description: Sessions that are in the way.
  returned: failure with the error kind database_busy
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
  returned: failure with the error kind database_busy
  type: int
  sample: 1
space:
  description: What is known of space on the server.
  returned: success, for a copy
  type: dict
  contains:
    size_bytes:
      description: Size of the database.
      type: int
      sample: 7755455
    needed_bytes:
      description: What a copy needs, with a margin.
      type: int
      sample: 74864319
    free_bytes:
      description: What is free; nothing where nobody can tell.
      type: int
      sample: 82826973184
    measured:
      description: V(given) by O(free_bytes), or V(local_disk) when the server runs on this host.
      type: str
      sample: local_disk
  sample:
    size_bytes: 7755455
    needed_bytes: 74864319
    free_bytes: 82826973184
    measured: local_disk
refused:
  description: Why the database is not copied or renamed.
  returned: failure with the error kind snapshot_refused, insufficient_privilege, insufficient_space or database_missing
  type: list
  elements: dict
  contains:
    id:
      description: >-
        One of V(standby), V(reserved_database), V(pooler), V(insufficient_privilege), V(not_carried), V(logical_replication_slots),
        V(subscriptions), V(prepared_transactions), V(security_labels), V(invalid_database), V(insufficient_space) and
        V(database_missing).
      type: str
      sample: prepared_transactions
    message:
      description: What is in the way.
      type: str
      sample: "Prepared transactions are open on orders: settlement-17."
    hint:
      description: What to do about it.
      type: str
      sample: COMMIT PREPARED or ROLLBACK PREPARED them.
  sample:
    - id: prepared_transactions
      message: "Prepared transactions are open on orders: settlement-17."
      hint: COMMIT PREPARED or ROLLBACK PREPARED them.
repaired:
  description: What a call that was cut off had left behind, and was put right.
  returned: success
  type: list
  elements: dict
  contains:
    what:
      description: >-
        V(closed) when new connections were refused, V(marked) when the comment of the database held a note of the work,
        V(unfinished) for a copy that is not whole.
      type: str
      sample: closed
    database:
      description: Name of the database, or of the file.
      type: str
      sample: orders
    message:
      description: The same in a sentence.
      type: str
      sample: A call that was cut off left the database orders closed to new connections.
  sample: []
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
  sample: snapshot_refused
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: COMMIT PREPARED or ROLLBACK PREPARED them.
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: "42501"
"""

from ansible_collections.dbops.alembic.plugins.module_utils._database import run_database, snapshot_spec
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for


def main() -> None:
    module = snapshot_spec().create_module()
    try:
        result = run_database(bridge_for(module), module.params, "database_snapshot", module.check_mode, module._diff)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
