# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The window on each kind of database: what a rehearsal proves there, and the way back that there is without one.

With the oldest ansible-core, where what is null in a fact becomes an empty text, and where a variable is filled in as a whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from environments import CORES, core_programs
from flows.stage import Stage
from support.postgres import Postgres
from support.sqlite import SqliteDatabase

pytestmark = pytest.mark.timeout(1800)

HEAD = "c64b2e98d075"
INDEX = f"""
from alembic import op

revision = "d41c77ab02e9"
down_revision = "{HEAD}"


def upgrade() -> None:
    op.create_index("orders_by_status", "orders", ["status"])


def downgrade() -> None:
    op.drop_index("orders_by_status", "orders")
"""
#: Customers order from the new release as soon as it runs, and it finds out that it is not well.
ORDERS_AND_FAILS = """
from sqlalchemy import text

from ._release import RELEASE


def report(session):
    session.execute(text("INSERT INTO orders (customer_id, amount_cents) VALUES (1, 5)"))
    session.commit()
    return {"status": "failing", "release": RELEASE, "reason": "The carrier does not answer."}, 500
"""


@pytest.fixture(
    scope="module",
    params=[pytest.param("postgresql", marks=pytest.mark.slow), pytest.param("mariadb", marks=pytest.mark.slow), "sqlite"],
)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stage]:
    """A stage where release 1.1 serves 500 orders."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    folder = tmp_path_factory.mktemp("stage") / "s"
    variables = {"backup_programs_directory": ""}
    if request.param == "postgresql":
        made, name = postgres.database(attributes="CREATEDB"), "shop_" + "x" * 58  # the longest that PostgreSQL keeps
        postgres.fetch(f"alter database {made.name} rename to {name}")
        database: Any = replace(made, name=name)
        variables = {}
    elif request.param == "mariadb":
        server = request.getfixturevalue("mariadb")
        database = server.database()
        server.fetch(rf"grant all on `dbops\_rehearsal\_%`.* to {database.role}@'%'")
    else:
        database = SqliteDatabase(folder / "shop.sqlite")
    stage = Stage(folder, postgres, variables=variables, database=database, programs=core_programs(min(CORES)))
    stage.archive("1.1", "1.2", "broken_migration")
    stage.altered("indexed", "1.1", {"shop/health.py": ORDERS_AND_FAILS, "shop/migrations/versions/d41c77ab02e9.py": INDEX})
    try:
        first = stage.play("maintenance_window", release_version="1.1")
        assert first.status == 0, first.output
        stage.seed(500)
        yield stage
    finally:
        stage.close()


def last(stage: Stage) -> dict[str, Any]:
    return stage.records()[-1]


def serves(stage: Stage, release: str) -> bool:
    return stage.serving() == {(release, 200, release)}


@pytest.mark.slow
def test_a_migration_that_fails_is_undone(stage: Stage) -> None:
    before = stage.contents()
    run = stage.play("maintenance_window", release_version="broken_migration")
    assert run.status == 2, run.output
    assert (last(stage)["status"], last(stage)["failure"]["step"]) == ("reverted", "upgrading"), run.output
    assert serves(stage, "1.1") and stage.contents() == before and before[0] == HEAD


def orders(stage: Stage) -> int:
    return int(stage.database.fetch("select count(*) from orders")[0][0])


def test_where_a_downgrade_was_proved_it_is_the_way_back_and_loses_no_order(stage: Stage) -> None:
    before = orders(stage)
    run = stage.play("maintenance_window", release_version="indexed", health_retries=8)
    assert run.status == 2, run.output
    record = last(stage)
    assert (record["status"], record["downgrade_trusted"], record["decision"]["database"]) == ("reverted", True, "downgrade")
    assert serves(stage, "1.1") and stage.contents()[0] == HEAD and orders(stage) > before


@pytest.mark.slow
def test_where_nothing_was_proved_orders_keep_it_from_going_back(stage: Stage) -> None:
    run = stage.play("maintenance_window", release_version="indexed", health_retries=8, deployment_rehearsal_enabled=False)
    assert run.status == 2, run.output
    before = orders(stage)
    assert (last(stage)["status"], last(stage)["downgrade_trusted"]) == ("halted", False), run.output
    allowed = stage.play("recover", release_version="indexed", deployment_downgrade_trusted=True)
    assert allowed.status == 0 and last(stage)["status"] == "reverted", allowed.output
    assert serves(stage, "1.1") and stage.contents()[0] == HEAD and orders(stage) >= before


@pytest.mark.slow
def test_a_good_release_and_its_rollback(stage: Stage) -> None:
    before = stage.contents()
    run = stage.play("maintenance_window", release_version="1.2")
    assert run.status == 0, run.output
    assert serves(stage, "1.2") and Path(last(stage)["archive"]["path"]).exists()
    assert last(stage)["way_back"] == ("archive" if stage.database.dialect == "mysql" else "snapshot")
    second = stage.play("maintenance_window", release_version="1.2")
    assert (second.status, second.changed, second.result["outcome"]) == (0, 0, "nothing_to_do"), second.output
    back = stage.play("rollback", deployment_rows_given_up=-1)
    assert back.status == 0, back.output
    assert serves(stage, "1.1") and stage.contents() == before
