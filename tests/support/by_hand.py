# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How applications write to a database with each driver, by hand. DSN and PARTS say where it is; WRITE is the statement."""

from __future__ import annotations

import re
from typing import Any

WRITE = "create table written (id int)"
_SCRIPTS = """
## psycopg2
import psycopg2
c = psycopg2.connect(DSN)
c.cursor().execute(WRITE)
c.commit()
## psycopg2 autocommit
import psycopg2
c = psycopg2.connect(DSN)
c.autocommit = True
c.cursor().execute(WRITE)
## psycopg2 options
from psycopg2 import connect
c = connect(DSN, options='-c work_mem=5MB')
c.cursor().execute(WRITE)
c.commit()
## psycopg2 reset
import psycopg2
c = psycopg2.connect(DSN)
c.autocommit = True
c.cursor().execute('reset all')
c.cursor().execute(WRITE)
## psycopg
import psycopg
with psycopg.connect(DSN) as c:
    c.execute(WRITE)
## psycopg autocommit
from psycopg import connect
connect(DSN, autocommit=True).execute(WRITE)
## psycopg pool
from psycopg_pool import ConnectionPool
with ConnectionPool(DSN, min_size=1, open=True) as p, p.connection() as c:
    c.execute(WRITE)
## psycopg async
import asyncio, psycopg
async def main():
    async with await psycopg.AsyncConnection.connect(DSN) as c:
        await c.execute(WRITE)
asyncio.run(main())
## asyncpg
import asyncio, asyncpg
async def main():
    await (await asyncpg.connect(DSN)).execute(WRITE)
asyncio.run(main())
## asyncpg fetch
import asyncio, asyncpg
async def main():
    c = await asyncpg.connect(DSN, statement_cache_size=0)
    assert await c.fetchval('select $1::int', 7) == 7 and await c.fetch('select 1 from pg_class limit 2')
    await c.fetch('insert into kept values ($1) returning id', 2)
asyncio.run(main())
## asyncpg pooled transaction
import asyncio, asyncpg
async def main():
    c = await asyncpg.connect(DSN, statement_cache_size=0)
    async with c.transaction(isolation='serializable'):
        async with c.transaction():
            assert await c.fetchval('select 1') == 1
        await c.execute(WRITE)
asyncio.run(main())
## asyncpg pool
import asyncio, asyncpg
async def main():
    async with asyncpg.create_pool(DSN) as p:
        await p.execute('select 1')
        await p.execute(WRITE)
asyncio.run(main())
## pg8000
import pg8000.dbapi
c = pg8000.dbapi.connect(**PARTS)
c.cursor().execute(WRITE)
c.commit()
## pg8000 autocommit
import pg8000.dbapi
c = pg8000.dbapi.connect(**PARTS)
c.autocommit = True
cursor = c.cursor()
cursor.execute('select %s', (7,))
assert cursor.fetchall()
cursor.execute('insert into kept values (%s)', (2,))
## pg8000 native
import pg8000.native
pg8000.native.Connection(**PARTS).run(WRITE)
## psql
import subprocess
subprocess.run(['psql', '-X', '-v', 'ON_ERROR_STOP=1', DSN, '-c', WRITE], check=True)
## pymysql
import pymysql
c = pymysql.connect(**PARTS)
c.cursor().execute(WRITE)
## pymysql rows
import pymysql
c = pymysql.connect(autocommit=True, **PARTS)
c.cursor().execute('insert into kept values (2)')
## aiomysql
import asyncio, aiomysql
async def main():
    c = await aiomysql.connect(db=PARTS.pop('database'), **PARTS)
    await (await c.cursor()).execute(WRITE)
asyncio.run(main())
## asyncmy
import asyncio, asyncmy
async def main():
    c = await asyncmy.connect(db=PARTS.pop('database'), **PARTS)
    async with c.cursor() as cursor:
        await cursor.execute(WRITE)
asyncio.run(main())
## mysql.connector
import mysql.connector
c = mysql.connector.connect(**PARTS)
c.cursor().execute(WRITE)
## mysql.connector pure
import mysql.connector
c = mysql.connector.connect(use_pure=True, **PARTS)
c.cursor().execute(WRITE)
## mysql.connector pool
import mysql.connector.pooling
p = mysql.connector.pooling.MySQLConnectionPool(pool_size=1, **PARTS)
p.get_connection().close()
c = p.get_connection()
c.cursor().execute(WRITE)
## mysql.connector pure pool
import mysql.connector.pooling
p = mysql.connector.pooling.MySQLConnectionPool(pool_size=1, use_pure=True, **PARTS)
p.get_connection().close()
c = p.get_connection()
c.cursor().execute(WRITE)
## mysql.connector async
import asyncio, mysql.connector.aio
async def main():
    c = await mysql.connector.aio.connect(ssl_disabled=True, **PARTS)
    await c.reset_session()
    await (await c.cursor()).execute(WRITE)
asyncio.run(main())
## sqlite3
import sqlite3
c = sqlite3.connect(DSN)
c.execute(WRITE)
c.commit()
## sqlite3 uri
import sqlite3
c = sqlite3.connect('file:' + DSN + '?mode=rwc', uri=True)
c.execute(WRITE)
## sqlite3 attached
import sqlite3
c = sqlite3.connect(':memory:')
c.execute('attach ? as other', [DSN])
c.execute('create table other.written (id)')
## sqlite3 class
import sqlite3
c = sqlite3.Connection(DSN)
c.execute(WRITE)
c.commit()
## sqlite3 own class
import sqlite3
class Own(sqlite3.Connection):
    pass
c = sqlite3.connect(DSN, factory=Own)
c.execute(WRITE)
c.commit()
## sqlite3 copied into
import sqlite3
sqlite3.connect(':memory:').backup(sqlite3.connect(DSN))
## sqlite3 class copied into
import sqlite3
sqlite3.Connection(':memory:').backup(sqlite3.Connection(DSN))
## sqlite3 opened
import sqlite3
c = sqlite3.connect(DSN)
c.execute('pragma query_only = off')
c.execute(WRITE)
## aiosqlite
import asyncio, aiosqlite
async def main():
    async with aiosqlite.connect(DSN) as c:
        await c.execute(WRITE)
asyncio.run(main())
"""
#: What is done → its script.
SCRIPTS: dict[str, str] = dict(re.findall(r"## (.*)\n((?:(?!##).*\n)+)", _SCRIPTS))
#: First word of what is done → fixture of the database that it is done to.
FIXTURES = {
    **dict.fromkeys(("psycopg2", "psycopg", "asyncpg", "pg8000", "psql"), "pg"),
    **dict.fromkeys(("pymysql", "aiomysql", "asyncmy", "mysql.connector"), "maria"),
    **dict.fromkeys(("sqlite3", "aiosqlite"), "sqlite"),
}


def prelude(database: Any, how: str, port: int | None = None) -> str:
    """The prelude that does it to this database."""
    parts: dict[str, Any] = {}
    if database.dialect == "sqlite":
        dsn = str(database.path)
    else:
        server = database.server
        parts = {"host": server.host, "port": port or server.port, "user": database.role, "password": database.password}
        parts["database"] = database.name
        dsn = database.url("", port) if database.dialect == "postgresql" else ""
    return f"DSN, PARTS, WRITE = {dsn!r}, {parts!r}, {WRITE!r}\n{SCRIPTS[how]}"
