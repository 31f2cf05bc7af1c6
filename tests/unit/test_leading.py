# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which statements of env.py come before it, and which revisions depend on libraries alone."""

from __future__ import annotations

import ast

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._worker import leading

GENERATED = '''"""What alembic init writes."""
from logging.config import fileConfig
from alembic import context
config = context.config
if config.config_file_name is not None:
    fileConfig(config.config_file_name)
from app.models import Base
target_metadata = Base.metadata
def run_migrations_offline() -> None:
    url = config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
import never
'''
A, B = "import a\n", "import b\n"
ENVS: list[tuple[str, str, str]] = [
    ("all that is generated", GENERATED, "logging.config alembic app.models"),
    ("after a path is added", f"import os, sys\nsys.path.insert(0, os.path.dirname(__file__))\n{A}", "os sys path a"),
    ("a named place", f"import os, sys\nHERE = os.path.dirname(__file__)\nsys.path.append(HERE)\n{A}", "os sys place path a"),
    ("readers", f"import os\nx = os.getenv('X')\ny = context.get_x_argument(as_dictionary=True).get('t')\n{A}", "os a"),
    ("the ini is changed", f"config = context.config\nconfig.set_main_option('sqlalchemy.url', url)\n{A}", "a"),
    ("a variable is set", f"import os\nos.environ['X'] = '1'\n{A}", "os"),
    ("or defaulted", f"import os\nos.environ.setdefault('X', '1')\n{A}", "os"),
    ("settings are made", f"{A}settings = a.Settings()\n{B}", "a"),
    ("a framework is set up", f"{A}a.setup()\n{B}", "a"),
    ("an attribute is set", f"{A}a.metadata.schema = 'x'\n{B}", "a"),
    ("a loop", f"{A}for x in y: pass\n{B}", "a"),
    ("a try", f"try:\n    {A}except ImportError:\n    a = None\n{B}", ""),
    ("an import behind a condition", f"if x:\n    {A}{B}", ""),
    ("a harmless condition", f"if x:\n    y = 1\n{B}", "b"),
    ("a decorated function", f"@register\ndef f(): pass\n{B}", ""),
    ("a default that is called", f"def f(x=make()): pass\n{B}", ""),
    ("a class", f"class X(a.Base): pass\n{B}", ""),
    ("a walrus", f"if (x := y): pass\n{B}", ""),
    ("a dotenv", f"from dotenv import load_dotenv\nload_dotenv()\n{B}", "dotenv"),
]


@pytest.mark.parametrize(("source", "expected"), [case[1:] for case in ENVS], ids=[case[0] for case in ENVS])
def test_what_comes_before_env_py(source: str, expected: str) -> None:
    found = []
    for statement in leading.leading(source):
        if isinstance(statement, ast.Import):
            found += [alias.name for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            found.append(statement.module or "")
        else:
            found.append("place" if isinstance(statement, ast.Assign) else "path")
    assert " ".join(found) == expected


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("from alembic import op\nrevision = 'a'\ndown_revision: str | None = None\ndef upgrade(): op.execute(x())\n", True),
        ("import sqlalchemy as sa\nt = sa.table('t', sa.column('c'))\n", True),
        ("import os\nrevision = 'a'\n", False),
        ("from app.models import Base\nrevision = 'a'\n", False),
        ("from . import x\n", False),
        ("from alembic import op\nbind = op.get_bind()\n", False),
        ("from alembic import context\nx = context.get_x_argument()\n", False),
        ("import sqlalchemy\nsqlalchemy.f()\n", False),
        ("@x\ndef upgrade(): pass\n", False),
        ("if True:\n    x = 1\n", False),
        ("x.y = 1\n", False),
        ("not python", False),
    ],
)
def test_which_revisions_depend_on_libraries_alone(source: str, plain: bool) -> None:
    assert leading.is_plain(source) is plain
