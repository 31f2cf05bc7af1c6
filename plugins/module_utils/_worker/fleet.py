# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Several requests at the same time: a child for each, forked from one process that has imported what all of them need.

A child is the supervisor of its request, and does what it would do by itself: attempts, retries, looking afterwards, redaction.
When it has replied it takes the next one: nothing of a project runs in it, and what does has a process of its own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
import threading
from dataclasses import dataclass
from typing import Any

from . import attempt, several, supervisor
from .channel import Receiver, Sender, readable
from .protocol import OUTLIVING


@dataclass
class _Child:
    """A request that is carried out.

    :param lifeline: closed when this process ends, however it does; then the child ends as well.
    :param commands: where it takes further requests from.
    :param replied: the request is done; the child waits for the next one.
    """

    number: int
    pid: int
    receiver: Receiver
    lifeline: int
    commands: int
    outlives: bool
    replied: bool = False


def serve(request: dict[str, Any], descriptor: int) -> None:
    """Carry out the requests that come as lines on the descriptor ``request["commands"]``, each as soon as it comes.

    A line has the keys ``number`` and ``request``. What happens is told on ``descriptor`` in lines with ``number`` and
    ``message``: events and one reply, or one message ``gone`` of a child that ended without it.
    """
    several.prepare(request)
    sys.stdout.flush()
    sys.stderr.flush()
    gc.freeze()  # what is there is there for good: a child that looked through it for garbage would copy it
    _Hub(request["commands"], Sender(descriptor), [int(item) for item in request["own"]]).run()


class _Hub:
    """:param own: descriptors that are kept open for as long as anything runs."""

    def __init__(self, commands: int, send: Sender, own: list[int]) -> None:
        self.commands, self.send, self.own = Receiver(commands), send, own
        self.children: dict[int, _Child] = {}

    def run(self) -> None:
        """Work until nobody asks any more and all is done; what may not be left halfway is brought to its end."""
        while not self.commands.ended or self.children:
            asked = [] if self.commands.ended else [self.commands.descriptor]
            for descriptor in readable([*asked, *self.children], 60):
                if descriptor == self.commands.descriptor:
                    self._take()
                elif descriptor in self.children:
                    self._relay(self.children[descriptor])

    def _take(self) -> None:
        for line in self.commands.read():
            self._begin(line["number"], line["request"])
        if self.commands.ended:  # whoever only reads, reads for nobody now
            for child in [child for child in self.children.values() if child.replied or not child.outlives]:
                self._end(child)

    def _begin(self, number: int, request: dict[str, Any]) -> None:
        if self._hand_on(number, request):
            return
        reading, writing = os.pipe()
        held, lifeline = os.pipe()
        more, commands = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._be(request, writing, held, more, [reading, lifeline, commands])
        with contextlib.suppress(OSError):  # the child does it too: whoever is first
            os.setpgid(pid, pid)
        for descriptor in (writing, held, more):
            os.close(descriptor)
        outlives = request.get("operation") in OUTLIVING
        self.children[reading] = _Child(number, pid, Receiver(reading), lifeline, commands, outlives)

    def _hand_on(self, number: int, request: dict[str, Any]) -> bool:
        """Give a request to a child that has done with another one, if there is such."""
        for child in self.children.values():
            if child.replied:
                with contextlib.suppress(BrokenPipeError):
                    os.write(child.commands, (json.dumps(request) + "\n").encode())
                    child.number, child.replied = number, False
                    child.outlives = request.get("operation") in OUTLIVING
                    return True
        return False

    def _be(self, request: dict[str, Any], descriptor: int, held: int, more: int, foreign: list[int]) -> None:
        """Be the child; does not return."""
        status = 1
        try:
            os.setpgid(0, 0)
            for other in self.children.values():
                foreign += [other.receiver.descriptor, other.lifeline, other.commands]
            for number in [*foreign, self.commands.descriptor, self.send.descriptor]:
                os.close(number)
            supervisor.OWN[:] = [*self.own, held, more]
            threading.Thread(target=attempt.end_with, args=(held,), daemon=True).start()
            supervisor.serve(request, descriptor)
            with open(more, "rb") as lines:
                for line in lines:
                    supervisor.serve(json.loads(line), descriptor)
            for kept in supervisor.KEPT:
                kept.end()
            status = 0
        finally:
            os._exit(status)

    def _relay(self, child: _Child) -> None:
        for message in child.receiver.read():
            child.replied = child.replied or message["event"] == "reply"
            self.send({"number": child.number, "message": message})
        if child.receiver.ended or (child.replied and self.commands.ended):
            self._end(child)

    def _end(self, child: _Child) -> None:
        """Let the child end, which it does at once when it has replied or is not heard any more."""
        os.close(child.receiver.descriptor)
        os.close(child.commands)
        if not child.replied:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        _pid, status = os.waitpid(child.pid, 0)
        os.close(child.lifeline)
        del self.children[child.receiver.descriptor]
        if not child.replied:
            how = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            self.send({"number": child.number, "message": {"event": "gone", "status": how}})
