# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The copy that is rehearsed on: a database of a name that nobody else uses, without rows, which is always dropped again.

While a run lives, the session that made its copy is there and holds an advisory lock for it; the comment of the copy says which
session that is. A copy whose maker is gone was left behind by a run that was killed; the next run on that server drops it.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import Any, Iterator

from .. import server
from ..failure import Failure, describe
from ..lock import is_pooled
from . import maker, programs
from .access import Access, Session, drive, quoted
from .copies import ServerCopies
from .maker import PREFIX

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
_SEQUENCES = """
select quote_ident(schemaname) || '.' || quote_ident(sequencename), last_value from pg_sequences where last_value is not null"""
#: Copies with what is written in them. Who made one owns it, so its sessions are not hidden from a member of that role.
_COPIES = f"""
select d.datname::text, shobj_description(d.oid, 'pg_database') from pg_database d
where d.datname like '{PREFIX.replace("_", "!_")}%' escape '!' and pg_has_role(d.datdba, 'MEMBER') order by 1"""
_BACKEND = "select pid, extract(epoch from backend_start)::text from pg_stat_activity where pid = pg_backend_pid()"
_PROVIDERS = {"i": "icu", "b": "builtin"}


class Scratch(ServerCopies):
    """The copies of one database of PostgreSQL."""

    renews = True

    def __init__(self, access: Access, database: str, request: dict[str, Any]) -> None:
        super().__init__(access, database, request)
        self.major = 0
        self.kind: tuple[Any, ...] = ()
        self.versions: list[tuple[str, str, list[str]]] = []
        self._dump: programs.Dump | None = None
        self._kept = False  # there is another copy, as it was before anything was rehearsed
        self._lent: Session | None = None

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
        self.kind = self.read_original()
        self._make(self.name, self.kind)
        self.missing = self._carry(self.name)

    def _carry(self, name: str) -> list[str]:
        """Bring the schema there; return what could not be brought."""
        if self._dump is None:
            self._dump = programs.Dump(self.access, self.database, self.request.get("postgresql_programs"), self.major)
        with self.connect(name).closing() as session:
            return self._dump.restore(session)

    def fill(self, versions: list[tuple[str, str, list[str]]]) -> None:
        """Put in what a schema without rows lacks.

        :param versions: (schema, table, revisions) of each version table.
        """
        self.versions = versions
        self._fill(self.name)

    def _fill(self, name: str) -> None:
        with self.connect(name).closing() as session:
            self._fill_views(session)
            self._fill_sequences(session)
            self._fill_versions(session)

    def _fill_views(self, session: Session) -> None:
        """Fill the materialized views that are filled in the original, for what can only be done with such."""
        with self.access.connect(self.database, "rehearsal", reading=True).closing() as original:
            names = [str(name) for (name,) in original.rows(_FILLED)]
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

    def _fill_sequences(self, session: Session) -> None:
        """Let each sequence stand where it does in the original, which says whether it can be altered."""
        with self.access.connect(self.database, "rehearsal", reading=True).closing() as original:
            found = original.rows(_SEQUENCES)
        values = ", ".join(f"({server.literal(str(name))}, {int(last)})" for name, last in found)
        if values:
            with contextlib.suppress(Exception):  # one that was not restored, or may not be set
                session.rows(f"select setval(v.name::regclass, v.last) from (values {values}) v(name, last)")

    def _fill_versions(self, session: Session) -> None:
        for schema, table, revisions in self.versions:
            name = f"{quoted(schema)}.{quoted(table)}"
            session.rows(f"delete from {name}")
            for revision in revisions:
                session.rows(f"insert into {name} (version_num) values ({server.literal(revision)})")

    @contextlib.contextmanager
    def session(self) -> Iterator[Session]:
        if self._lent is None:
            self._lent = self.connect()
        yield self._lent

    def let_go(self) -> None:
        if self._lent is not None:
            self._lent.close()
            self._lent = None

    def renew(self) -> None:
        """Make the copy as it was at first. For that another one is kept, from the first time on."""
        self.let_go()
        if not self._kept:
            self._make(self.copy, self.kind)
            self._carry(self.copy)
            self._fill(self.copy)
            self._kept = True
        self._drop(self.name)
        self._disconnect(self.copy)
        self._hold(self.name)
        self.admin.rows(f"create database {quoted(self.name)} template {quoted(self.copy)}")
        self._sign(self.name)

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
        self._sign(name)

    def _sign(self, name: str) -> None:
        backend, started = self.admin.rows(_BACKEND)[0]
        mark = maker.written(self.database, backend=backend, backend_started=started)
        self.admin.rows(f"comment on database {quoted(name)} is {server.literal(mark)}")

    def read_original(self) -> tuple[Any, ...]:
        """Read version and settings of the original, and return what kind of database it is."""
        with self.access.connect(self.database, "rehearsal", reading=True).closing() as original:
            self.settings = dict(row[0].split("=", 1) for row in original.rows(_SETTINGS))
            self.major = int(original.value("select current_setting('server_version_num')")) // 10000
            return original.rows(_KIND)[0]

    def prune(self, check: bool = False) -> list[str]:
        if drive(self.access.dialect, lambda: is_pooled(self.admin.dbapi)):
            return []  # a session of such a proxy is nobody's, so it proves nothing
        return super().prune(check)

    def _found(self) -> list[str]:
        return [
            str(name) for name, comment in self.admin.rows(_COPIES) if maker.is_copy(str(name)) and self._is_left(name, comment)
        ]

    def _is_left(self, name: str, comment: str | None) -> bool:
        """Tell whether the session that made a copy is gone. Its lock is seen from one database only.

        One without a mark was cut off in the moment of its making; by its name and lock it is left to runs for the same database.
        """
        mark = maker.parsed(comment)
        if mark is None:
            return name.startswith(self.family) and not comment
        backend, started = mark.get("backend"), str(mark.get("backend_started"))
        if not isinstance(backend, int):
            return False
        same = f"(backend_start is null or extract(epoch from backend_start)::text = {server.literal(started)})"
        return not self.admin.value(f"select count(*) from pg_stat_activity where pid = {backend} and {same}")

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
        for _attempt in range(500):
            if not self.admin.value(f"select count(*) from pg_stat_activity where {others}"):
                return
            self.admin.rows("select pg_sleep(0.01)")


def _key(name: str) -> int:
    """Return the advisory lock's key for a copy."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
