# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Where the project's connections go while it is watched: to the copy, and nowhere else.

SQLAlchemy's class-level events reach every engine of the process, whoever made it. In the rehearsal a connection to a database
that was looked at goes to its copy, one to any other database is refused, and before its first statement each is asked which
database it really is. What a pool has kept from before is thrown away when it is taken out.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, Optional, Tuple

from .. import readonly, server
from ..failure import Failure
from . import raw
from .access import Access, aimed, endpoint

_MARK = "dbops.alembic rehearsal"
Aims = Dict[Tuple[str, ...], Tuple[str, Optional[Dict[str, Any]]]]
#: How long a statement waits for a lock on a copy, where nobody else is.
WAIT_SECONDS = 10
_ATTACH = re.compile(r"^\s*ATTACH\b", re.I)


class Redirection:
    """First notes how the project connects, then leads it elsewhere.

    ``aims`` is endpoint of a database → (name of its copy, connect arguments there). None while the project is only looked at.
    """

    def __init__(self) -> None:
        self.aims: Aims | None = None
        self.settings: dict[str, str] = {}
        self.generation = 0
        self.refused: list[str] = []
        self.elsewhere: dict[str, Callable[[str], str | None]] = {}  # name of a copy → which other database a statement names

    def aim(self, aims: Aims | None) -> None:
        """From now on connections go there, and those made before are used no more."""
        self.generation += 1
        self.aims, self.refused = aims, []

    def events(self) -> list[tuple[Any, str, Callable[..., Any]]]:
        from sqlalchemy.engine import Engine
        from sqlalchemy.pool import Pool

        return [
            (Engine, "do_connect", self._do_connect),
            (Pool, "connect", self._connected),
            (Pool, "checkout", self._checkout),
            (Engine, "before_cursor_execute", self._before),
        ]

    def listen(self) -> None:
        from sqlalchemy import event

        for target, name, listener in self.events():
            event.listen(target, name, listener)

    def access_of(self, connection: Any) -> Access | None:
        """Return how this connection was made; None for one that its engine's own ``creator`` made."""
        mark = connection.connection.info.get(_MARK)
        return mark["access"] if mark else None

    def _do_connect(self, dialect: Any, record: Any, cargs: Any, cparams: dict[str, Any]) -> Any:
        if record is None:
            return None
        if self.aims is None:
            record.info[_MARK] = {"generation": self.generation, "access": Access(dialect, cargs, cparams)}
            return None
        where = endpoint(cargs, cparams, dialect.name)
        aim = self.aims.get(where)
        if aim is None:
            self._refuse(" ".join(part for part in where[:3] if part))
        name, there = aim  # type: ignore[misc]
        cargs[:], new = aimed(dialect.name, cargs, cparams if there is None else there, name)
        cparams.clear()
        cparams.update(new)
        record.info[_MARK] = {
            "generation": self.generation,
            "access": None,
            "database": name,
            "dialect": dialect.name,
            "driver": dialect.driver,
        }
        record.info[readonly.MARK] = readonly.WRITABLE
        with readonly.writing():
            return dialect.connect(*cargs, **cparams)

    def _refuse(self, where: str) -> None:
        self.refused.append(where)
        raise Failure(
            "wrong_database",
            f"A connection to another database ({where}) was refused in the rehearsal.",
            "Only the database that the project migrates has a copy; look at this revision by hand.",
        )

    def _connected(self, dbapi: Any, record: Any) -> None:
        """Ask a new connection who it is, before anybody else can use it."""
        if self.aims is None:
            return
        mark = record.info.get(_MARK) or {}
        if mark.get("generation") != self.generation:
            self._refuse("made by a function of the project's own")
        self._identify(dbapi, mark)
        settings = ", ".join(
            f"set_config('{name}', {server.literal(value)}, false)" for name, value in sorted(self.settings.items())
        )
        if settings and mark["dialect"] == "postgresql":
            server.value(dbapi, "select " + settings)
        if mark["dialect"] in server.MYSQL:
            server.rows(dbapi, f"set session lock_wait_timeout = {WAIT_SECONDS}, innodb_lock_wait_timeout = {WAIT_SECONDS}")
        dbapi.commit()
        raw.watch(dbapi, mark["driver"])

    def _identify(self, dbapi: Any, mark: dict[str, Any]) -> None:
        """Refuse a connection that does not lead to the copy, or that leads elsewhere too."""
        if mark["dialect"] == "sqlite":
            files = {name: os.path.realpath(path or "") for _number, name, path in server.rows(dbapi, "pragma database_list")}
            others = [path for name, path in files.items() if name not in ("main", "temp")]
            found = files["main"] if files["main"] != os.path.realpath(mark["database"]) else next(iter(others), None)
        else:
            name = server.value(dbapi, f"select {'current_database' if mark['dialect'] == 'postgresql' else 'database'}()")
            found = None if name == mark["database"] else str(name)
        if found is not None:
            dbapi.rollback()
            self._refuse(found)

    def _checkout(self, dbapi: Any, record: Any, fairy: Any) -> None:
        from sqlalchemy.exc import DisconnectionError

        mark = record.info.get(_MARK) or {}
        if self.aims is not None and mark.get("generation") != self.generation:
            raise DisconnectionError("made before the rehearsal")  # the pool then makes another one
        if self.aims is not None and mark["dialect"] == "sqlite":
            self._identify(dbapi, mark)  # what the project does with a new connection may attach another file

    def _before(self, conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        mark = conn.connection.info.get(_MARK) or {}
        if self.aims is not None and mark.get("generation") != self.generation:
            self._refuse("a connection that was open before the rehearsal")
        if self.aims is not None and mark["dialect"] == "sqlite" and _ATTACH.match(statement):
            self._refuse("an attached file")
        named = self.elsewhere.get(mark.get("database") or "")
        other = named(statement) if named else None
        if other:
            self._refuse(other)
