# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which env.py may run again and again in one process."""

from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker import ordinary

from support.paths import ROOT

CONTEXT = "from alembic import context\n"
RUN = """
with create_engine(context.config.get_main_option("sqlalchemy.url")).connect() as connection:
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
PLAIN = f"{CONTEXT}from sqlalchemy import create_engine\n"
TABLES = f"{PLAIN}from app.models import Base\ntarget_metadata = Base.metadata\n{RUN}"
ASYNC = '''
import asyncio
from logging.config import fileConfig
from sqlalchemy import pool
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import async_engine_from_config
from alembic import context

config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name)
target_metadata = None

def do_run_migrations(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=target_metadata)
    with context.begin_transaction():
        context.run_migrations()

async def run_async_migrations() -> None:
    """In this scenario we need to create an Engine and associate a connection with the context."""
    connectable = async_engine_from_config(
        config.get_section(config.config_ini_section, {}), prefix="sqlalchemy.", poolclass=pool.NullPool
    )
    async with connectable.connect() as connection:
        await connection.run_sync(do_run_migrations)
    await connectable.dispose()

def run_migrations_online() -> None:
    asyncio.run(run_async_migrations())

if context.is_offline_mode():
    context.configure(url=config.get_main_option("sqlalchemy.url"), literal_binds=True, dialect_opts={"paramstyle": "named"})
else:
    run_migrations_online()
'''
ORDINARY = [
    ("tables of the application", TABLES),
    ("in a list", f"{PLAIN}from app import a, b\ntarget_metadata = [a.metadata, b.tables.metadata]\n{RUN}"),
    ("what alembic init -t async writes", ASYNC),
    ("a path before them", f"import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\n{TABLES}"),
    ("a variable", f"import os\n{TABLES}url = os.environ['URL'] or os.getenv('X')\n"),
    ("the section is changed", f"{TABLES}section = context.config.get_section('x')\nsection['sqlalchemy.url'] = 'x'\n"),
    *[(name, (ROOT / f"tests/fixtures/projects/{name}/migrations/env.py").read_text()) for name in ("_base", "x_args", "tenants")],
]
OTHER = [
    ("settings of the application", TABLES.replace("context.config.get_main_option", "Base.get")),
    ("a property of them", f"{TABLES}url = Base.url\n"),
    ("by another name", f"{TABLES}settings = Base\nurl = settings.url\n"),
    ("in a loop", f"{TABLES}for item in [Base]:\n    print(item.url)\n"),
    ("handed to a function", f"{TABLES}def f(x):\n    return x.url\nf(Base)\n"),
    ("the tables are changed", f"{TABLES}target_metadata.schema = 'x'\n"),
    ("or asked for more", f"{TABLES}print(target_metadata.bind)\n"),
    ("imported while it runs", f"{PLAIN}{RUN}def f():\n    import app.settings\nf()\n"),
    ("after what is done before", f"{PLAIN}print(create_engine('x').connect())\nfrom app import models\n"),
    ("everything", f"{TABLES}from sqlalchemy import *\n"),
    ("a hook", f"{TABLES}from sqlalchemy import event\nevent.listen(create_engine, 'x', print)\n"),
    ("by another name", f"{TABLES}from sqlalchemy import event\nhook = event.listen\nhook(1, 'x', print)\n"),
    ("a module by another name", f"{TABLES}import sqlalchemy\nmodule = sqlalchemy.event\nmodule.listen(1, 'x', print)\n"),
    ("a decorator", f"{TABLES}@print\ndef f():\n    pass\n"),
    ("a variable is set", f"import os\n{TABLES}os.environ['X'] = 'x'\n"),
    ("a variable is defaulted", f"import os\n{TABLES}os.environ.setdefault('X', 'x')\n"),
    ("a program", f"import os\n{TABLES}os.system('x')\n"),
    ("an unknown library", f"import subprocess\n{TABLES}subprocess.run(['x'])\n"),
    ("a class", f"{TABLES}class A:\n    kept = []\n"),
    ("a name for good", f"{TABLES}def f():\n    global x\n    x = 1\n"),
    ("an attribute of a library", f"{TABLES}context.kept = 1\n"),
    ("code from a text", f"{TABLES}exec('import app')\n"),
    ("what is found by its name", f"{TABLES}getattr(context, 'x')()\n"),
    ("no Python", "import ("),
    *[
        (name, (ROOT / f"tests/fixtures/projects/{name}/migrations/env.py").read_text())
        for name in ("settings_class", "flask_context", "iam_token", "exits_in_env", "closes_fds", "hangs")
    ],
]


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in ORDINARY])
def test_leaves_nothing_behind(text: str) -> None:
    assert ordinary.is_ordinary(text)


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in OTHER])
def test_may_leave_something_behind(text: str) -> None:
    assert not ordinary.is_ordinary(text)
