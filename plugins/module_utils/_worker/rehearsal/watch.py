# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What each statement of a revision does in PostgreSQL: locks, scans, rewrites, rows read or written.

An empty copy is enough: the server counts the start of a scan whether or not it finds a row, and with ``enable_seqscan = off`` a
plan scans a table only where nothing else would do.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any, Callable, Iterable

from .. import server
from ..failure import Failure
from . import batches, lent, vanished
from .access import Session, qualified
from .explained import Plan
from .pieces import shape
from .real import Real
from .relations import FOREIGN_KEYS, RELATIONS, Known, read_by
from .unseen import CATALOGS, OF_ONE, OTHERS, SHARED, Account, Ledger
from .watching import BESIDE, COMMENTS, MANY_TIMES, MAXIMUM_TEXT, Watcher, sets_of, told

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
#: What may call code that does anything.
_RUNS_CODE = re.compile(r"\s*(?:(?:DO|CALL|EXECUTE)\b|(?:SELECT|WITH)\b.*\w\s*\()", re.I | re.S)
_GUARD = "dbops_guard"
#: It reads many rows, which the server does not count as a scan.
_ANALYZES = re.compile(r"\s*ANALY[SZ]E\b", re.I)
_FULL_VACUUM = re.compile(r"^\s*(?:VACUUM\s*(?:\([^)]*\bFULL\b|FULL\b)|CLUSTER)", re.I)
_EXPLAINED = re.compile(
    r"^\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:\(\s*)*"
    r"(SELECT|WITH|UPDATE|DELETE|INSERT|MERGE|VALUES|CREATE\s+(?:UNLOGGED\s+|TEMP(?:ORARY)?\s+)?TABLE\b.*?\bAS|CREATE\s+MATERIALIZED\s+VIEW)\b",
    re.I | re.S,
)
#: What it reads goes to the sequence.
_SETS = re.compile(r"SELECT\s+(?:pg_catalog\.)?setval\s*\([^;]*\)$", re.I)
_CREATES = re.compile(COMMENTS.pattern + r"CREATE\b", re.I | re.S)
_OPAQUE = re.compile(r"^\s*(?:DO|CALL|EXECUTE)\b", re.I)
#: Code that may end the transaction it is called in, which only works where there is none around it.
_MAY_COMMIT = re.compile(r"^\s*(?:CALL\b|DO\b.*\b(?:COMMIT|ROLLBACK)\b)", re.I | re.S)
#: A block that catches errors runs in a savepoint of its own.
_EXCEPTION = re.compile(r"\bEXCEPTION\s+WHEN\b|\bSELECT\s+[\w.]+\s*\(", re.I)
_NO_END_HERE = "2D000"  # invalid_transaction_termination
#: What an earlier transaction has read is still counted, for as long as the server has not passed it on.
_COUNTED = "pg_stat_get_xact_numscans(c.oid) > 0"
#: The transaction, its number, the one that comes next; which locks it has and how often it began to read all of what it locked,
#: and how many rows of which catalogue it wrote. Nothing is read, built anew or changed without a lock, which is held until the
#: end, so as long as these are the same there is nothing new. The views over these functions take longer to plan than to run.
_SIGN = """
select pg_backend_pid()::text || ' ' || extract(epoch from now())::text, txid_current_if_assigned(),
       txid_snapshot_xmax(txid_current_snapshot()),
       (select string_agg(relation || ' ' || mode || ' ' || pg_stat_get_xact_numscans(relation), ',' order by relation, mode)
        from pg_lock_status() where pid = pg_backend_pid() and locktype = 'relation' and relation >= 16384 and granted),
       (select string_agg(name || ' ' || rows, ',')
        from (select name, pg_stat_get_xact_tuples_inserted(name) + pg_stat_get_xact_tuples_updated(name)
                           + pg_stat_get_xact_tuples_deleted(name) as rows from unnest(array[{}]::regclass[]) name) c
        where rows > 0),
       current_setting('track_counts')""".format(", ".join(f"'pg_catalog.{name}'" for name in (*CATALOGS, *SHARED)))
_WRITTEN = 3  # where that is in the sign
#: What writes in catalogues of relations that it has locked, and of nothing else. GRANT locks nothing.
_PLAIN = re.compile(
    r"(?:CREATE\s+(?:UNIQUE\s+)?INDEX|CREATE\s+TABLE|ALTER\s+TABLE|DROP\s+(?:TABLE|INDEX)|COMMENT\s+ON)\b[^;]*;?\s*$", re.I
)
_NOT_PLAIN = re.compile(r"\bCASCADE\b|\bAS\b|\bCONCURRENTLY\b|\bOF\b", re.I)
_FLUSH = "pg_stat_force_next_flush()"  # PostgreSQL 15
_LAST_WORD = "select query from pg_stat_get_activity({})"
_DESCRIBED = """
select n.nspname::text, c.relname::text, json_object_agg(a.attname, format_type(a.atttypid, a.atttypmod))::text,
  json_object_agg(a.attname, pg_get_expr(d.adbin, d.adrelid))::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where c.oid = to_regclass({}) and a.attnum > 0 and not a.attisdropped group by 1, 2"""
#: Locks under which no row of a table is changed.
_KEEP_ROWS = ("AccessShare", "RowShare", "ShareUpdateExclusive")
#: What changes no value of a row that is there, under whichever lock.
_KEEPS_VALUES = re.compile(
    r"\s*(?:ALTER\s+TABLE\b(?!.*\b(?:RENAME|TYPE|ATTACH|DETACH|INHERIT|SCHEMA|TRIGGER)\b)|CREATE\s+(?:UNIQUE\s+)?INDEX\b|CREATE\s+TABLE\b"
    r"|COMMENT\b)[^;]*;?\s*$",
    re.I | re.S,
)
_FOREIGN_KEY = re.compile(r"\bFOREIGN\s+KEY\b", re.I)


class Watch(Watcher):
    """Watches the statements of one step, and at the end of each transaction what it did besides.

    :param existing: OIDs of the tables that were there before the step.
    :param session: a connection of ours to the copy; None where nobody asks for what was not seen.
    :param real: asks the real database.
    :param known: what there is before the step; read with the first look if it is None.
    """

    def __init__(
        self,
        running: Callable[[], bool],
        autocommit: Callable[[], bool],
        version_tables: Iterable[str],
        existing: Iterable[str],
        session: Session | None = None,
        real: Real | None = None,
        known: Known | None = None,
    ) -> None:
        super().__init__(running, autocommit, version_tables)
        self.existing = set(existing)
        self.session, self.real = session, real
        self.ledger: Ledger | None = None  # takes down the transactions
        self.account = Account()
        self._first: dict[str, dict[str, int]] = {}
        self._times: dict[str, int] = {}
        self._known = known
        self._ended = ""  # the transaction that was looked at last before its end
        self._blurred = False  # statements were left out since the last look
        self._flushes: bool | None = None
        self._pid: int | None = None  # the server's process of the revision's session
        self._flushed = False  # nothing that was read before the present transaction is still counted in it
        self._last: dict[str, Any] | None = None  # the look after the last statement, good for its transaction
        self._latest: dict[str, Any] | None = None  # the latest look
        self._begins = False  # the transaction that is looked at next had done nothing when its first statement came
        self._shared: tuple[str, set[str]] = ("", set())  # a transaction, and what it has written of what all databases share
        self._accounted: str | None = None  # what its transaction had written in catalogues after the last statement

    def start(self, dbapi: Any, statement: str, parameters: Any, many: bool) -> dict[str, Any]:
        if self.is_outside(statement):
            return {"left_out": True, "instead": "select 1"}
        key = shape(statement)
        self._times[key] = self._times.get(key, 0) + 1
        if self._times[key] > MANY_TIMES:
            return dict(self._not_looked_at(), times=len(sets_of(parameters, many)))
        alone, opaque = bool(_ALONE.match(COMMENTS.sub("", statement))), False
        was_open = server.in_transaction(dbapi)
        begins = self._known if not alone and was_open is False and self._is_settled(dbapi) else None
        before = self._nothing_yet(begins) if begins else self._look(dbapi, alone)
        if not begins and self._last is not None and self._last["transaction"] != before["transaction"]:
            if self._last["transaction"] != self._ended:
                before = self._look(dbapi, True)  # its end was not seen, so what it left is what is there now
            self._last = None
        is_open = begins is not None or server.in_transaction(dbapi)
        outside = self.autocommit() if is_open is None else not is_open
        if outside and not alone and _MAY_COMMIT.match(COMMENTS.sub("", statement)):
            alone = self._commits(dbapi, statement, parameters)
            opaque = alone and not self._is_in_batches(dbapi, statement, before)
        if not outside and not begins:
            self._compare(before)
            self._is_strange(before)
        if alone and self.ledger is not None:
            self.ledger.begin()
        seen: dict[str, Any] = {
            "alone": alone,
            "opaque": opaque,
            "wrapped": outside and not alone,
            "was_open": was_open,
            "before": before,
        }
        if seen["wrapped"]:
            server.value(dbapi, "begin")  # in autocommit a statement is a transaction, which has to stay open to be looked at
            seen["before"] = self._look(dbapi)
        if not alone:
            seen["brought"] = self._bring(dbapi, statement, parameters, many)
        one, *more = sets_of(parameters, many)
        seen["plan"] = None if alone else self._plan(dbapi, statement, one, seen)
        if more and seen.get("affected") is not None:
            seen.update(affected=max(1, seen["affected"]) * (len(more) + 1), times=len(more) + 1)
        if alone:
            self._leave(dbapi, was_open)
        elif self.beside and _RUNS_CODE.match(COMMENTS.sub("", statement)):
            server.value(dbapi, f"savepoint {_GUARD}")
            seen["guarded"] = True
        return seen

    def _is_settled(self, dbapi: Any) -> bool:
        """Tell whether the statement begins a transaction, and all that was done before it was seen to its end."""
        ended = self._last is None or self._last["transaction"] == self._ended
        return ended and self._flushed and not self._blurred and getattr(dbapi, "autocommit", None) is False

    def _nothing_yet(self, known: Known) -> dict[str, Any]:
        """Return what a look at the beginning of a transaction would, of which the server need not be asked."""
        self._last, self._begins = None, True
        self._latest = {
            "sign": ("", None, None, None, ""),
            "number": None,
            "catalogs": set(),
            "relations": known.relations,
            "fresh": set(),
            "locks": {},
            "indexes": known.indexes,
            "foreign_keys": known.foreign_keys,
            "transaction": "",
        }
        return self._latest

    def _bring(self, dbapi: Any, statement: str, parameters: Any, many: bool) -> bool:
        """Bring the rows that a statement points to, so that it fails only where the real database has none of them."""
        tables = {self._latest["relations"][oid][0] for oid, *_key in self._latest["foreign_keys"].values()}  # type: ignore[index]
        named = (re.search(rf"\b{re.escape(name.rpartition('.')[2])}\b", statement) for name in tables)
        if self.real is None or self.ledger is None or not any(named):
            return False
        brought, own = lent.bring(dbapi, statement, sets_of(parameters, many), self.real, self.ledger.session)
        self.ledger.nested = self.ledger.nested or own
        return brought

    def begin(self, before: Watcher | None) -> None:
        earlier = None
        if isinstance(before, Watch):
            self._flushes, self._flushed, earlier = before._flushes, before._flushed, before.ledger
        if self.session is not None:
            self.ledger = Ledger(self.session, self.account, self.existing, earlier)

    def _not_looked_at(self) -> dict[str, Any]:
        """A loop over batches says the same each time, and may go on for long."""
        self._last, self._blurred, self._flushed = None, True, False
        if self.ledger is not None:
            self.ledger.uncounted = None
        return {"again": True}

    def _leave(self, dbapi: Any, was_open: bool | None) -> None:
        """End a transaction that only the looking began; one that the revision is in stays, whatever comes of it."""
        if not was_open and (was_open is None or server.in_transaction(dbapi)):
            dbapi.rollback()

    def _commits(self, dbapi: Any, statement: str, parameters: Any) -> bool:
        """Tell whether the code that is called ends its transaction: then it can not run in one of ours."""
        cursor = dbapi.cursor()
        server.value(dbapi, "begin")
        try:
            cursor.execute(statement, parameters) if parameters is not None else cursor.execute(statement)
        except Exception as exc:
            return _NO_END_HERE in (getattr(exc, "pgcode", None), getattr(exc, "sqlstate", None))
        finally:
            cursor.close()
            server.value(dbapi, "rollback")
        return False

    def _is_in_batches(self, dbapi: Any, statement: str, before: dict[str, Any]) -> bool:
        """Tell whether code that commits changes no table all over in one statement, as far as its text is known."""
        server.value(dbapi, "begin")
        try:
            found = batches.plans(dbapi, statement)
            return all(plan is not None and not Plan(plan, before["relations"], False).written for plan in found)
        finally:
            server.value(dbapi, "rollback")

    def _look(self, dbapi: Any, whole: bool = False, last: bool = False) -> dict[str, Any]:
        """Return what there is; but for the first time, only what the transaction has touched is read again, and only if it did.

        :param last: this is what the transaction ends with.
        """
        if self._flushes is None:
            self._flushes = server.value(dbapi, f"select to_regprocedure('{_FLUSH}')") is not None
        flush = last and self._flushes  # else the server counts what was read a second after the end
        transaction, number, after, held, *told = server.rows(dbapi, f"{_SIGN}, {_FLUSH}" if flush else _SIGN)[0][:6]
        latest, sign = self._latest, (transaction, number, held, *told)
        if not whole and latest is not None and latest["sign"] == sign:
            return latest
        locks: dict[str, str] = {}
        counts: dict[str, int] = {}
        for oid, mode, count in (each.split(" ") for each in (held or "").split(",") if each):
            counts[oid] = int(count)
            if mode in MODES and (oid not in locks or MODES.index(mode) > MODES.index(locks[oid])):
                locks[oid] = mode
        written, counting = told
        # a search path may be such that the server gives the name with its schema
        names = (each.split(" ")[0].rpartition(".")[2] for each in (written or "").split(",") if each)
        catalogs = set(names) if counting == "on" else None
        if self._known is None or whole:
            touched = self._known = read_by(lambda sql: server.rows(dbapi, sql))
            scanned = server.rows(dbapi, f"{RELATIONS} and {_COUNTED}")
            relations = {**touched.relations, **{row[0]: row[1:] for row in scanned}}
            keys, fresh = touched.foreign_keys, set(relations)
        elif latest is not None and catalogs is not None and self._is_as_it_was(latest, sign, locks):
            relations, keys, fresh = dict(latest["relations"]), latest["foreign_keys"], locks.keys() & latest["relations"].keys()
            relations.update((oid, (*relations[oid][:3], counts[oid], *relations[oid][4:])) for oid in fresh)
        else:
            among = f"any('{{{','.join(locks)}}}'::oid[])"
            rows = server.rows(dbapi, f"{RELATIONS} and c.oid = {among}") if locks else []
            if not self._flushed:
                rows += server.rows(dbapi, f"{RELATIONS} and {_COUNTED}")
            relations, fresh = self._known.relations, {row[0] for row in rows}
            keys = self._known.foreign_keys
            if rows:
                relations = {**relations, **{row[0]: row[1:] for row in rows}}
            if locks and (catalogs is None or "pg_constraint" in catalogs):
                found = server.rows(dbapi, f"{FOREIGN_KEYS} and conrelid = {among}")
                keys = {**keys, **{row[0]: row[1:] for row in found}}
        if self.ledger is not None:
            scans = {oid: int(relations[oid][3]) for oid in fresh if relations[oid][3] and relations[oid][1] != "i"}
            # what an earlier transaction has read may still be counted here, for as long as the server has not passed it on
            first = self._first.setdefault(transaction, {} if self._begins else scans)
            self.ledger.note(transaction, number, int(after), {oid: count - first.get(oid, 0) for oid, count in scans.items()})
        self._begins = False
        self._latest = {
            "sign": sign,
            "number": number,
            "catalogs": catalogs,
            "relations": relations,
            "fresh": fresh,  # those that were read again
            "locks": locks,
            "indexes": self._known.indexes,
            "foreign_keys": keys,
            "transaction": transaction,
        }
        return self._latest

    def _is_as_it_was(self, latest: dict[str, Any], sign: tuple[Any, ...], locks: dict[str, str]) -> bool:
        """Tell whether all that is locked is described as at the latest look, which only their scans may have passed since then."""
        same = latest["transaction"] == sign[0] and latest["sign"][_WRITTEN] == sign[_WRITTEN]
        known = all(oid in latest["relations"] or oid in latest["locks"] for oid in locks)
        return same and self._flushed and latest["locks"].keys() <= locks.keys() and known

    def _compare(self, now: dict[str, Any], heard: str = "") -> None:
        """Tell of what the transaction did since the last statement that was seen."""
        last, self._last = self._last, None
        if self._blurred:
            self._blurred = False
            return
        if last is None:
            known = self._known or Known(now["relations"], now["indexes"], now["foreign_keys"])
            there = now["fresh"] & known.relations.keys()
            then = {oid: (*known.relations[oid][:3], *now["relations"][oid][3:]) for oid in there}
            last = {**now, "relations": {**known.relations, **then}, "locks": {}, "foreign_keys": known.foreign_keys}
        found = self._told("", {"before": last, "alone": False, "wrapped": False, "plan": None}, now)
        stronger = {oid for oid, mode in found["locks"].items() if last["locks"].get(oid) != f"{mode}Lock"}
        if stronger or found["scanned"] or found["rewritten"]:
            self.statements.append(dict(found, sql=heard, unseen=True))

    def _last_word(self, dbapi: Any) -> str:
        """Return the text that the server had last from this connection, before we asked anything."""
        pid = server.announced_pid(dbapi)
        if self.ledger is None or pid is None:
            return ""
        self._pid = int(pid)
        return " ".join(str(self.ledger.session.value(_LAST_WORD.format(int(pid))) or "").split())[:MAXIMUM_TEXT]

    def passed(self, statement: str) -> None:
        if self.ledger is not None and re.match(r"SAVEPOINT\b", COMMENTS.sub("", statement), re.I):
            self.ledger.nested = True

    def ending(self, dbapi: Any, commits: bool) -> None:
        if server.in_transaction(dbapi) is False:
            return
        heard, reached = "", False
        with server.asking():
            try:
                heard = self._last_word(dbapi)
                now = self._look(dbapi, last=True)
                self._is_strange(now)
                self._compare(now, heard)
                self._last, self._ended = now, now["transaction"]
                self._close(now)
                reached = commits and self.beside and self._reaches_out(dbapi, now)
                if commits:
                    self._settle(now)
                self._flushed = self._flushed or bool(self._flushes)
            except Exception:
                self._last = None  # it has failed already, and all that it did goes with it
        if reached:
            self.statements.append(told(heard, left_out=True))
            raise Failure("rehearsal_impossible", BESIDE.format(heard[:100] or "What it did"))

    def _close(self, now: dict[str, Any]) -> None:
        self.account.close(now["number"], now["catalogs"], now["locks"])

    def _is_plain(self, statement: str, before: dict[str, Any], after: dict[str, Any]) -> None:
        """Take note of a statement that has written in catalogues of what it need not have locked."""
        self._accounted = after["sign"][_WRITTEN]
        changed = self._accounted != before["sign"][_WRITTEN]
        if changed and not (_PLAIN.match(COMMENTS.sub("", statement)) and not _NOT_PLAIN.search(statement)):
            self.account.plain = False

    def _is_strange(self, now: dict[str, Any]) -> None:
        """Take note of what was written in catalogues since the last statement that was seen."""
        latest = self._accounted if self._last is not None else None
        if now["sign"][_WRITTEN] != latest:
            self.account.plain = False

    def _flush(self, dbapi: Any) -> None:
        """Have the server count what was read when this transaction ends; else that may be a second late."""
        if self._flushes:
            server.value(dbapi, f"select {_FLUSH}")
            self._flushed = True

    def _plan(self, dbapi: Any, statement: str, parameters: Any, seen: dict[str, Any]) -> Any:
        """Return the server's plan of a statement that has one."""
        if not _EXPLAINED.match(statement) or ";" in statement.strip().rstrip(";"):
            return None
        cursor = dbapi.cursor()
        try:
            server.value(dbapi, "savepoint dbops_plan")
            try:
                text = "explain (verbose, format json) " + statement
                cursor.execute(text, parameters) if parameters is not None else cursor.execute(text)
                found = cursor.fetchone()[0]
                found = json.loads(found) if isinstance(found, str) else found
                self._ask(dbapi, cursor, statement, parameters, found, seen)
            except Exception:  # then the statement itself says what is wrong with it
                found = None
                server.value(dbapi, "rollback to savepoint dbops_plan")
            server.value(dbapi, "release savepoint dbops_plan")
        finally:
            cursor.close()
        return found

    def _ask(self, dbapi: Any, cursor: Any, statement: str, parameters: Any, found: Any, seen: dict[str, Any]) -> None:
        """Ask the real database what an empty copy can not say: how many rows change, and which ones are read."""
        plan = Plan(found, seen["before"]["relations"], bool(_CREATES.match(statement)))
        if self.real is not None and not parameters:
            self.real.learn(statement if parameters is None else statement.replace("%%", "%"))
        if self.real is None or not (plan.changed | plan.read) & self.existing:
            return
        if plan.changed & self.existing:
            as_found = not (plan.changed | plan.read) & self.real.changed
            described = functools.partial(self._described, dbapi)
            seen["affected"] = self.real.affected(statement, parameters, described, as_found)
            if as_found:
                seen["vanished"], seen["left"] = vanished.left(statement, parameters, described, self.real)
                seen["vanished"] += vanished.deleted(statement, parameters, described, self.real)
        elif plan.kind == "select" and self.real.answers and (not parameters or server.rewrites(dbapi)):
            cursor.execute(statement, parameters) if parameters is not None else cursor.execute(statement)
            as_found = not plan.read & self.real.changed
            names = [qualified(seen["before"]["relations"][oid][0]) for oid in plan.read & self.existing if as_found]
            tables = (self._described(dbapi, name) for name in names)
            seen["instead"] = self.real.answer(dbapi, statement, parameters, cursor.description, tables)

    def _described(self, dbapi: Any, table: str) -> Any:
        """Return schema, name, column → type and column → default of a table, as its name is understood here."""
        found = server.rows(dbapi, _DESCRIBED.format(server.literal(table)))
        return (*found[0][:2], *map(json.loads, found[0][2:])) if found else None

    def finish(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        if seen.get("again"):
            if server.in_transaction(dbapi):
                self.loops.go_on(shape(statement), seen["times"])
            return {}
        if seen.get("left_out"):
            return told(statement, left_out=True)
        was_open = server.in_transaction(dbapi)
        after = done = self._look(dbapi, seen["alone"])
        left_out = bool(seen.get("guarded")) and self._is_taken_back(dbapi, statement, seen, after)
        if left_out:
            after = self._look(dbapi)
        if seen["wrapped"]:
            self._close(after)
            self._flush(dbapi)
            server.value(dbapi, "commit")
            self._settle(after)
        elif seen["alone"]:
            self._flush(dbapi)
            self._leave(dbapi, was_open)
        else:
            self._last = after
            self.loops.call(after["transaction"])
        if not seen["alone"]:
            self._is_plain(statement, seen["before"], after)
        found = dict(self._told(statement, seen, done), left_out=left_out)
        if self.real is not None and (found["rewritten"] or not _KEEPS_VALUES.match(COMMENTS.sub("", statement))):
            kept = {oid for oid, mode in found["locks"].items() if mode in _KEEP_ROWS}
            self.real.changed |= self.existing if found["opaque"] else found["locks"].keys() - kept
        if found["writes"] in ("update", "delete", "merge"):
            self.loops.learn(shape(statement), found["touched"], (found["affected"] or 0) // found["times"])
        if self.ledger is not None and (found["opaque"] or _EXCEPTION.search(statement) or _OPAQUE.match(statement)):
            self.ledger.nested = True
        if seen["alone"] and self.ledger is not None:
            self.ledger.end()
            self._is_not_counted(statement, found)
        return found

    def _is_taken_back(self, dbapi: Any, statement: str, seen: dict[str, Any], after: dict[str, Any]) -> bool:
        """Take back what a statement did if it has changed what other databases have too, and tell whether it has."""
        reached = self._reaches_out(dbapi, after)
        if self.ledger is not None and after["sign"] != seen["before"]["sign"]:
            self.ledger.nested = True
        if reached:
            self.outside.add(statement)
            server.value(dbapi, f"rollback to savepoint {_GUARD}")
        server.value(dbapi, f"release savepoint {_GUARD}")
        return reached

    def _reaches_out(self, dbapi: Any, now: dict[str, Any]) -> bool:
        """Tell whether the transaction, since this was asked last, has changed what other databases have too."""
        rows = {each for each in (now["sign"][_WRITTEN] or "").split(",") if each.split(" ")[0].rpartition(".")[2] in SHARED}
        known = self._shared[1] if self._shared[0] == now["transaction"] else set()
        self._shared = (now["transaction"], rows)
        names = {each.split(" ")[0].rpartition(".")[2] for each in rows - known}
        if names and names <= OF_ONE and self.ledger is not None:
            return bool(server.value(dbapi, OTHERS) != self.ledger.session.value(OTHERS))
        return bool(names)

    def close(self) -> None:
        super().close()
        if self.ledger is None:
            return
        if self._flushes is False:
            self._await_counts(self.ledger.session)
        objects, tables = self.ledger.rest()
        names = self._known.relations if self._known else {}
        named = [names.get(oid, (oid,))[0] for oid in tables]
        if objects or named:
            self.strange = sorted({*objects, *named})

    def _await_counts(self, session: Session) -> None:
        """Wait a moment for the end of the revision's session, with which a server counts at last what was read in it."""
        for _attempt in range(25):
            if self._pid is None or not session.value(
                f"select count(*) from pg_stat_get_activity({self._pid}) where pid is not null"
            ):
                return
            session.rows("select pg_sleep(0.02)")

    def _settle(self, after: dict[str, Any]) -> None:
        """What was there in a transaction that is committed is what the next one finds."""
        relations = dict(after["relations"])
        relations.update((oid, (*relations[oid][:3], 0, *relations[oid][4:])) for oid in after["fresh"])
        self._known = Known(relations, after["indexes"], after["foreign_keys"])

    def _is_not_counted(self, statement: str, found: dict[str, Any]) -> None:
        if not _ALONE.match(COMMENTS.sub("", statement)):
            self.ledger.uncounted = None  # type: ignore[union-attr]  # code of several transactions, of which nothing is known
        elif self.ledger.uncounted is not None:  # type: ignore[union-attr]
            self.ledger.uncounted |= set(found["locks"])  # type: ignore[union-attr]

    def broken(self, dbapi: Any, statement: str, seen: dict[str, Any]) -> dict[str, Any]:
        if seen.get("again") or seen.get("left_out"):
            return told(statement)
        if seen["wrapped"] and dbapi is not None:
            server.value(dbapi, "rollback")
        self._last = None
        if seen["alone"] and self.ledger is not None:
            self.ledger.end()
        return self._told(statement, seen, seen["before"])

    def _told(self, statement: str, seen: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
        before = seen["before"]
        locks = {oid: mode for oid, mode in after["locks"].items() if oid in self.existing}
        pairs = {
            oid: (before["relations"][oid], after["relations"][oid])
            for oid in before["fresh"] | after["fresh"]
            if oid in before["relations"] and oid in after["relations"]
        }
        scanned = {oid for oid, (old, new) in pairs.items() if new[3] > old[3]}
        rewritten = {oid for oid, (old, new) in pairs.items() if new[2] != old[2]}
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
        plan = Plan(seen["plan"], before["relations"], bool(_CREATES.match(text)))
        if self.real is not None and plan.kind is not None:  # a row that was lent is none of the revision's
            lent = {oid for oid in locks if locks[oid] == "RowExclusiveLock" and after["relations"][oid][0] in self.real.borrowed}
            locks = {oid: mode for oid, mode in locks.items() if oid not in lent - plan.targets}
        if plan.kind is not None:  # more exact than the counters, but for what a function does
            scanned = plan.scanned | (scanned - plan.read)
        gained = {oid for oid in locks if before["locks"].get(oid) is None}
        if _ANALYZES.match(text):
            scanned |= gained | self._named(text, locks, after["relations"])
        worked = self._worked_on(before["relations"], after)
        asks = plan.kind == "select" and not seen.get("instead") and not _SETS.match(text)
        procedural = bool(_OPAQUE.match(text)) or asks
        tables = self.existing
        return told(
            statement,
            transactional=not seen["alone"],
            autocommit=bool(seen["wrapped"] or seen["alone"]),
            locks={oid: mode[: -len("Lock")] for oid, mode in locks.items()},
            scanned=sorted(scanned & tables),
            rewritten=sorted(rewritten & tables),
            truncated=bool(re.match(r"\s*TRUNCATE\b", text, re.I)),
            written=sorted(plan.written & tables),
            touched=sorted(plan.changed & tables),
            transaction=None if seen["wrapped"] or seen["alone"] else after["transaction"] or None,
            writes=plan.kind if plan.kind in ("update", "delete", "insert", "merge") else None,
            unfiltered=plan.unfiltered,
            affected=seen.get("affected"),
            vanished=seen.get("vanished") or [],
            left=seen.get("left") or {},
            times=seen.get("times", 1),
            answered=bool(seen.get("instead") or seen.get("brought")),
            read=sorted(
                ((plan.read if asks else set()) | ({oid for oid in gained if locks[oid] in MODES[:2]} if procedural else set()))
                & tables
            ),
            procedural_writes=sorted(
                {
                    oid
                    for oid, mode in locks.items()
                    if procedural
                    and mode == "RowExclusiveLock"
                    and (oid in worked or before["locks"].get(oid) != "RowExclusiveLock")
                }
                & tables
            ),
            opaque=bool(seen.get("opaque")),
        )

    def _named(self, text: str, locks: Iterable[str], relations: dict[str, Any]) -> set[str]:
        """Return which of these tables a text names."""
        names = {oid: str(relations[oid][0]).rpartition(".")[2] for oid in locks}
        return {oid for oid, name in names.items() if re.search(rf"\b{re.escape(name)}\b", text)}

    def _worked_on(self, before: dict[str, Any], after: dict[str, Any]) -> set[str]:
        """Return the tables that were read meanwhile, by themselves or by an index; what was parsed is locked and not read."""
        more = {oid for oid in after["fresh"] if after["relations"][oid][3] > before.get(oid, (0, 0, 0, 0))[3]}
        return more | {after["indexes"][oid][0] for oid in more if oid in after["indexes"]}

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
