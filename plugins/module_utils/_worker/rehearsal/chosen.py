# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The rows that an UPDATE or DELETE changes, as a query, which a database that lacks a new column can be asked too."""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple

from .pieces import COMMENTS, tokens

_WORD = r"(?:\"[^\"]+\"|`[^`]+`|[\w$]+)"
_CHANGES = re.compile(r"(UPDATE|DELETE\s+FROM)\b", re.I)
_TARGET = re.compile(rf"\s*(?:ONLY\s+)?({_WORD}(?:\s*\.\s*{_WORD})?)(?:\s*\*)?(?:\s+(?:AS\s+)?({_WORD}))?\s*$", re.I)
_PARTS = re.compile(r"\b(SET|FROM|USING|WHERE|RETURNING)\b", re.I)
_PLACE = re.compile(r"%s")


class Chosen(NamedTuple):
    """:param target: the table, as it is named, with its other name. ``others``: what it is joined with.
    :param condition: WHERE and what comes after it.
    :param values: what SET is followed by.
    """

    table: str
    alias: str
    target: str
    others: str
    condition: str
    values: str

    def query(self, new: Mapping[str, str], mark: str = '"') -> str | None:
        """Return the query; None where it asks for more of a new column than whether it is NULL, as it is at first.

        :param new: column that is not there → its type, or nothing.
        """
        for name in new:
            asked = re.findall(rf"\b{re.escape(name)}\b[\"`]?(\s+IS\s+NULL\b)?", f"{self.others} {self.condition}", re.I)
            if not all(asked):
                return None
        columns = "".join(f", null{kind and f'::{kind}'} as {mark}{name}{mark}" for name, kind in new.items())
        source = f"(select {self.alias}.*{columns} from {self.table} {self.alias}) {self.alias}" if new else self.target
        return f"select 1 from {source}{self.others and f', {self.others}'} {self.condition}".rstrip()

    def parameters(self, given: Any) -> Any:
        """Return those of the parameters that the query has."""
        return given[len(_PLACE.findall(self.values)) :] if isinstance(given, (list, tuple)) else given


def of(statement: str) -> Chosen | None:
    """Return what a statement changes; None for one that is no plain UPDATE or DELETE of one table."""
    text = COMMENTS.sub("", statement).rstrip().rstrip(";")
    start = _CHANGES.match(text)
    if start is None:
        return None
    text = text[start.end() :]
    parts, word, since = {"": ""}, "", 0
    for end, found in (*_words(text), (len(text), "")):
        if found and (found in parts or (word == "WHERE" and found != "RETURNING")):
            continue
        parts[word], since, word = text[since:end], end + len(found), found
    target = _TARGET.match(parts[""])
    if target is None or (start.group(1).upper() == "UPDATE") != ("SET" in parts):
        return None
    alias = target.group(2) or target.group(1).split(".")[-1].strip()
    others = parts.get("FROM", parts.get("USING", "")).strip()
    condition = f"WHERE{parts['WHERE']}" if "WHERE" in parts else ""
    return Chosen(target.group(1), alias, parts[""].strip(), others, condition, parts.get("SET", ""))


def _words(text: str) -> list[tuple[int, str]]:
    """Return where the parts of a statement begin that are in no parentheses, quotes or comments, and the word of each."""
    return [
        (start + match.start(), match.group(1).upper())
        for start, token, depth in tokens(text)
        if not depth
        for match in _PARTS.finditer(token)
    ]
