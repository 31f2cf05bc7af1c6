# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What each statement of a revision does in PostgreSQL: locks, scans, rewrites, rows read or written.

An empty copy is enough: the server counts the start of a scan whether or not it finds a row, and with ``enable_seqscan = off`` a
plan scans a table only where nothing else would do.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterable

from .. import server
from .watching import COMMENTS, Watcher, told

#: Table-level lock modes, weakest first. PostgreSQL manual, "Explicit Locking".
MODES = (
    "AccessShareLock",
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)
_ALONE = re.compile(
    r"^\s*(?:(?:CREATE|DROP)\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY|REINDEX\b.*\bCONCURRENTLY|VACUUM|CREATE\s+DATABASE|DROP\s+DATABASE"
    r"|ALTER\s+SYSTEM|CREATE\s+TABLESPACE|DROP\s+TABLESPACE|CLUSTER\s*;?\s*$|ALTER\s+TABLE\b.*\bDETACH\s+PARTITION\b.*\bCONCURRENTLY)",
    re.I | re.S,
)
_FULL_VACUUM = re.compile(r"^\s*(?:VACUUM\s*(?:\([^)]*\bFULL\b|FULL\b)|CLUSTER)", re.I)
_EXPLAINED = re.compile(
    r"^\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:\(\s*)*"
    r"(SELECT|WITH|UPDATE|DELETE|INSERT|MERGE|VALUES|CREATE\s+(?:UNLOGGED\s+|TEMP(?:ORARY)?\s+)?TABLE\b.*?\bAS|CREATE\s+MATERIALIZED\s+VIEW)\b",
    re.I | re.S,
)
_OPAQUE = re.compile(r"^\s*(?:DO|CALL|EXECUTE)\b", re.I)
_RELATIONS = """
select c.oid::text, n.nspname || '.' || c.relname, c.relkind::text, pg_relation_filenode(c.oid)::text,
       coalesce(pg_stat_get_xact_numscans(c.oid), 0), c.relispartition, c.relnatts
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm', 'i', 'f') and c.oid >= 16384 and n.nspname !~ '^pg_'"""
_LOCKS = """
select relation::text, mode from pg_locks
where pid = pg_backend_pid() and locktype = 'relation' and relation >= 16384 and granted"""
_INDEXES = "select indexrelid::text, indrelid::text, indisvalid from pg_index where indrelid >= 16384"
_FOREIGN_KEYS = """
select oid::text, conrelid::text, convalidated, (select min(number) from unnest(conkey) number),
       exists (select from pg_attribute a where a.attrelid = conrelid and a.attnum = any(conkey) and a.atthasdef)
from pg_constraint where contype = 'f'"""
_FOREIGN_KEY = re.compile(r"\bFOREIGN\s+KEY\b", re.I)


class Watch(Watcher):
    """Watches the statements of one step.

    :param existing: OIDs of the tables that were there before the step.
    """

    def __init__(
        self, running: Callable[[], bool], autocommit: Callable[[], bool], version_tables: Iterable[str], existing: Iterable[str]
    ) -> None:
        super().__init__(running, autocommit, version_tables)
        self.existing = set(existing)

    def start(self, dbapi: Any, statement: str, parameters: Any, many: bool) -> dict[str, Any]:
        alone = bool(_ALONE.match(COMMENTS.sub("", statement)))
        seen: dict[str, Any] = {"alone": alone, "wrapped": self.autocommit() and not alone}
        if seen["wrapped"]:
            server.value(dbapi, "begin")  # in autocommit a statement is a transaction, which has to stay open to be looked at
        seen["plan"] = None if many or alone else self._plan(dbapi, statement, parameters)
        seen["before"] = self._look(dbapi)
        if alone:
            dbapi.rollback()
        return seen

    def _look(self, dbapi: Any) -> dict[str, Any]:
        locks: dict[str, str] = {}
        for oid, mode in server.rows(dbapi, _LOCKS):
            if mode in MODES and (oid not in locks or MODES.index(mode) > MODES.index(locks[oid])):
                locks[oid] = mode
        return {
            "relations": {row[0]: row[1:] for row in server.rows(dbapi, _RELATIONS)},
            "locks": locks,
            "indexes": {row[0]: (row[1], row[2]) for row in server.rows(dbapi, _INDEXES)},
            "foreign_keys": {row[0]: row[1:] for row in server.rows(dbapi, _FOREIGN_KEYS)},
        }

    def _plan(self, dbapi: Any, statement: str, parameters: Any) -> Any:
        """Return the server's plan of a statement that has one."""
        if not _EXPLAINED.match(statement) or ";" in statement.strip().rstrip(";"):
            return None
        cursor = dbapi.cursor()
        try:
            server.value(dbapi, "savepoint dbops_plan")
            try:
                text = "explain (verbose, format json) " + statement
                cursor.execute(text, parameters) if parameters else cursor.execute(text)
                found = cursor.fetchone()[0]
            except Exception:  # then the statement itself says what is wrong with it
                found = None
                server.value(dbapi, "rollback to savepoint dbops_plan")
            server.value(dbapi, "release savepoint dbops_plan")
        finally:
            cursor.close()
        return json.loads(found) if isinstance(found, str) else found

    def finish(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        after = self._look(dbapi)
        if seen["wrapped"]:
            server.value(dbapi, "commit")
        elif seen["alone"]:
            dbapi.rollback()
        return self._told(statement, seen, after)

    def broken(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        if seen["wrapped"] and dbapi is not None:
            server.value(dbapi, "rollback")
        return self._told(statement, seen, seen["before"])

    def _told(self, statement: str, seen: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        before = seen["before"]
        locks = {oid: mode for oid, mode in after["locks"].items() if oid in self.existing}
        scanned = {
            oid for oid, item in after["relations"].items() if oid in before["relations"] and item[3] > before["relations"][oid][3]
        }
        rewritten = {
            oid for oid, item in after["relations"].items() if oid in before["relations"] and item[2] != before["relations"][oid][2]
        }
        for oid, (table, valid, column, default) in after["foreign_keys"].items():
            if valid and not before["foreign_keys"].get(oid, (None, False))[1]:
                columns = before["relations"][table][5] if table in before["relations"] else 0
                if column <= columns or default or _FOREIGN_KEY.search(statement):
                    scanned.add(
                        table
                    )  # its check is a join, which looks into no empty table; a column that is NULL all over has none
        if seen["alone"]:
            locks.update(self._documented(statement, before, after, rewritten))
        text = COMMENTS.sub("", statement)
        plan = _Plan(seen["plan"], before["relations"], bool(re.match(r"\s*CREATE\b", text, re.I)))
        if plan.kind is not None:  # more exact than the counters, but for what a function does
            scanned = plan.scanned | (scanned - plan.read)
        gained = {oid for oid in locks if before["locks"].get(oid) is None}
        procedural = bool(_OPAQUE.match(text)) or plan.kind == "select"
        tables = self.existing
        return told(
            statement,
            seen["started"],
            transactional=not seen["alone"],
            autocommit=bool(seen["wrapped"] or seen["alone"]),
            locks={oid: mode[: -len("Lock")] for oid, mode in locks.items()},
            scanned=sorted(scanned & tables),
            rewritten=sorted(rewritten & tables),
            truncated=bool(re.match(r"\s*TRUNCATE\b", text, re.I)),
            written=sorted(plan.written & tables),
            writes=plan.kind if plan.kind in ("update", "delete", "insert", "merge") else None,
            unfiltered=plan.unfiltered,
            read=sorted(
                (
                    (plan.read if plan.kind == "select" else set())
                    | ({oid for oid in gained if locks[oid] in MODES[:2]} if procedural else set())
                )
                & tables
            ),
            procedural_writes=sorted(
                {
                    oid
                    for oid in tables
                    if procedural and locks.get(oid) == "RowExclusiveLock" and before["locks"].get(oid) != "RowExclusiveLock"
                }
            ),
        )

    def _documented(self, statement: str, before: dict[str, Any], after: dict[str, Any], rewritten: set[str]) -> dict[str, str]:
        """Return the locks of a statement that is over already, which is none of a transaction's: those that the manual says."""
        mode = "AccessExclusiveLock" if _FULL_VACUUM.match(statement) else "ShareUpdateExclusiveLock"
        indexes = set(before["indexes"]) ^ set(after["indexes"])
        tables = {(before["indexes"].get(oid) or after["indexes"].get(oid))[0] for oid in indexes}
        tables |= rewritten
        if not tables:
            names = {oid: item[0].split(".", 1)[1] for oid, item in before["relations"].items() if item[1] != "i"}
            tables = {oid for oid, name in names.items() if re.search(rf"\b{re.escape(name)}\b", statement)}
        return {oid: mode for oid in tables if oid in self.existing}


class _Plan:
    """What a plan as JSON says: which tables it reads as a whole, and which rows it changes."""

    def __init__(self, plan: Any, relations: dict[str, Any], creates: bool) -> None:
        self.oids = {item[0]: oid for oid, item in relations.items() if item[1] != "i"}
        self.scanned: set[str] = set()
        self.read: set[str] = set()
        self.written: set[str] = set()
        self.kind: str | None = None
        self.unfiltered = False
        self._targets: set[str] = set()
        if plan:
            root = plan[0].get("Plan") or {}
            self.kind = "create" if creates else "select"
            self._walk(root, False)

    def _walk(self, node: dict[str, Any], limited: bool) -> None:
        kind, name = node.get("Node Type"), f"{node.get('Schema')}.{node.get('Relation Name')}"
        oid = self.oids.get(name)
        if kind == "ModifyTable":
            self.kind = str(node.get("Operation")).lower()
            self._targets |= {oid} if oid else set()
            self._targets |= {
                self.oids.get(f"{target.get('Schema')}.{target.get('Relation Name')}", "")
                for target in node.get("Target Tables") or ()
            }
        elif kind == "LockRows":
            self.kind = "update"
            self._targets |= {self.oids.get(table, "") for table in _relations_below(node)}
        elif oid:
            self.read.add(oid)
            condition = {"Index Scan": "Index Cond", "Index Only Scan": "Index Cond", "Bitmap Heap Scan": "Recheck Cond"}.get(
                str(kind)
            )
            whole = kind in ("Seq Scan", "Foreign Scan", "Sample Scan") or (condition is not None and not node.get(condition))
            if whole and not limited:
                self.scanned.add(oid)
                if oid in self._targets and self.kind in ("update", "delete", "merge"):
                    self.written.add(oid)
                    self.unfiltered = self.unfiltered or not node.get("Filter")
        for below in node.get("Plans") or ():
            self._walk(below, limited or kind == "Limit")


def _relations_below(node: dict[str, Any]) -> set[str]:
    found = {f"{node.get('Schema')}.{node['Relation Name']}"} if node.get("Relation Name") else set()
    for below in node.get("Plans") or ():
        found |= _relations_below(below)
    return found
