# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Eight upgrades of one database at once: one applies, the others report ok, nothing is written twice.

DBOPS_ROUNDS rounds with the newest Alembic on each kind of database, four at most with the older ones and by other ways to the
server, whose lock is the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from support.application import Application, describe, journal, ok, revisions
from support.race import RUNNERS, by_command_line, by_module

ROUNDS = int(os.environ.get("DBOPS_ROUNDS") or (20 if os.environ.get("DBOPS_TEST_ALL") else 1))
WRITTEN = {"race": ["j001", "j002", "j003"], "race_autocommit": ["jj001", "jj002", "jj003"]}
# where to start: on an empty database, or with two revisions pending
STARTS = pytest.mark.parametrize("applied", [pytest.param(0, id="empty", marks=pytest.mark.slow), pytest.param(1, id="pending")])
#: What differs is whether the second revision is in a transaction of its own; one kind stands for both.
KINDS = pytest.mark.parametrize("kind", ["race", pytest.param("race_autocommit", marks=pytest.mark.slow)])


def number(app: Application, same: bool = False) -> int:
    """:param same: whether the lock is one that another test has already."""
    return ROUNDS if app.name == "alembic120" and not same else min(ROUNDS, 4)


def rounds(
    app: Application,
    make: Callable[[], Any],
    kind: str,
    applied: int,
    url: Callable[[Any], str],
    project: str = "linear",
    same: bool = False,
) -> None:
    for _ in range(number(app, same)):
        database = make()
        race(app, database, kind, applied, url(database), project)
        database.drop()


def race(app: Application, database: Any, kind: str, applied: int, url: str, name: str = "linear") -> None:
    written = WRITTEN[kind]
    project = app.project(name, url, versions=kind)
    if applied:
        ok(app.upgrade(project, written[applied - 1]))
    results = by_module(app, project)
    failures = [describe(result) for result in results if result.get("failed")]
    assert not failures, "\n\n".join(failures)
    assert [revisions(result["applied"]) for result in results if result["changed"]] == [written[applied:]]
    assert all(result["after"] == written[-1:] for result in results)
    assert journal(database) == written


@KINDS
@STARTS
def test_postgresql(app: Application, postgres: Any, kind: str, applied: int) -> None:
    rounds(app, postgres.database, kind, applied, lambda database: database.url())


@KINDS
@pytest.mark.slow
def test_postgresql_with_asyncpg(app: Application, postgres: Any, kind: str) -> None:
    rounds(app, postgres.database, kind, 0, lambda database: database.url("asyncpg"), "async_env", same=True)


@pytest.mark.slow
@KINDS
def test_postgresql_with_psycopg(app: Application, postgres: Any, kind: str) -> None:
    app.needs("psycopg")
    rounds(app, postgres.database, kind, 0, lambda database: database.url("psycopg"), same=True)


@KINDS
@pytest.mark.slow
def test_behind_a_transaction_pooler(app: Application, postgres: Any, pgbouncer: Any, kind: str) -> None:
    rounds(app, postgres.database, kind, 0, lambda database: database.url(port=pgbouncer.port), same=True)


@pytest.mark.slow
@STARTS
def test_mariadb(app: Application, mariadb: Any, applied: int) -> None:
    rounds(app, mariadb.database, "race", applied, lambda database: database.url())


@pytest.mark.slow  # test_lock has two
@STARTS
def test_sqlite(app: Application, sqlite: Any, applied: int) -> None:
    rounds(app, lambda: sqlite, "race", applied, lambda database: database.url())


def test_create_index_concurrently(app: Application, postgres: Any) -> None:
    """It waits for every snapshot in the database: those who wait for the lock must not hold one."""
    for _ in range(number(app)):
        database = postgres.database()
        project = app.project("linear", database, versions="autocommit_ok")
        assert sum(ok(result)["changed"] for result in by_module(app, project)) == 1
        assert journal(database) == ["k001", "k002", "k003"]
        assert database.fetch("select count(*) from pg_index where not indisvalid") == [(0,)]
        database.drop()


@KINDS
@pytest.mark.slow
def test_the_plain_command_line_fails_the_same(app: Application, postgres: Any, kind: str) -> None:
    """The control: without a lock some of the eight fail or write twice, so the tests above can fail."""
    database = postgres.database()
    project = app.project("linear", database, versions=kind)
    statuses = by_command_line(app, project)
    written = journal(database)
    assert any(statuses) or len(written) > len(WRITTEN[kind]), f"{RUNNERS} runs got along without a lock"
    database.drop()


def test_downgrades_wait_for_each_other_too(app: Application, pg: Any) -> None:
    project = app.project("linear", pg, versions="race")
    ok(app.upgrade(project))
    started = [app.start("downgrade", project, revision="base") for _ in range(4)]
    results = [ok(run.result()) for run in started]
    assert sum(result["changed"] for result in results) == 1 and all(result["after"] == [] for result in results)
