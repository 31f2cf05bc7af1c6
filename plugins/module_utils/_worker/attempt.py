# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The child process of one attempt: runs an operation of the project and sends what happens."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, Callable

from . import project
from .channel import Sender
from .failure import Failure, describe
from .operations import OPERATIONS


def execute(request: dict[str, Any], send: Callable[[dict[str, Any]], None]) -> None:
    """Run the operation; whatever happens, the last message says how it ended."""
    operation = OPERATIONS.get(request.get("operation") or "")
    try:
        if operation is None:
            raise Failure("internal_error", f"The worker knows no operation {request.get('operation')!r}.")
        send({"event": "done", "facts": operation(request, send)})
    except (Exception, SystemExit) as exc:
        url = request.get("url")
        changed = project.other_driver(url, exc) if url else None
        send({"event": "failed", "error": describe(exc), "use_url": changed})
        send({"event": "done", "facts": {}})


def child(request: dict[str, Any], descriptor: int, output: int, lifeline: int) -> None:
    """Be the attempt's process; does not return.

    :param descriptor: where messages go.
    :param output: what the application prints goes there, on both of its standard streams.
    :param lifeline: closed when the supervisor is gone; then this process ends as well, and its locks with it.
    """
    os.dup2(output, 1)
    os.dup2(output, 2)
    threading.Thread(target=_end_with, args=(lifeline, os.getpid()), daemon=True).start()
    status = 1
    try:
        execute(request, Sender(descriptor))
        status = 0
    finally:
        os._exit(status)  # no exit handlers of the application, no waiting for its threads


def _end_with(lifeline: int, process: int) -> None:
    while os.read(lifeline, 1):
        pass
    os.kill(process, signal.SIGKILL)
