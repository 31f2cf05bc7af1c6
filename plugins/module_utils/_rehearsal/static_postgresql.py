# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the SQL of a revision shows by itself on PostgreSQL, with the catalogue of the real database where that can be read."""

from __future__ import annotations

_WORD = r'(?:"[^"]+"|\w+)'
_QUALIFIED = rf"{_WORD}(?:\.{_WORD})?"
_NAME = rf"(?:ONLY\s+)?(?P<table>{_QUALIFIED})"
_COLUMN = rf"(?P<column>{_WORD})"
_LITERAL = r"'(?:[^']|'')*'"
_STABLE = (
    rf"(?:now\s*\(\s*\)|CURRENT_\w+|{_LITERAL}(?:::[\w ]+)?"
    rf"|CAST\({_LITERAL} AS [\w ]+(?:\([\d, ]+\))?\)|-?[\d.]+|true|false|NULL)"
)

# Pattern, rule, class ("" is harmless, "large" blocks on a large table), message. The first that matches decides.
# These are PostgreSQL's.
_ADDED = r"(?!CONSTRAINT\b|PRIMARY\b|UNIQUE\b|FOREIGN\b|CHECK\b|EXCLUDE\b)"
_ONE = r"(?!.*,\s*(?:ADD|DROP|ALTER|RENAME|SET|VALIDATE)\b)"  # an ALTER TABLE with several actions is not understood
_ITEM = r"(?:\([^()]*\)|[^,()])"  # a part of a column's definition, where a comma is between parentheses
_TYPE = r'(?P<type>"[^"]+"|[\w.]+)'
_ALTER_ANY = rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s"
_ALTER = rf"{_ALTER_ANY}\s*{_ONE}"
_ADD_COLUMN = rf"{_ALTER}ADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?{_ADDED}{_COLUMN}\s+"
KNOWN: tuple[tuple[str, str, str, str], ...] = (
    (r"(?:BEGIN|START\s+TRANSACTION|COMMIT|SET\s|RESET\s|COMMENT\s+ON\s|SELECT\s+1$|GRANT\s.*\sON\s)", "", "", ""),
    (r"ANALY[SZ]E\b", "", "analyzed", "Rows are read"),
    (
        rf"REVOKE\s+(?:GRANT\s+OPTION\s+FOR\s+)?(?P<privileges>.+?)\s+ON\s+(?P<what>(?:TABLE|SEQUENCE|SCHEMA|FUNCTION|TYPE)\s+)?"
        rf"{_NAME}(?:\s*\([^)]*\))?\s+FROM\s+(?P<roles>.+?)(?:\s+(?:CASCADE|RESTRICT))?$",
        "C13",
        "revoke",
        "Old code loses privileges",
    ),
    (r"CREATE\s+(?:TYPE|SEQUENCE|SCHEMA|EXTENSION|DOMAIN|STATISTICS)\b", "", "", ""),
    (r"CREATE\s+TABLE\b(?!.*\bAS\s+(?:SELECT|WITH)\b)(?!.*\bPARTITION\s+OF\b)", "", "", ""),
    (r"CREATE\s+TABLE\b.*\bAS\s+\(?\s*(?:SELECT|WITH)\b", "B01", "reads", "A table is filled"),
    (
        rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\b.*?\sON\s+{_NAME}",
        "T01",
        "not_transactional",
        "An index is built outside a transaction",
    ),
    (rf"CREATE\s+(?:UNIQUE\s+)?INDEX\b.*?\sON\s+{_NAME}", "B01", "large", "An index is built while writes are kept out"),
    (r"REINDEX\b(?=.*\bCONCURRENTLY\b)", "T01", "not_transactional", "An index is built anew outside a transaction"),
    (rf"REINDEX\s+(?:\([^)]*\)\s*)?TABLE\s+{_NAME}", "B01", "large", "Its indexes are built anew while writes are kept out"),
    (
        rf"VACUUM\s*(?:\([^)]*\bFULL\b[^)]*\)|\sFULL(?:\s+(?:FREEZE|VERBOSE|ANALYZE)\b)*)\s*{_NAME}",
        "B01",
        "large",
        "The table is rewritten",
    ),
    (r"VACUUM\b(?!.*\bFULL\b)", "T01", "not_transactional", "A table is vacuumed outside a transaction"),
    (r"REFRESH\s+MATERIALIZED\s+VIEW\s+CONCURRENTLY\b", "", "", ""),
    (rf"REFRESH\s+MATERIALIZED\s+VIEW\s+{_NAME}", "B01", "refreshed", "The view is filled while everybody is kept out"),
    (rf"TRUNCATE\s+(?:TABLE\s+)?{_NAME}", "M04", "may_break", "All its rows are gone"),
    (rf"CLUSTER\s+(?:VERBOSE\s+)?{_NAME}\s+USING\s", "B01", "large", "The table is rewritten"),
    (r"ALTER\s+INDEX\s+(?:IF\s+EXISTS\s+)?\S+\s+RENAME\s+TO\s", "", "", ""),
    (r"DROP\s+INDEX\s+CONCURRENTLY\b", "T01", "not_transactional", "An index is dropped outside a transaction"),
    (rf"DROP\s+INDEX\s+(?:IF\s+EXISTS\s+)?{_NAME}$", "M07", "may_break", "An index is dropped"),
    (
        _ADD_COLUMN
        + r"(?!.*\b(?:DEFAULT|GENERATED|SERIAL|BIGSERIAL|REFERENCES|CHECK|UNIQUE|PRIMARY)\b)"
        + rf"{_ITEM}*\bNOT\s+NULL{_ITEM}*$",
        "C11",
        "breaks",
        "The new column {column} is NOT NULL and has no default",
    ),
    (
        _ADD_COLUMN + r"(?!.*\b(?:GENERATED|SERIAL|BIGSERIAL|REFERENCES|CHECK|UNIQUE|PRIMARY)\b)"
        rf"{_TYPE}(?:(?!\bDEFAULT\b){_ITEM})*(?:\bDEFAULT\s+{_STABLE}(?:\s+NOT\s+NULL)?)?$",
        "",
        "column",
        "",
    ),
    # a column that is NULL all over points to nothing, so nothing is checked
    (
        _ADD_COLUMN + rf"(?!.*\b(?:GENERATED|SERIAL|BIGSERIAL|CHECK|UNIQUE|PRIMARY|DEFAULT|NOT\s+NULL)\b){_TYPE}.*\bREFERENCES\b",
        "",
        "",
        "",
    ),
    (_ALTER + rf"ADD\s+(?:COLUMN\s+)?{_ADDED}[^,]*\bCHECK\b", "B01", "large", "A column is added whose check reads the table"),
    (
        _ALTER + rf"ADD\s+(?:COLUMN\s+)?{_ADDED}[^,]*\b(?:DEFAULT|GENERATED|SERIAL|BIGSERIAL)\b[^,]*$",
        "B01",
        "large",
        "A column is added that may rewrite the table",
    ),
    (
        _ALTER + rf"DROP\s+(?:COLUMN\s+)?(?!CONSTRAINT\b)(?:IF\s+EXISTS\s+)?{_COLUMN}(?:\s+CASCADE)?$",
        "C02",
        "breaks",
        "The column {column} is dropped",
    ),
    (_ALTER + rf"RENAME\s+(?:COLUMN\s+)?(?!TO\b|CONSTRAINT\b){_COLUMN}\s+TO\s", "C04", "breaks", "The column {column} is renamed"),
    (
        rf"{_ALTER}ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+(?:SET\s+DATA\s+)?TYPE\s+(?P<type>.+?)(?:\s+COLLATE\s+\S+)?(?P<using>\s+USING\s.+)?$",
        "B01",
        "type",
        "The type of {column} changes",
    ),
    (
        rf"{_ALTER}ATTACH\s+PARTITION\s+(?P<partition>{_QUALIFIED})\s",
        "B01",
        "attached",
        "Rows are checked against the bounds while everybody is kept out",
    ),
    (_ALTER + r"DETACH\s+PARTITION\s", "C14", "breaks", "A partition is detached, and rows with its bounds are refused"),
    (_ALTER + r"(?:ENABLE|DISABLE)\s+(?:(?:ALWAYS|REPLICA)\s+)?(?:TRIGGER|RULE)\s", "M04", "may_break", "Writes do something else"),
    (_ALTER + r"(?:REPLICA\s+IDENTITY|CLUSTER\s+ON|SET\s+WITHOUT\s+CLUSTER|ALTER\s+CONSTRAINT)\b", "", "", ""),
    (
        rf"{_ALTER}ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+ADD\s+GENERATED\s+ALWAYS\s",
        "C05",
        "breaks",
        "The column {column} takes no value from old code any more",
    ),
    (rf"{_ALTER}ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+ADD\s+GENERATED\s+BY\s+DEFAULT\s", "", "", ""),
    (_ALTER + r"RENAME\s+TO\s", "C03", "breaks", "The table is renamed"),
    (
        _ALTER + rf"VALIDATE\s+CONSTRAINT\s+(?P<validated>{_WORD})$",
        "B01",
        "large",
        "The table is scanned while a lock of this transaction keeps writers out",
    ),
    (_ALTER + r"SET\s+SCHEMA\s", "C03", "breaks", "The table moves to another schema"),
    (_ALTER + r"SET\s+(?:LOGGED|UNLOGGED|TABLESPACE|ACCESS\s+METHOD)\b", "B01", "large", "The table is rewritten"),
    (_ALTER + r"(?:ALTER\s+(?:COLUMN\s+)?\S+\s+SET\s+(?:STATISTICS|STORAGE)\s|(?:RE)?SET\s*\()", "", "", ""),
    (_ALTER + rf"ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+DROP\s+DEFAULT$", "C09", "default", "The column {column} loses its default"),
    (
        _ALTER + rf"ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+SET\s+DEFAULT\s",
        "M02",
        "may_break",
        "The column {column} gets another default",
    ),
    (_ALTER + rf"ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+DROP\s+NOT\s+NULL$", "M05", "may_break", "The column {column} may be NULL"),
    (
        _ALTER + rf"ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+SET\s+NOT\s+NULL$",
        "B01",
        "required",
        "The table is scanned while everybody is kept out",
    ),
    (
        rf"{_ALTER}ADD\s+CONSTRAINT\s+\S+\s+CHECK\s*\(+\s*{_COLUMN}\s+IS\s+NOT\s+NULL\s*\)+\s*(?P<later>NOT\s+VALID)?$",
        "B01",
        "required",
        "The table is scanned while everybody is kept out",
    ),
    (
        _ALTER + r"ADD\s+CONSTRAINT\b.*\b(?:NOT\s+VALID|USING\s+INDEX\s+\S+)$",
        "M01",
        "may_break",
        "A new constraint refuses rows that old code may write",
    ),
    (
        _ALTER + r"ADD\s+(?:CONSTRAINT\b|PRIMARY\b|UNIQUE\b|FOREIGN\b|CHECK\b|EXCLUDE\b)",
        "B01",
        "large",
        "A new constraint is checked under a lock",
    ),
    (
        _ALTER + rf"DROP\s+CONSTRAINT\s+(?:IF\s+EXISTS\s+)?(?P<constraint>{_WORD})",
        "C07",
        "constraint",
        "A constraint is dropped that ON CONFLICT may rely on",
    ),
    (rf"DROP\s+(?:TABLE|VIEW|MATERIALIZED\s+VIEW|SEQUENCE)\s+(?:IF\s+EXISTS\s+)?{_NAME}", "C01", "gone", "It is dropped"),
    (rf"DROP\s+(?:TYPE|FUNCTION|PROCEDURE|EXTENSION|SCHEMA|DOMAIN)\s+(?:IF\s+EXISTS\s+)?{_NAME}", "C08", "breaks", "It is dropped"),
    (rf"ALTER\s+TYPE\s+{_NAME}\s+(?:RENAME\s+TO|SET\s+SCHEMA)\s", "C03", "breaks", "The type gets another name"),
    (rf"ALTER\s+TYPE\s+{_NAME}\s+ADD\s+VALUE\b", "M03", "may_break", "The enum gets a label that old code may not know"),
    (rf"ALTER\s+TYPE\s+{_NAME}\s+RENAME\s+VALUE\b", "C10", "breaks", "A label of the enum is renamed"),
    (rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:VIEW|FUNCTION|PROCEDURE)\s+{_NAME}", "M04", "new", "It may do something else for old code"),
    (
        rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\b.*?\sON\s+{_NAME}\b.*\bEXECUTE\s+(?:FUNCTION|PROCEDURE)\s+(?P<function>{_QUALIFIED})",
        "M04",
        "trigger",
        "Writes of old code do something else",
    ),
    (rf"DROP\s+TRIGGER\s+(?:IF\s+EXISTS\s+)?\S+\s+ON\s+{_NAME}", "M04", "may_break", "Writes of old code do something else"),
    (
        rf"ALTER\s+SEQUENCE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s+(?:RENAME\s+TO|SET\s+SCHEMA)\s",
        "C03",
        "breaks",
        "The sequence is renamed",
    ),
    (rf"ALTER\s+SEQUENCE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s+.*\bRESTART\b", "M02", "may_break", "Old code gets other numbers"),
    (r"ALTER\s+SEQUENCE\b(?!.*\bOWNER\s+TO\b)", "", "", ""),
    (rf"ALTER\s+DOMAIN\s+{_NAME}\s+ADD\s.*\bNOT\s+VALID$", "M01", "may_break", "Old code may write values that it refuses"),
    (rf"ALTER\s+DOMAIN\s+{_NAME}\s+(?:ADD|VALIDATE)\s", "B01", "domain", "Columns of the domain are read"),
    (r"ALTER\s+DOMAIN\s+.*\sDROP\s+(?:CONSTRAINT|NOT\s+NULL)\b", "", "", ""),
    (rf"INSERT\s+INTO\s+{_NAME}", "", "reads", "Rows are added"),
    (rf"UPDATE\s+{_NAME}\s", "B02", "rows", "Rows are changed by one statement"),
    (rf"DELETE\s+FROM\s+{_NAME}", "B02", "rows", "Rows are deleted by one statement"),
    (r"SELECT\b(?!.*\bINTO\b)(?!.*\bFOR\s+(?:UPDATE|SHARE|NO\s+KEY|KEY)\b)", "", "reads", "Rows are read"),
)
