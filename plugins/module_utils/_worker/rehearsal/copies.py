# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Copies that are databases of a server, each of a name that nobody else uses, locked while its run lives, and always dropped."""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any

from ..failure import Failure
from . import maker
from .access import Access, Session, quoted
from .maker import PREFIX


class ServerCopies:
    """The copies of one database.

    :param access: the way to the original.
    :param database: name of the original.
    """

    renews = False  # the copy can be made again as it was; else it can be copied itself, so that a way back is tried beside it
    place = "database"  # where it is
    mark = '"'  # quotes a name

    def __init__(self, access: Access, database: str, request: dict[str, Any]) -> None:
        self.access, self.database, self.request = access, database, request
        self.here = access  # how the copy is reached
        digest = hashlib.sha256(" ".join(access.endpoint).encode()).hexdigest()[:8]
        self.family = f"{PREFIX}{digest}_"
        self.name = maker.new_name(self.family)
        self.copy = self.name + "_back"
        self.settings: dict[str, str] = {}
        self.missing: list[str] = []
        self._admin: Session | None = None

    @property
    def admin(self) -> Session:
        """A connection from which databases are made and dropped, kept until the end."""
        raise NotImplementedError

    def connect(self, name: str | None = None) -> Session:
        """Connect to the copy, or to the copy of it."""
        return self.here.connect(name or self.name, "rehearsal")

    def session(self) -> contextlib.AbstractContextManager[Session]:
        """Lend a connection to the copy."""
        return self.connect().closing()

    def let_go(self) -> None:
        """Close the connections that are lent, if they are kept."""

    def sizes(self, original: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return how large the tables really are: the copy is empty, so what the original's statistics say."""
        return original

    def prune(self, check: bool = False) -> list[str]:
        """Drop the copies of any database of this server whose maker is dead, unless ``check``; return their names."""
        dropped = []
        for name in self._found():
            if name not in (self.name, self.copy) and self._try_hold(name):
                if not check:
                    self._drop(name)
                self._let_go(name)
                dropped.append(name)
        return dropped

    def remove(self) -> None:
        """Drop what was made, and let go of the server."""
        self.let_go()
        if self._admin is None:
            return
        try:
            for name in (self.copy, self.name):
                self._drop(name)
        finally:
            self._admin.close()
            self._admin = None

    def _drop(self, name: str) -> None:
        if not maker.is_copy(name):
            raise Failure("internal_error", f"{name} is no copy of ours.")
        self._disconnect(name)
        self.admin.rows(f"drop database if exists {quoted(name, self.mark)}")

    def _found(self) -> list[str]:
        """Return the databases that a rehearsal has made and that nothing but a lock may show to be in use."""
        raise NotImplementedError

    def _try_hold(self, name: str) -> bool:
        """Take the lock of a copy, and tell whether nobody else had it."""
        raise NotImplementedError

    def _let_go(self, name: str) -> None:
        raise NotImplementedError

    def _disconnect(self, name: str) -> None:
        """End the sessions that the project's pools have left on a copy; nobody else knows its name."""
        raise NotImplementedError
