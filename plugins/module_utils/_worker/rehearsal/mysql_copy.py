# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The copy of a MySQL or MariaDB database: a database of a name that nobody else uses, without rows, which is always dropped again.

While a run lives it holds a user-level lock (GET_LOCK) for its copy. One whose lock is free was left behind by a run that was
killed; the next drops it.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, Iterator

from .. import server
from ..failure import Failure, describe
from . import maker
from .access import Access, Session, quoted
from .copies import ServerCopies
from .maker import PREFIX

_LOCK_WAIT_SECONDS = 10
_DENIED = ("1044", "1142", "1227")  # access to a database, a command, or for want of SUPER was denied
_DEFINER = re.compile(r"\bDEFINER\s*=\s*(?:`[^`]*`|'[^']*'|\w+)@(?:`[^`]*`|'[^']*'|[\w%.]+)\s*", re.I)
_COUNTER = re.compile(r"\sAUTO_INCREMENT=\d+", re.I)
_STRINGS = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|--[^\n]*|/\*(?!!).*?\*/", re.S)
#: Databases of the server itself that may be read.
_READABLE = ("information_schema", "performance_schema")


def ticked(name: str) -> str:
    return quoted(name, "`")


class Elsewhere:
    """Tells whether a statement names another database. Nothing but its own text keeps it from being reached."""

    def __init__(self, databases: list[str]) -> None:
        names = "|".join(re.escape(name) for name in databases if name.lower() not in _READABLE)
        self._named = re.compile(rf"(?<![\w$.`@])`?({names})`?\s*\.\s*[`\w$]", re.I) if names else None

    def named(self, statement: str) -> str | None:
        text = _STRINGS.sub("''", statement)
        used = re.match(r"\s*USE\s+(\S+)", text, re.I)
        found = used or (self._named.search(text) if self._named else None)
        return found.group(1).strip("`;") if found else None


class MysqlCopy(ServerCopies):
    """The copies of one database of MySQL or MariaDB."""

    mark = "`"

    def __init__(self, access: Access, database: str, request: dict[str, Any]) -> None:
        super().__init__(access, database, request)
        self.elsewhere = Elsewhere([])

    @property
    def admin(self) -> Session:
        """A connection to the original, kept until the end."""
        if self._admin is None:
            self._admin = self.access.connect(self.database, "rehearsal")
            self._admin.rows(f"set session lock_wait_timeout = {_LOCK_WAIT_SECONDS}")
        return self._admin

    def create(self) -> None:
        """Make the copy; what earlier runs left behind is dropped first."""
        self.prune()
        self._make(self.name)
        self.elsewhere = Elsewhere(
            [str(row[0]) for row in self.admin.rows("show databases") if row[0] not in (self.name, self.copy)]
        )
        self.missing = self._fill(self.database, self.name)

    def _make(self, name: str) -> None:
        self._try_hold(name)
        what = "default_character_set_name, default_collation_name from information_schema.schemata"
        charset, collation = self.admin.rows(f"select {what} where schema_name = database()")[0]
        try:
            self.admin.rows(f"create database {ticked(name)} character set {charset} collate {collation}{self._comment()}")
        except Exception as exc:
            if not any(code in str(exc) for code in _DENIED):
                raise
            told = str(describe(exc)["message"]).rstrip(".")
            what = f"The role may not create a database to rehearse in: {told}."
            grant = f"GRANT ALL ON `{PREFIX}%`.* TO the role".replace("_", "\\_")
            raise Failure("insufficient_privilege", what, f"{grant} lets it make copies and nothing else.") from exc

    def _comment(self) -> str:
        """Return the clause that says who made it; databases have comments in MariaDB since 10.5, and none in MySQL."""
        found = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+).*mariadb", str(self.admin.value("select version()")), re.I)
        if not found or (int(found[1]), int(found[2])) < (10, 5):
            return ""
        text = maker.written(self.database).replace("\\", "\\\\").replace("'", "''")
        return f" comment '{text}'"

    def _fill(self, source: str, target: str, rows: bool = False) -> list[str]:
        """Make what ``source`` has in ``target``, with its rows or without; return what could not be made, a line for each."""
        problems: list[str] = []
        with self.access.connect(target, "rehearsal").closing() as session:
            session.rows("set session foreign_key_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
            waiting = list(self._definitions(source, rows))
            while waiting:  # a view may need one that comes later
                left, problems = [], []
                for what, text in waiting:
                    problem = self._try(session, what, text)
                    if problem:
                        left.append((what, text))
                        problems.append(problem)
                if len(left) == len(waiting):
                    break
                waiting = left
        return problems

    def _try(self, session: Session, what: str, text: str | None) -> str | None:
        other = self.elsewhere.named(text) if text else None
        if other or not text:
            return f"{what} names the database {other}" if other else f"{what} may not be read"
        try:
            session.rows(text)
        except Exception as exc:
            return f"{what}: {str(describe(exc)['message']).splitlines()[0].rstrip('.')}"
        return None

    def _definitions(self, source: str, rows: bool) -> Iterator[tuple[str, str | None]]:
        """Yield what each object is called and the statement that makes it: sequences, tables, rows, views, code."""
        own, place = f"{ticked(source)}.", ticked(source)
        tables = self.admin.rows(f"show full tables from {place}")
        for kind, show, column in (("SEQUENCE", "sequence", 1), ("BASE TABLE", "table", 1), ("VIEW", "view", 1)):
            for name, found in tables:
                if str(found).replace("SYSTEM VERSIONED", "BASE TABLE") == kind:
                    text = str(self.admin.rows(f"show create {show} {place}.{ticked(str(name))}")[0][column])
                    yield f"{show} {name}", _COUNTER.sub("", _DEFINER.sub("", text)).replace(own, "")
            for name in [str(name) for name, found in tables if kind == "BASE TABLE" and rows and found == kind]:
                yield f"rows of {name}", self._rows(source, name)
        for row in self.admin.rows(f"show triggers from {place}"):
            yield self._code(place, "trigger", str(row[0]))
        where = f"where routine_schema = {server.literal(source)}"
        for kind, name in self.admin.rows(f"select routine_type, routine_name from information_schema.routines {where}"):
            yield self._code(place, str(kind).lower(), str(name))

    def _rows(self, source: str, table: str) -> str:
        where = f"table_schema = {server.literal(source)} and table_name = {server.literal(table)}"
        found = self.admin.rows(
            f"select column_name from information_schema.columns where {where} and coalesce(generation_expression, '') = ''"
        )
        columns = ", ".join(ticked(str(row[0])) for row in found)
        return f"insert into {ticked(table)} ({columns}) select {columns} from {ticked(source)}.{ticked(table)}"

    def _code(self, place: str, kind: str, name: str) -> tuple[str, str | None]:
        text = self.admin.rows(f"show create {kind} {place}.{ticked(name)}")[0][2]
        return f"{kind} {name}", str(text) and _DEFINER.sub("", str(text)).replace(f"{place}.", "") if text else None

    def fill(self, tables: list[tuple[str, str, list[str]]]) -> None:
        """Write the heads, (schema, table, revisions) of each version table, into the copy."""
        with self.connect().closing() as session:
            for _schema, table, revisions in tables:
                for revision in revisions:
                    session.rows(f"insert into {ticked(table)} (version_num) values ({server.literal(revision)})")

    @contextlib.contextmanager
    def second(self) -> Iterator[str]:
        """Make a copy of the copy as it is now, for a way back, and drop it afterwards."""
        self._make(self.copy)
        self._disconnect(self.name)
        try:
            self._fill(self.name, self.copy, rows=True)
            yield self.copy
        finally:
            self._drop(self.copy)

    def _found(self) -> list[str]:
        """Return the copies on this server, whose lock is of the whole server: it is free when the maker's session is gone."""
        return [str(name) for (name,) in self.admin.rows("show databases") if maker.is_copy(str(name))]

    def _try_hold(self, name: str) -> bool:
        return bool(self.admin.value(f"select get_lock({server.literal(name)}, 0)"))

    def _let_go(self, name: str) -> None:
        self.admin.rows(f"select release_lock({server.literal(name)})")

    def _disconnect(self, name: str) -> None:
        where = f"db = {server.literal(name)} and id <> connection_id()"
        for (number,) in self.admin.rows(f"select id from information_schema.processlist where {where}"):
            with contextlib.suppress(Exception):  # gone already
                self.admin.rows(f"kill {int(number)}")
