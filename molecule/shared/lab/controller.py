# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks of the collection, run as an operator runs them. Each controller has its own working directory and ANSIBLE_HOME."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keeper
from paths import COLLECTIONS, LAST, LOGS, ROOT, RUN
from remote import network, on

SHARED = ROOT / "molecule" / "shared"


class Unexpected(Exception):
    """The playbook did not end as it should have."""


def play(name: str, options: dict[str, Any] | None = None) -> None:
    """Run a playbook.

    ends: `well`, `badly`, `killed`, or `well or badly`. controller: its name. inventory: one of molecule/shared/inventory.
    variables: extra ones.
    newest: variables that name the newest file of a pattern on a host. arguments: for ansible-playbook. at: what happens when, see
    callbacks/at_task.py. trace: a file. seconds: the limit, far above what any run takes.
    """
    options = options or {}
    folder = keeper.controllers(network()) / options.get("controller", "one")
    folder.mkdir(parents=True, exist_ok=True)
    newest = {name: on(host, f"ls -td {pattern} | head -1").strip() for name, (host, pattern) in options.get("newest", {}).items()}
    (folder / "variables.json").write_text(json.dumps({**options.get("variables", {}), **newest}))
    inventory = SHARED / "inventory" / f"{options.get('inventory', 'three')}.yml"
    command = ["ansible-playbook", "--inventory", str(inventory), "--extra-vars", "@variables.json", *options.get("arguments", [])]
    command += [f"dbops.alembic.{name}"]
    began = folder / "happened"
    began.unlink(missing_ok=True)
    status, output = _run(command, folder, _environment(folder, options, began), options.get("seconds", 1800))
    ended = {0: "well", -signal.SIGKILL: "killed"}.get(status, "badly")
    if ended not in options.get("ends", "well").split(" or "):
        raise Unexpected(f"{name} ended {ended} (status {status}):\n{_tail(output)}")
    if options.get("at") and not began.exists():
        raise Unexpected(f"{name} never came to {options['at']}:\n{_tail(output)}")


def _tail(output: str) -> str:
    """The errors, and the end."""
    errors = [line[:500] for line in output.splitlines() if line.startswith(("[ERROR]", "fatal:", "failed:"))]
    return "\n".join([*errors[-12:], "…", *output.splitlines()[-30:]])


def _run(command: list[str], folder: Path, environment: dict[str, str], seconds: float) -> tuple[int, str]:
    LOGS.mkdir(parents=True, exist_ok=True)
    case = environment.get("LAB_CASE", "play").replace(" ", "-")
    log = LOGS / f"{time.strftime('%H%M%S')}-{case}-{command[-1].rpartition('.')[2]}.log"
    with open(log, "w") as out:
        out.write(f"{' '.join(command)}\n{(folder / 'variables.json').read_text()}\n{environment.get('LAB_AT', '')}\n\n")
        out.flush()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(30)
            raise Unexpected(f"{command[-1]} took more than {seconds} s; see {log}") from None
    LAST.write_text(log.read_text())
    return status, log.read_text()


def _environment(folder: Path, options: dict[str, Any], happened: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_", "PYTHON"))}
    return {
        **kept,
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_FORKS": "10",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_TIMEOUT": "5",
        "ANSIBLE_CALLBACK_PLUGINS": str(SHARED / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "at_task",
        "ANSIBLE_NOCOLOR": "true",
        "DBOPS_LAB": str(RUN),
        "LAB_AT": json.dumps(_at(options)),
        "LAB_AT_DONE": str(happened),
        "LAB_TRACE": str(options.get("trace") or ""),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }


def _at(options: dict[str, Any]) -> dict[str, Any]:
    """The command of `at` is one of this program's own."""
    at = dict(options.get("at") or {})
    if at.get("command"):
        at["command"] = [sys.executable, str(Path(__file__).parent), "steps", json.dumps([at["command"]])]
    return at
