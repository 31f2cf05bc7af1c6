# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots inside a PostgreSQL server: copies made with the database as template, and the way back by swapping names.

What a snapshot needs is on it from the start: owner, privileges, limits and settings. So going back is two renames in one
transaction, which happened or did not.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ..failure import Failure
from . import attributes, guards, marks, repair
from .attributes import Attributes
from .block import Work
from .engine import Server, as_failure, identifier, literal
from .marks import Entry, Mark

_DETAILS = """
select d.datname::text, case when pg_has_role('pg_read_all_stats', 'MEMBER') or has_database_privilege(d.oid, 'CONNECT')
                             then pg_database_size(d.oid) end
from pg_database d where d.datname in (%s)"""
_NOW = """
select to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), extract(epoch from now())::float8, session_user::text"""


class Templates:
    """The snapshots of one PostgreSQL database; a store, see :class:`.snapshot.Store`."""

    def __init__(self, server: Server, request: dict[str, Any]) -> None:
        self.database, self.request = server.database, request
        self.work = Work(server, request)
        self.accept: list[str] = list(request.get("accept") or ())

    @property
    def connection(self) -> Any:
        return self.work.connection

    def locked(self) -> AbstractContextManager[list[dict[str, Any]]]:
        return self.work.locked()

    def close(self) -> None:
        self.connection.close()

    def cost(self) -> dict[str, Any]:
        return {"terminated": self.work.terminated, "blocked_seconds": self.work.blocked_seconds}

    def now(self) -> float:
        return float(self.connection.rows(_NOW)[0][1])

    def interrupted(self) -> list[dict[str, Any]]:
        return repair.shown(repair.interrupted(self.connection, self.database))

    def exists(self) -> bool:
        return self.work.attributes(self.database) is not None

    def begins(self) -> bool:
        return False  # a database of a server is made by who makes its roles, too

    def listed(self) -> list[Entry]:
        """Return our databases that belong to this one, newest first."""
        ours = [item for item in repair.databases(self.connection) if item["mark"] and item["mark"]["of"] == self.database]
        names = ", ".join(literal(item["name"]) for item in ours)
        sizes = dict(self.connection.rows(_DETAILS % names)) if ours else {}
        return marks.newest_first(
            [marks.entry(item["name"], item["mark"], item["owner"], sizes.get(item["name"]), not item["invalid"]) for item in ours]
        )

    def find(self, name: str) -> Entry | None:
        """Return our snapshot ``name``; a database of this name that is none is a failure."""
        there = next((item for item in repair.databases(self.connection) if item["name"] == name), None)
        if there is None:
            return None
        of = (there["mark"] or {}).get("of")
        if of != self.database:
            what = "was not made by this collection" if of is None else f"belongs to the database {of}"
            raise Failure(
                "not_ours",
                f"{name} is no snapshot of {self.database}: it {what}, so it is left alone.",
                "database_snapshot_info lists the snapshots.",
            )
        return next(entry for entry in self.listed() if entry["name"] == name)

    def _held(self, name: str) -> Attributes:
        found = self.work.attributes(name)
        if found is None:
            raise Failure("database_missing", f"The database {name} is gone.")
        return found

    def _refusals(self, name: str, held: Attributes, space: dict[str, Any] | None) -> list[guards.Refusal]:
        return guards.refusals(self.connection, self.work.version, name, held, space, self.accept)

    def check_copy(self, kind: str) -> tuple[dict[str, Any], list[guards.Refusal]]:
        source = self._held(self.database)
        space = guards.measure(self.connection, source, self.request.get("free_bytes"))
        refused = self._refusals(self.database, source, space)
        if kind == marks.SIDE:
            refused += guards.tablespace_refusals(self.connection, source)
        return space, refused

    def check_swap(self, name: str) -> None:
        for each in [self.database, name] if self.exists() else [name]:
            guards.refuse(each, self._refusals(each, self._held(each), None))

    def new_name(self, kind: str) -> str:
        stamp = str(self.connection.rows(_NOW)[0][0]).replace("-", "").replace(":", "")
        return marks.make_name(self.database, kind, stamp, [item["name"] for item in repair.databases(self.connection)])

    def new_mark(self, kind: str, **more: Any) -> Mark:
        created, epoch, user = self.connection.rows(_NOW)[0]
        mark = {"kind": kind, "of": self.database, "created": created, "epoch": epoch, "by": user, "restored_from": None}
        return dict(mark, **dict({"revisions": [], "note": None}, **more))

    def planned(self, name: str, mark: Mark, size: int) -> Entry:
        return marks.entry(name, dict(mark, created=None), self._held(self.database).owner, size)

    def make(self, name: str, mark: Mark) -> None:
        """Make the copy; nobody may be connected to the source of one with content."""
        work, source, empty = self.work, self._held(self.database), mark["kind"] == marks.SIDE
        closed = [] if empty else [self.database]
        work.begin(source, name, closed)
        if closed:
            work.clear(closed)
        self._create(source, name, empty)
        mark = dict(mark, comment=source.comment, allow_connections=source.allow_connections)
        with self.connection.transaction():
            self.connection.run(*attributes.statements(source, name), attributes.comment_statement(name, marks.written(mark)))
            self.connection.run(repair.allowing(self.database, source.allow_connections))
            self.connection.run(attributes.comment_statement(self.database, source.comment))
            if self._held(name).carried != source.carried:
                got, wanted = self._held(name).carried, source.carried
                what = f"The copy {name} did not get all that belongs to {self.database}: {got!r} instead of {wanted!r}."
                raise Failure("snapshot_refused", what)
        work.finished()

    def _create(self, source: Attributes, name: str, empty: bool) -> None:
        """Copy file by file, which writes no WAL for the pages; since version 18 the file system may share the blocks."""
        version, start = self.work.version, f"create database {identifier(name)} owner {identifier(source.owner)} "
        if empty:
            self.connection.run(start + attributes.creation(source, version, self.request.get("template")))
            return
        copy = f"{start}template {identifier(self.database)}" + (" strategy file_copy" if version >= 150000 else "")
        if version >= 180000:
            try:
                self.connection.run("set file_copy_method = clone", copy)
                return
            except Exception as exc:
                failure = as_failure(exc)
                if failure.kind != "database_error":
                    raise
                self.work.server.warnings.append(f"The files could not be cloned ({failure.message}), so they were copied.")
                self.connection.run("set file_copy_method = copy")
        self.connection.run(copy)

    def swap(self, name: str, kept: str | None) -> None:
        """Give the snapshot the name of the database, and the database the name ``kept``, in one transaction."""
        source = self.work.attributes(self.database)
        mark = next(item["mark"] for item in repair.databases(self.connection) if item["name"] == name)
        before = self.new_mark(marks.BEFORE_RESTORE, restored_from=name)
        closed = [self.database, name] if source else [name]
        self.work.begin(source, None, closed)
        self.work.clear(closed)
        with self.connection.transaction():
            if source is not None and kept is not None:
                before.update(comment=source.comment, allow_connections=source.allow_connections)
                self._rename(self.database, kept, marks.written(before), source.allow_connections)
            self._rename(name, self.database, mark["comment"], mark["allow_connections"])
        self.work.finished()

    def _rename(self, name: str, to: str, comment: str | None, connections: bool) -> None:
        self.connection.run(
            f"alter database {identifier(name)} rename to {identifier(to)}",
            attributes.comment_statement(to, comment),
            repair.allowing(to, connections),
        )

    def remove(self, name: str) -> None:
        """Drop a snapshot that is known to be ours; who is connected to it is treated like who is on the database."""
        self.work.clear([name])
        held = self._held(name)
        if held.is_template and held.connection_limit != -2:
            self.connection.run(f"alter database {identifier(name)} is_template false")
        self.connection.run(f"drop database {identifier(name)}")
