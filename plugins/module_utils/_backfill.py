# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Rows filled in bounded batches: a command is run until it says that it found none."""

from __future__ import annotations

import os
from typing import Any, Callable, Mapping

from ._errors import MigrationError
from ._worker.redaction import cut, redactor_for

#: How much of what the command printed a failure shows, in characters.
EXCERPT = 2000


def fill(
    params: Mapping[str, Any], run: Callable[..., tuple[int, str, str]], clock: Callable[[], float], sleep: Callable[[float], None]
) -> dict[str, Any]:
    """Do what the module ``backfill`` was asked for and return its result; a command that fails is ``command_failed``."""
    began, rows, batches = clock(), 0, 0
    environment = {str(name): str(value) for name, value in params["environment"].items()}
    if params["virtualenv"]:
        environment["PATH"] = os.pathsep.join([os.path.join(params["virtualenv"], "bin"), os.environ.get("PATH", os.defpath)])

    def so_far(finished: bool) -> dict[str, Any]:
        return {"changed": rows > 0, "rows": rows, "batches": batches, "seconds": round(clock() - began, 3), "finished": finished}

    while True:
        filled = _batch(params, run, environment, so_far)
        if filled == 0:
            return so_far(True)
        rows, batches = rows + filled, batches + 1
        if batches >= params["max_batches"]:
            raise MigrationError(
                f"{params['command'][0]} filled rows {batches} times and found more each time.",
                "command_failed",
                "It has to leave out the rows that it has filled; if there really are so many, raise max_batches.",
                so_far(False),
            )
        if params["slice"] and clock() - began >= params["slice"]:
            return so_far(False)
        sleep(params["pause"])


def _batch(params: Mapping[str, Any], run: Callable[..., Any], environment: dict[str, str], so_far: Callable[[bool], Any]) -> int:
    status, output, errors = run(params["command"], cwd=params["chdir"], environ_update=environment)
    hint = f"Run it by hand in {params['chdir'] or 'its folder'} to see why; what was filled stays, and the next run goes on there."
    printed = redactor_for({"environment": environment}, os.environ).text(cut(errors.strip() or output.strip(), -EXCERPT))
    if status:
        raise MigrationError(f"{params['command'][0]} ended with status {status}: {printed}", "command_failed", hint, so_far(False))
    last = (output.strip().splitlines() or [""])[-1].strip()
    if not last.isdecimal():
        raise MigrationError(
            f"{params['command'][0]} printed {last!r} at last, and not how many rows it filled.",
            "command_failed",
            "Let it print the number, and 0 when nothing is left.",
            so_far(False),
        )
    return int(last)
