# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several upgrades of one database at the same time, by the module or by the plain command line."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from .application import Application
from .projects import Project
from .runner import cli_command

RUNNERS = 8


def by_module(app: Application, project: Project, count: int = RUNNERS, **parameters: Any) -> list[dict[str, Any]]:
    """The results of `count` modules that were started together."""
    started = [app.start("upgrade", project, revision="head", **parameters) for _ in range(count)]
    return [run.result() for run in started]


def by_command_line(app: Application, project: Project, count: int = RUNNERS, seconds: float = 1.5) -> list[int]:
    """The exit statuses of `count` processes of `alembic upgrade head`; each revision of a race takes `seconds`."""
    command = cli_command(app.python, "upgrade", "head")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    own = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    own["RACE_SECONDS"] = str(seconds)
    started = [subprocess.Popen(command, cwd=project.folder, env=own, **quiet) for _ in range(count)]  # type: ignore[call-overload]
    return [process.wait() for process in started]
