#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_rows
short_description: Count the rows of a database, and compare two states of it
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Counts the rows of each table, and on request sums up their content in a checksum that does not depend on the order of the rows.
  - Compares with an earlier result, to prove that a restored database holds what it held, or to count the rows that going back to a
    snapshot would lose.
  - On PostgreSQL, MySQL and MariaDB the server counts and sums up, in one transaction that sees one state of the whole database.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
options:
  database:
    description:
      - Another database of the same server to count in, a snapshot for example. The one of O(url) unless told otherwise.
    type: str
  count:
    description:
      - V(exact) counts. V(estimate) takes what the server's statistics say, which is quick; SQLite has none.
      - V(written) reads the counters of inserted, updated and deleted rows that PostgreSQL keeps anyway, which is as quick on a
        large database as on a small one; with O(since) it tells how many rows were written in between. A session hands its numbers
        in when it ends, or within ten seconds of idleness. On the other databases it is V(exact) with O(checksum=true).
    type: str
    choices: [exact, estimate, written]
    default: exact
  checksum:
    description:
      - Whether to sum up the content of the rows. All rows are read for it.
      - Checksums of different kinds or major versions of database servers are not comparable.
    type: bool
    default: false
  integrity:
    description:
      - Whether to have SQLite check the whole file first, indexes too. It is nothing to the other databases.
    type: bool
    default: false
  tables:
    description:
      - Shell patterns of the tables to count, with or without their schema. All unless told otherwise.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Shell patterns of tables to leave out.
    type: list
    elements: str
    default: []
  statement_timeout:
    description:
      - Seconds that counting one table may take, after which its estimate is taken; V(0) is no limit.
      - MySQL, other than MariaDB, does not limit checksums.
    type: float
    default: 0
  wait:
    description:
      - Seconds to wait at most for the sessions of others, who hand their numbers in when they end.
      - For O(count=written) on PostgreSQL.
    type: float
    default: 2
  since:
    description:
      - RV(tables) of an earlier result of this module, of this database or of a snapshot, to compare with.
    type: dict
seealso:
  - module: dbops.alembic.database_snapshot
"""

EXAMPLES = r"""
- name: Note what the database holds
  dbops.alembic.database_rows:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    checksum: true
  register: orders_before

- name: Prove that a restore brought every row back
  dbops.alembic.database_rows:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    checksum: true
    since: "{{ orders_before.tables }}"
  register: orders_after
  failed_when: not orders_after.same

- name: Count the snapshot
  dbops.alembic.database_rows:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    database: "{{ orders_snapshot.snapshot.name }}"
  register: orders_then

- name: Count the rows that going back to it would lose
  dbops.alembic.database_rows:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
    since: "{{ orders_then.tables }}"
  register: orders_lost
"""

RETURN = r"""
tables:
  description:
    - What each table holds, by its name (with its schema on PostgreSQL), as a dictionary of C(rows), C(exact) and C(checksum).
    - C(rows) is nothing where there is no estimate, C(checksum) where none was asked for or the time was over.
    - With O(count=written) on PostgreSQL also C(written), how many rows were written since the server counts, and C(counter), which
      is the same in two results that can be compared.
  returned: success
  type: dict
  sample:
    public.orders:
      rows: 1000
      exact: true
      checksum: "10542318696635848262"
rows:
  description: Sum of the rows.
  returned: success
  type: int
  sample: 1000
exact:
  description: Whether every table was counted.
  returned: success
  type: bool
  sample: true
gained:
  description: Tables that have more rows than in O(since), with how many more.
  returned: when O(since) is given
  type: dict
  sample: {public.orders: 12}
lost:
  description: Tables that have fewer rows than in O(since), with how many fewer.
  returned: when O(since) is given
  type: dict
  sample: {}
rows_gained:
  description: Sum of RV(gained).
  returned: when O(since) is given
  type: int
  sample: 12
rows_lost:
  description: Sum of RV(lost).
  returned: when O(since) is given
  type: int
  sample: 0
different:
  description: >-
    Tables whose checksums differ. Without checksums, a row that was changed, or removed while another was added, is not seen.
  returned: when O(since) is given
  type: list
  elements: str
  sample: [public.orders]
written:
  description:
    - Tables in which rows were inserted, updated or deleted, with how many at least. With O(count=written) on PostgreSQL it is
      every such row, rolled back ones included; else it is what counts and checksums show.
  returned: when O(since) is given
  type: dict
  sample: {public.orders: 12}
rows_written:
  description:
    - Sum of RV(written).
    - Nothing where that is not known of some table, after TRUNCATE, a rewrite, a reset of the statistics or a crash of the server,
      say, or for want of a checksum.
  returned: when O(since) is given
  type: int
  sample: 12
unknown:
  description: Tables of which neither an exact count nor a counter is there on both sides.
  returned: when O(since) is given
  type: list
  elements: str
  sample: []
same:
  description: Whether both states are proved to be the same, by checksums of all tables on both sides.
  returned: when O(since) is given
  type: bool
  sample: false
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 0.4
dialect:
  description: Kind of database.
  returned: success
  type: str
  sample: postgresql
database:
  description: Name of the database; the path of an SQLite one.
  returned: success
  type: str
  sample: orders
error_kind:
  description: The kind of the failure; R(Error kinds, ansible_collections.dbops.alembic.docsite.guide_error_kinds) has what to do.
  returned: failure
  type: str
  sample: insufficient_privilege
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Grant it SELECT, or leave these tables out by exclude.
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: "42501"
"""

from ansible_collections.dbops.alembic.plugins.module_utils._database import rows_spec, run_database
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for


def main() -> None:
    module = rows_spec().create_module()
    try:
        result = run_database(bridge_for(module), module.params, "database_rows")
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
