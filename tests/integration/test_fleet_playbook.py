# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook of the guide on many databases, as it stands there, and what an operator sees of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from support.application import Application
from support.fleet import of_guide
from support.plays import Outcome, play
from support.postgres import PostgresDatabase


class Guide:
    """The playbook of the guide, with the folders of a test and the variable that its project reads."""

    def __init__(self, app: Application, database: PostgresDatabase, folder: Path):
        text = of_guide("hosts: migrator")
        project = app.project("tenants", database)
        for old, new in (
            ("/srv/shop/current/.venv", str(app.python.parents[1])),
            ("/srv/shop/current", str(project.folder)),
            ("schema_variable: TENANT", "schema_variable: TENANTS"),
        ):
            assert old in text
            text = text.replace(old, new)
        (self.keywords,) = yaml.safe_load(text)
        assert self.keywords.pop("hosts") == "migrator" and self.keywords.pop("gather_facts") is False
        self.tasks = self.keywords.pop("tasks")
        self.folder, self.database = folder, database

    def run(self, *arguments: str) -> Outcome:
        hosts = {"migrator": {"shop_database_url": self.database.url()}}
        settings: dict[str, Any] = {name: value for name, value in self.keywords.items() if name != "name"}
        done = play(self.folder, self.tasks, *arguments, hosts=hosts, **settings)
        assert self.database.password not in done.printed and self.database.password not in str(done.results)
        return done


@pytest.fixture
def guide(newest: Application, pg: PostgresDatabase, tmp_path: Path) -> Guide:
    pg.fetch("create table customers (slug text, schema_name text, plan text, active boolean)")
    pg.fetch(f"grant select on customers to {pg.role}")
    pg.fetch(f"grant create on database {pg.name} to {pg.role}")
    for name, plan, active in (("acme", "paid", True), ("globex", "trial", True), ("hooli", "paid", True), ("gone", "paid", False)):
        pg.fetch("insert into customers values (%s, %s, %s, %s)", [name, f"of_{name}", plan, active])
        pg.fetch(f"create schema of_{name} authorization {pg.role}")
    return Guide(newest, pg, tmp_path)


def tables(guide: Guide) -> list[bool]:
    return ["users" in guide.database.tables(f"of_{name}") for name in ("acme", "globex", "hooli", "gone")]


def test_the_playbook_of_the_guide(guide: Guide) -> None:
    looked = guide.run("--check", "--diff").ok()
    assert tables(guide) == [False] * 4 and looked.printed.count("CREATE TABLE orders") == 1, looked.printed
    done = guide.run().ok()
    assert tables(guide) == [True, True, True, False] and "[1/3] acme: base, uninitialised, 5 pending" in done.stderr
    assert "[1/3] globex: base → r005" in done.stderr and "] acme: base → r005" in done.stderr  # the canary was the first
    again = guide.run().ok()
    assert not any(item["result"].get("changed") for item in again.results) and "[3/3]" in again.stderr


def test_what_it_says_of_one_that_failed(guide: Guide) -> None:
    guide.database.fetch("create table of_hooli.orders (id integer)")
    failed = guide.run()
    assert failed.status == 2 and "hooli failed (migration_failed): Revision r003 (create orders) failed" in failed.stderr
    assert "hooli (migration_failed): Revision r003" in failed.stdout and tables(guide) == [True, True, True, False]
    guide.database.fetch("drop table of_hooli.orders")
    rest = guide.run().ok()
    assert "hooli: r002 → r005" in rest.stderr and "acme: nothing to do" in rest.stderr
