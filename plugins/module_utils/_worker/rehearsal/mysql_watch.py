# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What each statement of a revision does in MySQL or MariaDB.

How a table is altered is the server's own word: on the empty copy, each statement is first tried with the algorithm that disturbs
least, and then with the next; one that the server can't use is refused at once. Changes of rows are what EXPLAIN says.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, Callable, Iterable

from .. import server
from .catalog import Catalog
from .mysql_real import MysqlReal
from .named import NamedWatcher
from .watching import COMMENTS, sets_of, told

_NAME = r"(?:`[^`]+`|[\w$]+)"
_ALTER = re.compile(rf"^(\s*ALTER\s+(?:ONLINE\s+)?(?:IGNORE\s+)?TABLE\s+(?:IF\s+EXISTS\s+)?({_NAME})\s+)(.*)$", re.I | re.S)
_INDEX = re.compile(rf"^(\s*CREATE\s+(?:\w+\s+)*?INDEX\b.*?\sON\s+({_NAME}).*?);?\s*$", re.I | re.S)
_DROP = re.compile(rf"^\s*DROP\s+(INDEX\s+(?:IF\s+EXISTS\s+)?{_NAME})\s+ON\s+({_NAME})\s*;?\s*$", re.I)
#: What disturbs least comes first. MySQL manual, "Online DDL Performance and Concurrency"; MariaDB, "InnoDB Online DDL Overview".
#: Name, its clauses, lock.
_WAYS = (
    ("instant", ("ALGORITHM=INSTANT",), None),
    ("inplace", ("ALGORITHM=INPLACE", "LOCK=NONE"), None),
    ("inplace", ("ALGORITHM=INPLACE", "LOCK=SHARED"), "Shared"),
)
_COPY = ("copy", "Shared")
_ROWS = re.compile(r"^\s*(?:WITH\b.*?\)\s*)?(UPDATE|DELETE|INSERT|REPLACE|SELECT)\b", re.I | re.S)
_UPDATES = re.compile(r"^\s*(?:UPDATE|DELETE)\b", re.I)
_TRUNCATE = re.compile(rf"^\s*TRUNCATE\s+(?:TABLE\s+)?({_NAME})", re.I)
_MADE_FROM = re.compile(r"^\s*CREATE\s+(?:OR\s+REPLACE\s+)?(?:TEMPORARY\s+)?TABLE\b.*?\b(SELECT\b.*)$", re.I | re.S)
_LIMIT = re.compile(r"\bLIMIT\s+[\d:%?]", re.I)
_FOR_WRITE = re.compile(r"\bFOR\s+(?:UPDATE|SHARE)\b|\bLOCK\s+IN\s+SHARE\s+MODE\b", re.I)
_TARGET = re.compile(rf"^\s*(?:UPDATE|DELETE\s+FROM|INSERT\s+(?:IGNORE\s+)?INTO|REPLACE\s+INTO)\s+({_NAME})", re.I)


class MysqlWatch(NamedWatcher):
    """Watches the statements of one step."""

    def __init__(
        self,
        running: Callable[[], bool],
        autocommit: Callable[[], bool],
        version_tables: Iterable[str],
        before: Catalog,
        real: MysqlReal | None = None,
    ) -> None:
        super().__init__(running, autocommit, version_tables, before)
        self.real = real
        entries = before.values()
        self.routines = [re.escape(str(entry["name"])[:-2]) for entry in entries if entry["kind"] == "function"]
        texts = [str(entry["name"]) for entry in entries if entry["kind"] == "index" and "FULLTEXT" in str(entry["definition"])]
        self.texts = {name.rpartition(".")[2] for name in texts}  # EXPLAIN calls them possible for any condition
        self.triggered = {entry["relation"] for entry in entries if entry["kind"] == "trigger"}

    def start(self, dbapi: Any, statement: str, parameters: Any, many: bool) -> dict[str, Any]:
        text = _as_alter(COMMENTS.sub("", statement))
        altering = bool(_ALTER.match(text) or _INDEX.match(text))
        one, *more = sets_of(parameters, many)
        times = len(more) + 1
        if not altering and self.is_again(statement):
            return {"again": True, "times": times}
        seen: dict[str, Any] = {"oids": dict(self.identities.tables), "algorithm": None, "lock": None, "plan": [], "times": times}
        if altering:
            seen["algorithm"], seen["lock"] = self._alter(dbapi, text.replace("%%", "%"))
            seen["instead"] = "DO 0" if (seen["algorithm"], seen["lock"]) != _COPY else None  # it is done already
        else:
            seen["plan"] = self._plan(dbapi, text, one)
            if self.real is not None and _UPDATES.match(text):
                seen["affected"] = self.real.affected(dbapi, text, one)
        return seen

    def _alter(self, dbapi: Any, text: str) -> tuple[str, str | None]:
        """Alter with the gentlest algorithm that the server takes; with the last one, the statement itself is to run."""
        alter, index = _ALTER.match(text), _INDEX.match(text)
        for name, clauses, lock in _WAYS:
            sql = f"{alter.group(1)}{', '.join(clauses)}, {alter.group(3)}" if alter else f"{index.group(1)} {' '.join(clauses)}"  # type: ignore[union-attr]
            with contextlib.suppress(Exception):
                server.rows(dbapi, sql)
                return name, lock
        return _COPY

    def _plan(self, dbapi: Any, text: str, parameters: Any) -> list[dict[str, Any]]:
        made = _MADE_FROM.match(text)
        if made is None and not _ROWS.match(text):
            return []
        cursor = dbapi.cursor()
        try:
            with contextlib.suppress(Exception):  # then the statement itself says what is wrong with it
                sql = "explain " + (made.group(1) if made else text)
                cursor.execute(sql, parameters) if parameters else cursor.execute(sql.replace("%%", "%"))
                names = [str(item[0]).lower() for item in cursor.description]
                return [dict(zip(names, row)) for row in cursor.fetchall()]
            return []
        finally:
            cursor.close()

    def finish(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        kept = server.in_transaction(dbapi)
        if seen.get("again"):
            if kept:
                self.loops.go_on(statement, seen["times"])
            return {}
        self.identities.see(statement)
        text, oids = _as_alter(COMMENTS.sub("", statement)), seen["oids"]
        facts: dict[str, Any] = {}
        rows, truncated = _ROWS.match(text), _TRUNCATE.match(text)
        if seen["algorithm"]:
            match = _ALTER.match(text) or _INDEX.match(text)
            facts = self._altered(seen, self._known([match.group(2)], oids))  # type: ignore[union-attr]
        elif rows or _MADE_FROM.match(text):
            facts = self._changed(text, rows.group(1).lower() if rows else "create", seen["plan"], oids)
        elif truncated:
            facts = {"truncated": True, "touched": self._known([truncated.group(1)], oids)}
        affected, times = seen.get("affected"), seen["times"]
        if facts.get("writes") in ("update", "delete"):
            self.loops.learn(statement, facts["touched"], affected)
            facts.update(affected=affected, transaction=self.loops.transaction if kept else None)
        if kept and times > 1:
            facts.update(transaction=self.loops.transaction, affected=max(1, affected or 0) * times, times=times)
        named = bool(self.routines) and re.search(rf"\b(?:{'|'.join(self.routines)})\b`?\s*\(", text, re.I)
        fired = self.triggered & set(facts.get("touched") or ())
        opaque = bool(named and not re.match(r"\s*CREATE\b", text, re.I)) or bool(re.match(r"\s*(?:CALL|EXECUTE)\b", text, re.I))
        told_of = dict({"transactional": bool(rows), "autocommit": not rows, "opaque": opaque or bool(fired)}, **facts)
        return told(statement, **told_of)

    def _known(self, names: Iterable[str], oids: dict[str, str]) -> list[str]:
        return self.known((name.strip("`") for name in names), oids)

    def _altered(self, seen: dict[str, Any], tables: list[str]) -> dict[str, Any]:
        lock, copied = seen["lock"], seen["algorithm"] == "copy"
        return {
            "algorithm": seen["algorithm"],
            "locks": {oid: lock for oid in tables} if lock else {},
            "scanned": tables if lock and not copied else [],
            "rewritten": tables if copied else [],
        }

    def _changed(self, text: str, kind: str, plan: list[dict[str, Any]], oids: dict[str, str]) -> dict[str, Any]:
        whole = (
            []
            if _LIMIT.search(text)
            else [self._table(str(row.get("table")), text, oids) for row in plan if _is_whole(row, self.texts)]
        )
        scanned = self._known(filter(None, whole), oids)
        if kind == "select":
            mine = "information_schema" in text.lower()
            if _FOR_WRITE.search(text):  # all that is read is locked
                return {"scanned": scanned, "written": scanned}
            return {"scanned": scanned, "read": [] if mine else self._known(self._mentioned(text, oids), oids)}
        target = _TARGET.match(text)
        touched = self._known([target.group(1)] if target else [], oids)
        copied = kind in ("insert", "replace", "create")
        return {
            # what is read to be written elsewhere is locked row by row: MySQL manual, "Locks Set by Different SQL Statements"
            "locks": {oid: "Shared" for oid in scanned if oid not in touched} if copied else {},
            "scanned": scanned,
            "written": [] if copied else [oid for oid in scanned if oid in touched],
            "touched": touched,
            "writes": None if kind == "create" or not touched else kind,
        }

    def _mentioned(self, text: str, oids: dict[str, str]) -> list[str]:
        return [name for name in oids if re.search(rf"(?<![\w$]){re.escape(name)}(?![\w$])", text, re.I)]

    def _table(self, name: str, text: str, oids: dict[str, str]) -> str | None:
        """Return the table that EXPLAIN means, which it calls by its alias."""
        if name.lower() in oids:
            return name
        found = re.search(rf"({_NAME})\s+(?:AS\s+)?`?{re.escape(name)}`?(?![\w$])", text, re.I)
        return found.group(1) if found else None


def _as_alter(text: str) -> str:
    """MariaDB takes no algorithm in a DROP INDEX, which is an ALTER TABLE by another name."""
    match = _DROP.match(text)
    return f"ALTER TABLE {match.group(2)} DROP {match.group(1)}" if match else text


def _is_whole(row: dict[str, Any], texts: set[str]) -> bool:
    """Tell whether a table is read from end to end for want of an index; an empty one is also read so because it is no work."""
    keys = set(str(row.get("possible_keys") or "").split(",")) - texts - {""}
    return row.get("type") in ("ALL", "index") and not keys and row.get("select_type") != "INSERT"
