# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Migrations that outlive the call that started them: a file each, in a folder of the user's own.

The worker appends its events and its reply, both redacted, and holds a lock on the file for as long as it lives. A call
that comes later, over another connection, reads on from where the last one stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import stat
import time
from dataclasses import dataclass, field
from typing import IO, Any, Mapping, Protocol, runtime_checkable

from ._bridge import checked, death
from ._errors import MigrationError
from ._worker.journal import PROGRESS, Journal

KEEP_SECONDS = 7 * 86400
#: Names the ``lock`` that something of the job may still hold when nothing holds its file any more.
HELD = "held"
_NAME = re.compile(r"^[0-9a-zA-Z_-]{8,64}$")


@dataclass(frozen=True)
class Unfinished:
    """A job that goes on; ``cursor`` is where the next call reads on."""

    job: str
    progress: tuple[Mapping[str, Any], ...]
    cursor: int

    def as_result(self) -> dict[str, Any]:
        return {
            "changed": False,
            "job": self.job,
            "finished": False,
            "progress": [dict(event) for event in self.progress],
            "cursor": self.cursor,
        }


@dataclass
class Followed:
    """A job that ended: with the worker's reply, or by the worker's death."""

    reply: dict[str, Any] | None
    journal: Journal = field(default_factory=Journal)
    death: MigrationError | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, who: str, hint: str) -> dict[str, Any]:
        """Return the reply.

        :param who: did what, for the message.
        :raises MigrationError: ``worker_died``.
        """
        if not self.reply:
            msg = f"The process that {who} is gone, and has not said how far it came."
            raise MigrationError(msg, "worker_died", hint, self.death.facts if self.death else {})
        return self.reply


@runtime_checkable
class Follower(Protocol):
    """A way to an application's Python that keeps jobs by itself, as Kubernetes does."""

    def follow(self, request: Mapping[str, Any], job: str, cursor: int | None, wait: float) -> Unfinished | Followed: ...


class Starter(Protocol):
    """What a job is started with; :class:`Bridge` is one."""

    def start(self, request: Mapping[str, Any], descriptor: int, errors: IO[bytes]) -> Any: ...


def named(job: str) -> str:
    """Return ``job`` if it can be part of a file's name.

    :raises MigrationError: ``options_invalid``.
    """
    if not _NAME.match(job):
        raise MigrationError(f"{job!r} is no name for a job.", "options_invalid", "It has 8 to 64 letters, digits, '_' or '-'.")
    return job


@dataclass(frozen=True)
class Jobs:
    """The jobs of one user on one host."""

    folder: str

    @classmethod
    def default(cls) -> Jobs:
        """Return the folder below the user's home, or below /var/tmp for a user without one.

        :raises MigrationError: ``options_invalid``, if neither can be used.
        """
        state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
        for folder in (os.path.join(state, "dbops_alembic", "jobs"), f"/var/tmp/dbops_alembic-{os.getuid()}/jobs"):
            if _private(folder):
                return cls(folder)
        raise MigrationError(
            f"No folder for the job can be made below {state} or /var/tmp.",
            "options_invalid",
            "Give the user a home folder that it can write to.",
        )

    def follow(
        self, bridge: Starter, request: Mapping[str, Any], job: str, cursor: int | None, wait: float
    ) -> Unfinished | Followed:
        """Start the job, or attach to it if it was started before, and wait for its end or its next events.

        :param cursor: bytes of the job's events that were reported already; with one, new events end the wait.
        :param wait: seconds; 0 waits for the end.
        """
        path = os.path.join(self.folder, named(job) + ".jsonl")
        if not os.path.exists(path):
            if cursor:
                raise MigrationError(
                    f"There is no job {job} in {self.folder}.",
                    "job_unknown",
                    "Look with alembic_info where the database stands, then run the task again.",
                )
            self._start(bridge, request, path)
        until = time.monotonic() + wait if wait else None
        while True:
            alive = not _unlocked(path)
            messages, end = _read(path, 0)
            alive = alive or any(_is_held(message["lock"]) for message, _position in messages if message["event"] == HELD)
            fresh = [message for message, position in messages if position > (cursor or 0) and message["event"] in PROGRESS]
            if not alive or (messages and messages[-1][0]["event"] == "reply"):
                return self._ended(path, request, [message for message, _position in messages])
            if until is not None and ((fresh and cursor is not None) or time.monotonic() >= until):
                return Unfinished(job, tuple(fresh), end)
            time.sleep(0.1)

    def _start(self, bridge: Starter, request: Mapping[str, Any], path: str) -> None:
        self._prune()
        mine = f"{path}.{os.getpid()}"
        descriptor = os.open(mine, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # the worker inherits it, and it ends with the worker
            os.link(mine, path)  # nobody sees the file before it is locked
        except FileExistsError:
            os.close(descriptor)
            return  # another call was faster
        finally:
            os.unlink(mine)
        try:
            with open(path[: -len("jsonl")] + "err", "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as errors:
                bridge.start(request, descriptor, errors)
        except BaseException:
            os.unlink(path)
            raise
        finally:
            os.close(descriptor)

    def _ended(self, path: str, request: Mapping[str, Any], messages: list[dict[str, Any]]) -> Followed:
        if messages and messages[-1]["event"] == "reply":
            return Followed(checked(messages[-1]))
        found = Followed(None, messages=messages)
        for message in messages:
            found.journal.take(message)
        printed = b""
        with contextlib.suppress(FileNotFoundError), open(path[: -len("jsonl")] + "err", "rb") as errors:
            printed = errors.read()
        found.death = death(request, None, printed)
        return found

    def _prune(self) -> None:
        """Remove what is older than a week; a job that runs still writes to its file."""
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            with contextlib.suppress(FileNotFoundError):  # whose it was has ended, or another call was faster
                if name.endswith((".jsonl", ".err", ".lock")) and os.stat(path).st_mtime < time.time() - KEEP_SECONDS:
                    os.unlink(path)


def follow(starter: Starter, request: Mapping[str, Any], params: Mapping[str, Any]) -> Unfinished | Followed:
    """Start the job that a module's options name, or attach to it, as :meth:`Jobs.follow` does."""
    return Jobs.default().follow(starter, request, params["job"], params.get("cursor"), params.get("wait") or 0)


def _private(folder: str) -> bool:
    """Make ``folder`` for this user alone; tell whether it is."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        found = os.lstat(folder)
    except OSError:
        return False
    mine = found.st_uid == os.getuid() and os.lstat(os.path.dirname(folder)).st_uid == os.getuid()
    return stat.S_ISDIR(found.st_mode) and mine and not found.st_mode & 0o077 and os.access(folder, os.W_OK)


def _unlocked(path: str) -> bool:
    """Tell whether the worker that holds the file's lock is gone."""
    with open(path, "rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _is_held(lock: str) -> bool:
    try:
        return not _unlocked(lock)
    except FileNotFoundError:
        return False


def _read(path: str, start: int) -> tuple[list[tuple[dict[str, Any], int]], int]:
    """Return the whole messages from ``start`` with the position behind each, and the last position."""
    with open(path, "rb") as handle:
        handle.seek(start)
        found, position = [], start
        for line in handle:
            if not line.endswith(b"\n"):
                break
            position += len(line)
            found.append((json.loads(line), position))
    return found, position
