# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter database_url."""

from __future__ import annotations

DOCUMENTATION = r"""
name: database_url
short_description: Take a database URL apart for the tools that want its parts
version_added: 0.1.0
author:
  - dbops.alembic contributors (@dbops)
description:
  - Takes one database URL, as SQLAlchemy and Alembic read it, and returns its parts, so that an inventory holds the URL once
    and modules, C(pg_dump), C(psql) and templates get what they want from it.
  - Nothing is looked up and no default is filled in, except that PostgreSQL takes the name of the user for a database
    without a name.
positional: _input
options:
  _input:
    description:
      - The URL, such as V(postgresql+psycopg://app:s%23cret@db.example.com:5432/orders?sslmode=require).
      - Special characters in user, password and name are percent-encoded, as in every URL.
    type: str
    required: true
notes:
  - The result holds the password in RV(_value.password) and RV(_value.environment). Use C(no_log) on tasks that would print it;
    RV(_value.redacted) is the form for messages.
  - A wrong URL is an error that says what is wrong and never shows the URL.
seealso:
  - module: community.postgresql.postgresql_db
  - module: dbops.alembic.alembic_upgrade
"""

EXAMPLES = r"""
- name: Keep the parts at hand
  ansible.builtin.set_fact:
    orders_database: "{{ orders_database_url | dbops.alembic.database_url }}"
  no_log: true

- name: Give them to a module of community.postgresql
  community.postgresql.postgresql_ping:
    login_host: "{{ orders_database.host | default(orders_database.socket, true) | default(omit, true) }}"
    login_port: "{{ orders_database.port | default(omit, true) }}"
    login_user: "{{ orders_database.user }}"
    login_password: "{{ orders_database.password }}"
    login_db: "{{ orders_database.name }}"

- name: Run a program of PostgreSQL; nothing of the URL is in its arguments
  ansible.builtin.command:
    argv: [pg_dump, --format=custom, --file=/var/backups/orders.dump]
  environment: "{{ orders_database.environment }}"

- name: Say which database is meant
  ansible.builtin.debug:
    msg: "{{ orders_database.redacted }}"
"""

RETURN = r"""
_value:
  description:
    - The parts of the URL.
    - A part that the URL does not have is V(none).
  type: dict
  contains:
    dialect:
      description: Kind of database, in lower case. V(postgres) is reported as V(postgresql).
      type: str
      sample: postgresql
    driver:
      description: Python driver that the URL names.
      type: str
      sample: psycopg
    host:
      description: Host; the first one, when the URL names several. V(none) when the connection goes through a socket.
      type: str
      sample: db.example.com
    port:
      description: Port that belongs to RV(_value.host).
      type: int
      sample: 5432
    socket:
      description: Folder of PostgreSQL's Unix socket (C(?host=/run/postgresql)), or path of MySQL's (C(?unix_socket=…)).
      type: str
      sample: /run/postgresql
    server:
      description:
        - What tells the server from others, in lower case; the host, or what stands for it, with the port. V(none) for SQLite.
      type: str
      sample: db.example.com:5432
      version_added: 0.2.0
    name:
      description: Name of the database; the path of a SQLite database.
      type: str
      sample: orders
    user:
      description: User, decoded.
      type: str
      sample: app
    password:
      description: Password, decoded.
      type: str
      sample: "s#cret"
    query:
      description:
        - The parameters behind the question mark, without those that have become a part of their own. One that is given several
          times is a list.
      type: dict
      sample:
        sslmode: require
    libpq:
      description:
        - Keyword arguments of a libpq connection, without the password. All hosts are in it. Parameters that only a Python driver
          understands are left out, and asyncpg's C(ssl) is called C(sslmode).
        - Empty for other databases than PostgreSQL.
      type: dict
      sample:
        host: db.example.com
        port: "5432"
        dbname: orders
        user: app
        sslmode: require
    environment:
      description:
        - Environment for the database's own programs, with the password. C(PGHOST), C(PGPORT), C(PGDATABASE), C(PGUSER),
          C(PGPASSWORD) and more for PostgreSQL, C(MYSQL_PWD) for MySQL and MariaDB.
        - Empty for SQLite.
      type: dict
      sample:
        PGHOST: db.example.com
        PGPORT: "5432"
        PGDATABASE: orders
        PGUSER: app
        PGPASSWORD: "s#cret"
        PGSSLMODE: require
    redacted:
      description: The URL with its password masked, for messages.
      type: str
      sample: postgresql+psycopg://app:***@db.example.com:5432/orders?sslmode=require
    sync_url:
      description:
        - The URL, with the password, for a program that is not asynchronous. The name of an asynchronous driver is left out; a
          synchronous one stays.
      type: str
      sample: postgresql+psycopg://app:s%23cret@db.example.com:5432/orders?sslmode=require
"""

from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.dbops.alembic.plugins.plugin_utils._database_url import UrlError, parse


def database_url(value: Any) -> dict[str, Any]:
    if value is None or isinstance(value, (bool, int, float, bytes, dict, list, tuple)):
        raise AnsibleFilterError(f"database_url: the input is of type {type(value).__name__}, not a URL")
    try:
        url = parse(str(value))
    except UrlError as exc:
        raise AnsibleFilterError(f"database_url: the URL can not be used: {exc}") from None
    return dict(
        dialect=url.dialect,
        driver=url.driver,
        host=url.host,
        port=url.port,
        socket=url.socket,
        server=url.server,
        name=url.name,
        user=url.user,
        password=url.password,
        query=url.query,
        libpq=url.libpq(),
        environment=url.environment(),
        redacted=url.redacted(),
        sync_url=url.sync_url(),
    )


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"database_url": database_url}
