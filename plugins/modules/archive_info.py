#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: archive_info
short_description: Find the archives of databases on this host
description:
  - Reads what M(dbops.alembic.archive_folder) has kept.
options:
  directory:
    description: The folder of the archives. There are none in one that is missing.
    type: path
    required: true
  database:
    description: The database whose archives are wanted.
    type: str
  servers:
    description:
      - The addresses of the server that has the database, as for M(dbops.alembic.archive_folder). Archives of other servers are not
        told; those that name no server are.
    type: list
    elements: str
    default: []
  databases:
    description:
      - Many databases whose archives are wanted, in one look at the folder, as P(dbops.alembic.fleet_places#filter) returns them.
      - O(servers) are then former addresses of any of their servers.
    type: list
    elements: dict
    suboptions:
      name:
        description: What the database is called here.
        type: str
        required: true
      targets:
        description: The targets that it holds.
        type: list
        elements: str
        default: []
      known:
        description: Whether its URL can be told.
        type: bool
        default: true
      database:
        description: Its name on its server. Of one without there are no archives.
        type: str
        default: ""
      server:
        description: The address of its server.
        type: str
        default: ""
  name:
    description: The file name of an archive whose checksum is wanted.
    type: str
extends_documentation_fragment:
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
seealso:
  - module: dbops.alembic.archive_folder
  - plugin: dbops.alembic.fleet_places
    plugin_type: filter
  - module: dbops.alembic.kubernetes_archive_info
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
"""

EXAMPLES = r"""
- name: Look which archives there are
  dbops.alembic.archive_info:
    directory: /var/backups/shop
    database: shop
  register: found
"""

RETURN = r"""
archives:
  description:
    - What is written beside each archive of O(database), the oldest first.
    - Of O(databases) those of one after the other, each with C(name), what the database is called here.
  returned: success
  type: list
  elements: dict
  sample:
    - path: /var/backups/shop/shop-20260301.pgc
      format: custom
      database: shop
      revisions: [c64b2e98d075]
      bytes: 104857
      sha256: 5c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f
      created_at: "2026-03-01T22:00:09Z"
other_servers:
  description: Servers of which there are archives of a database with that name, besides O(servers).
  returned: success
  type: list
  elements: str
  sample: []
sha256:
  description: The checksum of the archive O(name) as it is now. Nothing where it is not there, or none was named.
  returned: success
  type: str
  sample: 5c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f0a7be2014c1f
bytes:
  description: The size of the archive O(name) as it is now. Nothing where it is not there, or none was named.
  returned: success
  type: int
  sample: 104857
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: folder_unusable
hint:
  description: What to do next.
  returned: failure, where there is one
  type: str
  sample: Look whose it is, and whether this user may write to it.
"""

from ansible_collections.dbops.alembic.plugins.module_utils._archives import archive_info_spec, run_archive_info
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError


def main() -> None:
    module = archive_info_spec().create_module()
    try:
        result = run_archive_info(module.params)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
