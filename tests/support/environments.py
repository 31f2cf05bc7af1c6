# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects whose env.py sets something up before it migrates, and revisions that write down what they find of it.

A kind says what its env.py does at which place. The revisions of PostgreSQL note for each step who runs it, where its tables go,
and whether a setting, a lock or a policy is in force: two databases with equal dumps were migrated under equal circumstances.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from .projects import Project, build

SYNC = """
import os
from alembic import context
from sqlalchemy import create_engine, event, pool, text
from sqlalchemy.engine import Engine


def offline(url):
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()


def online(url):
    engine = create_engine(url, poolclass=pool.NullPool{engine})
{events}
    with engine.{opens}() as connection:
{before}
        context.configure(connection=connection{configure})
{after}
        with {transaction}:
{inside}
            context.run_migrations()
{last}
{ends}


for url in context.config.get_main_option("sqlalchemy.url").split(","):
    offline(url) if context.is_offline_mode() else online(url)
"""
ASYNC = """
import asyncio
from alembic import context
from sqlalchemy import pool, text
from sqlalchemy.ext.asyncio import create_async_engine


def migrate(connection):
    context.configure(connection=connection{configure})
    with context.begin_transaction():
{inside}
        context.run_migrations()


async def online():
    engine = create_async_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


asyncio.run(online())
"""
REVISION = '''"""step {number}"""
import os
import sqlalchemy as sa
from alembic import op

revision = "e{number}"
down_revision = {down!r}


def note(step):
    {note}


def upgrade():
{up}
    note("up")


def downgrade():
    note("down")
{back}
'''
FAILS = """if os.environ.get("FAIL") == "{way}":
    op.execute("INSERT INTO no_such_table VALUES (1)")
"""
#: What a revision finds: its step, role, schema, setting and lock. Time limits are ours and differ.
NOTE = """op.execute(
        f"INSERT INTO seen SELECT '{step} {number}', current_user, current_schema(), current_setting('app.tenant', true), "
        "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND pid = pg_backend_pid())"
    )"""
POSTGRES = {
    1: (
        """
        op.execute("CREATE TABLE seen (step text, role text, schema text, tenant text, locks int)")
        op.execute("CREATE TABLE orders (id int, total int)")
        op.execute("INSERT INTO orders SELECT g FROM generate_series(1, 5) g")
        op.execute("ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE orders FORCE ROW LEVEL SECURITY")
        op.execute("CREATE POLICY p ON orders USING (current_setting('app.bypass_rls', true) = 'on') WITH CHECK (true)")
        """,
        """
        op.execute("DROP TABLE orders")
        op.execute("DROP TABLE seen")
        """,
    ),
    2: (
        """
        op.execute("UPDATE orders SET total = 0")
        op.create_table("second", sa.Column("id", sa.Integer))
        """,
        """
        op.execute("UPDATE orders SET total = 1")
        op.drop_table("second")
        """,
    ),
    3: ('op.execute("CREATE TABLE third (id int)")', 'op.execute("DROP TABLE third")'),
}
PLAIN = {
    1: ('op.create_table("seen", sa.Column("step", sa.String(20)))', 'op.drop_table("seen")'),
    2: ('op.create_table("second", sa.Column("id", sa.Integer))', 'op.drop_table("second")'),
    3: ('op.create_table("third", sa.Column("id", sa.Integer))', 'op.drop_table("third")'),
}
PLAIN_NOTE = """op.execute("INSERT INTO seen VALUES ('" + step + " {number}')")"""


@dataclass(frozen=True)
class Environment:
    """A kind of env.py.

    ``prepared`` is SQL for the superuser, ``failing`` what a failure in the second of three revisions leaves: what the program
    leaves (``program``), what the program leaves that was told to stop before it (``boundary``), or what the program leaves without
    the claim of transactional DDL that the database does not have (``unclaimed``). ``reads``: it only reads when
    nothing is run.
    """

    name: str
    transaction_per: str = "run"
    failing: str = "program"
    dialect: str = "postgresql"
    driver: str | None = "psycopg2"
    engine: str = ""
    events: str = ""
    opens: str = "connect"
    before: str = ""
    configure: str = ""
    after: str = ""
    transaction: str = "context.begin_transaction()"
    inside: str = ""
    last: str = ""
    ends: str = ""
    prepared: tuple[str, ...] = ()
    second: tuple[str, str] = ("", "")
    asynchronous: bool = False
    databases: int = 1
    least: str = "alembic18"
    reads: bool = True

    def __str__(self) -> str:
        return self.name

    def env(self) -> str:
        if self.asynchronous:
            return ASYNC.format(configure=self.configure, inside=_indented(self.inside, 8))
        return SYNC.format(
            engine=self.engine,
            events=_indented(self.events, 4),
            opens=self.opens,
            before=_indented(self.before, 8),
            configure=self.configure,
            after=_indented(self.after, 8),
            transaction=self.transaction,
            inside=_indented(self.inside, 12),
            last=_indented(self.last, 12),
            ends=_indented(self.ends, 8),
        )

    def project(self, folder: Path, url: str) -> Project:
        project = build("linear", folder, url)
        (folder / "migrations" / "env.py").write_text(self.env())
        for old in project.versions().glob("*.py"):
            old.unlink()
        revisions, note = (POSTGRES, NOTE) if self.dialect == "postgresql" else (PLAIN, PLAIN_NOTE)
        for number, (up, back) in revisions.items():
            if number == 2:
                up, back = f"{_dedented(up)}\n{_dedented(self.second[0])}", f"{_dedented(self.second[1])}\n{_dedented(back)}"
                up, back = f"{up}\n{FAILS.format(way='up')}", f"{back}\n{FAILS.format(way='down')}"
            text = REVISION.format(
                number=number,
                down=f"e{number - 1}" if number > 1 else None,
                note=note.replace("{number}", str(number)),
                up=_indented(up, 4),
                back=_indented(back, 4),
            )
            (project.versions() / f"e{number}_step.py").write_text(text)
        return project


def _dedented(text: str) -> str:
    return textwrap.dedent(text).strip()


def _indented(text: str, width: int) -> str:
    return textwrap.indent(_dedented(text) or "pass", " " * width)


def sql(*statements: str) -> str:
    return "\n".join(f"connection.execute(text({statement!r}))" for statement in statements)


ACME = ("create schema acme authorization {role}",)
OWNER = ("create role own_{role}", "grant own_{role} to {role}", "grant all on schema public to own_{role}")
BOOK = ("create schema book authorization {role}",)
CONNECTS = """
@event.listens_for(engine, "connect")
def settings(dbapi, record):
    cursor = dbapi.cursor()
    cursor.execute("SET search_path TO acme")
    cursor.execute("SET app.tenant = 'north'")
    cursor.execute("SET app.bypass_rls = 'on'")
    cursor.close()
    dbapi.commit()
"""
POOL_EVENTS = (
    """, pool_events=[(lambda dbapi, record: (dbapi.cursor().execute("SET app.tenant = 'south'"), dbapi.commit()), "connect")]"""
)
BEGINS = """
@event.listens_for(engine, "begin")
def settings(connection):
    connection.exec_driver_sql("SET LOCAL app.tenant = 'east'")
"""
RAW = """
cursor = connection.connection.cursor()
cursor.execute("SET LOCAL app.bypass_rls = 'on'")
cursor.close()
"""
ROLE = 'connection.execute(text("SET LOCAL ROLE own_" + connection.engine.url.username))'
SESSION_ROLE = ROLE.replace("SET LOCAL", "SET")
AFTERWARDS = """
if context.get_context().get_current_heads() == ("e3",):
    connection.execute(text("COMMENT ON TABLE alembic_version IS 'migrated'"))
"""
TENANT = "SET LOCAL app.tenant = 'acme'"
BYPASS = "SET LOCAL app.bypass_rls = 'on'"
TRANSLATED = (
    'op.create_table("translated", sa.Column("id", sa.Integer), schema="tenant")',
    'op.drop_table("translated", schema="tenant")',
)

ENVIRONMENTS = [
    Environment("plain", "revision", "boundary"),
    Environment("set_local", inside=sql(TENANT, BYPASS)),
    Environment("set_local_psycopg", driver="psycopg", least="alembic113", inside=sql(TENANT, BYPASS)),
    Environment("set_config", inside=sql("SELECT set_config('app.bypass_rls', 'on', true)")),
    Environment("set_local_by_a_raw_cursor", inside=RAW),
    Environment("set_local_role", inside=ROLE, prepared=OWNER),
    Environment("advisory_lock", inside=sql("SELECT pg_advisory_xact_lock(77)")),
    Environment("set_local_search_path", inside=sql("SET LOCAL search_path = acme, public"), prepared=ACME),
    Environment("search_path_and_schema", inside=sql("CREATE SCHEMA IF NOT EXISTS acme", "SET search_path TO acme"), prepared=ACME),
    Environment("search_path_after_configure", after=sql("SET search_path TO acme"), prepared=ACME),
    Environment("connect_event", "revision", "boundary", events=CONNECTS, prepared=ACME),
    Environment("on_connect", "revision", "boundary", engine=POOL_EVENTS),
    Environment(
        "options",
        "revision",
        "boundary",
        engine=""", connect_args={"options": "-c search_path=acme -c app.tenant=west"}""",
        prepared=ACME,
    ),
    Environment("begin_event", events=BEGINS),
    Environment(
        "schema_translate_map",
        "revision",
        "boundary",
        before='connection = connection.execution_options(schema_translate_map={"tenant": "acme"})',
        prepared=ACME,
        second=TRANSLATED,
    ),
    Environment(
        "version_table_schema",
        "revision",
        "boundary",
        configure=', version_table="deployed", version_table_schema="book"',
        prepared=BOOK,
    ),
    Environment(
        "noinherit",
        inside=SESSION_ROLE,
        prepared=(*OWNER, "alter role {role} noinherit", "revoke all on schema public from public"),
    ),
    Environment("async", "revision", "boundary", driver="asyncpg", asynchronous=True, least="alembic113"),
    Environment("async_set_local", driver="asyncpg", asynchronous=True, inside=sql(TENANT, BYPASS), least="alembic113"),
    Environment("per_migration", "revision", configure=", transaction_per_migration=True"),
    Environment("not_per_migration", "revision", "boundary", configure=", transaction_per_migration=False"),
    Environment("per_migration_set_local", "revision", configure=", transaction_per_migration=True", inside=sql(TENANT)),
    Environment("no_transactional_ddl", "revision", configure=", transactional_ddl=False"),
    Environment("no_transactional_ddl_set_local", "revision", configure=", transactional_ddl=False", inside=sql(TENANT)),
    Environment("begins_by_itself", opens="begin", before=sql(TENANT)),
    Environment("commits_by_itself", transaction="connection.begin()", inside=sql(TENANT)),
    Environment(
        "commits_later",
        events="from contextlib import nullcontext",
        transaction="nullcontext()",
        ends="connection.commit()",
        least="alembic113",
    ),
    Environment("goes_on_afterwards", "revision", "boundary", last=AFTERWARDS, reads=False),
    Environment("autocommit", "revision", engine=', isolation_level="AUTOCOMMIT"'),
    Environment("two_databases", "revision", "boundary", databases=2),
    Environment("two_databases_set_local", databases=2, inside=sql(TENANT, BYPASS)),
    Environment("sqlite", "revision", dialect="sqlite", driver=None),
    Environment("sqlite_claims", "revision", "unclaimed", dialect="sqlite", driver=None, configure=", transactional_ddl=True"),
    Environment("mariadb", "revision", dialect="mysql", driver="pymysql"),
    Environment("mariadb_claims", "revision", "unclaimed", dialect="mysql", driver="pymysql", configure=", transactional_ddl=True"),
]
