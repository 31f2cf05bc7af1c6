# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Objects of servers without OIDs: each keeps the identity of its first name through what the statements do to names.

A table that is copied under another name, dropped, and whose copy takes its name (Alembic's batch mode) stays the same table.
One that is dropped and made anew under its name is another, and so is a column.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable

from .catalog import Catalog
from .watching import COMMENTS, MANY_TIMES, Watcher

_WORD = r"(?:`[^`]+`|\"[^\"]+\"|\[[^\]]+\]|[\w$]+)"
_NAME = rf"(?:{_WORD}\.)?({_WORD})"
_ALTER = re.compile(rf"ALTER\s+(?:IGNORE\s+)?TABLE\s+(?:IF\s+EXISTS\s+)?{_NAME}\s+(.*)", re.I | re.S)
_DROP = re.compile(r"DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?(.*)", re.I | re.S)
_RENAME = re.compile(r"RENAME\s+TABLES?\s+(?:IF\s+EXISTS\s+)?(.*)", re.I | re.S)
_RENAMED = re.compile(rf"{_NAME}\s+TO\s+{_NAME}", re.I)
_NEW_NAME = re.compile(rf"(?:^|,)\s*RENAME\s+(?:TO\s+|AS\s+|=\s*)?(?!(?:COLUMN|INDEX|KEY)\b){_NAME}\s*(?:,|;|$)", re.I)
_COLUMN = re.compile(
    rf"(?:^|,)\s*(?:RENAME\s+(?:COLUMN\s+)?(?!(?:INDEX|KEY|TO)\b)({_WORD})\s+TO\s+({_WORD})"
    rf"|CHANGE\s+(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?({_WORD})\s+({_WORD}))",
    re.I,
)
_GONE = re.compile(
    rf"(?:^|,)\s*DROP\s+(?:COLUMN\s+)?(?:IF\s+EXISTS\s+)?(?!(?:PRIMARY|FOREIGN|INDEX|KEY|CONSTRAINT|CHECK|PARTITION)\b)({_WORD})",
    re.I,
)
_COPY = re.compile(rf"INSERT\s+INTO\s+{_NAME}\s*\(([^)]*)\)\s*SELECT\s+(.*)\sFROM\s+{_NAME}\s*;?\s*$", re.I | re.S)
_SOURCE = re.compile(rf"(?:CAST\s*\(\s*)?(?:{_WORD}\.)?({_WORD})(?:\s+AS\b.*)?$", re.I | re.S)


class Identities:
    """What the names of tables and columns mean, from ``before`` on."""

    def __init__(self, before: Catalog) -> None:
        self.tables: dict[str, str] = {}
        self.columns: dict[str, dict[str, str]] = {}
        self._gone: dict[str, str] = {}
        self._copied: dict[str, tuple[str, dict[str, str]]] = {}
        for kind, oid in before:
            entry = before[(kind, oid)]
            if kind == "relation":
                self.tables[_folded(entry["name"])] = oid
            elif kind == "column":
                self.columns.setdefault(entry["relation"], {})[_folded(entry["column"])] = oid.split("/")[1]
        self._next = 1 + max(
            [0, *map(int, self.tables.values()), *(int(n) for found in self.columns.values() for n in found.values())]
        )

    def table(self, name: str) -> str | None:
        """Return the OID of the table that bears this name now, if it is known already."""
        return self.tables.get(_folded(name))

    def see(self, statement: str) -> None:
        """Follow a statement that has succeeded."""
        text = COMMENTS.sub("", statement).strip()
        for pattern, follow in ((_ALTER, self._alter), (_DROP, self._drop), (_RENAME, self._rename_all), (_COPY, self._copy)):
            match = pattern.match(text)
            if match:
                follow(*match.groups())

    def _alter(self, name: str, actions: str) -> None:
        columns = self.columns.get(self.tables.get(_folded(name), ""), {})
        for match in _GONE.finditer(actions):
            columns.pop(_folded(match.group(1)), None)
        for match in _COLUMN.finditer(actions):
            old, new = (_folded(word) for word in match.groups() if word)
            if old in columns:
                columns[new] = columns.pop(old)
        renamed = _NEW_NAME.search(actions)
        if renamed:
            self._rename(name, renamed.group(1))

    def _drop(self, names: str) -> None:
        for name in re.findall(_NAME, names):
            oid = self.tables.pop(_folded(name), None)
            if oid is not None:
                self._gone[_folded(name)] = oid

    def _rename_all(self, pairs: str) -> None:
        for old, new in _RENAMED.findall(pairs):
            self._rename(old, new)

    def _rename(self, old: str, new: str) -> None:
        old, new = _folded(old), _folded(new)
        original, columns = self._copied.get(old, ("", {}))
        if original == new and new in self._gone:
            oid = self.tables[new] = self._gone.pop(new)
            known = self.columns.get(oid, {})
            self.columns[oid] = {name: known[source] for name, source in columns.items() if source in known}
        elif old in self.tables:
            self.tables[new] = self.tables.pop(old)

    def _copy(self, target: str, names: str, items: str, source: str) -> None:
        found = {}
        for name, item in zip(names.split(","), _split(items)):
            match = _SOURCE.match(item.strip())
            if match:
                found[_folded(name)] = _folded(match.group(1))
        self._copied[_folded(target)] = (_folded(source), found)

    def _new(self) -> str:
        self._next += 1
        return str(self._next - 1)

    def catalog(self, entries: list[dict[str, Any]]) -> Catalog:
        """Return what was found, by name, as a catalogue by OID.

        ``table`` names the table of an entry, ``columns`` and ``foreign_columns`` its columns by name, and ``key`` what tells it
        from others of its table.
        """
        found: Catalog = {}
        for entry in sorted(entries, key=lambda item: item["kind"] not in ("relation", "column")):  # those that others refer to
            entry = dict(entry)
            key = entry.pop("key", "")
            if entry["kind"] == "relation":
                entry["oid"] = self.tables.setdefault(_folded(entry["name"]), "") or self._new()
                self.tables[_folded(entry["name"])] = entry["oid"]
            elif "table" in entry:
                self._place(entry, key)
            else:
                entry["oid"] = str(entry["name"])
            found[(entry["kind"], entry["oid"])] = entry
        return found

    def _place(self, entry: dict[str, Any], key: str) -> None:
        relation = entry["relation"] = self.tables[_folded(entry["table"])]
        if entry["kind"] == "column":
            columns = self.columns.setdefault(relation, {})
            number = columns.get(_folded(entry["column"])) or self._new()
            columns[_folded(entry["column"])] = number
            entry["oid"] = f"{relation}/{number}"
            return
        numbers = self._numbers(relation, entry.get("columns"))
        if entry["kind"] == "index":
            entry["columns"] = " ".join(numbers)
        elif entry["kind"] == "constraint":
            foreign = entry.get("foreign")
            entry.update(columns=numbers, foreign=self.tables.get(_folded(foreign or "")))
            entry["foreign_columns"] = self._numbers(str(entry["foreign"]), entry.get("foreign_columns"))
        entry["oid"] = f"{relation}:{key or entry['type'] + ','.join(numbers)}"

    def _numbers(self, relation: str, names: Any) -> list[str]:
        known = self.columns.get(relation, {})
        return [known.get(_folded(name), name) for name in names or ()]


def _folded(name: str) -> str:
    """Return a name as it is compared: without its schema and quotes, in lower case."""
    match = re.search(rf"({_WORD})\s*$", name.strip())
    return (match.group(1) if match else name).strip('`"[]').lower()


def _split(items: str) -> list[str]:
    """Split at the commas that are in no parentheses."""
    found, depth = [""], 0
    for letter in items:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            found.append("")
        else:
            found[-1] += letter
    return found


class NamedWatcher(Watcher):
    """A :class:`.watching.Watcher` where tables have no OIDs.

    :param before: the catalogue before the step.
    """

    def __init__(
        self, running: Callable[[], bool], autocommit: Callable[[], bool], version_tables: Iterable[str], before: Catalog
    ) -> None:
        super().__init__(running, autocommit, version_tables)
        self.identities = Identities(before)
        self.existing = {oid for kind, oid in before if kind == "relation"}
        self._times: dict[str, int] = {}

    def is_again(self, statement: str) -> bool:
        """Tell whether a statement was looked at so often that nothing new is learned: a loop over rows may be long."""
        self._times[statement] = self._times.get(statement, 0) + 1
        return self._times[statement] > MANY_TIMES

    def known(self, names: Iterable[str], oids: dict[str, str]) -> list[str]:
        """Return those of the tables that were there before the step; ``oids``: what the names meant when the statement began."""
        return sorted({oids[name.lower()] for name in names if name.lower() in oids} & self.existing)
