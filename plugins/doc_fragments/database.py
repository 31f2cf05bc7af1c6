# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of modules that work on a whole database."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  url:
    description:
      - Database URL, as the application has it. Special characters in user and password are percent-encoded.
      - A URL without a driver, such as V(postgresql://), takes the first driver that is installed in the application's Python. One
        with an asynchronous driver works as it is.
      - Needed unless O(kubernetes) is given, where a Secret has it.
    type: str
  chdir:
    description:
      - Folder to work in. The path of an SQLite database in O(url) may be relative to it.
    type: path
requirements:
  - SQLAlchemy 1.4 or later and a database driver in the application's Python, which is 3.8 or later
notes:
  - What only looks, and everything in check mode, uses sessions that the server itself keeps from writing. Behind a proxy that
    pools transactions there are none of these.
  - Works with the SQLAlchemy and the driver that the application has. Nothing has to be installed for the Python of the host.
  - The request goes to the application's Python over a pipe. No password is in an argument, in a file or in the result.
  - Tested with SQLAlchemy 1.4 to 2.1, PostgreSQL 15 and 18 (psycopg2, psycopg, asyncpg), MariaDB 10.11 (PyMySQL) and SQLite.
    PostgreSQL 11 is the oldest that is accepted.
seealso:
  - ref: ansible_collections.dbops.alembic.docsite.guide_backups
    description: The guide on backups and restores.
"""

    # Should be used with modules that look at sessions.
    SESSIONS = r"""
options:
  database:
    description:
      - Another database of the same server to look at. The one of O(url) unless told otherwise.
    type: str
  users:
    description:
      - Shell patterns of database users. With it, only sessions of these count.
    type: list
    elements: str
    default: []
  exclude_users:
    description:
      - Shell patterns of database users whose sessions do not count, those of a monitoring for example.
    type: list
    elements: str
    default: []
  applications:
    description:
      - Shell patterns of application names (C(application_name) in PostgreSQL, the program's name for SQLite). With it, only
        sessions of these count. MySQL and MariaDB know no application names.
      - Sessions of this collection itself never count.
    type: list
    elements: str
    default: []
  exclude_applications:
    description:
      - Shell patterns of application names whose sessions do not count.
    type: list
    elements: str
    default: []
"""

    # Should be used with modules that look at or make snapshots.
    SNAPSHOTS = r"""
options:
  maintenance_database:
    description:
      - Database to connect to for the work, since a database can not be copied or renamed from inside itself.
      - Without it, V(postgres), and V(template1) when the role may not connect to that.
    type: str
  free_bytes:
    description:
      - Free space on the database server in bytes, if you know it.
      - Without it, it is measured when the server runs on this host. Otherwise it is not known, and a warning says so.
    type: int
  accept:
    description:
      - Reasons against a snapshot that are accepted.
      - V(logical_replication_slots) and V(subscriptions) of the database would stay with the old database after a restore.
      - V(security_labels) of the database are not carried over to the copy.
      - V(insufficient_space) lets the copy begin with less free space than it is likely to need.
      - V(pooler) is for a URL that goes through a pooler in session mode.
      - V(database_missing) is for an SQLite database that has still to be made, in a folder that is there. Its snapshot is an
        empty file.
    type: list
    elements: str
    choices: [logical_replication_slots, subscriptions, security_labels, insufficient_space, pooler, database_missing]
    default: []
"""
