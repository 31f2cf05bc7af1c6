# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One worker for requests of several threads at the same time; it forks a child for each."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import threading
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Callable, Mapping

from .._bridge import Bridge, Event, checked, death, lines_of, messages_of, write_line
from .._errors import MigrationError
from .._worker.journal import identity, served

if TYPE_CHECKING:
    from .._worker import fleet  # noqa: F401 - packed with the modules that have such a worker

Listener = Callable[[Event], None]


class _Worker:
    """A running worker, with a thread that hands what it tells to whoever asked for it."""

    def __init__(self, process: subprocess.Popen[bytes], commands: int, replies: IO[bytes], errors: IO[bytes]) -> None:
        self.process, self.commands, self.replies, self.errors = process, commands, replies, errors
        self.waiting: dict[int, queue.Queue[Event]] = {}
        self.lock, self.gone = threading.Lock(), False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def ask(self, number: int, request: Mapping[str, Any]) -> queue.Queue[Event]:
        found: queue.Queue[Event] = queue.Queue()
        with self.lock:
            if self.gone:
                found.put({"event": "gone", "status": None})
                return found
            self.waiting[number] = found
            write_line(self.commands, {"number": number, "request": dict(request)})
        return found

    def _read(self) -> None:
        with contextlib.suppress(MigrationError, SystemExit):
            for told in messages_of(lines_of(self.replies, lambda: True)):
                waiting = self.waiting.get(told["number"])
                if waiting:
                    waiting.put(told["message"])
        with self.lock:
            self.gone = True
        status = self.process.wait()
        for waiting in list(self.waiting.values()):
            waiting.put({"event": "gone", "status": status})

    def close(self) -> None:
        with self.lock:
            os.close(self.commands)
            self.gone = True
        self.reader.join()
        self.replies.close()
        self.errors.close()

    def printed(self) -> bytes:
        self.errors.seek(0)
        return self.errors.read()


class Hub:
    """The worker of many requests. One that died is started again with the next request.

    :param first: what all requests have in common: the environment and the beginning of the URL.
    :param own: descriptors that the worker keeps open for as long as it lives.
    """

    def __init__(self, bridge: Bridge, first: Mapping[str, Any], own: tuple[int, ...] = ()) -> None:
        self.bridge, self.first, self.own = bridge, first, own
        self._lock, self._number, self._worker = threading.Lock(), 0, None  # type: threading.Lock, int, _Worker | None

    def call(self, request: Mapping[str, Any], on_event: Listener) -> dict[str, Any]:
        """Carry out ``request`` beside others, and return the reply.

        :raises MigrationError: as those of :class:`Bridge`.
        """
        with self._lock:
            if self._worker is None or self._worker.gone:
                self._worker = self._start()
            self._number += 1
            worker, number = self._worker, self._number
        told = worker.ask(number, request)
        while True:
            message = told.get()
            if message["event"] in ("reply", "gone"):
                break
            on_event(message)
        worker.waiting.pop(number, None)
        if message["event"] == "gone":
            raise death(request, message["status"], worker.printed() if worker.gone else b"")
        return checked(message)

    def _start(self) -> _Worker:
        return _Worker(*self.bridge.start_serving(self.first, "fleet", self.own))

    def close(self) -> None:
        """Let the worker end, if there is one."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker:
            worker.close()


@dataclass(frozen=True)
class TargetBridge(Bridge):
    """A bridge whose requests go to the hub.

    :param tell: takes each event as well.
    :param identities: gets what tells the databases that were reached from others.
    """

    hub: Hub | None = None
    tell: Listener = field(default=lambda event: None)
    identities: list[str] = field(default_factory=list)

    def call(self, request: Mapping[str, Any], on_event: Listener = lambda event: None) -> dict[str, Any]:
        """Carry out ``request`` and return the reply.

        :raises MigrationError: as those of :class:`Bridge`.
        """

        def take(event: Event) -> None:
            on_event(event)
            self.tell(event)

        if self.hub is None:  # it has a default only for the order of a dataclass's fields
            raise TypeError("a TargetBridge needs a hub")
        reply = self.hub.call(request, take)
        places = [*(reply.get("contexts") or ()), *((reply.get("facts") or {}).get("databases") or ())]
        known = [tell(place["database"]) for place in places if place.get("database") for tell in (identity, served)]
        self.identities.extend(item for item in known if item)
        return reply
