# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""U05, U06 and what the SQL of a revision shows by itself: the verdict where nothing could be rehearsed.

Only statements that are understood as a whole are judged. All else is unknown, which a reader of SQL has to say aloud.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from .._core.plan import Finding
from . import second_opinion, static_mysql
from .seen import Large

SECTION = "When nothing can be rehearsed"
_WORD = r'(?:"[^"]+"|\w+)'
_QUALIFIED = rf"{_WORD}(?:\.{_WORD})?"
_NAME = rf"(?:ONLY\s+)?(?P<table>{_QUALIFIED})"
_COLUMN = rf"(?P<column>{_WORD})"
#: Where a statement ends: a semicolon that is in no string, identifier, comment or dollar quote.
_PIECE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1|;|[^'\"`$;/-]+|.", re.S)
_ADD_CONSTRAINT = re.compile(r"\bADD\s+CONSTRAINT\s+(\"[^\"]+\"|`[^`]+`|\w+)", re.I)
_DROP_CONSTRAINT = re.compile(r"\bDROP\s+CONSTRAINT\s+(?:IF\s+EXISTS\s+)?(\"[^\"]+\"|`[^`]+`|\w+)", re.I)
_STABLE = r"(?:now\s*\(\s*\)|CURRENT_\w+|'(?:[^']|'')*'(?:::[\w ]+)?|-?[\d.]+|true|false|NULL)"
#: The types whose values need no check; any other may be a domain, and adding a column of one may read the table.
_TYPES = re.compile(
    r"(?:small|big)?int|int[248]|integer|float[48]?|real|double|numeric|decimal|money|bool(?:ean)?|bit|varbit|bytea|uuid|xml|jsonb?|"
    r"jsonpath|text|citext|name|char|character|bpchar|varchar|date|time(?:stamp)?(?:tz)?|interval|inet|cidr|macaddr8?|hstore|ltree|"
    r"ts(?:vector|query)|oid|(?:int4|int8|num|ts|tstz|date)(?:multi)?range",
    re.I,
)
_CREATE_ENUM = re.compile(r"CREATE\s+TYPE\s+(\S+)\s+AS\s+ENUM\b", re.I)
#: Actions of ALTER TABLE whose lock lets writers in (PostgreSQL manual, "ALTER TABLE": SHARE UPDATE EXCLUSIVE).
_GENTLE = re.compile(r"\s(?:VALIDATE\s+CONSTRAINT|SET\s+STATISTICS|(?:RE)?SET\s*\()", re.I)
_REFERENCED = re.compile(rf"\bREFERENCES\s+({_QUALIFIED})", re.I)
_NOT_NULL_CHECK = re.compile(
    rf"\bADD\s+CONSTRAINT\s+(\S+)\s+CHECK\s*\(+\s*({_WORD})\s+IS\s+NOT\s+NULL\s*\)+(?:\s+NOT\s+VALID)?$", re.I
)


@dataclass(frozen=True)
class Rendered:
    """One revision as SQL that nobody has run.

    :param sql: None where it could not be rendered, for ``problem``.
    :param tables: table → {rows, bytes} of the real database.
    :param squawk: what squawk found in it: rule, line and column (from 0), message.
    """

    revision: str
    sql: str | None
    problem: str | None
    tables: Mapping[str, Any]
    version_tables: tuple[str, ...]
    large: Large
    dialect: str = "postgresql"
    squawk: Sequence[Mapping[str, Any]] = ()


def not_seen(revision: str, why: str = "") -> list[Finding]:
    """Return what is said of a revision that did not run, because one before it failed or nothing could run."""
    message = f"{revision} was not rehearsed{': ' + why if why else ''}."
    fix = "See the reason why, in the warnings or in the revision before."
    return [Finding("U05", "unknown", revision, message, fix, SECTION, source="sql")]


def statements(text: str) -> list[str]:
    """Split SQL into statements, without comments."""
    return [statement for statement, _end in _split(text)]


def _split(text: str) -> list[tuple[str, int]]:
    """Return each statement with the position where it ends."""
    found, current = [], ""
    for match in _PIECE.finditer(text):
        piece = match.group(0)
        if piece == ";":
            found.append((current.strip(), match.end()))
            current = ""
        elif not piece.startswith(("--", "/*")):
            current += piece
    return [(statement, end) for statement, end in [*found, (current.strip(), len(text))] if statement]


# Pattern, rule, class ("" is harmless, "large" blocks on a large table), message. The first that matches decides.
# These are PostgreSQL's.
_ADDED = r"(?!CONSTRAINT\b|PRIMARY\b|UNIQUE\b|FOREIGN\b|CHECK\b|EXCLUDE\b)"
_ONE = r"(?!.*,\s*(?:ADD|DROP|ALTER|RENAME|SET|VALIDATE)\b)"  # an ALTER TABLE with several actions is not understood
_TYPE = r'(?P<type>"[^"]+"|[\w.]+)'
_ALTER_ANY = rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s"
_ALTER = rf"{_ALTER_ANY}\s*{_ONE}"
_ADD_COLUMN = rf"{_ALTER}ADD\s+(?:COLUMN\s+)?(?:IF\s+NOT\s+EXISTS\s+)?{_ADDED}{_COLUMN}\s+"
_KNOWN: tuple[tuple[str, str, str, str], ...] = (
    (r"(?:BEGIN|COMMIT|SET\s|COMMENT\s+ON\s|SELECT\s+1$|ANALYZE\b)", "", "", ""),
    (r"CREATE\s+(?:TYPE|SEQUENCE|SCHEMA|EXTENSION|DOMAIN|STATISTICS)\b", "", "", ""),
    (r"CREATE\s+TABLE\b(?!.*\bAS\s+(?:SELECT|WITH)\b)(?!.*\bPARTITION\s+OF\b)", "", "", ""),
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
    (rf"CLUSTER\s+(?:VERBOSE\s+)?{_NAME}\s+USING\s", "B01", "large", "The table is rewritten"),
    (r"ALTER\s+INDEX\s+(?:IF\s+EXISTS\s+)?\S+\s+RENAME\s+TO\s", "", "", ""),
    (r"DROP\s+INDEX\s+CONCURRENTLY\b", "T01", "not_transactional", "An index is dropped outside a transaction"),
    (rf"DROP\s+INDEX\s+(?:IF\s+EXISTS\s+)?{_NAME}$", "M07", "may_break", "An index is dropped"),
    (
        _ADD_COLUMN + r"(?!.*\b(?:DEFAULT|GENERATED|SERIAL|BIGSERIAL|REFERENCES|CHECK|UNIQUE|PRIMARY)\b)[^,]*\bNOT\s+NULL[^,]*$",
        "C11",
        "breaks",
        "The new column {column} is NOT NULL and has no default",
    ),
    (
        _ADD_COLUMN + r"(?!.*\b(?:GENERATED|SERIAL|BIGSERIAL|REFERENCES|CHECK|UNIQUE|PRIMARY)\b)"
        rf"{_TYPE}(?:(?!\bDEFAULT\b)[^,])*(?:\bDEFAULT\s+{_STABLE}(?:\s+NOT\s+NULL)?)?$",
        "",
        "",
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
    (_ALTER + rf"ALTER\s+(?:COLUMN\s+)?{_COLUMN}\s+DROP\s+DEFAULT$", "C09", "breaks", "The column {column} loses its default"),
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
        "large",
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
    (_ALTER + r"DROP\s+CONSTRAINT\b", "C07", "breaks", "A constraint is dropped that ON CONFLICT may rely on"),
    (rf"DROP\s+(?:TABLE|VIEW|MATERIALIZED\s+VIEW|SEQUENCE)\s+(?:IF\s+EXISTS\s+)?{_NAME}", "C01", "breaks", "It is dropped"),
    (rf"DROP\s+(?:TYPE|FUNCTION|PROCEDURE|EXTENSION|SCHEMA|DOMAIN)\s+(?:IF\s+EXISTS\s+)?{_NAME}", "C08", "breaks", "It is dropped"),
    (rf"ALTER\s+TYPE\s+{_NAME}\s+(?:RENAME\s+TO|SET\s+SCHEMA)\s", "C03", "breaks", "The type gets another name"),
    (rf"ALTER\s+TYPE\s+{_NAME}\s+ADD\s+VALUE\b", "M03", "may_break", "The enum gets a label that old code may not know"),
    (rf"ALTER\s+TYPE\s+{_NAME}\s+RENAME\s+VALUE\b", "C10", "breaks", "A label of the enum is renamed"),
    (
        rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:VIEW|FUNCTION|PROCEDURE)\s+{_NAME}",
        "M04",
        "may_break",
        "It may do something else for old code",
    ),
    (
        rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?TRIGGER\b.*?\sON\s+{_NAME}",
        "M04",
        "may_break",
        "Writes of old code do something else",
    ),
    (rf"INSERT\s+INTO\s+{_NAME}[^;]*?\bVALUES\b(?!.*\bSELECT\b)", "", "", ""),
    (rf"UPDATE\s+{_NAME}\s", "B02", "large", "Rows are changed by one statement"),
    (rf"DELETE\s+FROM\s+{_NAME}", "B02", "large", "Rows are deleted by one statement"),
)
_PATTERNS = {
    dialect: tuple((re.compile(pattern, re.I | re.S), rule, kind, message) for pattern, rule, kind, message in known)
    for dialect, known in (("postgresql", _KNOWN), ("mysql", static_mysql.KNOWN), ("mariadb", static_mysql.KNOWN))
}
#: The kinds of database whose SQL is read.
DIALECTS = tuple(_PATTERNS)


def findings(rendered: Rendered) -> list[Finding]:
    """Return what the SQL shows; a statement that is not understood is unknown."""
    if rendered.sql is None:
        return not_seen(rendered.revision, rendered.problem or "its SQL could not be rendered")
    reader = _Reader(rendered)
    found: list[Finding] = []
    start = 0
    for statement, end in _split(rendered.sql):
        begin, start = start, end
        if any(re.search(rf"\b{re.escape(name)}\b", statement) for name in rendered.version_tables):
            continue
        judged = reader.read(statement)
        found += judged
        if not any(re.search(rf"\b{re.escape(name)}\b", statement) for name in reader.made):
            said = [item for item in rendered.squawk if begin <= _position(rendered.sql, item) < end]
            found += second_opinion.of_statement(statement, said, rendered.revision, {finding.kind for finding in judged})
    return found


def _position(text: str, item: Mapping[str, Any]) -> int:
    lines = text.splitlines(keepends=True)[: item["line"]]
    return sum(map(len, lines)) + int(item["column"])


class _Reader:
    """Reads the statements of one revision in their order.

    ``made``: tables, enums and constraints of its own, which nobody else can know yet. ``held``: tables that the transaction keeps
    writers out of. ``proved``: the (table, column) pairs that a validated check says to be NOT NULL.
    """

    def __init__(self, rendered: Rendered) -> None:
        self.rendered = rendered
        self.made: set[str] = set()
        self.held: set[str] = set()
        self.proved: set[tuple[str, str]] = set()
        self._checks: dict[str, tuple[str, str]] = {}
        self._alone = False  # each statement commits, as in an autocommit_block; a transaction may have begun with another revision

    def read(self, statement: str) -> list[Finding]:
        """Return what this statement does to running code."""
        text = " ".join(statement.split())
        created = re.match(rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}", text, re.I)
        if created:
            self.made.add(_plain(created.group("table")))
        self.made |= {_plain(name) for pattern in (_ADD_CONSTRAINT, _CREATE_ENUM) for name in pattern.findall(text)}
        found = list(self._judged(text))
        self._remember(text)
        return found

    def _remember(self, text: str) -> None:
        if re.match(r"(?:BEGIN|COMMIT|ROLLBACK)\b", text, re.I):
            self._alone = not re.match("BEGIN", text, re.I)
            self.held.clear()
        altered = re.match(_ALTER_ANY, text, re.I)
        if not altered:
            return
        table = _plain(altered.group("table"))
        if not self._alone and not _GENTLE.search(text):
            self.held |= {table, *(_plain(name) for name in _REFERENCED.findall(text))} - self.made
        dropped = _DROP_CONSTRAINT.search(text)
        if dropped:
            self.proved.discard(self._checks.get(_plain(dropped.group(1)), ("", "")))
        check = _NOT_NULL_CHECK.search(text)
        if check:
            self._checks[_plain(check.group(1))] = (table, _plain(check.group(2)))
            if not re.search(r"\bNOT\s+VALID$", text, re.I):
                self.proved.add((table, _plain(check.group(2))))
        validated = re.search(r"\bVALIDATE\s+CONSTRAINT\s+(\S+)$", text, re.I)
        if validated and _plain(validated.group(1)) in self._checks:
            self.proved.add(self._checks[_plain(validated.group(1))])

    def _judged(self, text: str) -> Iterator[Finding]:
        rendered = self.rendered
        for pattern, rule, kind, message in _PATTERNS[rendered.dialect]:
            match = pattern.match(text)
            if match is None:
                continue
            groups = {name: _plain(value or "") for name, value in match.groupdict().items()}
            table = groups.get("table", "")
            if not rule and self._may_be_of_a_domain(groups):
                break  # harmless, had the text shown the type
            if not rule or not self._is_told(groups, text):
                return
            rows = _size(rendered, table).get("rows")
            told = f"{message.format(column=groups.get('column'))}{' (' + table + ')' if table else ''}: {text[:100]}"
            if kind != "large":
                target = f"{table}.{groups['column']}" if groups.get("column") else table or rendered.revision
                yield Finding(rule, kind, target, told + ".", "Rehearse it to know more.", SECTION, rows=rows, source="sql")
            elif rendered.large.has(_size(rendered, table)):
                yield Finding(rule, "blocks", table, told + ".", "Rehearse it to know more.", SECTION, rows=rows, source="sql")
            return
        message = f"Nobody has run this, and its text does not show what it does: {text[:100]}."
        fix = "Rehearse it, or look by hand and allow it."
        yield Finding("U06", "unknown", rendered.revision, message, fix, SECTION, source="sql")

    def _may_be_of_a_domain(self, groups: Mapping[str, str]) -> bool:
        """Tell whether the type of a new column may have a check, which the rows that are there have to pass."""
        kept = groups.get("type", "")
        return bool(kept) and groups["table"] not in self.made and kept not in self.made and not _TYPES.fullmatch(kept)

    def _is_told(self, groups: Mapping[str, str], text: str) -> bool:
        """Tell whether what the pattern says of this statement is worth a finding, given the statements before it."""
        table, dropped = groups.get("table", ""), _DROP_CONSTRAINT.search(text)
        if table in self.made or (dropped and _plain(dropped.group(1)) in self.made):
            return False
        if "validated" in groups:
            return bool(self.held)
        return (table, groups.get("column", "")) not in self.proved or not re.search(r"\bSET\s+NOT\s+NULL$", text, re.I)


def _plain(name: str) -> str:
    return name.replace('"', "").replace("`", "")


def _size(rendered: Rendered, table: str) -> Mapping[str, Any]:
    """Return the size of a table; one that the real database does not have counts as large, since it is not known."""
    unknown = {"rows": None, "bytes": rendered.large.bytes}
    names = [table] if "." in table else [name for name in rendered.tables if name.rpartition(".")[2] == table]
    return max((rendered.tables.get(name, unknown) for name in names), key=lambda size: size["bytes"], default=unknown)
