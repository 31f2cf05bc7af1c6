# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage whose application has a database for each of three customers."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.mortal import Mortal
from flows.stage import Run, Stage
from support.postgres import Postgres

#: Name of a customer → the revision that its database is at.
Places = dict[str, str]
NAMES = ("acme", "globex", "hooli")


class Customers(Stage, Mortal):
    """A stage where each of three customers has a database; the application serves from that of the first."""

    def __post_init__(self) -> None:
        self.watched: dict[str, str] = {}
        self.others = [self.server.database(attributes="CREATEDB") for _name in NAMES[1:]]
        urls = {name: f"{{{{ lookup('ansible.builtin.env', 'SHOP_OF_{name.upper()}') }}}}" for name in NAMES}
        targets = [{"name": name, "url": url, "labels": ["first"] if name == "hooli" else []} for name, url in urls.items()]
        self.variables = {"fleet_databases": targets, "fleet_parallel": 2, "fleet_way_back": ["snapshot"], **self.variables}
        super().__post_init__()
        self.databases = dict(zip(NAMES, [self.database, *self.others]))

    @property
    def environment(self) -> dict[str, str]:
        urls = {f"SHOP_OF_{name.upper()}": database.url() for name, database in self.databases.items()}
        return {**super().environment, **urls, **self.watched}

    def play(self, playbook: str, *arguments: str, **extra: Any) -> Run:
        run = super().play(playbook, *arguments, **{"schema_database_url": None, **extra})
        assert not any(database.password in run.output for database in self.others)
        return run

    def places(self) -> Places:
        return {name: database.fetch("select version_num from alembic_version")[0][0] for name, database in self.databases.items()}

    def snapshots(self) -> int:
        return int(self.database.server.fetch("select count(*) from pg_database where datname like '%\\_\\_snapshot\\_%'")[0][0])

    def ledger(self) -> list[dict[str, Any]]:
        path = sorted((self.folder / "records").glob("*.targets.jsonl"))[-1]
        return [json.loads(line) for line in path.read_text().splitlines()]

    def serves(self, release: str) -> bool:
        return self.serving() == {(release, 200, release)}

    def close(self) -> None:
        for database in self.others:
            database.drop()
        super().close()


@contextlib.contextmanager
def deployed(folder: Path, postgres: Postgres, *releases: str, **options: Any) -> Iterator[Customers]:
    """Give a stage where the first of the releases serves, and all databases are at its revision."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Customers(folder, postgres, **options)
    made.archive(*releases)
    try:
        first = made.play("maintenance_window", release_version=releases[0])
        assert first.status == 0, first.output
        yield made
    finally:
        made.close()
