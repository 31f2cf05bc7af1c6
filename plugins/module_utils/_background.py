# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Work of a module that goes on by itself when the module, or the connection that it came over, is gone."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import traceback
from dataclasses import dataclass
from typing import IO, Any, Callable, Iterator, Mapping

from ._errors import MigrationError
from ._worker.protocol import PROTOCOL
from ._worker.redaction import redactor_for

Tell = Callable[[Mapping[str, Any]], None]
#: Seconds until something that lasts is worth a word, and between the next ones; the last is for all that follow.
PAUSES = (5.0, 10.0, 15.0, 30.0, 60.0)


@contextlib.contextmanager
def now_and_then(say: Callable[[], None]) -> Iterator[None]:
    """Call ``say`` from time to time, in a thread of its own, while the block goes on."""
    over = threading.Event()

    def watch() -> None:
        pauses = iter(PAUSES)
        pause = next(pauses)
        while not over.wait(pause):
            say()
            pause = next(pauses, pause)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def growing(path: str, tell: Tell) -> contextlib.AbstractContextManager[None]:
    """Tell from time to time how many bytes are there."""
    began = time.monotonic()
    return now_and_then(lambda: tell({"event": "archive", "bytes": _bytes(path), "seconds": round(time.monotonic() - began, 1)}))


def _bytes(path: str) -> int:
    """Return how much is written to a file, or to those of a folder, by now."""
    names = [path]
    with contextlib.suppress(OSError):
        names += [entry.path for entry in os.scandir(path)] if os.path.isdir(path) else []
    total = 0
    for name in names:
        with contextlib.suppress(OSError):
            total += os.lstat(name).st_size if not os.path.isdir(name) else 0
    return total


def apart(work: Callable[[], None]) -> None:
    """Do ``work`` in a process that has nothing to do with this one any more."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            work()
    finally:
        os._exit(0)  # nothing of the module ends twice


def let_go(errors: int | None) -> None:
    """Leave the streams of whoever started this process; what it prints goes to ``errors``, or nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    for number, target in ((0, null), (1, null), (2, null if errors is None else errors)):
        os.dup2(target, number)
    os.close(null)


@dataclass(frozen=True)
class Background:
    """A process of its own that does ``work`` and writes to a job's file what it tells, and the reply.

    :param work: gets the descriptor of the file, which it may hand on, and what to tell events with; returns the result's values.
    """

    work: Callable[[int, Tell], Mapping[str, Any]]

    def start(self, request: Mapping[str, Any], descriptor: int, errors: IO[bytes]) -> None:
        apart(lambda: self.serve(request, descriptor, errors.fileno()))

    def serve(self, request: Mapping[str, Any], descriptor: int, errors: int) -> None:
        """Do the work in this process."""
        let_go(errors)
        clean = redactor_for(request, os.environ).clean

        def tell(message: Mapping[str, Any]) -> None:
            os.write(descriptor, (json.dumps(clean(dict(message)), default=str) + "\n").encode())

        tell({"event": "reply", "protocol": PROTOCOL, **reply_of(lambda: self.work(descriptor, tell))})


def reply_of(work: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Do the work; return its values, or why it failed."""
    try:
        return {"values": dict(work()), "error": None}
    except MigrationError as exc:
        return {"values": exc.facts, "error": {"kind": exc.kind, "message": exc.msg, "hint": exc.hint}}
    except Exception as exc:  # ours: say so instead of dying silently
        text = traceback.format_exc()
        return {"values": {"exception": text}, "error": {"kind": "internal_error", "message": f"{type(exc).__name__}: {exc}"}}


def values_of(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a reply.

    :raises MigrationError: what it says went wrong.
    """
    error = reply["error"]
    if error:
        raise MigrationError(error["message"], error["kind"], error.get("hint"), reply["values"])
    return dict(reply["values"])
