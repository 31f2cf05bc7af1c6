#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_schema
short_description: Put one schema of a PostgreSQL database back to what an archive holds, beside the others
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.2.0
description:
  - Takes one schema out of an archive that C(pg_dump) wrote of the whole database, or of that schema, and puts it in the place of
    the present one. The other schemas, and those who work in them, are left alone.
  - All of it is one transaction. The present schema gets another name, the archive is read in under the old one, the rows of each
    table are counted and compared with those of the archive, and only then is it committed. Where it is killed, or fails, all is as
    it was.
  - The present schema is not dropped. It stays as RV(kept), with its rows, until somebody drops it. Until then its foreign keys
    keep rows of other schemas from being deleted.
  - Meanwhile the migration lock of the schema is held, so that no upgrade of it runs. Who works in the present schema can go on
    until the end, and waits then while the foreign keys to other schemas are made and the transaction is committed.
  - Refused before anything is touched is an archive without that schema; a URL of a pooler such as PgBouncer; a role
    that may not create or rename schemas, or not give objects to their owners; and a schema on which something of another
    schema depends (a foreign key, a view), since that would go on with the former tables.
  - Large objects belong to no schema, and stay as they are.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.database
  - dbops.alembic.attributes
attributes:
  check_mode:
    support: full
    details:
      - All that the archive has of the schema is read, so that it is known that it can be read. Nothing is written.
  diff_mode:
    support: partial
    details:
      - In check mode, how many rows each table has now and in the archive.
options:
  url:
    description:
      - Database URL, as the application has it. Special characters in user and password are percent-encoded.
      - The role has to own the schema, and to have C(CREATE) on the database.
    type: str
    required: true
  schema:
    description:
      - The schema. It need not be there any more.
    type: str
    required: true
  archive:
    description:
      - The archive on this host, of the format V(custom) or V(directory).
    type: path
    required: true
  version_table:
    description:
      - Alembic's version table in the schema. The migration lock is that of this table.
      - Empty for a schema without one.
    type: str
    default: alembic_version
  keep_as:
    description:
      - The name that the present schema gets. Without it, C(dbops_before_), the time, and its own name.
        M(dbops.alembic.alembic_fleet) takes no schema of such a name for a target.
    type: str
  lock_wait:
    description:
      - Seconds to wait for the migration lock of the schema.
    type: float
    default: 30
  lock_timeout:
    description:
      - Seconds to wait at the end until nobody is in a transaction that has worked on the tables of the present schema, or has
        written to a table of another schema that a foreign key leads to. V(0) waits for ever.
    type: float
    default: 30
  programs:
    description:
      - The folder of C(pg_restore) and C(psql), when they are not on the PATH.
    type: path
seealso:
  - module: dbops.alembic.database_archive
  - module: dbops.alembic.alembic_fleet
  - ref: ansible_collections.dbops.alembic.docsite.guide_many_databases.archives
    description: The restore of one schema by the playbook.
"""

EXAMPLES = r"""
- name: Say what the archive has of one customer
  dbops.alembic.database_schema:
    url: "{{ shop_database_url }}"
    virtualenv: /srv/shop/current/.venv
    schema: acme
    archive: /var/backups/shop/shop-20261129T020000Z.pgc
  check_mode: true
  diff: true

- name: Put the customer back to last night
  dbops.alembic.database_schema:
    url: "{{ shop_database_url }}"
    virtualenv: /srv/shop/current/.venv
    schema: acme
    archive: /var/backups/shop/shop-20261129T020000Z.pgc
  register: shop_restored
"""

RETURN = r"""
schema:
  description: The schema.
  returned: success
  type: str
  sample: acme
present:
  description: Whether the schema was there before.
  returned: success
  type: bool
  sample: true
kept:
  description: The schema that has what was there before; the name it would have, in check mode. V(null) where there was none.
  returned: success
  type: str
  sample: dbops_before_20261129t081500z_acme
tables:
  description: The rows of each table in the archive, which are those that were restored.
  returned: success
  type: dict
  sample: {acme.orders: 1000, acme.users: 12}
rows:
  description: The rows of each table now.
  returned: success, in check mode
  type: dict
  sample: {acme.orders: 0, acme.users: 12}
revisions:
  description: The revisions at which the schema is in the archive.
  returned: success
  type: list
  elements: str
  sample: [ae1027a6acf5]
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 12.5
dialect:
  description: Kind of database.
  returned: success
  type: str
  sample: postgresql
database:
  description: Name of the database.
  returned: success
  type: str
  sample: shop
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: archive_failed
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Install it, or set programs.
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: "42501"
"""

import time

from ansible_collections.dbops.alembic.plugins.module_utils._bridge import Bridge, interpreter
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._schema_restore import run_schema, schema_spec


def main() -> None:
    module = schema_spec().create_module()
    try:
        bridge = Bridge(interpreter(module.params), module.warn)
        result = run_schema(bridge, module.params, module.run_command, time.time(), module.check_mode)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
