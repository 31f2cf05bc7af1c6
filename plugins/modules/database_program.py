#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_program
short_description: Run a program with secrets in its environment
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Runs a program such as C(psql), C(mysqldump) or C(pip). Its password is in its environment and nowhere else.
  - The keyword C(environment) of a task is not safe for that. Ansible writes it into the command line of a shell, where every user
    of the host can read it, and shows it with C(-vvv).
  - What the program prints is returned without the secrets of O(environment).
extends_documentation_fragment:
  - dbops.alembic.migration.follow
  - dbops.alembic.attributes
  - dbops.alembic.attributes.follow
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
options:
  argv:
    description:
      - The program and its arguments.
    type: list
    elements: str
    required: true
  environment:
    description:
      - Variables for the program, on top of those that the task has.
    type: dict
    default: {}
  chdir:
    description:
      - The folder that the program runs in.
    type: path
  grows:
    description:
      - A file that the program writes. While it runs, how many bytes are in it is shown, and a lost connection does not end it.
    type: path
    version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Dump the database
  dbops.alembic.database_program:
    argv: [pg_dump, --format=custom, --file=/var/backups/orders.dump]
    environment: "{{ (orders_database_url | dbops.alembic.database_url).environment }}"
"""

RETURN = r"""
cmd:
  description: The program and its arguments.
  returned: when the program ran
  type: list
  elements: str
  sample: [pg_restore, --list, /var/backups/shop/20261128.dump]
rc:
  description: Exit status.
  returned: when the program ran
  type: int
  sample: 0
stdout:
  description: What it wrote to its standard output.
  returned: when the program ran
  type: str
  sample: ""
stderr:
  description: What it wrote to its standard error.
  returned: when the program ran
  type: str
  sample: ""
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: command_failed
"""

from ansible_collections.dbops.alembic.plugins.module_utils._database import program_spec, take_program
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError


def main() -> None:
    module = program_spec().create_module(supports_check_mode=False)
    try:
        result = take_program(module.params, module.run_command)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
