#!/usr/bin/python
# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_restore_info
short_description: Find out whether an archive of a database can be written and restored
author:
  - dbops.alembic contributors (@dbops)
version_added: 0.1.0
description:
  - Reads from the catalogs what a dump of the database would hold, what the role may do, and what the server has, and says what
    would make the dump or a restore of it fail.
  - 'Knows of PostgreSQL: extensions that only a superuser may create or that the server does not have, foreign servers, languages,
    event triggers, publications, tablespaces, roles, owners, row level security, rights, large objects, collations, a C(pg_dump)
    older than the server.'
  - 'Of MySQL and MariaDB: definers and tables that are not of InnoDB. A SQLite archive is a file and needs nothing.'
  - Only a restore proves that an archive can be restored; this says beforehand what is known to keep it from that.
extends_documentation_fragment:
  - dbops.alembic.application
  - dbops.alembic.application.job
  - dbops.alembic.database
  - dbops.alembic.attributes
  - dbops.alembic.attributes.info
options:
  database:
    description:
      - Another database of the same server to look at, one that an archive is to be read into for example. The one of O(url) unless
        told otherwise.
    type: str
  format:
    description:
      - The format of the archive. Nothing can be left out of a V(plain) one, so it can not be restored beside what stays.
    type: str
    choices: [custom, directory, plain]
    default: custom
  needs:
    description:
      - RV(needs) of an earlier result, as it is written beside an archive. With it, the question is whether that archive can be
        restored here.
    type: dict
  archive:
    description:
      - An archive of PostgreSQL on this host, in the format V(custom) or V(directory), whose list is wanted without what
        O(database) has already.
    type: path
  programs:
    description:
      - The folder of the dump program and of C(pg_restore), when they are not on the PATH.
    type: path
  program_check:
    description:
      - Whether to look at the dump program of this host.
    type: bool
    default: true
seealso:
  - module: dbops.alembic.database_snapshot
"""

EXAMPLES = r"""
- name: Find out whether an archive could be restored
  dbops.alembic.database_restore_info:
    url: "{{ orders_database_url }}"
    virtualenv: /srv/orders/current/.venv
  register: orders_archive

- name: Refuse an archive that would be of no use
  ansible.builtin.assert:
    that: orders_archive.dumpable and orders_archive.restorable
    fail_msg: "{{ orders_archive.dump_problem }} {{ orders_archive.restore_problem }}"
"""

RETURN = r"""
findings:
  description: What would keep the dump or the restore from going well, each by its name.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: The name of the finding; the guide lists them.
      type: str
      sample: extension
    affects:
      description: >-
        V(dump) for writing the archive, V(restore) for restoring it here, V(elsewhere) for restoring it where the present database
        is lost.
      type: str
      sample: elsewhere
    severity:
      description: V(error) where it would fail, else V(warning).
      type: str
      sample: error
    object:
      description: Which object.
      type: str
      sample: pg_stat_statements
    message:
      description: Why it would fail.
      type: str
      sample: Only a superuser may create the extension pg_stat_statements, and orders is none.
    remedy:
      description: Who has to do what.
      type: str
      sample: A superuser restores.
dumpable:
  description: Whether nothing is known that would make the dump fail.
  returned: success
  type: bool
  sample: true
restorable:
  description: Whether nothing is known that would make a restore on this server fail.
  returned: success
  type: bool
  sample: true
dump_problem:
  description: What would make the dump fail, and what to do, as one text. Empty when there is nothing.
  returned: success
  type: str
  sample: ""
restore_problem:
  description: The same for a restore on this server.
  returned: success
  type: str
  sample: ""
remarks:
  description: All findings as texts.
  returned: success
  type: list
  elements: str
  sample: []
way:
  description: >-
    How a restore would be done; V(beside) in an empty database, V(copy) in an emptied copy of the present one, which keeps what
    only a superuser may create, V(in_place) in the present one, V(none) not at all.
  returned: success
  type: str
  sample: beside
needs:
  description: What a restore of an archive needs of a server; to be kept beside the archive.
  returned: success
  type: dict
  sample:
    server: "15.18"
    extensions: [{name: pg_trgm, schema: public, version: "1.6"}]
    owners: [{name: orders, kept: false, first: relation orders}]
kept:
  description: >-
    What the database has besides its tables, as the list of an archive names it, so that it can be left out of a restore into this
    database. PostgreSQL only.
  returned: success
  type: list
  elements: str
  sample: [EXTENSION - pg_trgm, COMMENT - EXTENSION pg_trgm, SCHEMA - public]
listed:
  description: The list of O(archive) for C(pg_restore --use-list), without what the database has already.
  returned: when O(archive) is given
  type: str
  sample: "215; 1259 16390 TABLE public orders orders\n"
left_out:
  description: What was left out of it.
  returned: when O(archive) is given
  type: list
  elements: str
  sample: [EXTENSION - pg_stat_statements, COMMENT - EXTENSION pg_stat_statements]
server:
  description: The version of the server.
  returned: success
  type: str
  sample: "15.18"
program:
  description: What the dump program says of its version; nothing where it was not asked or can not be run.
  returned: success
  type: str
  sample: pg_dump (PostgreSQL) 15.18
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
  sample: connection_failed
hint:
  description: What to do next; it is in RV(ignore:msg) too.
  returned: failure, where there is one
  type: str
  sample: Check the URL.
sqlstate:
  description: The database's own code of the error.
  returned: failure, where it is known
  type: str
  sample: "08001"
"""

from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import bridge_for
from ansible_collections.dbops.alembic.plugins.module_utils._restore import restore_info_spec, run_restore_info


def main() -> None:
    module = restore_info_spec().create_module()
    try:
        result = run_restore_info(bridge_for(module), module.params, module.run_command)
    except MigrationError as exc:
        exc.fail(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
