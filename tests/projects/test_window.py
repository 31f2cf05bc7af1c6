# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A product in a real window, as the guide has it: inventory and program of the page, wheels from the index, supervisor."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.stage import CONFIGURATION, Run
from support import guide, venvs
from support.paths import CACHE, TREE
from support.playbook import command as ansible_playbook
from support.processes import Daemon, free_port, program
from support.waiting import PATIENCE

from .known import GUIDE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TEXT = guide.section(GUIDE, "A Flask application whose factory migrates")
INVENTORY, PROGRAM = (next(body for language, body in guide.blocks(TEXT) if language == kind) for kind in ("yaml", "ini"))
OLD, NEW = "7.0.0", "7.2.1"


@dataclass
class Place:
    folder: Path
    database: Any
    port: int

    @property
    def root(self) -> Path:
        return self.folder / "ihatemoney"

    def play(self, playbook: str, *arguments: str, **extra: Any) -> Run:
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PG", "PYTHONPATH"))}
        more = {
            "MONEY_URL": self.database.url(),
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(CACHE / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SHOW_CUSTOM_STATS": "1",
            "LC_ALL": "C.UTF-8",
        }
        given = ["--extra-vars", json.dumps(extra), "-i", str(self.folder / "inventory.yml")]
        done = subprocess.run(
            [*ansible_playbook(), f"dbops.alembic.{playbook}", *given, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**ours, **more},
            cwd=self.folder,
            check=False,
        )
        assert self.database.password not in done.stdout
        return Run(done.returncode, done.stdout)

    def serves(self, release: str) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=PATIENCE) as answer:
            return answer.status == 200 and os.readlink(self.root / "current") == f"releases/{release}"

    def revision(self) -> str:
        return str(self.database.fetch("select version_num from alembic_version")[0][0])


def inventory(place: Place, server: Any, supervisorctl: str) -> dict[str, Any]:
    """That of the guide, on this machine."""
    found: dict[str, Any] = yaml.safe_load(INVENTORY)
    found["application"]["vars"] |= {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "application_supervisor_config": str(place.folder / "supervisord.conf"),
        "application_supervisor_ctl": supervisorctl,
        "release_root": str(place.root),
        "release_python": str(venvs.interpreter()),
        "vault_ihatemoney_url": "{{ lookup('ansible.builtin.env', 'MONEY_URL') }}",
        "health_url": f"http://127.0.0.1:{place.port}/",
        "health_retries": 200,
        "deployment_record_directory": str(place.folder / "records"),
        "backup_archive_directory": str(place.folder / "archives"),
        "backup_programs_directory": str(server.binaries),
    }
    return found


@pytest.fixture
def place(tmp_path: Path, postgres: Any) -> Iterator[Place]:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Place(tmp_path, postgres.database(attributes="CREATEDB"), free_port())
    made.root.mkdir()
    for release in (OLD, NEW):
        wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path / "wheels")]
        subprocess.run([*wheel, f"ihatemoney=={release}"], check=True)
    (tmp_path / "ihatemoney.cfg").write_text(f'SQLALCHEMY_DATABASE_URI = "{made.database.url()}"\nSECRET_KEY = "none"\n')
    head = CONFIGURATION.format(folder=tmp_path, user=getpass.getuser())
    own = PROGRAM.replace("/srv/ihatemoney", str(made.root)).replace("/etc/ihatemoney/", f"{tmp_path}/")
    own = own.replace("127.0.0.1:8000", f"127.0.0.1:{made.port}") + f"autostart = false\nstdout_logfile = {tmp_path}/app.log\n"
    (tmp_path / "supervisord.conf").write_text(head + "\n" + own + "redirect_stderr = true\n")
    ctl = [program("supervisorctl"), "-c", str(tmp_path / "supervisord.conf")]
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory(made, postgres, ctl[0])))
    supervisor = Daemon(
        [program("supervisord"), "-n", "-c", str(tmp_path / "supervisord.conf")], None, tmp_path / "supervisord.out"
    )
    try:
        supervisor.start(lambda: subprocess.run([*ctl, "pid"], capture_output=True, check=False).returncode == 0)
        yield made
    finally:
        supervisor.stop()
        made.database.drop()


def test_from_an_old_release_to_the_newest_and_back(place: Place) -> None:
    """The first release makes the database, the second migrates it, and the rollback brings both back."""
    first = place.play("maintenance_window", release_version=OLD)
    assert first.status == 0, first.output
    old = place.revision()
    assert place.serves(OLD)
    place.database.fetch(
        "insert into project (id, name, password, contact_email, logging_preference, default_currency) "
        "values ('trip', 'Trip', 'x', 'a@example.com', 'ENABLED', 'XXX')"
    )
    plan = place.play("plan", release_version=NEW)
    assert plan.status == 0 and "c941aaca38c2" in plan.output and place.revision() == old, plan.output
    second = place.play("maintenance_window", release_version=NEW)
    assert second.status == 0, second.output
    assert place.serves(NEW) and place.revision() != old
    record = json.loads(sorted((place.folder / "records").glob("2*.json"))[-1].read_text())
    assert len(record["applied"]) == 2, "the factory was not there first"
    again = place.play("maintenance_window", release_version=NEW)
    assert (again.status, again.changed) == (0, 0), again.output
    status = place.play("status")
    assert status.status == 0, status.output
    back = place.play("rollback", deployment_rows_given_up=-1)
    assert back.status == 0, back.output
    assert place.serves(OLD) and place.revision() == old
    assert place.database.fetch("select name from project") == [("Trip",)]
