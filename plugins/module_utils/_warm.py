# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One worker for several requests: it is started with the first, and imports only once what they need."""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Callable, Iterator, Mapping

from ._bridge import Bridge, Event, checked, death, is_alone, lines_of, messages_of, worker_sources, write_line

if TYPE_CHECKING:
    from ._worker import several  # noqa: F401 - packed with the modules that have such a worker

OPERATION = "database_steps"


@dataclass
class _Worker:
    """A running worker.

    :param commands: where it reads requests from.
    :param waits: whether anybody waits for its answers.
    """

    process: subprocess.Popen[bytes]
    commands: int
    replies: IO[bytes]
    errors: IO[bytes]
    waits: Callable[[], bool]
    messages: Iterator[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.messages = messages_of(lines_of(self.replies, self.waits))

    def ask(self, request: Mapping[str, Any]) -> None:
        write_line(self.commands, request)

    def close(self) -> tuple[int, bytes]:
        """Let it end; return its status and what it printed."""
        os.close(self.commands)
        self.replies.close()
        status = self.process.wait()
        self.errors.seek(0)
        printed = self.errors.read()
        self.errors.close()
        return status, printed


@dataclass(frozen=True)
class WarmBridge(Bridge):
    """A bridge whose requests go to one worker. One that died is started again with the next request.

    :param first: what all requests have in common: the environment and the URL.
    :param besides: an operation that needs more of the worker than steps on a database do.
    :param outlives: whether it goes on when whoever asked for it is gone.
    :param own: descriptors that the worker keeps open for as long as it lives.
    :param listeners: called with each event as well.
    """

    first: Mapping[str, Any] = field(default_factory=dict)
    own: tuple[int, ...] = ()
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    besides: tuple[str, ...] = ()
    outlives: bool = True
    _running: list[_Worker] = field(default_factory=list)

    def call(self, request: Mapping[str, Any], on_event: Callable[[Event], None] = lambda event: None) -> dict[str, Any]:
        """Carry out ``request`` and return the reply.

        :raises MigrationError: as those of :class:`Bridge`.
        """
        worker = self.begin()
        worker.ask(request)
        for message in worker.messages:
            if message["event"] == "reply":
                return checked(message)
            on_event(message)
            for listener in self.listeners:
                listener(message)
        raise death(request, *self.close())

    def begin(self) -> _Worker:
        """Start the worker where there is none that lives; it loads what it needs while nobody waits."""
        if self._running and self._running[0].process.poll() is not None:
            self.close()
        if not self._running:
            self._running.append(self._start())
        return self._running[0]

    def _start(self) -> _Worker:
        first = dict(self.first, operation=OPERATION, besides=self.besides)
        started = self.start_serving(first, "several", self.own)
        return _Worker(*started, lambda: self.outlives or not is_alone())

    def close(self) -> tuple[int, bytes]:
        """Let the worker end, if there is one; return its status and what it printed."""
        return self._running.pop().close() if self._running else (0, b"")


@contextlib.contextmanager
def ended(bridge: Bridge) -> Iterator[None]:
    """Let the worker of a warm bridge end with the block; other bridges have none that stays."""
    try:
        yield
    finally:
        if isinstance(bridge, WarmBridge):
            bridge.close()


def load(operation: str = OPERATION) -> None:
    """Read the worker's sources now: later the archive that this module came in may be gone."""
    worker_sources(operation)
