# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations of PostgreSQL, MariaDB and SQLite, each with what it does to running code, measured on a real server (measure.py).

A set is a module with a base schema, rows, statements of old code, and cases: name → the body of upgrade(). Labels are in
``<set>.json``: "blocks" (an old statement waited), "old_code" ("ok", "break" or "fails"), the longest wait of each old statement
and those that failed afterwards. They were measured on a busy machine and are to be measured again on a quiet one; a case whose
measurement was not believed has no label, and is not scored. What takes longer the more rows there are is measured with so many
that it takes more than the least wait, up to some millions: with few, a scan under a lock is over before anybody has waited.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
_INI = "[alembic]\nscript_location = %(here)s\n"
_ENV = """\
import os

from alembic import context
from sqlalchemy import create_engine, pool

if context.is_offline_mode():
    context.configure(url=os.environ["DB_URL"], literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(os.environ["DB_URL"], poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
"""
_REVISION = '''\
"""{name}"""
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {down!r}
branch_labels = None
depends_on = None


def upgrade():
{body}


def downgrade():
    pass
'''


@dataclass(frozen=True)
class Old:
    """A statement of old code.

    :param sql: ``{n}`` is a number that is another one each time.
    :param after: a query that has to give ``expected`` afterwards, for what a statement means and does not say;
        ``{n}`` is the number of the statement.
    """

    sql: str
    after: str = ""
    expected: Any = None


@dataclass(frozen=True)
class Labelled:
    """:param base: statements that make the schema. ``rows``: statements that fill it, with ``{rows}`` for their number.
    :param old: name → statement of old code; all of them work on the base.
    """

    name: str
    base: tuple[str, ...]
    rows: tuple[str, ...]
    old: dict[str, Old]
    cases: dict[str, str]

    @property
    def labels(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(self.path.read_text())
        return found

    @property
    def path(self) -> Path:
        return HERE / f"{self.name}.json"

    def project(self, folder: Path) -> Path:
        """Write down an Alembic project with the base and each case as a child of it."""
        (folder / "versions").mkdir(parents=True)
        (folder / "alembic.ini").write_text(_INI)
        (folder / "env.py").write_text(_ENV)
        base = "\n".join(f"op.execute({statement!r})" for statement in self.base)
        for name, body, down in [("b000", base, None), *((name, body, "b000") for name, body in self.cases.items())]:
            text = _REVISION.format(name=name, down=down, body=textwrap.indent(textwrap.dedent(body).strip(), "    "))
            (folder / "versions" / f"{name}.py").write_text(text)
        return folder
