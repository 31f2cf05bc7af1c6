# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the SQL of a revision shows by itself on MySQL and MariaDB.

Whether a MODIFY or CHANGE copies the table depends on the type that the column has, which the text does not say: that is unknown.
MySQL manual, "Online DDL Operations"; MariaDB manual, "InnoDB Online DDL Operations".
"""

from __future__ import annotations

_WORD = r"(?:`[^`]+`|\w+)"
_NAME = rf"(?P<table>{_WORD}(?:\.{_WORD})?)"
_COLUMN = rf"(?P<column>{_WORD})"
_ONE = r"(?!.*,\s*(?:ADD|DROP|ALTER|RENAME|CHANGE|MODIFY|CONVERT|ENGINE)\b)"  # several actions in one are not understood
_ALTER = rf"ALTER\s+TABLE\s+{_NAME}\s+{_ONE}"
_ADDED = r"(?!CONSTRAINT\b|PRIMARY\b|UNIQUE\b|FOREIGN\b|CHECK\b|INDEX\b|KEY\b|FULLTEXT\b|SPATIAL\b|PARTITION\b)"
_PLAIN = r"(?!.*\b(?:GENERATED|AS|CHECK|UNIQUE|PRIMARY|AUTO_INCREMENT|REFERENCES)\b)"

#: Pattern, rule, class ("" is harmless, "large" blocks on a large table), message. The first that matches decides.
KNOWN: tuple[tuple[str, str, str, str], ...] = (
    (r"(?:BEGIN|COMMIT|SET\s|SELECT\s+1$)", "", "", ""),
    (r"CREATE\s+TABLE\b(?!.*\b(?:SELECT|LIKE)\b)", "", "", ""),
    (rf"CREATE\s+(?:FULLTEXT|SPATIAL)\s+INDEX\b.*?\sON\s+{_NAME}", "B01", "large", "An index is built while writes are kept out"),
    (rf"CREATE\s+UNIQUE\s+INDEX\b.*?\sON\s+{_NAME}", "M01", "may_break", "A unique index refuses rows that old code may write"),
    (rf"CREATE\s+INDEX\b.*?\sON\s+{_NAME}", "", "", ""),
    (rf"DROP\s+INDEX\s+{_WORD}\s+ON\s+{_NAME}$", "M07", "may_break", "An index is dropped"),
    (
        _ALTER + rf"ADD\s+(?:COLUMN\s+)?{_ADDED}{_COLUMN}\s+{_PLAIN}(?!.*\bDEFAULT\b).*\bNOT\s+NULL\b",
        "C11",
        "breaks",
        "The new column {column} is NOT NULL and has no default",
    ),
    (_ALTER + rf"ADD\s+(?:COLUMN\s+)?{_ADDED}{_COLUMN}\s+{_PLAIN}", "", "", ""),
    (
        _ALTER + rf"DROP\s+(?:COLUMN\s+)?(?!(?:CONSTRAINT|PRIMARY|FOREIGN|INDEX|KEY|CHECK|PARTITION)\b){_COLUMN}$",
        "C02",
        "breaks",
        "The column {column} is dropped",
    ),
    (_ALTER + rf"RENAME\s+COLUMN\s+{_COLUMN}\s+TO\s", "C04", "breaks", "The column {column} is renamed"),
    (_ALTER + r"RENAME\s+(?:TO\s|AS\s|(?!INDEX|KEY))", "C03", "breaks", "The table is renamed"),
    (rf"RENAME\s+TABLE\s+{_NAME}\s+TO\b(?!.*,)", "C03", "breaks", "The table is renamed"),
    (_ALTER + rf"ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+DROP\s+DEFAULT$", "C09", "breaks", "The column {column} loses its default"),
    (
        _ALTER + rf"ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+SET\s+DEFAULT\s",
        "M02",
        "may_break",
        "The column {column} gets another default",
    ),
    (_ALTER + r"DROP\s+(?:FOREIGN\s+KEY|CHECK)\b", "", "", ""),
    (_ALTER + r"DROP\s+(?:INDEX|KEY)\b", "M07", "may_break", "An index is dropped"),
    (_ALTER + r"ADD\s+(?:FULLTEXT|SPATIAL)\b", "B01", "large", "An index is built while writes are kept out"),
    (_ALTER + r"ADD\s+(?:INDEX|KEY)\b", "", "", ""),
    (
        _ALTER + rf"ADD\s+(?:CONSTRAINT\s+(?:{_WORD}\s+)?)?UNIQUE\b",
        "M01",
        "may_break",
        "A unique index refuses rows that old code may write",
    ),
    (
        _ALTER + rf"ADD\s+(?:CONSTRAINT\s+(?:{_WORD}\s+)?)?(?:FOREIGN|CHECK)\b",
        "B01",
        "large",
        "The table is copied for a new constraint",
    ),
    (_ALTER + r"CONVERT\s+TO\b", "B01", "large", "The table is copied for another character set"),
    (rf"DROP\s+(?:TABLE|VIEW)\s+(?:IF\s+EXISTS\s+)?{_NAME}$", "C01", "breaks", "It is dropped"),
    (rf"DROP\s+(?:FUNCTION|PROCEDURE)\s+(?:IF\s+EXISTS\s+)?{_NAME}", "C08", "breaks", "It is dropped"),
    (
        rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:VIEW|FUNCTION|PROCEDURE)\s+{_NAME}",
        "M04",
        "may_break",
        "It may do something else for old code",
    ),
    (rf"INSERT\s+INTO\s+{_NAME}[^;]*?\bVALUES\b(?!.*\bSELECT\b)", "", "", ""),
    (rf"UPDATE\s+{_NAME}\s", "B02", "large", "Rows are changed by one statement"),
    (rf"DELETE\s+FROM\s+{_NAME}", "B02", "large", "Rows are deleted by one statement"),
)
