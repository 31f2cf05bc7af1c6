# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a playbook of the collection. Its callback tells the story, and writes all the rest to a log, whose path it tells."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.paths import CACHE, ROOT, TREE

from . import strays, terminal


@dataclass(frozen=True)
class Outcome:
    status: int
    seconds: float


class Player:
    def __init__(self, variables: Path, secrets: dict[str, str], logs: Path):
        self.variables, self.secrets, self.logs = variables, secrets, logs

    def play(self, name: str, **variables: object) -> Outcome:
        command = [str(Path(sys.executable).with_name("ansible-playbook")), name]
        given = [f"--extra-vars={name}={value}" for name, value in variables.items()]
        terminal.note(f"ansible-playbook {name} {' '.join(given)}")
        command += [f"--extra-vars=@{self.variables}", *given]
        began = time.monotonic()
        with self._started(command) as process:
            for line in process.stdout:
                terminal.quoted(line.rstrip())
        return Outcome(process.returncode, time.monotonic() - began)

    @contextmanager
    def _started(self, command: list[str]) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self._environment()
        )
        try:
            yield process
            process.wait()
        except BaseException:
            strays.end(process.pid)
            raise

    def _environment(self) -> dict[str, str]:
        foreign = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "DEMO_BEGAN")
        ours = {
            name: value for name, value in os.environ.items() if name not in foreign and not name.startswith(("ANSIBLE_", "PG"))
        }
        return {
            **ours,
            **self.secrets,
            "ANSIBLE_CONFIG": str(ROOT / "demo" / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(CACHE / "ansible"),
            "ANSIBLE_NOCOLOR": "1",
            "DBOPS_ALEMBIC_LOG_FOLDER": str(self.logs),
            "LC_ALL": "C.UTF-8",
        }
