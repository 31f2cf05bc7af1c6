# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""B01, B02: running code waits as long as a large table takes."""

from __future__ import annotations

import re
from typing import Iterator

from .._core.plan import Finding
from .seen import STRONG, Facts, Seen, plain

_FIXES = (
    (
        re.compile(r"^INSERT\s+INTO\s+\S*_alembic_tmp_", re.I),
        "Batch mode copies the table. SQLite itself adds a nullable column, renames one, and drops one (3.35), without a batch.",
        "SQLite",
    ),
    (
        re.compile(r"\bFOREIGN KEY\b|\bREFERENCES\b", re.I),
        "Add it with postgresql_not_valid=True, and in a revision of its own: op.execute('ALTER TABLE … VALIDATE CONSTRAINT …').",
        "Adding a constraint",
    ),
    (
        re.compile(r"\bVALIDATE\s+CONSTRAINT\b", re.I),
        "Validate in a revision of its own, so that no stronger lock of an earlier statement is still held.",
        "Adding a constraint",
    ),
    (
        re.compile(r"\bCHECK\b", re.I),
        "Add it NOT VALID (op.create_check_constraint(…, postgresql_not_valid=True)) and validate it in a revision of its own.",
        "Adding a constraint",
    ),
    (
        re.compile(r"\bSET\s+NOT\s+NULL\b", re.I),
        "Add CHECK (… IS NOT NULL) NOT VALID, validate it in a revision of its own, then SET NOT NULL, which scans nothing then.",
        "Making a column NOT NULL",
    ),
    (
        re.compile(r"\b(?:UNIQUE|PRIMARY\s+KEY)\b(?!.*\bUSING\s+INDEX\b)(?=.*)", re.I),
        "Build a unique index with postgresql_concurrently=True in an autocommit_block, then ADD CONSTRAINT … USING INDEX.",
        "Adding an index",
    ),
    (
        re.compile(r"\bINDEX\b", re.I),
        "Use postgresql_concurrently=True inside with op.get_context().autocommit_block().",
        "Adding an index",
    ),
    (
        re.compile(r"\bATTACH\s+PARTITION\b", re.I),
        "Add a CHECK that says the same as the bounds, NOT VALID, and validate it first; then attaching scans nothing.",
        "Partitions",
    ),
    (
        re.compile(r"\bALTER\b.*\bTYPE\b", re.I),
        "Add a column of the new type, write both, copy in batches, and drop the old one in a later release.",
        "Changing a column's type",
    ),
    (
        re.compile(r"\bADD\s+COLUMN\b|\bADD\b", re.I),
        "Add it nullable and without that default, set the default in a second statement, and fill old rows in batches.",
        "Adding a column",
    ),
    (
        re.compile(r"\bVACUUM\b|\bCLUSTER\b", re.I),
        "Leave it out of the migrations; pg_repack does it while the table is used.",
        "Rewriting a table",
    ),
)
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


def _statement(seen: Seen, statement: Facts) -> Iterator[Finding]:
    rewritten = [] if statement["truncated"] else statement["rewritten"]
    whole = [*statement["written"], *(oid for oid in statement["procedural_writes"] if oid in statement["scanned"])]
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
        elif oid in whole:
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
    fix, section = _fix(statement, oid)
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


def _fix(statement: Facts, oid: str) -> tuple[str, str]:
    if statement["writes"] or oid in statement["procedural_writes"]:
        return f"Do it in a later revision than the one that takes the lock. {_BATCHES}", "Filling a column"
    found = next(((fix, section) for pattern, fix, section in _FIXES if pattern.search(statement["sql"])), None)
    return found or ("Do it in a revision of its own, or in a maintenance window.", "Locks")


def _size(seen: Seen, oid: str) -> str:
    table = seen.table(oid)
    size = f"{table['bytes'] / 1048576:.0f} MiB"
    return f" ({table['rows']} rows)" if table["rows"] else f" ({size})"
