# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Having PostgreSQL databases for ourselves while they are copied or renamed."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from typing import Any, Iterator, Sequence

from ..failure import Failure
from . import attributes, connected, marks
from .attributes import Attributes
from .engine import OUR_NAME, Server, as_failure
from .repair import allowing, repair, worker_on

UNDO_SECONDS = 30.0
NOT_UNDONE = "It may still refuse new connections: the next database_snapshot call (state: repaired, for one) opens it again."


class Work:
    """A connection beside the application's database, and the lock that keeps a second call away."""

    def __init__(self, server: Server, request: dict[str, Any]) -> None:
        self.server, self.request, self.database = server, request, server.database
        self.wait = float(request.get("wait") or 0)
        self.purpose = f"snapshot {secrets.token_hex(6)}"
        self.by = f"{OUR_NAME} {self.purpose}"
        self.connect()
        self.version = int(self.connection.value("select current_setting('server_version_num')"))
        self.terminated: list[connected.Session] = []
        self.blocked_seconds = 0.0
        self._closed_at: float | None = None

    def connect(self) -> None:
        self.connection = self.server.connect_beside(self.request.get("maintenance_database"), self.purpose)
        self.connection.run(f"set lock_timeout = {max(1000, int(self.wait * 1000))}")

    def attributes(self, name: str) -> Attributes | None:
        return attributes.read(self.connection, self.version, name)

    @contextlib.contextmanager
    def locked(self) -> Iterator[list[dict[str, Any]]]:
        """Keep other calls away, repair what one of them left, yield what that was, and leave nothing behind."""
        self._lock()
        try:
            yield repair(self.connection, self.database)
        except Exception as exc:
            undone = self._undo()
            failure = as_failure(exc)
            if not undone:
                failure.hint = f"{failure.hint or ''} {NOT_UNDONE}".strip()
            if failure is exc:
                raise
            raise failure from exc

    def _lock(self) -> None:
        """Take an advisory lock that goes with the session; also wait for a call that works beside another database."""
        digest = hashlib.sha256(f"{OUR_NAME}:snapshot:{self.database}".encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        deadline = time.monotonic() + self.wait
        while True:
            if self.connection.value(f"select pg_try_advisory_lock({key})"):
                if worker_on(self.connection, self.database) in (None, self.by):
                    return
                self.connection.value(f"select pg_advisory_unlock({key})")
            if time.monotonic() >= deadline:
                raise Failure(
                    "lock_unavailable",
                    f"Another call is at work on the snapshots of {self.database}, and wait ({self.wait:g} s) is over.",
                    "Wait for it to end.",
                )
            time.sleep(0.2)

    def _undo(self) -> bool:
        """Undo what was begun; when the connection broke, wait for the server to come back. Tells whether that succeeded."""
        deadline = time.monotonic() + UNDO_SECONDS
        while True:
            with contextlib.suppress(Exception):  # the failure that brought us here is the one to tell
                repair(self.connection, self.database, self.by)
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(1)
            self.connection.close()
            with contextlib.suppress(Exception):  # tried again until the time is over
                self.connect()
                self._lock()

    def begin(self, source: Attributes | None, making: str | None, close: Sequence[str]) -> None:
        """Write down what is going to be done, and let nobody new onto the databases ``close``.

        :param making: the copy that is going to be made; until it has a mark of its own it is known by this.
        """
        mark = {"kind": marks.AT_WORK, "by": self.by, "closed": bool(close), "making": making}
        with self.connection.transaction():
            if source is not None:
                mark.update(allow_connections=source.allow_connections, comment=source.comment)
                self.connection.run(attributes.comment_statement(self.database, marks.written(mark)))
            self.connection.run(*[allowing(name, False) for name in close])
        self._closed_at = time.monotonic() if close else None

    def clear(self, names: Sequence[str]) -> None:
        """Wait until nobody is left on ``names``; terminate at once who is there where that is allowed."""

        def look() -> list[connected.Session]:
            return connected.postgresql(self.connection, names)

        if self.request.get("terminate"):
            for session in look():
                connected.end_postgresql(self.connection, session)
                self.terminated.append(connected.visible(session))
        left = connected.wait_for_none(look, self.wait)
        if left:
            raise connected.busy(names, left, terminated=self.terminated)

    def finished(self) -> None:
        """Note how long nobody was let in."""
        if self._closed_at is not None:
            self.blocked_seconds = round(time.monotonic() - self._closed_at, 3)
