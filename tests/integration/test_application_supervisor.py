# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role application and the module application_host on a real supervisord: programs of every kind, groups, and a crash loop."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.stage import CONFIGURATION
from support.plays import LOCAL, Outcome, play
from support.processes import Daemon, program
from support.services import serve

#: It ends at once unless told to go on, and supervisor tries again and again.
PROGRAM = """
[program:shop]
command = sh -c "test -e {folder}/goes-on && exec sleep 600; echo no luck; exit 1"
startretries = 1000
"""

#: A console that nobody started, a program that runs once, one that may fail, two of a kind, and a listener of supervisor's events.
GROUP = """
[program:console]
command = sleep 600
autostart = false
[program:cache]
command = sh -c "echo filled >> {folder}/filled"
startsecs = 0
autorestart = false
[program:web]
command = sh -c "test -e {folder}/web-fails && {{ echo no key in the settings; exit 3; }}; exec sleep 600"
startretries = 1
redirect_stderr = true
[program:worker]
command = sleep 600
numprocs = 2
process_name = %(program_name)s_%(process_num)02d
startsecs = 0
[program:broken]
command = /no/such/program
startretries = 0
[group:orders]
programs = console,cache,web,worker,broken
[eventlistener:listener]
command = sh -c "printf 'READY\\n'; exec sleep 600"
events = TICK_3600
"""
RUNS = {"orders:web", "orders:worker_00", "orders:worker_01"}


class Supervised:
    def __init__(self, folder: Path, programs: str, *ready: str):
        self.folder, self.configuration = folder, folder / "supervisord.conf"
        self.configuration.write_text(CONFIGURATION.format(folder=folder, user=getpass.getuser()) + programs.format(folder=folder))
        self.ctl = program("supervisorctl")
        self.daemon = Daemon([program("supervisord"), "-n", "-c", str(self.configuration)], None, folder / "out")
        self.daemon.start(lambda: set(ready) <= {f"{name} {state}" for name, state in self.states().items()})

    def states(self) -> dict[str, str]:
        command = [self.ctl, "-c", str(self.configuration), "status"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return {words[0]: words[1] for words in map(str.split, said.splitlines()) if len(words) > 1}

    def running(self) -> set[str]:
        return {name for name, state in self.states().items() if state == "RUNNING"}

    def pid(self, name: str) -> str:
        command = [self.ctl, "-c", str(self.configuration), "pid", name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def remove(self) -> None:
        self.daemon.stop()

    def play(self, tasks: list[dict[str, Any]], *arguments: str, **more: Any) -> Outcome:
        host = {
            **LOCAL,
            "application_name": "shop",
            "application_manager": "supervisor",
            "application_supervisor_config": str(self.configuration),
            **more,
        }
        return play(self.folder, tasks, *arguments, hosts={"app1": host})

    def act(self, verb: str, *arguments: str, **more: Any) -> Outcome:
        role = {"name": "dbops.alembic.application", "tasks_from": verb}
        return self.play([{"name": verb, "ansible.builtin.import_role": role}], *arguments, **more)

    def module(self, *arguments: str, **options: Any) -> Outcome:
        given = {"manager": "supervisor", "supervisor_config": str(self.configuration), **options}
        return self.play([{"name": "act", "dbops.alembic.application_host": given}], *arguments)


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Supervised]:
    yield from serve(lambda: Supervised(tmp_path, PROGRAM, "shop BACKOFF"))


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Supervised]:
    ready = ["orders:broken FATAL", *(f"{name} RUNNING" for name in (*RUNS, "listener"))]
    yield from serve(lambda: Supervised(tmp_path, GROUP, *ready))


def test_a_program_that_is_about_to_be_started_again_is_stopped(supervised: Supervised) -> None:
    assert "changed=1" in supervised.act("stop").ok().stdout
    assert supervised.states() == {"shop": "STOPPED"}
    (supervised.folder / "goes-on").touch()
    assert "changed=0" in supervised.act("stop").ok().stdout
    assert supervised.states() == {"shop": "STOPPED"}
    assert "changed=1" in supervised.act("start").ok().stdout
    assert supervised.states() == {"shop": "RUNNING"}


def test_check_mode_leaves_it_alone(supervised: Supervised) -> None:
    assert "changed=1" in supervised.act("stop", "--check").ok().stdout
    assert supervised.states()["shop"] in ("BACKOFF", "STARTING")


def test_one_that_does_not_come_up_in_time_is_told_with_its_log(supervised: Supervised) -> None:
    failed = supervised.module(services=["shop"], start_timeout=3, settle=3, health={"retries": 3})
    result = failed.result()
    assert failed.status != 0 and result["error_kind"] == "start_failed", failed.printed
    assert "no luck" in result["log"] and "shop" in result["msg"]
    assert result["services"][0]["state"] in ("BACKOFF", "STARTING")


@pytest.mark.parametrize("name", ["orders:*", *(pytest.param(name, marks=pytest.mark.slow) for name in ("orders:", "orders"))])
def test_what_ran_of_a_group_is_what_runs_again(group: Supervised, name: str) -> None:
    before, filled = group.states(), (group.folder / "filled").read_text().count("filled")
    assert before["orders:console"] == "STOPPED" and before["orders:broken"] == "FATAL" and before["orders:cache"] == "EXITED"
    role = {"name": "dbops.alembic.application"}
    tasks = [
        {"name": "look", "ansible.builtin.include_role": {**role, "tasks_from": "status"}},
        {"name": "stop", "ansible.builtin.include_role": {**role, "tasks_from": "stop"}},
        {
            "name": "ask",
            "ansible.builtin.command": f"{group.ctl} -c {group.configuration} status",
            "register": "stopped",
            "failed_when": False,
        },
        {"name": "start", "ansible.builtin.include_role": {**role, "tasks_from": "start"}},
        {"name": "say", "ansible.builtin.debug": {"msg": "{{ application_status }}"}},
    ]
    done = group.play(tasks, application_services=[name]).ok()
    assert done.result()["msg"] == {
        "orders:console": "stopped",
        "orders:cache": "exited (exit status 0)",
        "orders:web": "running",
        "orders:worker_00": "running",
        "orders:worker_01": "running",
        "orders:broken": done.result()["msg"]["orders:broken"],
    }
    assert done.result()["msg"]["orders:broken"].startswith("fatal (can't find command")
    [asked] = [item["result"]["stdout"] for item in done.results if item["task"] == "ask"]
    assert "RUNNING" not in "".join(line for line in asked.splitlines() if line.startswith("orders:"))
    assert "listener" in group.running(), "what is not named is left alone"
    assert {key: state for key, state in group.states().items() if key != "orders:cache"} == {
        key: state for key, state in before.items() if key != "orders:cache"
    }
    assert (group.folder / "filled").read_text().count("filled") == filled + 1, "what runs once is run with the others"
    assert "as before" in done.printed


def test_a_member_that_ran_and_fails_is_a_failure_and_is_brought_back(group: Supervised) -> None:
    before = group.module(services=["orders:*"], state="stopped").ok().result()["before"]
    (group.folder / "web-fails").touch()
    failed = group.module(services=["orders:*"], recorded=before)
    assert failed.status != 0 and "orders:web is FATAL" in failed.result()["msg"], failed.printed
    assert "no key in the settings" in failed.result()["log"]
    assert {item["name"]: item["state"] for item in failed.result()["services"]}["orders:web"] == "FATAL"
    (group.folder / "web-fails").unlink()
    assert group.module(services=["orders:*"], state="stopped").ok().result()["changed"]
    assert group.module(services=["orders:*"], recorded=before).ok().result()["changed"]
    assert {name for name in group.running() if name.startswith("orders:")} == RUNS
    assert not group.module(services=["orders:*"], recorded=before).ok().result()["changed"]


def test_a_listener_and_single_programs_are_restarted_in_their_order(group: Supervised) -> None:
    pids = {name: group.pid(name) for name in ("listener", "orders:web", "orders:worker_00")}
    done = group.module("--diff", services=["listener", "orders:web"], restart="always").ok().result()
    assert done["changed"] and [item["name"] for item in done["services"]] == ["listener", "orders:web"]
    again = {name: group.pid(name) for name in pids}
    assert again["orders:worker_00"] == pids["orders:worker_00"]
    assert again["listener"] != pids["listener"] and again["orders:web"] != pids["orders:web"]


def test_an_unknown_program_is_refused_before_anything_stops(group: Supervised) -> None:
    failed = group.module(services=["orders:web", "web"], state="stopped")
    assert failed.status != 0 and "supervisor on this host knows no web; did you mean orders:web?" in failed.result()["msg"]
    assert group.running() >= RUNS


@pytest.mark.needs_root
def test_a_socket_of_somebody_else_is_told(group: Supervised) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    for folder in (group.folder, *group.folder.parents):
        folder.chmod(folder.stat().st_mode | 0o011)
    group.configuration.chmod(0o644)
    script = (
        "import os; from ansible_collections.dbops.alembic.plugins.module_utils._host import services, supervisor\n"
        "os.setgid(65534), os.setuid(65534)\n"
        f"supervisor.Supervisor(['orders:web'], {str(group.configuration)!r}, services.Limits(1, 1, 1)).look()"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert "can not be reached: Permission denied" in done.stderr, done.stderr
