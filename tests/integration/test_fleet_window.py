# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment of the guide on many databases, as it stands there: services stopped and started around a fleet."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.stage import CONFIGURATION
from support.application import Application
from support.fleet import of_guide
from support.paths import CACHE, TREE
from support.playbook import command as ansible_playbook
from support.plays import LOCAL
from support.processes import Daemon, program
from support.services import serve
from support.sqlite import SqliteDatabase

pytestmark = pytest.mark.timeout(1800)

PROGRAM = """
[program:shop]
command = sh -c "readlink {folder}/current >> {folder}/served; exec sleep 600"
startsecs = 0
"""


class Shop:
    """An application whose service writes which release it was started from, with a database for each of three customers."""

    def __init__(self, app: Application, folder: Path):
        self.folder = folder
        self.files = [SqliteDatabase(folder / f"{name}.sqlite") for name in ("acme", "globex", "hooli")]
        self.project = app.project("linear")
        (folder / "old").mkdir()
        (folder / "current").symlink_to("old")
        configuration = folder / "supervisord.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, user=getpass.getuser()) + PROGRAM.format(folder=folder))
        self.control = [program("supervisorctl"), "-c", str(configuration)]
        self.daemon = Daemon([program("supervisord"), "-n", "-c", str(configuration)], None, folder / "out")
        self.daemon.start(lambda: self.state() == "RUNNING")
        variables = {
            **LOCAL,
            "application_name": "shop",
            "application_manager": "supervisor",
            "application_supervisor_config": str(configuration),
            "shop_databases": [{"name": file.path.stem, "url": file.url()} for file in self.files],
            "shop_deployment": "20261129T080000Z",
        }
        (folder / "hosts.json").write_text(
            json.dumps({"application": {"hosts": {"here": variables}}, "migrator": {"hosts": {"here": {}}}})
        )
        text = of_guide("shop_deployment")
        for old, new in (
            ("/srv/shop/releases/1.4/.venv", str(app.python.parents[1])),
            ("/srv/shop/releases/1.4", str(self.project.folder)),
            ("/srv/shop/current", str(folder / "current")),
            ("/var/lib/dbops/shop", str(folder)),
        ):
            assert old in text
            text = text.replace(old, new)
        (folder / "site.yml").write_text(text)

    def state(self) -> str:
        said = subprocess.run([*self.control, "status", "shop"], capture_output=True, text=True, check=False).stdout.split()
        return said[1] if len(said) > 1 else ""

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ANSIBLE", "PG", "DATABASE_"))}
        environment = {
            **own,
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(CACHE / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "XDG_STATE_HOME": str(self.folder / "state"),
        }
        command = [*ansible_playbook(), "-i", str(self.folder / "hosts.json"), str(self.folder / "site.yml"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=self.folder)

    def at(self) -> list[str]:
        return [file.fetch("select version_num from alembic_version")[0][0] for file in self.files]

    def served(self) -> str:
        return (self.folder / "served").read_text().split()[-1]

    def remove(self) -> None:
        self.daemon.stop()


@pytest.fixture
def shop(newest: Application, tmp_path: Path) -> Iterator[Shop]:
    yield from serve(lambda: Shop(newest, tmp_path))


def test_a_fleet_is_migrated_while_its_application_is_stopped(shop: Shop, newest: Application) -> None:
    """First so many fail that all go back, then one that is allowed to, then none."""
    for file in shop.files:
        newest.upgrade(shop.project, revision="r003", url=file.url())
    shop.files[1].fetch("insert into users (id, name) values (1, 'somebody')")
    done = shop.deploy()
    assert done.returncode == 2 and "All targets are where they were" in done.stdout, done.stdout + done.stderr
    assert shop.at() == ["r003"] * 3 and shop.state() == "RUNNING" and shop.served() == "old"

    done = shop.deploy("-e", "shop_max_failures=1")
    assert done.returncode == 2 and "have gone back by themselves" in done.stdout, done.stdout + done.stderr
    assert shop.at() == ["r005", "r003", "r005"] and shop.state() == "RUNNING" and shop.served() == str(shop.project.folder)

    shop.files[1].fetch("delete from users")
    done = shop.deploy()
    assert done.returncode == 0 and shop.at() == ["r005"] * 3 and shop.state() == "RUNNING", done.stdout + done.stderr


@pytest.mark.slow
def test_nothing_starts_where_nobody_knows_how_to_go_on(shop: Shop) -> None:
    site = shop.folder / "site.yml"
    site.write_text(site.read_text().replace("on_failure: one", "on_failure: halt").replace("[snapshot]", "[none]"))
    shop.files[0].fetch("create table orders (id integer)")
    done = shop.deploy()
    assert done.returncode == 2 and "1 of 3 targets failed" in done.stdout and shop.state() == "STOPPED", done.stdout + done.stderr
    shop.files[0].fetch("drop table orders")
    done = shop.deploy()
    assert done.returncode == 0 and shop.at() == ["r005"] * 3 and shop.state() == "RUNNING", done.stdout + done.stderr
