# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Messages between processes: one JSON object a line on a descriptor."""

from __future__ import annotations

import json
import os
import select
from typing import Any


class Sender:
    """Writes messages to ``descriptor``. Only the process that made it writes: a forked copy stays silent."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.owner = descriptor, os.getpid()

    def __call__(self, message: dict[str, Any]) -> None:
        if os.getpid() != self.owner:
            return
        data = (json.dumps(message, default=str) + "\n").encode()
        try:
            while data:
                data = data[os.write(self.descriptor, data) :]
        except OSError:
            pass  # nobody listens any more; what was begun is still brought to its end


class Receiver:
    """Reads messages from ``descriptor`` without ever blocking on a half line."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.buffer, self.ended = descriptor, b"", False

    def read(self) -> list[dict[str, Any]]:
        """Return the whole messages that are there now; sets ``ended`` when the other side has closed."""
        data = os.read(self.descriptor, 65536)
        self.ended = not data
        lines = (self.buffer + data).split(b"\n")
        self.buffer = lines.pop()
        return [json.loads(line) for line in lines if line.strip()]


def is_abandoned(descriptor: int) -> bool:
    """Tell whether nobody can read any more what is written to a pipe or socket; of a file it is never true."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _descriptor, events in poll.poll(0))


def readable(descriptors: list[int], seconds: float) -> list[int]:
    """Return those of ``descriptors`` that can be read now or within ``seconds``."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN | select.POLLHUP)
    return [descriptor for descriptor, _events in poll.poll(int(seconds * 1000))]
