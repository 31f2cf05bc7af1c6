# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The child process of one attempt: runs an operation of the project and sends what happens."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import sys
import threading
import traceback
from typing import Any, Callable

from . import again, learned, meant, moved, readonly, urls
from .channel import Sender
from .failure import Failure, describe
from .operations import find
from .protocol import READ


def execute(request: dict[str, Any], send: Callable[[dict[str, Any]], None], may_stay: Callable[[], bool] = lambda: False) -> bool:
    """Run the operation; whatever happens, the last message says how it ended. Return whether this process takes another request.

    :param may_stay: tells whether it may, when all went well.
    """
    operation = find(request.get("operation") or "")
    send = readonly.telling(learned.telling(send))
    try:
        if operation is None:
            raise Failure("internal_error", f"The worker knows no operation {request.get('operation')!r}.")
        facts = operation(request, send)
        readonly.warn(send)
        meant.warn(send)
        if request.get("operation") in readonly.READING:
            moved.warn(send)
        stays = request["operation"] == READ and may_stay()
        _done(send, facts, stays)
        return stays
    except (Exception, SystemExit) as exc:
        url = request.get("url")
        changed = urls.other_url(url, exc) if url else None
        send({"event": "failed", "error": describe(exc), "use_url": changed})
        _done(send, {})
        return False


def _done(send: Callable[[dict[str, Any]], None], facts: dict[str, Any], stays: bool = False) -> None:
    _flush()  # after the last message nobody reads what is printed
    send({"event": "done", "facts": facts, "stays": stays})


def child(request: dict[str, Any], descriptor: int, output: int, lifeline: int, commands: int) -> None:
    """Be the attempt's process; does not return.

    :param descriptor: where messages go.
    :param output: what the application prints goes there, on both of its standard streams.
    :param lifeline: closed when the supervisor is gone; then this process ends as well, and its locks with it.
    :param commands: further requests come from there, as lines, for a process that stays.
    """
    os.setpgid(0, 0)  # so that an initialisation command of the application ends with this process
    os.dup2(output, 1)
    os.dup2(output, 2)
    for stream in (sys.stdout, sys.stderr):  # what a killed process printed is not lost; Python 3.8 buffers both
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    descriptor, lifeline, commands = (_out_of_reach(number) for number in (descriptor, lifeline, commands))
    threading.Thread(target=end_with, args=(lifeline,), daemon=True).start()
    status = 1
    try:
        send, kept = Sender(descriptor), again.Kept()
        stays = execute(request, send, kept.may_stay)
        with open(commands, "rb") as lines:
            while stays:
                line = lines.readline()
                if not line:
                    break
                kept.begin()
                stays = execute(json.loads(line), send, kept.may_stay)
        status = 0
    except BaseException:
        traceback.print_exc()  # into the output that the reply carries
        _flush()
    finally:
        os._exit(status)  # no exit handlers of the application, no waiting for its threads


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # the application may have replaced or closed it
            stream.flush()


def _out_of_reach(descriptor: int) -> int:
    """Move a descriptor up: an application that makes a daemon of itself closes the low ones."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    high = 4000 if limit == resource.RLIM_INFINITY else min(limit - 16, 4000)
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, max(high, descriptor))
    os.close(descriptor)
    return int(moved)


def end_with(lifeline: int) -> None:
    """End this process and its group when the other end of ``lifeline`` is closed."""
    try:
        while os.read(lifeline, 1):
            pass
    except OSError:
        return  # the application closed it
    os.killpg(os.getpgrp(), signal.SIGKILL)
