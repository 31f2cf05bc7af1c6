#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: owned_path
short_description: Remove what this collection made, and nothing else
description:
  - Removes a temporary folder, an archive, a report or a journal of SQLite, or says whether it may be replaced. What is not shown
    to be one of this collection's is an error, and stays as it is.
options:
  path:
    description: An absolute path.
    type: path
    required: true
  kind:
    description:
      - What it has to be.
      - V(archive) is described by a file beside it, as that of O(database).
      - V(journal) lies beside the file of its database.
      - V(plan) is what the filter P(dbops.alembic.plan_report#filter) has written.
      - V(report) says in its head that it was made here.
      - V(temporary_folder) is called as M(ansible.builtin.tempfile) calls it with the prefix C(dbops.), C(dbops-release.) or
        C(dbops-restore.), and is this user's alone.
    type: str
    choices: [archive, journal, plan, report, temporary_folder]
    required: true
  state:
    description: V(absent) removes it. V(replaceable) fails when it is there and not to be replaced, and leaves it as it is.
    type: str
    choices: [absent, replaceable]
    default: absent
  folder_made:
    description:
      - With O(state=replaceable), make the folder of O(path) with mode C(0700) where there is none, so that something can be
        written there.
    type: bool
    default: false
    version_added: 0.2.0
  database:
    description: The database of an archive. Needed with O(kind=archive).
    type: str
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
seealso:
  - module: dbops.alembic.release_folder
  - module: dbops.alembic.archive_folder
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Remove a temporary folder
  dbops.alembic.owned_path:
    path: /tmp/dbops.k3j2h1
    kind: temporary_folder

- name: Refuse to write a report over somebody else's file
  dbops.alembic.owned_path:
    path: /var/lib/dbops/shop/shop.html
    kind: report
    state: replaceable
"""

RETURN = r"""
exists:
  description: Whether it was there.
  returned: success
  type: bool
  sample: true
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: not_ours
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Look whose it is, and whether this user may write to it.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._owned_paths import owned_path_spec, run_owned_path


def main() -> None:
    module = owned_path_spec().create_module()
    try:
        result = run_owned_path(module.params, module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
