#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: deployment_record
short_description: Write down how far a deployment came
description:
  - A deployment record is one JSON file. It says what a deployment set out to do, how far it came, and what undoing it needs.
  - It is written before each step begins, atomically and synced, so that whoever reads it after a crash knows what may be done.
  - The playbooks of this collection write it; other playbooks may.
options:
  directory:
    description:
      - The folder of the records, one per application. It is made with mode C(0700) when it is missing.
      - One that belongs to another user, or that others may write to, is refused, because a record says what is done.
      - Exactly one of O(directory) and O(kubernetes) is needed.
    type: path
  kubernetes:
    description: Keep the records in a ConfigMap, for a controller that does not last. A write after somebody else's is refused.
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
  id:
    description:
      - The name of the deployment, which is the name of its file without C(.json).
      - Letters, digits and C(. _ -), where it begins with a letter or a digit.
    type: str
    required: true
  state:
    description:
      - V(begun) makes a new record. It is refused while another record of the folder is open.
      - V(advanced) moves an open record to O(step).
      - V(closed) ends an open record as O(status).
      - V(taken_over) makes O(owner) the only run that may write the record from now on.
      - V(annotated) adds O(facts) and changes nothing else, in a closed record too.
    type: str
    choices: [begun, advanced, closed, taken_over, annotated]
    default: advanced
  owner:
    description: The run that writes. A run whose record was taken over can not write it any more. Needed unless O(state=annotated).
    type: str
  from_owner:
    description:
      - With O(state=taken_over), the run that the record is taken over from. One that belongs to somebody else by now is refused.
      - Without it, it is taken over from whoever has it.
    type: str
    version_added: 0.2.0
  kind:
    description: What kind of deployment is begun.
    type: str
    choices: [maintenance_window, rolling, rollback, restore]
    default: maintenance_window
  step:
    description:
      - The step that begins now. Needed with O(state=advanced).
      - A record is begun at V(stopping), one of O(kind=rolling) at V(expanding), unless told otherwise.
    type: str
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
  status:
    description: How the deployment ended. V(halted) needs an operator and keeps other deployments out. Needed with O(state=closed).
    type: str
    choices: [finished, reverted, halted]
  facts:
    description:
      - What else to write down; RV(record) shows the keys.
      - A value that holds a URL with a password, or a key that names a secret, is refused. In messages secrets are masked.
    type: dict
    default: {}
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: dbops.alembic.deployment_record_info
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Begin a deployment
  dbops.alembic.deployment_record:
    directory: /var/lib/dbops/shop/deployments
    id: 20260301T220000Z-2.4.0
    state: begun
    owner: 5b0c8f3e
    facts:
      application: shop
      from_revision: [c64b2e98d075]
      to_revision: [f90c3b6d2e18]

- name: Say that the upgrade begins
  dbops.alembic.deployment_record:
    directory: /var/lib/dbops/shop/deployments
    id: 20260301T220000Z-2.4.0
    owner: 5b0c8f3e
    step: upgrading
"""

RETURN = r"""
record:
  description: The record as it stands now, or as it would stand after a run without check mode.
  returned: success
  type: dict
  sample: {"id": "20260301T220000Z-2.4.0", "application": "shop", "status": "open", "step": "upgrading"}
path:
  description: The file of the record, or its place in the cluster.
  returned: success
  type: str
  sample: /var/lib/dbops/shop/deployments/20260301T220000Z-2.4.0.json
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: record_conflict
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Finish or revert it with the playbook dbops.alembic.recover; nothing was touched.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.records import store_of
from ansible_collections.dbops.alembic.plugins.module_utils._records import record_spec, write_record


def main() -> None:
    module = record_spec().create_module()
    try:
        result = write_record(store_of(module.params), module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
