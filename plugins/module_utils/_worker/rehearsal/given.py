# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A database that the user gives to rehearse in, for a role that may not create one. It has to be empty, or to be left from us."""

from __future__ import annotations

import contextlib
from typing import Any

from .. import project
from ..failure import Failure
from .access import Access, Session, quoted
from .scratch import Scratch

#: A schema of this name says that what is in the database was put there by us.
MARK = "dbops_rehearsal"
_OURS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"
_MEMBER = "not exists (select 1 from pg_depend e where e.objid = {0} and e.deptype = 'e')"
_CONTENT = f"""
select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where {_OURS} and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and {_MEMBER.format("c.oid")}"""
_SCHEMAS = f"select n.nspname::text from pg_namespace n where {_OURS} and n.nspname not in ('public', '{MARK}')"
#: What is dropped from the schema public, which itself may belong to somebody else.
_PUBLIC = f"""
select 'drop ' || case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                  when 'f' then 'foreign table' else 'table' end || ' if exists ' || c.oid::regclass || ' cascade'
from pg_class c
where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and {_MEMBER.format("c.oid")}
union all
select 'drop routine if exists ' || p.oid::regprocedure || ' cascade'
from pg_proc p where p.pronamespace = 'public'::regnamespace and {_MEMBER.format("p.oid")}
union all
select 'drop type if exists ' || t.oid::regtype || ' cascade'
from pg_type t where t.typnamespace = 'public'::regnamespace and t.typtype in ('e', 'd', 'c') and {_MEMBER.format("t.oid")}
  and (t.typrelid = 0 or exists (select 1 from pg_class c where c.oid = t.typrelid and c.relkind = 'c'))"""


class Given(Scratch):
    """Rehearses in the database of ``scratch_url``, where nothing can be copied."""

    place = "given"

    def __init__(self, access: Access, database: str, request: dict[str, Any]) -> None:
        from sqlalchemy.engine import make_url

        super().__init__(access, database, request)
        url = project.asked_urls({"url": request["scratch_url"]})[0]
        url = make_url(url).set(drivername=f"postgresql+{access.dialect.driver}")
        cargs, cparams = access.dialect.create_connect_args(url)
        self.here = Access(access.dialect, cargs, dict(cparams))
        self.name = str(url.database)
        if self.here.endpoint[:3] == access.endpoint[:3]:
            raise Failure("options_invalid", "scratch_url is the database that the project migrates.", "Give an empty one.")

    def create(self) -> None:
        with self.connect().closing() as session:
            ours = session.value(f"select count(*) from pg_namespace where nspname = '{MARK}'")
            if session.value(_CONTENT) and not ours:
                raise Failure(
                    "not_ours",
                    f"The database {self.name} of scratch_url is not empty, and what is in it was not put there by a rehearsal.",
                    "Give an empty database; everything in it is dropped.",
                )
            self.read_original()
            self.major = max(self.major, int(session.value("select current_setting('server_version_num')")) // 10000)
        self._begin()
        self.missing = self._carry(self.name)

    def _begin(self) -> None:
        """Throw out what is in it, and say that what comes now is ours."""
        with self.connect().closing() as session:
            self._empty(session)
            session.rows(f"create schema {MARK}")

    def renew(self) -> None:
        self.let_go()
        self._begin()
        self._carry(self.name)
        self._fill(self.name)

    def prune(self, check: bool = False) -> list[str]:
        return []

    def remove(self) -> None:
        with self.connect().closing() as session:
            if session.value(f"select count(*) from pg_namespace where nspname = '{MARK}'"):
                self._empty(session)

    def _empty(self, session: Session) -> None:
        where = "datname = current_database() and pid <> pg_backend_pid() and usename = current_user"
        session.rows(f"select pg_terminate_backend(pid) from pg_stat_activity where {where}")
        for (name,) in session.rows("select extname::text from pg_extension where extname <> 'plpgsql'"):
            session.rows(f"drop extension if exists {quoted(name)} cascade")
        for (name,) in session.rows(_SCHEMAS):
            session.rows(f"drop schema if exists {quoted(name)} cascade")
        for (statement,) in session.rows(_PUBLIC):
            with contextlib.suppress(Exception):  # gone with another already
                session.rows(statement)
        session.rows(f"drop schema if exists {MARK} cascade")
