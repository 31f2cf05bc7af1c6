# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The worker as the first process of a container: the request comes with the container, messages go to its log.

A line for people, and between marks the message itself in short pieces of base64: a line that the application prints, however
long, and a log that the container runtime cuts or mixes can not be mistaken for a message.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
import zlib
from typing import Any

from . import supervisor
from .channel import Receiver

#: Characters of a piece; container runtimes cut lines at 16384.
PIECE = 6000
TERMINATION = "/dev/termination-log"
TERMINATION_BYTES = 3500


def serve(payload: dict[str, Any]) -> None:
    """Carry out the payload's request and end with status 0, or with 1 when it failed; does not return.

    ``payload["mark"]``: what frames a message in the log; empty writes lines for people only.
    """
    out = os.dup(1)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)  # an entrypoint may be read from it
    request = _with_url(dict(payload["request"]))
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        for descriptor in (reading, out):
            os.close(descriptor)
        os.setsid()
        supervisor.serve(request, writing)
        os._exit(0)
    os.close(writing)
    signal.signal(signal.SIGTERM, lambda *_: _end(child))  # the first process of a container ignores it otherwise
    reply = _relay(reading, out, str(payload.get("mark") or ""))
    status = os.waitpid(child, 0)[1]
    if reply is None:
        os.write(out, b"dbops.alembic: the worker died with status %d\n" % status)
    os._exit(0 if reply is not None and reply["ok"] else 1)


def _with_url(request: dict[str, Any]) -> dict[str, Any]:
    """Take the URL from the environment variable that the container has it in."""
    name = request.pop("url_variable", None)
    if name and os.environ.get(name):
        request["url"] = os.environ[name]
    return request


def _end(child: int) -> None:
    os.killpg(child, signal.SIGKILL)
    os._exit(143)


def _relay(reading: int, out: int, mark: str) -> dict[str, Any] | None:
    """Write what the worker sends to the log until its reply, and return that."""
    receiver, number = Receiver(reading), 0
    while not receiver.ended:
        for message in receiver.read():
            text = words(message)
            if text:
                _write(out, f"dbops.alembic: {text}\n")
            if mark:
                _write(out, frame(message, mark, number))
                number += 1
            if message["event"] == "reply":
                _leave(message)
                return message
    return None


def _write(descriptor: int, text: str) -> None:
    data = text.encode("utf-8", "replace")
    while data:
        data = data[os.write(descriptor, data) :]


def frame(message: dict[str, Any], mark: str, number: int) -> str:
    """Return a message as marked lines: ``<mark>:number:piece/pieces:base64;``."""
    text = base64.b64encode(zlib.compress(json.dumps(message, default=str).encode())).decode()
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    return "".join(f"<{mark}>:{number}:{index}/{len(pieces)}:{piece};\n" for index, piece in enumerate(pieces, 1))


def words(message: dict[str, Any]) -> str:
    """Return a message as a person wants to read it, or nothing."""
    event = message["event"]
    if event == "revision_start":
        return f"[{message.get('number')}/{message.get('total')}] {message.get('revision')} {message.get('message') or ''}".rstrip()
    if event == "lock_wait":
        return "waiting for another run of the migration"
    if event == "retry":
        return f"attempt {message.get('attempt')} ended with {message.get('error_kind')}; trying again in {message.get('delay')} s"
    if event != "reply":
        return ""
    error = message.get("error")
    return f"failed ({error['kind']}): {error['message']}" if error else "done"


def _leave(reply: dict[str, Any]) -> None:
    """Leave the outcome in the pod's status too, for whoever comes when the log is gone."""
    error = reply.get("error") or {}
    short = {"ok": reply["ok"], "kind": error.get("kind"), "message": str(error.get("message") or "")[:TERMINATION_BYTES]}
    try:
        with open(TERMINATION, "w", encoding="utf-8") as file:
            file.write(json.dumps(short)[: TERMINATION_BYTES + 200])
    except OSError:
        pass  # not a pod, or one without it
