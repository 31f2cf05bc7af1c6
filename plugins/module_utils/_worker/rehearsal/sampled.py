# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What new or changed triggers of PostgreSQL do to rows that are there: old code wrote those, and will write such again."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Callable, Iterable

from ..failure import describe, sqlstate_of
from ..server import literal
from .access import Session, qualified, quoted
from .catalog import Catalog, Entry, belonging
from .refusing import TEXTS
from .trial import GOES_BY_TABLE, ON, REACHES_OUT, TABLE, source_of

#: So many rows are tried, the latest by the primary key.
MOST = 500
#: All of them are held at once: bytes that a row may have on average, and rows that are taken to be there where nobody has counted.
WIDEST, UNCOUNTED = 20_000, 2_500
_RAISED = ("P0001", "P0004", "23514", "23502")  # raise_exception, assert_failure, check_violation, not_null_violation
_BEFORE_ROW = re.compile(r"\bBEFORE (?P<events>.*?) ON .* FOR EACH ROW\b", re.S)
#: What goes by other rows finds none of them here, and one session's settings are not another one's.
_GOES_BY_OTHERS = re.compile(r"\b(?:SELECT|FROM|PERFORM|EXECUTE|INSERT|UPDATE|DELETE|CALL|current_setting|\w+_user)\b", re.I)
_NOT_READ = re.compile(r"\bTG_OP\s*(?:=|<>|IN\b)\s*''|\bUPDATE\s+OF\b", re.I)


def done(
    session: Session, triggers: Iterable[Entry], base: Catalog, after: Catalog, ask: Callable[[str], list[tuple[Any, ...]] | None]
) -> list[dict[str, Any]]:
    """Return the triggers that refuse, drop or give another key to rows that are there.

    :param base: the catalogue as the real database has it. ``after``: as the copy has it now.
    :param ask: asks the real database; None is no answer.
    """
    found = []
    for trigger in triggers:
        match = _BEFORE_ROW.search(str(trigger["definition"]))
        text = source_of(session, trigger["function"]) if match else ""
        plain = _NOT_READ.sub("", TEXTS.sub("''", text))
        if not match or not text or GOES_BY_TABLE.search(text) or REACHES_OUT.search(text) or _GOES_BY_OTHERS.search(plain):
            continue
        rows = _rows(trigger, base, ask)
        events = set(re.findall(r"\b(INSERT|UPDATE)\b", match.group("events")))
        told = _told(session, trigger, rows, events, after) if rows and events else None
        if told:
            named = {"oid": trigger["oid"], "trigger": trigger["name"], "function": str(trigger["function"])}
            found.append({**named, "table": trigger["table"], **told})
    return found


def _rows(trigger: Entry, base: Catalog, ask: Callable[[str], list[tuple[Any, ...]] | None]) -> str | None:
    """Return rows of the real table as JSON."""
    table = base.get(("relation", trigger["relation"]))
    if table is None or table["relkind"] not in ("r", "p"):
        return None
    real = qualified(str(table["name"]))
    most = f"{WIDEST} * greatest(reltuples, {UNCOUNTED})"
    fits = ask(f"select pg_table_size(oid) <= {most} from pg_class where oid = {literal(real)}::regclass")
    if not fits or not fits[0][0]:
        return None
    order = ", ".join(f"{quoted(column)} desc" for column in _key(trigger["relation"], base, ("p",)))
    query = f"select * from {real}{order and f' order by {order}'} limit {MOST}"
    found = ask(f"select jsonb_agg(to_jsonb(s))::text from ({query}) s")
    return str(found[0][0]) if found and found[0][0] else None


def _key(relation: str, catalog: Catalog, kinds: tuple[str, ...]) -> list[str]:
    """Return the columns by which rows of a table are found or point to others."""
    own = [each for each in belonging(catalog, relation) if each.get("relation") == relation and each["kind"] == "constraint"]
    numbers = dict.fromkeys(number for each in own if each["type"] in kinds for number in each["columns"] or ())
    keys = [("column", f"{relation}/{number}") for number in numbers]
    return [str(catalog[key]["column"]) for key in keys if key in catalog]


def _told(session: Session, trigger: Entry, rows: str, events: set[str], after: Catalog) -> dict[str, Any] | None:
    definition = ON.sub(lambda match: f" ON {TABLE}", str(trigger["definition"]), count=1)
    key = [quoted(each) for each in _key(trigger["relation"], after, ("p", "u", "f"))]
    with session.hurrying(), session.by_index():
        session.rows("begin")
        try:
            session.rows("set local statement_timeout = 5000")
            session.rows(f"create temporary table {TABLE} as select * from {qualified(str(trigger['table']))} with no data")
            given = f"jsonb_populate_recordset(null::pg_temp.{TABLE}, {literal(rows)}::jsonb)"
            for event in sorted(events):
                told = _tried(session, event, given, definition, key)
                if told:
                    return told
        except Exception:  # it can not be tried here, which says nothing of it
            return None
        finally:
            with contextlib.suppress(Exception):
                session.rows("rollback")
    return None


def _tried(session: Session, event: str, given: str, definition: str, key: list[str]) -> dict[str, Any] | None:
    add = f"insert into {TABLE} select * from {given}"
    first = next((each for each in key), None)
    steps = [definition, add] if event == "INSERT" else [add, definition]
    session.rows("savepoint dbops_trial")
    count = int(session.value(f"select count(*) from {given}"))
    try:
        for step in steps:
            session.rows(step)
        if event == "UPDATE":
            column = first or quoted(str(session.value(_FIRST)))
            kept = int(session.value(f"with u as (update {TABLE} set {column} = {column} returning 1) select count(*) from u"))
        else:
            kept = int(session.value(f"select count(*) from {TABLE}"))
        other = [each for each in key if session.value(f"select count(*) from ({_differ(each, given)}) s")]
    except Exception as exc:
        if sqlstate_of(exc) not in _RAISED:
            raise
        return {"event": event, "rows": count, "error": str(describe(exc)["message"]).splitlines()[0], "dropped": 0, "other": []}
    session.rows("rollback to savepoint dbops_trial")
    if kept < count or other:
        shown = [each.strip('"') for each in other] if kept == count else []
        return {"event": event, "rows": count, "error": None, "dropped": count - kept, "other": shown}
    return None


_FIRST = f"select attname::text from pg_attribute where attrelid = '{TABLE}'::regclass and attnum > 0 and not attisdropped limit 1"


def _differ(column: str, given: str) -> str:
    return f"select {column} from {TABLE} except all select {column} from {given} limit 1"
