# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A steady client: it asks the whole time, over a connection that it keeps and over a new one each time, and forgives nothing."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

PAUSE = 0.02
BODY = json.dumps({"customer_id": 1, "amount_cents": 100})
HEADERS = {"Content-Type": "application/json"}


@dataclass
class Load:
    """Every tenth request writes, if `writes`. `failed` says what went wrong and when; `slowest` is in seconds."""

    port: int
    host: str = "127.0.0.1"
    writes: bool = True
    asked: int = 0
    written: int = 0
    slowest: float = 0
    failed: list[str] = field(default_factory=list)
    releases: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def unharmed(self) -> bool:
        """A client that asked all the time saw nothing of it."""
        return not self.failed and self.asked > 300 and self.written > 20

    def __enter__(self) -> Load:
        self._threads = [threading.Thread(target=ask, daemon=True) for ask in (self._kept, self._anew)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _kept(self) -> None:
        connection = self._connect()
        self._ask(lambda: connection, lambda _: None)
        connection.close()

    def _anew(self) -> None:
        self._ask(self._connect, lambda connection: connection.close())

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def _ask(self, connect: Callable[[], http.client.HTTPConnection], done: Callable[[http.client.HTTPConnection], None]) -> None:
        for number in itertools.count():
            if self._over.is_set():
                return
            began = time.monotonic()
            what = (
                ("POST", "/orders", BODY)
                if self.writes and number % 10 == 0
                else ("GET", "/health" if number % 10 == 5 else "/orders?limit=3", None)
            )
            problem = ""
            try:
                connection = connect()
                connection.request(*what, HEADERS)
                answer = connection.getresponse()
                body = answer.read()
                if answer.status not in (200, 201):
                    problem = f"{answer.status} {body[:200]!r}"
                elif what[1] == "/health":
                    self.releases.add(json.loads(body)["release"])
                done(connection)
            except (OSError, http.client.HTTPException) as exc:
                problem = repr(exc)
            with self._lock:
                self.asked += 1
                self.written += what[0] == "POST" and not problem
                self.slowest = max(self.slowest, time.monotonic() - began)
                if problem:
                    self.failed.append(f"{time.strftime('%H:%M:%S')} {what[0]} {what[1]}: {problem}")
            time.sleep(PAUSE)
