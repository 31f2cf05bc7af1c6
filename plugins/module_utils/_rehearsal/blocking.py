# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""B01, B02: running code waits as long as a large table takes."""

from __future__ import annotations

import re
from typing import Iterator

from .._core.plan import Finding
from . import fixes
from .seen import STRONG, Facts, Seen, plain

#: Seconds from which on a lock is kept long although no statement works on a large table.
PAUSE = 1.5
_APART = "Do what takes long in a revision of its own, or before the other one."
#: Stands for all tables of a database that has one writer.
FILE = "the file"
_BATCHES = (
    "Change some thousand rows at a time, each batch in a transaction of its own (autocommit_block), in a revision of its own, "
    "or in the application."
)


def check(seen: Seen) -> Iterator[Finding]:
    told = set()
    for statement in seen.statements:
        for finding in _statement(seen, statement):
            if (finding.rule, finding.target) not in told:
                told.add((finding.rule, finding.target))
                yield finding
    for finding in (*_together(seen), *_kept_meanwhile(seen), *_pauses(seen)):
        if (finding.rule, finding.target) not in told:
            yield finding


def _together(seen: Seen) -> Iterator[Finding]:
    """Batches are committed together where they are in one transaction."""
    rows: dict[tuple[str, str], int] = {}
    times: dict[tuple[str, str], int] = {}
    texts: dict[tuple[str, str], str] = {}
    for statement in seen.statements:
        for oid in _written_in(seen, statement) if statement["transaction"] and statement["affected"] else ():
            key = (statement["transaction"], oid)
            rows[key] = rows.get(key, 0) + statement["affected"]
            times[key] = times.get(key, 0) + statement["times"]
            texts.setdefault(key, str(statement["sql"]))
    for (transaction, oid), count in rows.items():
        several = times[(transaction, oid)]
        if several > 1 and (oid == FILE or seen.is_large(oid)) and not seen.large.is_few(count):
            said = f"{several} statements of one transaction change {count} rows"
            text = texts[(transaction, oid)][:100]
            yield _of_the_file(seen, text, said, count) if oid == FILE else _of_a_table(seen, oid, text, said)


def _kept_meanwhile(seen: Seen) -> Iterator[Finding]:
    """Rows of a small table stay locked, as all that a transaction has changed, while it goes on with a large one."""
    kept: dict[str, dict[str, str]] = {}
    for statement in seen.statements if seen.dialect == "postgresql" else ():
        changed = kept.setdefault(str(statement["transaction"]), {})
        if not statement["transaction"] or statement["truncated"]:
            continue
        long = next((oid for oid in (*statement["rewritten"], *statement["scanned"]) if seen.is_large(oid)), "")
        for oid, text in changed.items() if long else ():
            table, other = str(seen.table(oid)["name"]), plain(str(seen.table(long)["name"]))
            message = (
                f"Rows of {plain(table)} are locked ({text[:100]}) until the transaction ends, and a later statement of it "
                f"reads the whole of {other}{_size(seen, long)}, which whoever writes one of them waits for "
                f"({statement['sql'][:100]})."
            )
            yield Finding("B02", "blocks", table, message, _APART, "Filling a column", lock="RowExclusive", rows=seen.rows(oid))
        changed.update({oid: str(statement["sql"]) for oid in _rows_locked(statement) if seen.rows(oid) != 0})


_FOR_UPDATE = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b(?!\s+SKIP)", re.I)


def _rows_locked(statement: Facts) -> list[str]:
    """Return the tables of which rows that were there stay locked, few or many: what is added nobody else knows."""
    found = list(statement["written"])
    if statement["writes"] in ("update", "delete", "merge"):
        found += [oid for oid in statement["touched"] if oid not in found]
    if _FOR_UPDATE.search(str(statement["sql"])):
        found += [oid for oid, mode in statement["locks"].items() if mode == "RowShare" and oid not in found]
    return found


def _pauses(seen: Seen) -> Iterator[Finding]:
    """A revision that sleeps, asks another service or computes keeps its locks meanwhile, whatever the size of the tables."""
    for statement in seen.statements:
        strong = seen.strong_locks(statement) if statement["transactional"] and not statement["autocommit"] else {}
        if not strong or max(statement["idle"], statement["ran"]) < PAUSE:
            continue
        order = list(STRONG)
        locked, lock = min(strong.items(), key=lambda item: (order.index(item[1]), item[0]))
        idle = statement["idle"] >= statement["ran"]
        what = (
            "the revision does something else than talk to the database after"
            if idle
            else "the database is busy, on a copy too, with"
        )
        message = (
            f"The lock {lock} on {plain(locked)} keeps {STRONG[lock]} out while {what} {statement['sql'][:100]}:"
            f" {max(statement['idle'], statement['ran']):.1f} s in the rehearsal."
        )
        fix = "Do what takes that long before the first statement that locks, or in a revision of its own."
        yield Finding("B01", "blocks", locked, message, fix, "Locks", lock=lock, rows=None)


def _written_in(seen: Seen, statement: Facts) -> list[str]:
    """Return what has the rows that a statement changes: tables, or all of a database with one writer."""
    return [FILE] if seen.dialect == "sqlite" and statement["touched"] else list(statement["touched"])


def _of_a_table(seen: Seen, oid: str, text: str, said: str) -> Finding:
    table = str(seen.table(oid)["name"])
    message = (
        f"{said} of {plain(table)} or more{_size(seen, oid)}: whoever writes one of them waits until it is committed ({text})."
    )
    return Finding("B02", "blocks", table, message, _BATCHES, "Filling a column", lock="RowExclusive", rows=seen.rows(oid))


def _of_the_file(seen: Seen, text: str, said: str, count: int) -> Finding:
    message = (
        f"{said}: nobody else can write until it is committed, and without a WAL nobody can read once the changes outgrow the "
        f"cache ({text})."
    )
    return Finding("B02", "blocks", seen.revision, message, _BATCHES, "SQLite", lock="Reserved", rows=count)


def _statement(seen: Seen, statement: Facts) -> Iterator[Finding]:
    if statement["truncated"]:
        return  # takes a moment, however large the table is
    rewritten = statement["rewritten"]
    whole = [*statement["written"], *(oid for oid in statement["procedural_writes"] if oid in statement["scanned"])]
    if statement["affected"] is not None and statement["times"] == 1 and not seen.large.is_few(statement["affected"]):
        whole += [oid for oid in statement["touched"] if oid not in whole]
    heavy = {
        oid
        for oid in {*statement["scanned"], *rewritten, *whole}
        if seen.is_large(oid) and not (seen.requires_new_column(oid) and oid not in whole)
    }
    strong = seen.strong_locks(statement)
    for oid in sorted(heavy, key=lambda item: str(seen.table(item)["name"])):
        table = seen.table(oid)["name"]
        verb = "rewrites" if oid in rewritten else "changes rows all over" if oid in whole else "reads the whole of"
        if strong:
            yield _under_lock(seen, statement, oid, table, verb, strong)
        elif oid in whole and not seen.large.is_few(statement["affected"]):
            yield Finding(
                "B02",
                "blocks",
                table,
                f"One statement changes rows all over {plain(table)}{_size(seen, oid)}: whoever writes one of "
                "them waits until it is committed.",
                _BATCHES,
                "Filling a column",
                lock="RowExclusive",
                rows=seen.rows(oid),
            )


def _under_lock(seen: Seen, statement: Facts, oid: str, table: str, verb: str, strong: dict[str, str]) -> Finding:
    order = list(STRONG)
    locked, lock = min(strong.items(), key=lambda item: (order.index(item[1]), item[0] != table, item[0]))
    fix, section = _fix(seen, statement, oid)
    held = "" if locked == table else f" on {plain(locked)}"
    return Finding(
        "B01",
        "blocks",
        table,
        f"A statement {verb} {plain(table)}{_size(seen, oid)} while the lock {lock}{held} keeps {STRONG[lock]} out "
        f"({statement['sql'][:100]}).",
        fix,
        section,
        lock=lock,
        rows=seen.rows(oid),
    )


def _fix(seen: Seen, statement: Facts, oid: str) -> tuple[str, str]:
    if seen.dialect == "postgresql" and (statement["writes"] or oid in statement["procedural_writes"]):
        return f"Do it in a later revision than the one that takes the lock. {_BATCHES}", "Filling a column"
    tables = [seen.table(each) for each in statement["locks"]] if seen.dialect == "postgresql" else []
    parted = any(table.get("partitioned") for table in tables)
    partitions = sorted({plain(str(table["name"])) for table in tables if not table.get("partitioned")}) if parted else []
    return fixes.for_statement(seen.dialect, str(statement["sql"]), partitions)


def _size(seen: Seen, oid: str) -> str:
    table = seen.table(oid)
    size = f"{table['bytes'] / 1048576:.0f} MiB"
    return f" ({table['rows']} rows)" if table["rows"] else f" ({size})"
