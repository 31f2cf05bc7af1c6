# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as an operator runs them: what ends up on the terminal, and the result of each task."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

from .paths import CACHE, TREE
from .playbook import command as ansible_playbook
from .waiting import PATIENCE

Tasks = Sequence[Mapping[str, Any]]
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}


@dataclass(frozen=True)
class Outcome:
    """A play that ended. ``results`` are the tasks' in order, each with status, host, task and result."""

    status: int
    stdout: str
    stderr: str
    results: list[dict[str, Any]]

    @property
    def printed(self) -> str:
        return self.stdout + self.stderr

    def result(self, number: int = -1) -> dict[str, Any]:
        """The result of that task; a play without it is a test failure that shows what was printed."""
        assert self.results, self.printed
        found: dict[str, Any] = self.results[number]["result"]
        return found

    def ok(self) -> Outcome:
        assert self.status == 0, self.printed
        return self


class Play:
    """A play that runs. ``hosts`` is host → variables; one local host unless told. ``settings`` are keywords of the play."""

    def __init__(
        self,
        folder: Path,
        tasks: Tasks,
        *arguments: str,
        hosts: Mapping[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._number = folder, len(list(folder.glob("play-*"))) + 1
        given = {name: {**LOCAL, **variables} for name, variables in (hosts or {"here": {}}).items()}
        self._file("play").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": list(tasks), **settings}]))
        self._file("hosts").write_text(json.dumps({"all": {"hosts": given}}))
        command = [*ansible_playbook(), "-i", str(self._file("hosts")), str(self._file("play")), *arguments]
        variables = self._environment(environment or {})
        with self._file("stdout").open("w") as out, self._file("stderr").open("w") as err:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env=variables)

    def _file(self, kind: str) -> Path:
        return self._folder / f"{kind}-{self._number}.json"

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ANSIBLE", "PG", "DATABASE_"))}
        return {
            **own,
            "ANSIBLE_COLLECTIONS_PATH": str(TREE),
            "ANSIBLE_HOME": str(CACHE / "ansible"),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).with_name("callbacks")),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_NOCOLOR": "1",
            "XDG_STATE_HOME": str(self._folder / "state"),  # the jobs of a local connection
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            "RECORD_RESULTS": str(self._file("results")),
            **more,
        }

    def shown(self) -> str:
        """What is on the terminal by now, standard error only: progress and warnings."""
        return self._file("stderr").read_text()

    def wait_for(self, text: str, seconds: float = PATIENCE) -> None:
        """Wait until ``text`` is shown; a play that ends before that is a test failure."""
        until = time.monotonic() + seconds
        while text not in self.shown():
            assert self.process.poll() is None, f"ended without {text!r}:\n{self.outcome().printed}"
            assert time.monotonic() < until, f"{text!r} is not shown:\n{self.shown()}"
            time.sleep(0.05)

    def outcome(self, seconds: float = 2 * PATIENCE) -> Outcome:
        """Wait for the end."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the play did not end:\n{self.shown()}") from None
        lines = self._file("results").read_text().splitlines() if self._file("results").exists() else []
        return Outcome(status, self._file("stdout").read_text(), self.shown(), [json.loads(line) for line in lines])


def play(folder: Path, tasks: Tasks, *arguments: str, **options: Any) -> Outcome:
    """Run a play to its end."""
    return Play(folder, tasks, *arguments, **options).outcome()


def task(module: str, **parameters: Any) -> dict[str, Any]:
    """A task with that module of ours; its keywords are added with ``|``."""
    return {"name": module, f"dbops.alembic.{module}": parameters}
