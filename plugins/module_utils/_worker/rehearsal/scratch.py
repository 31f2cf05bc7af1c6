# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The copy that is rehearsed on: a database of a name that nobody else uses, without rows, which is always dropped again.

While a run lives it holds an advisory lock for its copy on the connection that made it. A copy whose lock is free was left behind
by a run that was killed; the next run drops it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import Any, Iterator

from .. import server
from ..failure import Failure, describe
from . import programs
from .access import Access, Session, quoted

PREFIX = "dbops_rehearsal_"
MAINTENANCE_DATABASES = ("postgres", "template1")
_KIND = """
select pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, to_jsonb(d) ->> 'datlocprovider',
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')
from pg_database d where d.datname = current_database()"""
_SETTINGS = """
select unnest(s.setconfig) from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
where d.datname = current_database() and s.setrole in (0, (select oid from pg_roles where rolname = current_user))
order by s.setrole"""
_PROVIDERS = {"i": "icu", "b": "builtin"}


class Scratch:
    """The copies of one database.

    :param access: the way to the original.
    :param database: name of the original.
    """

    copies = True  # the copy can be copied itself, so that a way back is tried beside it
    place = "database"  # where it is

    def __init__(self, access: Access, database: str, request: dict[str, Any]) -> None:
        self.access, self.database, self.request = access, database, request
        self.here = access  # how the copy is reached
        digest = hashlib.sha256(" ".join(access.endpoint).encode()).hexdigest()[:8]
        self.family = f"{PREFIX}{digest}_"
        self.name = self.family + os.urandom(4).hex()
        self.copy = self.name + "_back"
        self.settings: dict[str, str] = {}
        self.missing: list[str] = []
        self.major = 0
        self._admin: Session | None = None

    @property
    def admin(self) -> Session:
        """A connection to another database of the server, kept until the end."""
        if self._admin is None:
            wanted = self.request.get("maintenance_database")
            names = [wanted] if wanted else [name for name in MAINTENANCE_DATABASES if name != self.database]
            problems = []
            for name in names:
                try:
                    self._admin = self.access.connect(str(name), "rehearsal")
                    return self._admin
                except Exception as exc:
                    problems.append(f"{name}: {describe(exc)['message']}")
            raise Failure(
                "connection_failed",
                f"No other database of the server could be connected to: {'; '.join(problems)}.",
                "Name one that the role may connect to as maintenance_database.",
            )
        return self._admin

    def create(self) -> None:
        """Make the copy; what earlier runs left behind is dropped first."""
        self.prune()
        self._make(self.name, self.read_original())
        self.missing = programs.copy_schema(
            self.access, self.database, self.access, self.name, self.request.get("postgresql_programs"), self.major
        )

    def _make(self, name: str, kind: tuple[Any, ...]) -> None:
        """Make an empty database of this kind."""
        encoding, collate, ctype, provider, locale = kind
        self._hold(name)
        options = [
            f"encoding {server.literal(encoding)}",
            f"lc_collate {server.literal(collate)}",
            f"lc_ctype {server.literal(ctype)}",
        ]
        if provider in _PROVIDERS and locale:
            options += [f"locale_provider {_PROVIDERS[provider]}", f"{_PROVIDERS[provider]}_locale {server.literal(locale)}"]
        self.admin.rows(f"create database {quoted(name)} template template0 {' '.join(options)}")

    def read_original(self) -> tuple[Any, ...]:
        """Read version and settings of the original, and return what kind of database it is."""
        with self.access.connect(self.database, "rehearsal").closing() as original:
            self.settings = dict(row[0].split("=", 1) for row in original.rows(_SETTINGS))
            self.major = int(original.value("select current_setting('server_version_num')")) // 10000
            return original.rows(_KIND)[0]

    def connect(self, name: str | None = None) -> Session:
        """Connect to the copy, or to the copy of it."""
        return self.here.connect(name or self.name, "rehearsal")

    def fill_versions(self, tables: list[tuple[str, str, list[str]]]) -> None:
        """Write the heads, (schema, table, revisions) of each version table, into the copy."""
        with self.connect().closing() as session:
            for schema, table, revisions in tables:
                name = f"{quoted(schema)}.{quoted(table)}"
                session.rows(f"delete from {name}")
                for revision in revisions:
                    session.rows(f"insert into {name} (version_num) values ({server.literal(revision)})")

    def sizes(self, original: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return how large the tables really are: the copy is empty, so what the original's statistics say."""
        return original

    @contextlib.contextmanager
    def second(self) -> Iterator[str]:
        """Make a copy of the copy as it is now, for a way back, and drop it afterwards."""
        self._hold(self.copy)
        self._disconnect(self.name)
        self.admin.rows(f"create database {quoted(self.copy)} template {quoted(self.name)}")
        try:
            yield self.copy
        finally:
            self._drop(self.copy)

    def prune(self) -> list[str]:
        """Drop the copies of this database that belong to no run which still lives; return their names."""
        like = server.literal(self.family.replace("_", "\\_") + "%")
        mine = f"datname like {like} and pg_has_role(datdba, 'MEMBER')"
        dropped = []
        for (name,) in self.admin.rows(f"select datname::text from pg_database where {mine} order by 1"):
            if self.admin.value(f"select pg_try_advisory_lock({_key(name)})"):
                self._drop(name)
                self.admin.rows(f"select pg_advisory_unlock({_key(name)})")
                dropped.append(str(name))
        return dropped

    def remove(self) -> None:
        """Drop what was made, and let go of the server."""
        if self._admin is None:
            return
        try:
            for name in (self.copy, self.name):
                self._drop(name)
        finally:
            self._admin.close()
            self._admin = None

    def _hold(self, name: str) -> None:
        self.admin.rows(f"select pg_advisory_lock({_key(name)})")

    def _disconnect(self, name: str) -> None:
        """End the sessions that the project's pools have left on a copy; nobody else knows its name."""
        self.admin.rows(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = {server.literal(name)}")
        for _attempt in range(100):
            if not self.admin.value(f"select count(*) from pg_stat_activity where datname = {server.literal(name)}"):
                return
            self.admin.rows("select pg_sleep(0.05)")

    def _drop(self, name: str) -> None:
        if not name.startswith(self.family):
            raise Failure("internal_error", f"{name} is no copy of ours.")
        self._disconnect(name)
        self.admin.rows(f"drop database if exists {quoted(name)}")


def _key(name: str) -> int:
    """Return the advisory lock's key for a copy."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
