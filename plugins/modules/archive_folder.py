#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_folder
short_description: Remove old archives of a database
description:
  - Removes archives that the role backup wrote into a folder of this host, the oldest first and never the last one.
  - An archive is one that a file beside it describes, as that of this database. Other files, and archives of other databases, stay.
options:
  directory:
    description: The folder of the archives.
    type: path
    required: true
  database:
    description: The database, as the description has it.
    type: str
    required: true
  state:
    description: V(pruned) removes the archives that are too many or too old.
    type: str
    choices: [pruned]
    default: pruned
  keep_count:
    description: How many to keep; V(0) is any number.
    type: int
    default: 0
  keep_seconds:
    description: How long to keep them; V(0) is for ever.
    type: float
    default: 0
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: dbops.alembic.kubernetes_archive
  - module: dbops.alembic.owned_path
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Keep the archives of a week
  dbops.alembic.archive_folder:
    directory: /var/backups/shop
    database: shop
    keep_seconds: 604800
"""

RETURN = r"""
removed:
  description: The archives that were removed, or would be.
  returned: success
  type: list
  elements: str
  sample: [/var/backups/shop/shop-20260301T220000Z.pgc]
error_kind:
  description: What kind of failure it was.
  returned: failure
  type: str
  sample: not_ours
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Look whose it is, and whether this user may write to it.
"""

import time

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._owned_paths import archive_folder_spec, run_archive_folder


def main() -> None:
    module = archive_folder_spec().create_module()
    try:
        result = run_archive_folder(module.params, time.time(), module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
