#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_leftovers
short_description: Remove what rehearsals that were killed have left on a database server
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - A rehearsal of M(dbops.alembic.alembic_plan) makes copies, databases beside the one that it is about or folders for SQLite and
    for a server of its own, and removes them at its end. One whose machine dies can not.
  - Removes the copies of all databases of that server, and the folders of this host, whose maker is dead. Each says who made it and
    when, in its name and in its comment or a file.
  - What a living run works with stays, as does everything that is not certainly ours. On PostgreSQL the session that made a copy
    has to be gone, on MySQL and MariaDB its lock has to be free, a folder must not be locked. Of databases, only those that the
    role owns or may act for are looked at.
  - M(dbops.alembic.alembic_plan) does the same before it rehearses.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  maintenance_database:
    description:
      - Database of the same PostgreSQL server to connect to, since a database can not be dropped from within.
      - Without it V(postgres) and V(template1) are tried.
    type: str
seealso:
  - module: dbops.alembic.alembic_plan
"""

EXAMPLES = r"""
- name: Remove what killed rehearsals have left
  dbops.alembic.database_leftovers:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
"""

RETURN = r"""
removed:
  description: Names of the databases and folders that were removed, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [dbops_rehearsal_1f0c9a3b_20261121063900_4711_9b1c22d0]
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: connection_failed
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Check host, port and database name, and that the server is up.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for
from ansible_collections.dbops.alembic.plugins.module_utils._leftovers import leftovers_spec, run_leftovers


def main() -> None:
    module = leftovers_spec().create_module()
    try:
        result = run_leftovers(bridge_for(module), module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
