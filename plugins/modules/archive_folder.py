#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_folder
short_description: Keep archives of a database in a folder of this host
description:
  - What the role backup does with the folder of its archives. What writes an archive does so under a temporary name in that folder,
    C(.dbops-partial-) and O(name), so that one under its own name is always whole.
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
  servers:
    description:
      - The address of the server that has the database, such as V(db1.example.com:5432), and after it former addresses of the same
        server. The first is written beside an archive.
      - Another server may have a database of the same name. Archives of another one are neither replaced nor
        removed; nor are those that name none, such as version 0.1.0 has written. Without this option the server is not looked at.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  state:
    description:
      - V(present) makes the folder with mode C(0700) when it is missing, and removes what a run that was ended has left under the
        temporary name. A folder that is there keeps its mode; one that everybody may write to is refused.
      - V(kept) gives the archive at the temporary name its own one, for its owner alone, and writes beside it what it is. An
        archive of this database that has the name already is replaced.
      - V(pruned) removes the archives that are too many or too old, the oldest first and never the last one.
    type: str
    choices: [present, kept, pruned]
    default: pruned
  name:
    description: The file name of the archive. Needed with O(state=present) and O(state=kept).
    type: str
  facts:
    description: What is known of the archive and is written beside it with O(state=kept), such as its format and its revisions.
    type: dict
    default: {}
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
  - module: dbops.alembic.archive_info
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

- name: Make room for an archive
  dbops.alembic.archive_folder:
    directory: /var/backups/shop
    database: shop
    state: present
    name: shop-20260301.pgc
  register: shop_place

- name: Write it
  ansible.builtin.command:
    argv: [pg_dump, --format=custom, "--file={{ shop_place.partial }}", shop]

- name: Keep it
  dbops.alembic.archive_folder:
    directory: /var/backups/shop
    database: shop
    state: kept
    name: shop-20260301.pgc
    facts: {format: custom}
"""

RETURN = r"""
archive:
  description: What was kept, as it is written beside it. V(null) in check mode, where nothing has written it.
  returned: success with O(state=kept)
  type: dict
  sample:
    path: /var/backups/shop/shop-20260301.pgc
    format: custom
    database: shop
    server: db1.example.com:5432
    bytes: 104857
    sha256: 5c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f
    created_at: "2026-03-01T22:00:09Z"
partial:
  description: The path to write the archive to.
  returned: success with O(state=present)
  type: str
  sample: /var/backups/shop/.dbops-partial-shop-20260301.pgc
free_bytes:
  description: How much this user may still write there.
  returned: success with O(state=present)
  type: int
  sample: 1073741824
removed:
  description: The archives that were removed, or would be.
  returned: success with O(state=pruned)
  type: list
  elements: str
  sample: [/var/backups/shop/shop-20260301T220000Z.pgc]
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

import time

from ansible_collections.dbops.alembic.plugins.module_utils._archives import archive_folder_spec, run_archive_folder
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError


def main() -> None:
    module = archive_folder_spec().create_module()
    try:
        result = run_archive_folder(module.params, time.time(), module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
