#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_backup_info
short_description: Find out how a database can be put back, and what keeps a backup from being of use
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
description:
  - Asks in one process what M(dbops.alembic.database_snapshot_info) and M(dbops.alembic.database_restore_info) find out, and says
    which way back there is.
  - The role P(dbops.alembic.backup#role) asks it before a deployment stops anything. What RV(refusals) and RV(remarks) advise are
    variables of that role.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.database.snapshots
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
options:
  snapshot:
    description:
      - Whether a snapshot inside the server may be the way back.
    type: bool
    default: true
  archive:
    description:
      - Whether an archive may be the way back where there can be no snapshot.
    type: bool
    default: true
  check:
    description:
      - When to find out whether an archive can be written and restored; V(way_back) where it would be the way back.
    type: str
    choices: [always, way_back, never]
    default: always
  window:
    description:
      - Whether the database is changed afterwards, and may have to be put back. Else an archive is written and nothing more.
    type: bool
    default: true
  binding:
    description:
      - Whether an archive that can not be written or restored is refused even where nothing would be put back from it.
    type: bool
    default: false
  careless:
    description:
      - Whether to go on without a way back.
    type: bool
    default: false
  format:
    description:
      - The format of the archive.
    type: str
    choices: [custom, directory, plain]
    default: custom
  programs:
    description:
      - The folder of the dump program, when it is not on the PATH.
    type: path
  program_check:
    description:
      - Whether to look at the dump program of this host.
    type: bool
    default: true
seealso:
  - module: dbops.alembic.database_snapshot_info
  - module: dbops.alembic.database_restore_info
"""

EXAMPLES = r"""
- name: Find out how the database could be put back
  dbops.alembic.database_backup_info:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
  register: orders_backup

- name: Refuse to begin where nothing could put it back
  ansible.builtin.assert:
    that: orders_backup.refusals | length == 0
    fail_msg: "{{ orders_backup.refusals | join(' ') }}"
"""

RETURN = r"""
way_back:
  description: How the database would be put back; V(none) where it could not.
  returned: success
  type: str
  sample: snapshot
refused:
  description: What keeps a snapshot from being made, as RV(dbops.alembic.database_snapshot_info#module:refused).
  returned: success
  type: list
  elements: dict
  sample: []
needed_bytes:
  description: What a copy needs, with a margin; 0 where it is not known.
  returned: success
  type: int
  sample: 74864319
archive:
  description: What M(dbops.alembic.database_restore_info) returns. Empty where nobody looked.
  returned: success
  type: dict
  sample: {dumpable: true, restorable: true, dump_problem: "", restore_problem: "", remarks: []}
refusals:
  description: What forbids to begin, and what to do. Empty when nothing does.
  returned: success
  type: list
  elements: str
  sample: []
remarks:
  description: What one should know before one begins.
  returned: success
  type: list
  elements: str
  sample: []
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: connection_failed
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Check the host and the port of the URL.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._backup_info import backup_info_spec, bridge_of, run_backup_info
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError


def main() -> None:
    module = backup_info_spec().create_module()
    try:
        result = run_backup_info(bridge_of(module), module.params, module.run_command)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
