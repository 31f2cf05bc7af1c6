#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_record_info
short_description: Read deployment records and decide what to do about an unfinished one
description:
  - Reads the records that M(dbops.alembic.deployment_record) writes. A record that can not be understood is an error.
  - Given what was found on the hosts and in the database, says how an unfinished deployment is to be finished or reverted.
options:
  directory:
    description:
      - The folder of the records. A folder that is not there holds none.
      - Exactly one of O(directory) and O(kubernetes) is needed.
    type: path
  kubernetes:
    description: The ConfigMap of the records, instead of a folder. One that is not there holds none.
    type: dict
    suboptions:
      kubeconfig:
        description: The file that says how to reach the cluster. Without it, what kubernetes.core takes from its environment.
        type: path
      context:
        description: The context of the kubeconfig.
        type: str
      namespace:
        description: The namespace of the ConfigMap.
        type: str
        required: true
      name:
        description: The name of the ConfigMap.
        type: str
        required: true
  application:
    description: The application whose records these are to be. Where any is of another one, the module fails.
    type: str
    version_added: 0.2.0
  id:
    description: The deployment to read. The open one unless told otherwise.
    type: str
  observed:
    description: What was found. With it, RV(decision) is returned.
    type: dict
    suboptions:
      revisions:
        description: The heads in the database. Not given means that they could not be read.
        type: list
        elements: str
      dirty:
        description: Whether something of a failed revision is committed. Not given means that it is not known.
        type: bool
      snapshot:
        description: The state of the snapshot that the record names.
        type: str
        choices: [complete, incomplete, absent, unknown]
        default: unknown
      archive:
        description: Whether a verified archive was made in the window.
        type: bool
        default: false
      new_rows:
        description: How many rows were written since the upgrade. Not given means that it is not known.
        type: int
  direction:
    description: Whether to finish or to revert, where both are possible. V(auto) finishes what is upgraded and did not fail.
    type: str
    choices: [auto, finish, revert]
    default: auto
  downgrade_trusted:
    description: Whether the downgrade of this deployment is known to restore the schema and to lose nothing.
    type: bool
    default: false
  rows_given_up:
    description: How many rows may be lost by going back; V(-1) is any number.
    type: int
    default: 0
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
seealso:
  - module: dbops.alembic.deployment_record
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Look for an unfinished deployment
  dbops.alembic.deployment_record_info:
    directory: /var/lib/dbops/shop/deployments
  register: deployments

- name: Ask what to do about it
  dbops.alembic.deployment_record_info:
    directory: /var/lib/dbops/shop/deployments
    observed:
      revisions: [c64b2e98d075]
      snapshot: complete
"""

RETURN = r"""
records:
  description: All records in short, oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{"id": "20260301T220000Z-2.4.0", "status": "finished", "from_release": "2.3.0", "to_release": "2.4.0"}]
open:
  description: The one record that is not closed, or nothing.
  returned: success
  type: dict
  sample: {"id": "20260301T220000Z-2.4.0", "status": "halted", "step": "starting"}
record:
  description: The record asked for, in full.
  returned: success
  type: dict
  sample: {"id": "20260301T220000Z-2.4.0", "status": "halted", "step": "starting"}
last_finished:
  description: The newest record that ended as finished.
  returned: success
  type: dict
  sample: {"id": "20260215T220000Z-2.3.0", "status": "finished"}
decision:
  description: What to do, why, and where it halts what the operator can do.
  returned: when O(observed) is given and there is a record
  type: dict
  sample:
    action: revert
    database: restore
    source: snapshot
    code: from
    reason: The database is at ae1027a6, between the from-revision and the to-revision.
    remedies: []
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: record_unreadable
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Mend the file or move it away, once you know how that deployment ended.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.records import store_of
from ansible_collections.dbops.alembic.plugins.module_utils._records import read_records, record_info_spec


def main() -> None:
    module = record_info_spec().create_module()
    try:
        result = read_records(store_of(module.params), module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
