#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: backfill
short_description: Fill rows in bounded batches, until none is left
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Runs a command that fills some rows and prints how many it filled, again and again until it prints V(0).
  - Each run is a short transaction of its own, so that nobody waits long for a row, and stopping at any time loses nothing.
  - The number of rows filled so far is shown while it works.
options:
  command:
    description:
      - Program and arguments. The last line that it prints on standard output is the number of rows that it filled.
      - It has to be able to go on where it was stopped, as C(UPDATE … WHERE filled IS NULL … LIMIT 1000) is.
    type: list
    elements: str
    required: true
  chdir:
    description: Folder to run it in, such as that of the release.
    type: path
  virtualenv:
    description: Virtual environment whose programs are found first.
    type: path
  environment:
    description: Environment variables for it. They may hold secrets.
    type: dict
    default: {}
  pause:
    description: Seconds to wait between two runs, which leaves room for others.
    type: float
    default: 0.1
  max_batches:
    description: How many runs there may be before it counts as a command that never ends.
    type: int
    default: 100000
  slice:
    description:
      - Return after so many seconds with RV(finished=false), to be called again. V(0) works until the end.
      - The action plugin of this module sets it, to show how far it came.
    type: float
    default: 0
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
seealso:
  - module: dbops.alembic.alembic_upgrade
"""

EXAMPLES = r"""
- name: Fill the new column, a thousand rows at a time
  dbops.alembic.backfill:
    command: [python, -m, shop, fill-countries, --limit, "1000"]
    chdir: /srv/shop/current
    virtualenv: /srv/shop/current/venv
    environment:
      DATABASE_URL: "{{ shop_database_url }}"
"""

RETURN = r"""
rows:
  description: How many rows were filled.
  returned: success and failure
  type: int
  sample: 41500
batches:
  description: How many runs that took, without the last one that found nothing.
  returned: success and failure
  type: int
  sample: 42
seconds:
  description: How long it took.
  returned: success and failure
  type: float
  sample: 18.2
finished:
  description: Whether nothing is left.
  returned: success
  type: bool
  sample: true
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: command_failed
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Run it by hand in /srv/shop/current to see why.
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.dbops.alembic.plugins.module_utils._backfill import fill
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError


def main() -> None:
    module = AnsibleModule(
        argument_spec=dict(
            command=dict(type="list", elements="str", required=True),
            chdir=dict(type="path"),
            virtualenv=dict(type="path"),
            environment=dict(type="dict", default={}, no_log=True),
            pause=dict(type="float", default=0.1),
            max_batches=dict(type="int", default=100000),
            slice=dict(type="float", default=0),
        )
    )
    try:
        result = fill(module.params, module.run_command, time.monotonic, time.sleep)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
