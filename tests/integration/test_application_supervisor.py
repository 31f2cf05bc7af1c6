# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role application and a program of supervisor that does not stay up."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.stage import CONFIGURATION
from support.plays import LOCAL, Outcome, play
from support.processes import Daemon, program
from support.services import serve

#: It ends at once unless told to go on, and supervisor tries again and again.
PROGRAM = """
[program:shop]
command = sh -c "test -e {folder}/goes-on && exec sleep 600; exit 1"
startretries = 1000
"""


class Supervised:
    def __init__(self, folder: Path):
        self.folder, self.configuration = folder, folder / "supervisord.conf"
        self.configuration.write_text(CONFIGURATION.format(folder=folder, user=getpass.getuser()) + PROGRAM.format(folder=folder))
        self.ctl = program("supervisorctl")
        self.daemon = Daemon([program("supervisord"), "-n", "-c", str(self.configuration)], None, folder / "out")
        self.daemon.start(lambda: self.state() == "BACKOFF")

    def state(self) -> str:
        command = [self.ctl, "-c", str(self.configuration), "status", "shop"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        return [*said, "", ""][1]

    def remove(self) -> None:
        self.daemon.stop()

    def act(self, verb: str, *arguments: str) -> Outcome:
        role = {"name": "dbops.alembic.application", "tasks_from": verb}
        host = {
            **LOCAL,
            "application_name": "shop",
            "application_manager": "supervisor",
            "application_supervisor_config": str(self.configuration),
            "application_supervisor_ctl": self.ctl,
        }
        tasks = [{"name": verb, "ansible.builtin.import_role": role}]
        return play(self.folder, tasks, *arguments, hosts={"app1": host})


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    yield from serve(lambda: Supervised(tmp_path))


def test_a_program_that_is_about_to_be_started_again_is_stopped(supervised: Supervised) -> None:
    assert "changed=1" in supervised.act("stop").ok().stdout
    assert supervised.state() == "STOPPED"
    (supervised.folder / "goes-on").touch()
    assert "changed=0" in supervised.act("stop").ok().stdout
    assert supervised.state() == "STOPPED"
    assert "changed=1" in supervised.act("start").ok().stdout
    assert supervised.state() == "RUNNING"


def test_check_mode_leaves_it_alone(supervised: Supervised) -> None:
    supervised.act("stop", "--check").ok()
    assert supervised.state() in ("BACKOFF", "STARTING")
