# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to run what is under test: a module by itself, and the plain alembic command line beside it."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Mapping, Sequence

from . import forkserver, venvs
from .paths import CACHE, TREE
from .projects import Project
from .waiting import PATIENCE

MODULES = "ansible_collections.dbops.alembic.plugins.modules"


def _environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    dropped = ("DATABASE_URL", "PGPASSWORD", "PYTHON", "VIRTUAL_ENV")
    own = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return {
        **own,
        "PYTHONPATH": str(TREE),
        "ANSIBLE_COLLECTIONS_PATH": str(TREE),
        "ANSIBLE_HOME": str(CACHE / "ansible"),
        **(more or {}),
    }


class Run:
    """A module that runs in a process of its own, started with its parameters on standard input; see forkserver.py."""

    def __init__(
        self,
        module: str,
        parameters: Mapping[str, Any],
        check: bool = False,
        diff: bool = False,
        environment: Mapping[str, str] | None = None,
    ):
        options = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": str(CACHE / "ansible" / "tmp")}
        given = json.dumps({"ANSIBLE_MODULE_ARGS": {**parameters, **options}}).encode()
        self.process = _start(f"{MODULES}.{module}", given, _environment(environment))

    def result(self, seconds: float = 2 * PATIENCE) -> dict[str, Any]:
        """What the module answered. An answer that is no JSON object is a test failure with all that was said."""
        out, err = self.process.communicate(timeout=seconds)
        try:
            answer = json.loads(out)
        except ValueError as problem:
            said = f"{out.decode(errors='replace')}\n{err.decode(errors='replace')}"
            raise AssertionError(f"no JSON from the module (status {self.process.returncode}):\n{said}") from problem
        assert isinstance(answer, dict)
        return {**answer, "warnings": [_text(item) for item in answer.get("warnings", [])]}

    def descendants(self) -> list[int]:
        """The module's process and every process below it, by pid."""
        return process_tree(self.process.pid)


def _text(warning: Any) -> str:
    """A warning is an object until the controller has made a line of it."""
    return str(warning["event"]["msg"] if isinstance(warning, dict) else warning)


@functools.cache
def _server() -> forkserver.Modules:
    return forkserver.Modules(_environment())


def _start(module: str, given: bytes, environment: Mapping[str, str]) -> forkserver.Started | subprocess.Popen[bytes]:
    if _server().stands_for(environment):
        return _server().start(module, given, environment)
    command = [sys.executable, forkserver.__file__, "module", module]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(environment), start_new_session=True)
    assert process.stdin
    process.stdin.write(given)
    process.stdin.close()
    process.stdin = None
    return process


def run(module: str, parameters: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    return Run(module, parameters, **options).result()


def cli(
    project: Project,
    *arguments: str,
    python: Path | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """The project's own `alembic` command line."""
    return subprocess.run(
        cli_command(python, *arguments),
        cwd=folder or project.folder,
        capture_output=True,
        text=True,
        errors="replace",
        env={**clean(), **(environment or {})},
        timeout=2 * PATIENCE,
    )


def cli_command(python: Path | None, *arguments: str) -> list[str]:
    return [str(python or venvs.application("alembic120")), "-m", "alembic.config", *arguments]


def clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "ANSIBLE"))}


def cli_heads(project: Project, **options: Any) -> list[str]:
    """The revisions that `alembic current` reports."""
    done = cli(project, *options.pop("before", ()), "current", **options)
    assert done.returncode == 0, done.stderr
    return sorted(line.split()[0] for line in done.stdout.splitlines() if line.strip())


def process_tree(root: int) -> list[int]:
    """That process and all below it, by pid."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    todo = [root]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return found


def command_lines(pids: Sequence[int]) -> str:
    texts = []
    for pid in pids:
        try:
            texts.append(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(texts)
