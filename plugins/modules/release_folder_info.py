#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_folder_info
short_description: Read which releases a host has, and which is active
description:
  - Reads what M(dbops.alembic.release_folder) made. Changes nothing.
options:
  root:
    description: The folder that holds C(releases/) and the link C(current).
    type: path
    required: true
  version:
    description: The release to look for.
    type: str
extends_documentation_fragment:
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
seealso:
  - module: dbops.alembic.release_folder
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
"""

EXAMPLES = r"""
- name: Find out which release is active
  dbops.alembic.release_folder_info:
    root: /srv/shop
    version: 1.4.0
"""

RETURN = r"""
version:
  description: The release that was looked for.
  returned: success
  type: str
  sample: 1.4.0
root:
  description: The folder of the application.
  returned: success
  type: str
  sample: /srv/shop
path:
  description: The folder of the release, whether it is there or not; empty where no version was given.
  returned: success
  type: str
  sample: /srv/shop/releases/1.4.0
prepared:
  description: Whether the release is there and whole.
  returned: success
  type: bool
  sample: true
origin:
  description: What the release was made from.
  returned: success
  type: dict
  sample: {"source": "archive", "version": "1.4.0", "from": "shop-1.4.0.tar.gz"}
active_version:
  description: The release that C(current) points at; empty where there is none.
  returned: success
  type: str
  sample: 1.3.0
releases:
  description: The whole releases that were made by M(dbops.alembic.release_folder), the newest first.
  returned: success
  type: list
  elements: str
  sample: [1.4.0, 1.3.0]
refused:
  description: What would keep a release from being built or activated here.
  returned: success
  type: list
  elements: str
  sample: []
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: record_unreadable
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Look whose it is, and whether this user may write to it.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._releases import read_releases, release_folder_info_spec


def main() -> None:
    module = release_folder_info_spec().create_module()
    try:
        result = read_releases(module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
