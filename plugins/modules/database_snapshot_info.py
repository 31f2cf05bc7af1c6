#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_snapshot_info
short_description: List the snapshots of a database, and say whether one could be made
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Lists the snapshots that M(dbops.alembic.database_snapshot) has made of a database, and what a call that was cut off has left
    behind.
  - Says whether a snapshot could be made now, and if not, each reason by its name. Sessions are no reason; they can go until then.
  - For the answer it writes what belongs to the database (owner, privileges, settings) once more to the same database and rolls
    that back, since only the server knows for sure what the role may do.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.database.snapshots
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
seealso:
  - module: dbops.alembic.database_snapshot
"""

EXAMPLES = r"""
- name: See whether a snapshot can be made in the window
  dbops.alembic.database_snapshot_info:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
  register: orders_snapshots

- name: Say why not
  ansible.builtin.debug:
    msg: "{{ item.message }} {{ item.hint }}"
  loop: "{{ orders_snapshots.refused }}"
"""

RETURN = r"""
snapshots:
  description: Snapshots of the database, the newest first.
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
possible:
  description: Whether a snapshot could be made now.
  returned: success
  type: bool
  sample: true
refused:
  description: Why the database is not copied or renamed.
  returned: success
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
interrupted:
  description: What a call that was cut off has left behind; the next call of M(dbops.alembic.database_snapshot) puts it right.
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
  sample: archive_required
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Make an archive with its dump program.
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: "42501"
"""

from ansible_collections.dbops.alembic.plugins.module_utils._database import run_database, snapshot_info_spec
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for


def main() -> None:
    module = snapshot_info_spec().create_module()
    try:
        result = run_database(bridge_for(module), module.params, "database_snapshot_info")
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
