# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers as pytest fixtures. One server of each kind per test process, a fresh database per test.

A server that can't be had skips the tests that need it and says why; with DBOPS_REQUIRE_SERVICES=1 it fails them instead.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from .mariadb import MariaDatabase, MariaDB
from .pgbouncer import PgBouncer
from .postgres import Postgres, PostgresDatabase
from .processes import Unavailable
from .quick import some
from .sqlite import SqliteDatabase


def serve(start: Callable[[], Any]) -> Iterator[Any]:
    """Start for the session, remove at its end, skip with the reason when the machine lacks it."""
    try:
        server = start()
    except Unavailable as problem:
        if os.environ.get("DBOPS_REQUIRE_SERVICES"):
            raise
        pytest.skip(str(problem))
    yield server
    server.remove()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    yield from serve(lambda: Postgres().create().start())


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    yield from serve(lambda: MariaDB().create().start())


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    yield from serve(lambda: PgBouncer(postgres, "transaction").start())


@pytest.fixture(scope="session")
def pgbouncer_session(postgres: Postgres) -> Iterator[PgBouncer]:
    yield from serve(lambda: PgBouncer(postgres, "session").start())


@pytest.fixture
def pg(postgres: Postgres) -> Iterator[PostgresDatabase]:
    database = postgres.database()
    yield database
    database.drop()


@pytest.fixture
def maria(mariadb: MariaDB) -> Iterator[MariaDatabase]:
    database = mariadb.database()
    yield database
    database.drop()


@pytest.fixture
def sqlite(tmp_path: Path) -> SqliteDatabase:
    return SqliteDatabase(tmp_path / "data.sqlite")


@pytest.fixture(params=some(["pg", "maria", "sqlite"], "pg", "sqlite"))
def database(request: pytest.FixtureRequest) -> Any:
    """One test, three databases, with and without transactions around DDL; MariaDB, which has none either, in make test-all."""
    return request.getfixturevalue(request.param)


#: For what is another thing on each: all three in make test too.
on_each = pytest.mark.parametrize("database", ["pg", "maria", "sqlite"], indirect=True)
