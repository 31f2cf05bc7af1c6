# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which rows a trigger refuses, as far as its text says so: all of them, those without a value in one column, or some."""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping, NamedTuple

#: PostgreSQL manual, "Errors and Messages"; MariaDB, "SIGNAL"; SQLite, "The RAISE() function".
_RAISES = re.compile(r"\bRAISE\s+EXCEPTION\b|\bSIGNAL\s+SQLSTATE\b|\bRAISE\s*\(\s*(?:ABORT|FAIL|ROLLBACK)\b", re.I)
TEXTS = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.S)
_ENDS = re.compile(r"\bEND\s+(?:IF|CASE|LOOP|WHILE)\b", re.I)
_CONDITION = re.compile(r"\b(?:IF|ELSE|ELSIF|ELSEIF|CASE|WHEN|LOOP|WHILE|WHERE|RETURN(?=.*\bRAISE\b))\b", re.I | re.S)
_NULL = re.compile(r"\b(?:IF|WHEN|WHERE)[\s(]+NEW\.([\"`]?)(\w+)\1\s+IS\s+NULL[\s)]*(?:THEN\b|BEGIN\b|EXECUTE\b|;|\bEND\b|$)", re.I)
#: The statement of a trigger, or what MySQL and MariaDB say of one, who name its table elsewhere.
_EVENT = re.compile(r"\b(?:BEFORE|AFTER)\s+(\w+(?:\s+OR\s+\w+)*)\b", re.I)
_GIVES = re.compile(r":=|\bINTO\b|\bNEW\s*(?:\.\s*[\w\"`]+\s*)?=", re.I)
_OF_COLUMNS = re.compile(r"\bUPDATE\s+OF\b", re.I)


class Refusal(NamedTuple):
    """:param always: no row gets by.
    :param column: rows that have no value in it do not, and all others do.
    """

    always: bool = False
    column: str | None = None


def refusal(definition: str, body: str = "") -> Refusal | None:
    """Return which rows a trigger refuses; None for one that refuses none, or stands in for a view.

    :param definition: the CREATE TRIGGER. ``body``: the source of its function, where that is not in it.
    """
    event = _EVENT.search(definition)
    text = TEXTS.sub("''", f"{definition} {body}")
    if event is None or not _RAISES.search(text):
        return None
    conditions = _CONDITION.findall(_ENDS.sub("", text))
    if not conditions and not _OF_COLUMNS.search(definition):
        return Refusal(always=True)
    null = _NULL.search(text)
    if null and len(conditions) == 1 and "INSERT" in event.group(1).upper().split():
        return Refusal(column=null.group(2))
    return Refusal()


_BEFORE_ROW = re.compile(r"\bBEFORE (.*?) ON .* FOR EACH ROW\b", re.S)
_RETURNS = re.compile(r"\bRETURN\s+(\w+)\s*;", re.I)
_WRITES = re.compile(r"\b(?:INSERT\s+INTO|UPDATE\s+[\w.\"]+\s+SET|EXECUTE|CALL|PERFORM)\b", re.I)


def skips(definition: str, body: str) -> Refusal | None:
    """Return which rows a trigger leaves unwritten, without an error; None for one that writes them elsewhere, or skips none.

    One BEFORE UPDATE that returns the old row leaves everything as it was. PostgreSQL manual, "Trigger Functions".
    """
    match, text = _BEFORE_ROW.search(definition), TEXTS.sub("''", body)
    events = set(re.findall(r"\b(?:INSERT|UPDATE|DELETE)\b", match.group(1))) if match else set()
    given = [word.upper() for word in _RETURNS.findall(text)]
    lost = [word for word in given if word == "NULL" or (word == "OLD" and events == {"UPDATE"})]
    if not lost or not events or _WRITES.search(text):
        return None
    return Refusal(always=len(lost) == len(given) and " WHEN (" not in definition and not _OF_COLUMNS.search(definition))


def refuses(body: str) -> Refusal | None:
    """Return what the source of a function that is called refuses: each call, or some; None if it raises nothing."""
    text = TEXTS.sub("''", body)
    return Refusal(always=not _CONDITION.search(_ENDS.sub("", text))) if _RAISES.search(text) else None


def only_refuses(body: str | None) -> bool:
    """Tell whether the source of a trigger's function raises errors and gives a row no value."""
    text = TEXTS.sub("''", body or "")
    return bool(_RAISES.search(text)) and not _GIVES.search(text)


def of_functions(changes: Iterable[Mapping[str, Any]], triggers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the triggers whose function raises exceptions since it was changed, with its name and which rows they refuse."""
    bodies = {}
    for change in changes:
        old, new = change["before"], change["after"]
        if change["kind"] == "function" and old and new and new.get("raises") and new["raises"] != old.get("raises"):
            bodies[str(new["oid"])] = new
    found = []
    for trigger in triggers:
        function = bodies.get(str(trigger.get("function")))
        refused = refusal(str(trigger["definition"]), str(function["raises"])) if function else None
        if function and refused:
            found.append({"function": function["name"], "trigger": trigger["name"], "always": refused.always})
    return found


def skipping(
    changes: Iterable[Mapping[str, Any]], triggers: Iterable[Mapping[str, Any]], catalog: Mapping[Any, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the triggers that leave rows unwritten since they, or their functions, were made or changed."""
    made = {change["after"]["oid"] for change in changes if change["kind"] in ("trigger", "function") and change["after"]}
    before = {
        change["after"]["oid"]: skips_of(change["before"])
        for change in changes
        if change["kind"] == "function" and change["before"] and change["after"]
    }
    found = []
    for trigger in triggers if made else ():
        function = catalog.get(("function", str(trigger.get("function")))) or {}
        if not made & {trigger["oid"], function.get("oid")} or trigger["enabled"] not in ("O", "A"):
            continue
        skipped = skips(str(trigger["definition"]), skips_of(function))
        if skipped and not (trigger["oid"] not in made and before.get(function.get("oid"))):
            told = {"oid": trigger["oid"], "trigger": trigger["name"], "function": str(trigger["function"])}
            found.append({**told, "table": trigger["table"], "always": skipped.always})
    return found


def skips_of(function: Mapping[str, Any]) -> str:
    return str(function.get("skips") or "")


def of_change(change: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]) -> Refusal | None:
    """Return which rows a new or changed trigger refuses; its function is one of this revision's, or another matter."""
    trigger = change["after"]
    if change["kind"] != "trigger" or not trigger:
        return None
    if "function" not in trigger:
        return refusal(str(trigger["definition"]))
    made = {each["after"]["oid"]: each["after"] for each in changes if each["kind"] == "function" and each["after"]}
    body = (made.get(str(trigger["function"])) or {}).get("raises")
    return refusal(str(trigger["definition"]), str(body)) if body else None
