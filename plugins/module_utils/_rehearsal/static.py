# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""U05, U06 and what the SQL of a revision shows by itself: the verdict where nothing could be rehearsed.

Only statements that are understood as a whole are judged. All else is unknown, which a reader of SQL has to say aloud. What the
statements are is said by PostgreSQL's own parser where there is one, else by a reader of ours, which takes apart no ALTER TABLE.
"""

from __future__ import annotations

import functools
import re
from itertools import groupby
from typing import Any, Iterator, Mapping, NamedTuple

from .._core.plan import Finding
from . import second_opinion, static_mysql, static_postgresql
from .judged import JUDGES, Case
from .rendered import SECTION, Rendered, unquoted

_WORD = r'(?:"[^"]+"|\w+)'
_QUALIFIED = rf"{_WORD}(?:\.{_WORD})?"
_NAME = rf"(?:ONLY\s+)?(?P<table>{_QUALIFIED})"
#: Where a statement ends: a semicolon that is in no string, identifier, comment or dollar quote.
_PIECE = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/|(\$\w*\$).*?\1|;|[^'\"`$;/-]+|.", re.S)
_ADD_CONSTRAINT = re.compile(r"\bADD\s+CONSTRAINT\s+(\"[^\"]+\"|`[^`]+`|\w+)", re.I)
_DROP_CONSTRAINT = re.compile(r"\bDROP\s+CONSTRAINT\s+(?:IF\s+EXISTS\s+)?(\"[^\"]+\"|`[^`]+`|\w+)", re.I)
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


_KNOWN = {"postgresql": static_postgresql.KNOWN, "mysql": static_mysql.KNOWN, "mariadb": static_mysql.KNOWN}
#: The kinds of database whose SQL is read.
DIALECTS = tuple(_KNOWN)
_ALTERED = re.compile(rf"ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s", re.I)
#: What keeps writers out of a table that was there until the transaction ends. PostgreSQL manual, "Explicit Locking".
_LOCKS = tuple(
    re.compile(pattern, re.I | re.S)
    for pattern in (
        rf"CREATE\s+(?:UNIQUE\s+)?INDEX\b(?!\s+CONCURRENTLY).*?\sON\s+{_NAME}",
        rf"(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?(?:TRIGGER|POLICY|RULE)\b.*?\sON\s+{_NAME}",
        rf"(?:TRUNCATE|LOCK)\s+(?:TABLE\s+)?{_NAME}",
        rf"DROP\s+(?:TABLE|VIEW|MATERIALIZED\s+VIEW|SEQUENCE)\s+(?:IF\s+EXISTS\s+)?{_NAME}",
        rf"REFRESH\s+MATERIALIZED\s+VIEW\s+(?!CONCURRENTLY){_NAME}",
        rf"CREATE\s+TABLE\b.*?\bREFERENCES\s+(?P<table>{_QUALIFIED})",
    )
)
_CHANGES = re.compile(rf"(?:UPDATE|DELETE\s+FROM)\s+{_NAME}", re.I)
_FUNCTION = re.compile(rf"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s+(?P<name>{_QUALIFIED})", re.I)
_RAISES = re.compile(r"\bRAISE\s+(?:EXCEPTION\b|SQLSTATE\b|USING\b|'|[a-z_]+\s*;)", re.I)
_LABEL = re.compile(r"ALTER\s+TYPE\s+\S+\s+ADD\s+VALUE\s+(?:IF\s+NOT\s+EXISTS\s+)?('(?:[^']|'')*')", re.I)
_VALUE_AGAIN = re.compile(
    rf"{_ALTERED.pattern}\s*ALTER\s+(?:COLUMN\s+)?(?P<column>{_WORD})\s+(?:SET\s+DEFAULT|ADD\s+GENERATED)\s", re.I
)


@functools.lru_cache(maxsize=None)  # a rehearsal needs none of them, and they take longer than all that a module loads
def _patterns(dialect: str) -> tuple[tuple[re.Pattern[str], str, str, str], ...]:
    return tuple((re.compile(pattern, re.I | re.S), rule, kind, message) for pattern, rule, kind, message in _KNOWN[dialect])


class Statement(NamedTuple):
    """:param end: where it ends in the text that it is part of."""

    text: str
    end: int


def findings(rendered: Rendered) -> list[Finding]:
    """Return what the SQL shows; a statement that is not understood is unknown."""
    if rendered.sql is None:
        return not_seen(rendered.revision, rendered.problem or "its SQL could not be rendered")
    reader = _Reader(rendered)
    found: list[Finding] = []
    begin = 0
    for end, texts in groupby(_statements(rendered), lambda statement: statement.end):
        judged: list[Finding] = []
        own = False
        for text, _end in texts:
            if not any(re.search(rf"\b{re.escape(name)}\b", text) for name in rendered.version_tables):
                judged += reader.read(text)
                own = own or any(re.search(rf"\b{re.escape(name)}\b", text) for name in reader.made)
        found += judged
        said = [item for item in rendered.squawk if not own and begin <= _position(rendered.sql, item) < end]
        found += second_opinion.of_statement(rendered.sql[begin:end], said, rendered.revision, {item.kind for item in judged})
        begin = end
    return [finding for finding in found if finding.rule not in ("C09", "C15") or finding.target not in reader.valued]


def _statements(rendered: Rendered) -> list[Statement]:
    if rendered.parsed is not None:
        return [Statement(str(item["sql"]), int(item["end"])) for item in rendered.parsed]
    return [Statement(*each) for each in _split(str(rendered.sql))]


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
        self.valued: set[str] = set()  # columns that get a value again, as "table.column"
        self._checks: dict[str, tuple[str, str]] = {}
        self._functions: dict[str, bool] = {}
        self._labels: list[str] = []
        self._rows: dict[str, int] = {}  # how many the transaction changes
        self._alone = False  # each statement commits, as in an autocommit_block; a transaction may have begun with another revision

    def read(self, statement: str) -> list[Finding]:
        """Return what this statement does to running code."""
        text = " ".join(statement.split())
        created = re.match(rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_NAME}", text, re.I)
        if created:
            self.made.add(unquoted(created.group("table")))
        self.made |= {unquoted(name) for pattern in (_ADD_CONSTRAINT, _CREATE_ENUM) for name in pattern.findall(text)}
        again = _VALUE_AGAIN.match(text)
        if again:
            self.valued.add(f"{unquoted(again.group('table'))}.{unquoted(again.group('column'))}")
        found = list(self._judged(text))
        if not any(finding.rule == "B02" for finding in found):
            found += self._together(text)
        self._remember(text)
        return found

    def _together(self, text: str) -> Iterator[Finding]:
        """Batches are committed together where they are in one transaction."""
        rows, match = (self.rendered.plans.get(text) or {}).get("rows"), _CHANGES.match(text)
        if match is None or not rows or self._alone:
            return
        table = unquoted(match.group("table"))
        before = self._rows.get(table, 0)
        self._rows[table] = before + int(rows)
        few = self.rendered.large.is_few
        if before and few(before) and not few(self._rows[table]) and table not in self.made and self.rendered.is_large(table):
            case = self._case(text, {"table": table}, "B02", "The statements of this transaction change many rows together")
            yield case.found("blocks")

    def _remember(self, text: str) -> None:
        if re.match(r"(?:BEGIN|COMMIT|ROLLBACK)\b", text, re.I):
            self._alone = not re.match("BEGIN", text, re.I)
            self.held.clear()
            self._rows.clear()
            self._labels.clear()
        function, label = _FUNCTION.match(text), _LABEL.match(text)
        if function:
            name = unquoted(function.group("name")).rpartition(".")[2].lower()
            self._functions[name] = self._functions.get(name, False) or bool(_RAISES.search(text))
        if not self._alone:
            self._labels += [label.group(1)] if label else []
            locked = (match for match in (pattern.match(text) for pattern in _LOCKS) if match)
            self.held |= {unquoted(match.group("table")) for match in locked} - self.made
        altered = _ALTERED.match(text)
        if not altered:
            return
        table = unquoted(altered.group("table"))
        if not self._alone and not _GENTLE.search(text):
            self.held |= {table, *(unquoted(name) for name in _REFERENCED.findall(text))} - self.made
        dropped = _DROP_CONSTRAINT.search(text)
        if dropped:
            self.proved.discard(self._checks.get(unquoted(dropped.group(1)), ("", "")))
        check = _NOT_NULL_CHECK.search(text)
        if check:
            self._checks[unquoted(check.group(1))] = (table, unquoted(check.group(2)))
            if not re.search(r"\bNOT\s+VALID$", text, re.I):
                self.proved.add((table, unquoted(check.group(2))))
        validated = re.search(r"\bVALIDATE\s+CONSTRAINT\s+(\S+)$", text, re.I)
        if validated and unquoted(validated.group(1)) in self._checks:
            self.proved.add(self._checks[unquoted(validated.group(1))])

    def _judged(self, text: str) -> Iterator[Finding]:
        case = self._case(text, {}, "", "")
        used = next((label for label in self._labels if label in text), None)
        if used is not None:
            yield case.unknown(f"It uses the label {used}, which PostgreSQL refuses in the transaction that adds it")
        for pattern, rule, kind, message in _patterns(self.rendered.dialect):
            match = pattern.match(text)
            if match is None:
                continue
            groups = {name: unquoted(value or "") for name, value in match.groupdict().items()}
            if kind == "column" and self._may_be_of_a_domain(groups):
                break  # harmless, had the text shown the type
            if kind in ("", "column") or (kind not in ("rows", "reads") and not self._is_told(groups, text)):
                return
            case = self._case(text, groups, rule, message)
            if kind in JUDGES:
                yield from JUDGES[kind](case)
            else:
                yield case.found(kind)
            return
        yield case.unknown()

    def _case(self, text: str, groups: Mapping[str, str], rule: str, message: str) -> Case:
        held, made = frozenset(self.held), frozenset(self.made)
        proved = (groups.get("table", ""), groups.get("column", "")) in self.proved
        return Case(self.rendered, text, groups, rule, message, held, made, dict(self._functions), proved)

    def _may_be_of_a_domain(self, groups: Mapping[str, str]) -> bool:
        """Tell whether the type of a new column may have a check, which the rows that are there have to pass."""
        kept = groups.get("type", "")
        if not kept or groups["table"] in self.made or kept in self.made or _TYPES.fullmatch(kept):
            return False
        known = self.rendered.known
        return not known.there or any(entry["typtype"] == "d" for entry in known.all("type", kept))

    def _is_told(self, groups: Mapping[str, str], text: str) -> bool:
        """Tell whether what the pattern says of this statement is worth a finding, given the statements before it."""
        table, dropped = groups.get("table", ""), _DROP_CONSTRAINT.search(text)
        if table in self.made or (dropped and unquoted(dropped.group(1)) in self.made):
            return False
        if "validated" in groups:
            return bool(self.held)
        return True
