# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How a statement that blocks is done without blocking, by the kind of database."""

from __future__ import annotations

import re
from typing import Sequence

from . import rewrite

_POSTGRESQL = (
    (
        re.compile(r"^ALTER\s+DOMAIN\b", re.I),
        "Add its check NOT VALID, and validate it in a revision of its own: each table with a column of the domain is read then.",
        "Adding a constraint",
    ),
    (
        re.compile(r"\bEXCLUDE\s*(?:USING\b|\()", re.I),
        "No exclusion constraint is added without this lock: add it in a maintenance window, or to a table that is made anew "
        "beside this one.",
        "Adding a constraint",
    ),
    (
        re.compile(r"\bGENERATED\s+ALWAYS\s+AS\s*\(", re.I),
        "A stored generated column is computed for all rows at once: add a plain one, let a trigger fill it for new rows, and fill "
        "old rows in batches; or compute it where it is read.",
        "Adding a column",
    ),
    (
        re.compile(r"\bATTACH\s+PARTITION\b.*\bDEFAULT$|\bPARTITION\s+OF\b", re.I),
        "Where there is a DEFAULT partition, it is read for rows that belong to the new one. Give it a validated CHECK that "
        "excludes the new bounds first; then nothing is read.",
        "Partitions",
    ),
    (
        re.compile(r"\bFOREIGN KEY\b|\bREFERENCES\b", re.I),
        "Add it with postgresql_not_valid=True, and in a revision of its own: op.execute('ALTER TABLE … VALIDATE CONSTRAINT …'). "
        "A new column that may be NULL can bring it along: op.add_column(…, inline_references=True), which reads nothing.",
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
        re.compile(r"^ANALY[SZ]E\b", re.I),
        "Analyze in a revision of its own, or in an autocommit_block, so that no lock of an earlier statement is still held.",
        "Locks",
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
_COPY = "Let gh-ost or pt-online-schema-change copy it while it is used, or do it in a maintenance window."
_MYSQL = (
    (
        re.compile(r"\bFOREIGN KEY\b", re.I),
        "With SET foreign_key_checks = 0 before it, it is added in place; whether every row points to one is then yours to check.",
        "MySQL and MariaDB",
    ),
    (re.compile(r"\bFULLTEXT\b|\bSPATIAL\b", re.I), _COPY, "MySQL and MariaDB"),
    (
        re.compile(r"\bMODIFY\b|\bCHANGE\b", re.I),
        f"Add a column of the new type, write both, copy in batches, and drop the old one in a later release. {_COPY}",
        "MySQL and MariaDB",
    ),
    (
        re.compile(r"^(?:INSERT|REPLACE|CREATE)\b.*\bSELECT\b", re.I | re.S),
        "What is read for another table is locked row by row: copy some thousand rows at a time, each batch in a transaction.",
        "MySQL and MariaDB",
    ),
)
_SQLITE = (
    (
        re.compile(r"^INSERT\s+INTO\s+\S*_alembic_tmp_", re.I),
        "Batch mode copies the table. SQLite itself adds a nullable column, renames one, and drops one (3.35), without a batch.",
        "SQLite",
    ),
    (
        re.compile(r"^(?:UPDATE|DELETE|INSERT)\b", re.I),
        "Change some thousand rows at a time, each batch in a transaction of its own.",
        "SQLite",
    ),
)
_INDEX = re.compile(r"\bCREATE\s+(?:UNIQUE\s+)?INDEX\b", re.I)
_BY_PARTITION = (
    "An index of a partitioned table is not built concurrently: make it ON ONLY the table, build that of each partition "
    "concurrently, and attach them."
)
_FIXES = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "mariadb": _MYSQL, "sqlite": _SQLITE}
_ELSE = {
    "postgresql": ("Do it in a revision of its own, or in a maintenance window.", "Locks"),
    "sqlite": ("Do it in a maintenance window: a file has one writer at a time.", "SQLite"),
}


def for_statement(dialect: str, sql: str, partitions: Sequence[str] = ()) -> tuple[str, str]:
    """Return what to do instead, and the heading of the guide that says more.

    :param partitions: as for :func:`.rewrite.of`.
    """
    if partitions and _INDEX.search(sql):
        here = rewrite.of(sql, partitions)
        return f"{_BY_PARTITION}{f' Here: {here}.' if here else ''}", "Partitions"
    found = next(((fix, section) for pattern, fix, section in _FIXES[dialect] if pattern.search(sql)), None)
    here = rewrite.of(sql) if dialect == "postgresql" else None
    if found and here:
        return f"{found[0]} Here: {here}.", found[1]
    return found or _ELSE.get(dialect, (_COPY, "MySQL and MariaDB"))
