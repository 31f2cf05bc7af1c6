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
from typing import Any, Iterator

from .. import server
from ..failure import Failure, describe
from . import programs
from .access import Access, Session, quoted
from .copies import ServerCopies

MAINTENANCE_DATABASES = ("postgres", "template1")
_KIND = """
select pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, to_jsonb(d) ->> 'datlocprovider',
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale')
from pg_database d where d.datname = current_database()"""
_SETTINGS = """
select unnest(s.setconfig) from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase
where d.datname = current_database() and s.setrole in (0, (select oid from pg_roles where rolname = current_user))
order by s.setrole"""
_FILLED = """
select quote_ident(schemaname) || '.' || quote_ident(matviewname) from pg_matviews where ispopulated
and schemaname !~ '^pg_' order by 1"""
_PROVIDERS = {"i": "icu", "b": "builtin"}


class Scratch(ServerCopies):
    """The copies of one database of PostgreSQL."""

    def __init__(self, access: Access, database: str, request: dict[str, Any]) -> None:
        super().__init__(access, database, request)
        self.major = 0

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

    def fill_views(self) -> None:
        """Fill the materialized views that are filled in the original, for what can only be done with such."""
        with self.access.connect(self.database, "rehearsal").closing() as original:
            names = [str(name) for (name,) in original.rows(_FILLED)]
        with self.connect().closing() as session:
            for _round in names:  # one may read another
                left = []
                for name in names:
                    try:
                        session.rows(f"refresh materialized view {name}")
                    except Exception:  # not restored, or not its turn yet
                        left.append(name)
                if len(left) in (0, len(names)):
                    break
                names = left

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
        with self.access.connect(self.database, "rehearsal", reading=True).closing() as original:
            self.settings = dict(row[0].split("=", 1) for row in original.rows(_SETTINGS))
            self.major = int(original.value("select current_setting('server_version_num')")) // 10000
            return original.rows(_KIND)[0]

    def fill_versions(self, tables: list[tuple[str, str, list[str]]]) -> None:
        """Write the heads, (schema, table, revisions) of each version table, into the copy."""
        with self.connect().closing() as session:
            for schema, table, revisions in tables:
                name = f"{quoted(schema)}.{quoted(table)}"
                session.rows(f"delete from {name}")
                for revision in revisions:
                    session.rows(f"insert into {name} (version_num) values ({server.literal(revision)})")

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

    def _found(self, like: str) -> list[str]:
        mine = f"datname like {like} and pg_has_role(datdba, 'MEMBER')"
        return [str(name) for (name,) in self.admin.rows(f"select datname::text from pg_database where {mine} order by 1")]

    def _try_hold(self, name: str) -> bool:
        return bool(self.admin.value(f"select pg_try_advisory_lock({_key(name)})"))

    def _let_go(self, name: str) -> None:
        self.admin.rows(f"select pg_advisory_unlock({_key(name)})")

    def _hold(self, name: str) -> None:
        self.admin.rows(f"select pg_advisory_lock({_key(name)})")

    def _disconnect(self, name: str) -> None:
        # DROP DATABASE ends autovacuum's processes by itself, and they are not ours to end.
        others = f"datname = {server.literal(name)} and backend_type = 'client backend' and pg_has_role(usesysid, 'MEMBER')"
        self.admin.rows(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}")
        for _attempt in range(100):
            if not self.admin.value(f"select count(*) from pg_stat_activity where {others}"):
                return
            self.admin.rows("select pg_sleep(0.05)")


def _key(name: str) -> int:
    """Return the advisory lock's key for a copy."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
