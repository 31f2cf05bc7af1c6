# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database server on db1, asked past everything that is under test."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Iterator

from paths import RUN
from remote import address

DATABASE = "shop"
#: What belongs to a database but is not copied with it. It has to be the same after each way back.
PROPERTIES = """
    ALTER DATABASE shop CONNECTION LIMIT 90;
    COMMENT ON DATABASE shop IS 'the one and only shop';
    ALTER DATABASE shop SET work_mem = '9MB';
    ALTER ROLE shop IN DATABASE shop SET statement_timeout = '55s';
    REVOKE ALL ON DATABASE shop FROM PUBLIC;
    GRANT CONNECT ON DATABASE shop TO reporting;
"""
READ_PROPERTIES = """
    SELECT r.rolname, (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(d.datacl) a), d.datconnlimit,
      shobj_description(d.oid, 'pg_database'),
      (SELECT json_object_agg(coalesce(s.setrole::regrole::text, '-'), s.setconfig ORDER BY s.setrole) FROM pg_db_role_setting s
       WHERE s.setdatabase = d.oid)::text
    FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = %s
"""
READ_TABLES = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
READ_ROWS = "SELECT count(*), md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '')) FROM {} t"
READ_SCHEMA = """
    SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
      SELECT concat_ws(' ', table_name, column_name, data_type, character_maximum_length, is_nullable, column_default)
      FROM information_schema.columns WHERE table_schema = 'public'
      UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
      UNION ALL SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace
    ) AS described (line)
"""
READ_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"


@contextlib.contextmanager
def connected(database: str = "postgres", user: str = "postgres") -> Iterator[Any]:
    import psycopg2

    secrets = json.loads((RUN / "secrets.json").read_text())
    connection = psycopg2.connect(
        host=address("db1"), dbname=database, user=user, password=secrets[user], connect_timeout=10, application_name="lab"
    )
    connection.autocommit = True
    with contextlib.closing(connection):
        yield connection


def fetch(sql: str, parameters: tuple[Any, ...] = (), database: str = "postgres") -> list[tuple[Any, ...]]:
    with connected(database) as connection, connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return list(cursor.fetchall()) if cursor.description else []


def databases() -> list[str]:
    return [name for (name,) in fetch("SELECT datname FROM pg_database WHERE datname LIKE 'shop%' ORDER BY 1")]


def reset(reference: str) -> None:
    """The database as that release's reference has it; nothing else of the shop's is left on the server."""
    for name in databases():
        fetch(f'DROP DATABASE "{name}" WITH (FORCE)')
    fetch(f"CREATE DATABASE {DATABASE} TEMPLATE {reference_name(reference)} OWNER shop")
    with connected() as connection, connection.cursor() as cursor:
        for statement in filter(str.strip, PROPERTIES.split(";")):
            cursor.execute(statement)
    (RUN / "properties.json").write_text(json.dumps(properties()))


def reference_name(release: str) -> str:
    """The database that the plain command line of Alembic brought to where that release wants it."""
    return "reference_" + release.replace(".", "_")


def content(database: str = DATABASE) -> dict[str, Any]:
    """Every row of every table as a checksum, and the schema as one."""
    with connected(database) as connection, connection.cursor() as cursor:

        def ask(sql: str) -> list[tuple[Any, ...]]:
            cursor.execute(sql)
            return list(cursor.fetchall())

        tables = {name: ask(READ_ROWS.format(name))[0] for (name,) in ask(READ_TABLES)}
        return {
            "tables": {name: {"rows": rows, "checksum": checksum} for name, (rows, checksum) in tables.items()},
            "schema": ask(READ_SCHEMA)[0][0],
            "invalid_indexes": [name for (name,) in ask(READ_INVALID)],
            "revision": [name for (name,) in ask("SELECT version_num FROM alembic_version ORDER BY 1")],
        }


def properties(database: str = DATABASE) -> dict[str, Any]:
    names = ("owner", "privileges", "connection_limit", "comment", "settings")
    found = fetch(READ_PROPERTIES, (database,))
    return dict(zip(names, found[0])) if found else {}
