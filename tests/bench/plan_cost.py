# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rehearsal of pending revisions costs, beside running them and taking them back with the plain command line."""

from __future__ import annotations

import os
import resource
import statistics
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple

from bench.table import show
from support import runner, venvs
from support.postgres import Postgres
from support.projects import Project

#: Number of pending revisions → how many times as long as upgrade and back the rehearsal may take.
PENDING = (1, 40, 100)
TABLES = 500
APPLIED = (10, 1000)
ROUNDS = 3
_ENV = """\
import os

from alembic import context
from sqlalchemy import create_engine, pool

with create_engine(os.environ["DB_URL"], poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
_REVISION = """\
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {down!r}


def upgrade():
    {up}


def downgrade():
    {back}
"""


def measure(server: Postgres, folder: Path, tables: int = TABLES, rounds: int = ROUNDS) -> None:
    rows: list[list[object]] = [["pending", "applied", "upgrade and back", "rehearsal", "times", "CPU", "CPU", "times"]]
    for number, (pending, applied) in enumerate([*((count, 1) for count in PENDING), *((1, count) for count in APPLIED)]):
        done, planned = _once(server, folder / str(number), pending, applied, tables, rounds)
        rows.append([pending, applied])
        for what in ("wall", "processor"):
            first, second = (statistics.median(getattr(each, what) for each in found) for found in (done, planned))
            times = statistics.median(getattr(b, what) / getattr(a, what) for a, b in zip(done, planned))
            rows[-1] += [f"{first:.1f} s", f"{second:.1f} s", f"{times:.1f}"]
    show(f"A rehearsal on a schema of {tables} tables, beside alembic upgrade and back, median of {rounds}", rows)


class Cost(NamedTuple):
    """Seconds by the clock, and of the processors: of what was started here and of the server's sessions, which have ended."""

    wall: float
    processor: float


def _once(server: Postgres, folder: Path, pending: int, applied: int, tables: int, rounds: int) -> tuple[list[Cost], list[Cost]]:
    """Return what upgrade and downgrade cost, and what the plan of the same revisions does; they take turns."""
    database = server.database(attributes="createdb")
    environment = {"DB_URL": database.url()}
    project = _project(folder, pending, applied, tables)
    head = f"r{applied - 1:04}"
    runner.cli(project, "upgrade", head, environment=environment).check_returncode()

    def there_and_back() -> None:
        runner.cli(project, "upgrade", "head", environment=environment).check_returncode()
        runner.cli(project, "downgrade", head, environment=environment).check_returncode()

    def plan() -> None:
        parameters = {"chdir": str(folder), "python": str(venvs.application("alembic120")), "environment": environment}
        found: dict[str, Any] = runner.Run("alembic_plan", {**parameters, "url": database.url()}).result(3600)
        assert len(found["revisions"]) == pending and found["mode"] == "rehearsal", found

    pairs = [(_cost(server, there_and_back), _cost(server, plan)) for _round in range(rounds)]
    database.drop()
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _cost(server: Postgres, work: Callable[[], None]) -> Cost:
    started, worked = time.monotonic(), _worked(server)
    work()
    seconds = time.monotonic() - started
    time.sleep(1)  # the last session's process has to be gone to be counted
    return Cost(seconds, _worked(server) - worked)


def _worked(server: Postgres) -> float:
    """Seconds of the processors that our children and the server with its own have used; proc(5), fields 14 to 17 of stat."""
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    fields = Path(f"/proc/{server.daemon.process.pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    return own.ru_utime + own.ru_stime + sum(int(field) for field in fields) / os.sysconf("SC_CLK_TCK")


def _project(folder: Path, pending: int, applied: int, tables: int) -> Project:
    """A project whose first revision makes the tables, followed by columns, indexes and tables in turn."""
    (folder / "versions").mkdir(parents=True)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    (folder / "env.py").write_text(_ENV)
    columns = "id serial PRIMARY KEY, a text, b int, c text, d int, e text, f timestamptz DEFAULT now()"
    made = "; ".join(f"CREATE TABLE t{n} ({columns}); CREATE INDEX ON t{n} (a); CREATE INDEX ON t{n} (b)" for n in range(tables))
    down = None
    for number in range(applied + pending):
        kinds = (
            (
                f"op.add_column('t{number % tables}', sa.Column('x{number}', sa.Text))",
                f"op.drop_column('t{number % tables}', 'x{number}')",
            ),
            (f"op.create_index('ix{number}', 't{number % tables}', ['c'])", f"op.drop_index('ix{number}')"),
            (f"op.create_table('n{number}', sa.Column('id', sa.Integer, primary_key=True))", f"op.drop_table('n{number}')"),
        )
        up, back = (
            (f"op.execute({made!r})", "pass") if number == 0 else kinds[number % 3] if number >= applied else ("pass", "pass")
        )
        name = f"r{number:04}"
        (folder / "versions" / f"{name}.py").write_text(_REVISION.format(name=name, down=down, up=up, back=back))
        down = name
    return Project("many_tables", folder)
