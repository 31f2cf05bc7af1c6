# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task of ours costs when there is nothing to do, beside the two tasks that people write by hand."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from ansible_collections.dbops.alembic.plugins.module_utils._bridge import Bridge

from support import venvs
from support.paths import CACHE, TREE
from support.postgres import PostgresDatabase
from support.projects import Project, long_chain
from support.runner import cli

from . import table

UPGRADE = {
    "limits": {"lock": 5, "statement": 0},
    "lock": {"enabled": True, "wait": 300},
    "retries": {"count": 5, "delay": 1},
    "target": "head",
}
HAND_UPGRADE, HAND_CURRENT, OURS = "command: alembic upgrade head", "command: alembic current", "dbops.alembic.alembic_upgrade"


def measure(database: PostgresDatabase, folder: Path, revisions: int, rounds: int) -> None:
    project = long_chain(folder, revisions, database.url())
    done = cli(project, "upgrade", "head")
    assert done.returncode == 0, done.stderr
    _show_processes(project, revisions, rounds)
    _show_tasks(project, revisions, rounds)


def _show_processes(project: Project, revisions: int, rounds: int) -> None:
    bridge = Bridge(str(venvs.application("alembic120")))
    status = {"operation": "info", "chdir": str(project.folder), "target": "heads"}
    upgrade = {"operation": "upgrade", "chdir": str(project.folder), **UPGRADE}

    def worker(request: dict) -> None:
        error = bridge.call(request)["error"]
        assert not error, error

    found = table.medians(
        {
            "alembic current": lambda: cli(project, "current").check_returncode(),
            "alembic upgrade head": lambda: cli(project, "upgrade", "head").check_returncode(),
            "worker: info": lambda: worker(status),
            "worker: upgrade": lambda: worker(upgrade),
        },
        rounds,
    )
    _show(f"A process, {revisions} revisions in the project, nothing pending", found, "alembic current")


def _show_tasks(project: Project, revisions: int, rounds: int) -> None:
    found = task_seconds(project, rounds)
    found["both by hand"] = found[HAND_UPGRADE] + found[HAND_CURRENT]
    _show(f"A task of a playbook, {revisions} revisions in the project, nothing pending", found, "both by hand")


def _show(title: str, found: dict[str, float], yardstick: str) -> None:
    rows = [(name, f"{seconds * 1000:.0f} ms", f"{seconds / found[yardstick]:.2f}") for name, seconds in found.items()]
    table.show(title, [("", "median", f'of "{yardstick}"'), *rows])


def task_seconds(project: Project, rounds: int) -> dict[str, float]:
    """The median seconds of each task in one play, each task once a round and one round to warm up."""
    python, folder = str(venvs.application("alembic120")), str(project.folder)
    tasks = [
        {
            "name": HAND_UPGRADE,
            "ansible.builtin.command": {"argv": [python, "-m", "alembic.config", "upgrade", "head"], "chdir": folder},
        },
        {"name": HAND_CURRENT, "ansible.builtin.command": {"argv": [python, "-m", "alembic.config", "current"], "chdir": folder}},
        {"name": OURS, "dbops.alembic.alembic_upgrade": {"chdir": folder, "python": python}},
    ]
    play = {"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks * (rounds + 1)}
    playbook, times = project.folder / "bench.json", project.folder / "bench.times"
    playbook.write_text(json.dumps([play]))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "task_seconds",
        "DBOPS_TASK_SECONDS": str(times),
    }
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "localhost,",
        "-e",
        f"ansible_python_interpreter={sys.executable}",
        str(playbook),
    ]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout[-4000:]
    lines = [json.loads(line) for line in times.read_text().splitlines()][len(tasks) :]
    return {task["name"]: statistics.median(line["seconds"] for line in lines if line["task"] == task["name"]) for task in tasks}
