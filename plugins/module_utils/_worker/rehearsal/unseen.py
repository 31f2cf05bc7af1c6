# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What PostgreSQL shows of a revision afterwards, from a connection of our own, held against the transactions that were watched.

A row of the catalogue bears the transaction that wrote it, and the server counts the scans of a table. What neither the
transactions nor the scans that were seen account for was done in one that nobody looked at.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping

from .access import Session

_XIDS = 1 << 32
NEXT = "txid_snapshot_xmax(txid_current_snapshot())"
#: The next transaction's number, and that of the first whose rows may not all be seen yet: one that is open here, or the next one.
MARK = f"""{NEXT}, {NEXT} - coalesce(greatest(
  (select max(age(backend_xid)) from pg_stat_activity where datname = current_database()),
  (select max(age(transaction)) from pg_prepared_xacts where database = current_database())), 0)"""
#: The same, and how often each table was read as a whole.
_COUNTERS = f"select {MARK}, array(select pg_stat_get_numscans(oid) from unnest($1) oid)::text"
_TEMPORARY = re.compile(r"pg_(?:toast_)?temp_\d+\b")  # no other session sees what is in there
#: Lock modes of what only reads or writes rows.
_SHARED = ("AccessShareLock", "RowShareLock", "RowExclusiveLock")
#: Catalogue → the object that one of its rows is about. Statistics are not among them: ANALYZE may come at any time.
_CATALOGUES = {
    "pg_class": "oid::regclass::text",
    "pg_attribute": "attrelid::regclass::text",
    "pg_attrdef": "adrelid::regclass::text",
    "pg_constraint": "conname::text",
    "pg_index": "indexrelid::regclass::text",
    "pg_trigger": "tgrelid::regclass::text",
    "pg_policy": "polrelid::regclass::text",
    "pg_rewrite": "ev_class::regclass::text",
    "pg_proc": "oid::regprocedure::text",
    "pg_type": "oid::regtype::text",
    "pg_enum": "enumtypid::regtype::text",
    "pg_namespace": "nspname::text",
}
#: Those of objects that belong to no relation, and have nothing but a name and what they are made of.
LOOSE = ("pg_operator", "pg_cast", "pg_ts_config", "pg_collation")
#: All catalogues in which a change is one of an object.
CATALOGS = (*_CATALOGUES, "pg_inherits", "pg_depend", "pg_extension", *LOOSE)
#: Catalogues that all databases of a server share, and of them those that have rows of one.
SHARED = ("pg_authid", "pg_auth_members", "pg_tablespace", "pg_database", "pg_db_role_setting")
OF_ONE = frozenset(("pg_database", "pg_db_role_setting"))
#: What they hold of other databases, and of all.
OTHERS = """
select md5(coalesce((select string_agg((to_jsonb(d) - 'datfrozenxid' - 'datminmxid')::text, ' ' order by d.oid)
                     from pg_database d where d.datname <> current_database()), '')
           || coalesce((select string_agg(s::text, ' ' order by s.setdatabase, s.setrole) from pg_db_role_setting s
                        where s.setdatabase <> (select oid from pg_database where datname = current_database())), ''))"""
_WRITTEN = " union all ".join(
    f"select {name}, xmin::text::bigint from {catalogue} where age(xmin) <= {{age}}" for catalogue, name in _CATALOGUES.items()
)


def age_of(number: int) -> str:
    """Return the age of a transaction as age(xmin) counts it: from the next number to be given, whoever has those before it.

    A snapshot ends before what others have begun meanwhile, so its end is another number wherever somebody is writing.
    """
    return f"age('{number % _XIDS}'::xid)"


class Account:
    """The transactions of one step that were watched to their end: their numbers, and the catalogues that they have changed."""

    def __init__(self) -> None:
        self.closed: set[int] = set()  # the numbers of those that wrote something
        self.catalogs: set[str] | None = set()  # None: that is not known
        self.locked: set[str] = set()  # OIDs of relations
        self.altered: set[str] = set()  # those whose lock lets nobody else alter them
        self.mark: tuple[int, int] | None = None  # MARK, if it was asked for when the last of them had ended
        self.plain = True  # all that was written in catalogues came from statements that write of what they lock, and nowhere else

    def close(self, number: int | None, catalogs: Iterable[str] | None, locks: Mapping[str, str]) -> None:
        """Take down a transaction just before its end; ``number`` is None if it has written nothing."""
        self.locked.update(locks)
        self.altered.update(oid for oid, mode in locks.items() if mode not in _SHARED)
        if number is not None:
            self.closed.add(int(number))
        if catalogs is None or self.catalogs is None:
            self.catalogs = None
        else:
            self.catalogs.update(catalogs)

    def take_mark(self) -> tuple[int, int] | None:
        """Return the mark once, since it grows old."""
        mark, self.mark = self.mark, None
        return mark

    def is_all(self, start: int, end: int) -> bool:
        """Tell whether these transactions are all that there were; a savepoint or a stranger has a number too."""
        return end - start <= len(self.closed) and self.closed.issuperset(range(start, end))

    def changed(self, start: int, end: int) -> set[str] | None:
        """Return the catalogues that may have changed between two transactions; None where it may be any."""
        return self.catalogs if self.is_all(start, end) else None


class Ledger:
    """What was seen of one step, and what there is besides.

    :param session: a connection of ours to the copy.
    :param account: the transactions that were watched.
    :param tables: OIDs of the tables that were there before.
    :param before: what was seen of the step before, if nothing came in between.
    """

    def __init__(self, session: Session, account: Account, tables: Iterable[str], before: Ledger | None = None) -> None:
        self.session, self.account, self.tables = session, account, sorted(tables)
        known = before.latest if before is not None and before.tables == self.tables else None
        self.start, self.counters = known or self._asked()[::2]
        self.latest: tuple[int, str] | None = None  # the next transaction and the counters when the step had ended
        self.spans: dict[Any, tuple[int, int]] = {}  # transaction → its first number, and the first that came after it
        self.scans: dict[Any, dict[str, int]] = {}
        self._begun = 0
        self.nested = False  # there was a savepoint, or code that may have made one
        self.uncounted: set[str] | None = set()  # tables whose scans could not be told; None: all of them

    def note(self, transaction: Any, number: int | None, after: int, scans: dict[str, int]) -> None:
        """Take down how far a transaction has come.

        :param number: its own number; None as long as it has written nothing.
        :param after: the number that the next one gets.
        :param scans: table → how often the transaction began to read all of it.
        """
        if number is not None:
            self.spans[transaction] = (number, max(after, number + 1))
        self.scans[transaction] = scans

    def begin(self) -> None:
        """A statement begins that has transactions of its own."""
        self._begun = int(self.session.value(f"select {NEXT}"))

    def end(self) -> None:
        self.spans[("alone", self._begun)] = (self._begun, int(self.session.value(f"select {NEXT}")))

    def rest(self) -> tuple[list[str], list[str]]:
        """Return the objects that an unknown transaction wrote, and the OIDs of the tables that were read without being seen."""
        end, mark, counters = self._asked()
        self.account.mark = (end, mark)
        all_seen = self.account.is_all(self.start, end)
        written = [] if all_seen else self.session.rows(_WRITTEN.format(age=age_of(self.start)))
        strange = {name for name, number in written if not self._is_known(int(number), end) and not _TEMPORARY.match(str(name))}
        if self.uncounted is None:
            return sorted(strange), []
        self.latest = (end, counters)
        if counters == self.counters:
            return sorted(strange), []
        seen: dict[str, int] = {}
        for scans in self.scans.values():
            for oid, count in scans.items():
                seen[oid] = seen.get(oid, 0) + count
        first, last = ([int(count) for count in text.strip("{}").split(",") if count] for text in (self.counters, counters))
        more = [
            oid for oid, then, now in zip(self.tables, first, last) if oid not in self.uncounted and now > then + seen.get(oid, 0)
        ]
        return sorted(strange), more

    def _is_known(self, number: int, end: int) -> bool:
        full = end - (end - number) % _XIDS  # a row holds the last 32 bits
        spans = sorted(self.spans.values())
        if self.nested:  # a savepoint has a number of its own, and which transaction it was of does not show
            spans = [(first, later) for (first, _after), (later, _end) in zip(spans, [*spans[1:], (end + 1, 0)])]
        return full < self.start or any(first <= full < after for first, after in spans)

    def _asked(self) -> tuple[int, int, str]:
        number, mark, counters = self.session.again(_COUNTERS, self.tables)[0]
        return int(number), int(mark), str(counters)
