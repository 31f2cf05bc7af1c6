# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The ledger of a run over many databases: a line for each step of each target, on disk before the step is taken."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
import threading
import time
from functools import partial
from hashlib import sha256
from typing import Any, Mapping

from .._core import fleet_ledger
from .._core.fleet_ledger import Standing
from .._errors import MigrationError
from .._owned import usable, with_room
from .._records import RecordStore
from .._worker.redaction import Redactor
from .standing import lines_of, standings_of

POLL_SECONDS = 0.2
_TIME = re.compile(r"\d{8}T\d{6}Z")


class Ledger:
    """A ledger that this run writes. It holds a lock on the file, as do the processes that it starts for as long as they live."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = -1
        self.standings: dict[str, Standing] = {}
        self._lock = threading.Lock()
        self._lines: dict[str, list[dict[str, Any]]] = {}

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def stamp(self) -> str:
        """What the names of its snapshots end with: the time in its own name, or a sum of that."""
        found = _TIME.search(self.name)
        return (found.group() if found else sha256(self.path.encode()).hexdigest()[:16]).lower()

    def open(self, wait: float) -> None:
        """Begin to write, when no other run does any more.

        :param wait: seconds.
        :raises MigrationError: ``folder_unusable``, ``lock_unavailable``, ``record_unreadable``.
        """
        folder = os.path.dirname(self.path)
        RecordStore(folder).check_folder()
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            self.descriptor = os.open(self.path, flags, 0o600)
        except OSError as exc:
            raise MigrationError(
                f"The ledger {self.path} can not be written: {exc.strerror}.", "folder_unusable", "Name another file."
            ) from exc
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            raise MigrationError(f"{self.path} is no plain file.", "folder_unusable", "Name another file.")
        self._take(wait)
        self._read()
        directory = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def look(self) -> None:
        """Read what is there, without a lock and without writing anything.

        :raises MigrationError: ``record_unreadable``.
        """
        found = standings_of(os.path.dirname(self.path), self.name)
        if found is None:
            raise MigrationError(f"The ledger {self.path} is not there.", "record_unreadable", "Name that of the deployment.")
        self.standings = found

    def _take(self, wait: float) -> None:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    raise MigrationError(
                        f"Another run still works on the targets of the ledger {self.path}.",
                        "lock_unavailable",
                        "Wait for it to end, or end it on this host if it hangs; then run the task again.",
                    ) from None
            time.sleep(POLL_SECONDS)

    def _read(self) -> None:
        """Read what is there. A line that was cut off was never acted on, and is taken away."""
        with open(self.path, "rb") as file:
            data = file.read()
        lines, length = lines_of(data, self.path)
        self.standings = fleet_ledger.folded(lines)
        os.ftruncate(self.descriptor, length)
        for line in lines:
            self._lines.setdefault(line["target"], []).append(line)

    def write(self, target: str, step: str, facts: Mapping[str, Any]) -> None:
        """Write that ``target`` is at ``step``, which is on disk when this returns.

        :raises MigrationError: ``folder_unusable``.
        """
        line = {"target": target, "step": step, **facts}
        if line.get("failure"):
            line["failure"] = Redactor().clean(line["failure"])
        data = (json.dumps(line, sort_keys=True) + "\n").encode()
        folder = os.path.dirname(self.path)
        with self._lock, usable(folder):
            while data:
                data = data[with_room(folder, partial(os.write, self.descriptor, data)) :]
            os.fsync(self.descriptor)
            self._lines.setdefault(target, []).append(line)
            self.standings.update(fleet_ledger.folded(self._lines[target]))

    def of(self, target: str) -> Standing:
        return self.standings.get(target, Standing())

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
