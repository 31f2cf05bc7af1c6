# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a catalogue does not say of PostgreSQL's triggers and sequences: whether the next row, or the next number, fails."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Callable, Iterable

from ..failure import describe, sqlstate_of
from .access import Session, quoted
from .catalog import Catalog, Entry, belonging, of_kind

_UNDEFINED_COLUMN = "42703"
_TABLE = '"dbops_trial"'
#: Where the definition of a trigger names its table. PostgreSQL manual, "CREATE TRIGGER".
_ON = re.compile(r"\sON .+?(?=\s(?:FROM|NOT DEFERRABLE|DEFERRABLE|INITIALLY|REFERENCING|FOR EACH)\b)", re.S)
#: Code that goes by the table which it is called for finds another one here.
_GOES_BY_TABLE = re.compile(r"\bTG_(?:TABLE_NAME|TABLE_SCHEMA|RELNAME|RELID)\b", re.I)
#: Code in these languages stays inside of the database, unless it calls what does not.
_SOURCE = (
    "select prosrc from pg_proc p join pg_language l on l.oid = p.prolang where p.oid = {oid} and l.lanname in ('plpgsql', 'sql')"
)
_REACHES_OUT = re.compile(r"dblink|\bnet\.|http|\bPROGRAM\b|\blo_export\b|pg_background|pg_read_|pg_write_|\bCOPY\b", re.I)
_EXHAUSTED = """
select q.name, q.last, q.seqmin, q.seqmax from (
  select n.nspname || '.' || c.relname as name, s.*,
         case when has_sequence_privilege(c.oid, 'USAGE,SELECT') then pg_sequence_last_value(c.oid) end as last
  from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
  where {which} and not s.seqcycle) q
where q.last::numeric + q.seqincrement not between q.seqmin and q.seqmax"""


def concerned(changes: Iterable[dict[str, Any]], before: Catalog, after: Catalog) -> list[Entry]:
    """Return the triggers of tables that were there which are new or changed, or whose function is."""
    changed = [change["after"] for change in changes if change["after"] and change["kind"] in ("function", "trigger")]
    oids = {(entry["kind"], entry["oid"]) for entry in changed}
    triggers = of_kind(after, "trigger") if oids else ()
    return [
        trigger
        for trigger in triggers
        if ("trigger", trigger["oid"]) in oids or ("function", str(trigger["function"])) in oids
        if trigger["enabled"] in ("O", "A") and before.get(("relation", trigger["relation"]), {}).get("relkind") in ("r", "p")
    ]


def failing(session: Session, triggers: Iterable[Entry], catalog: Catalog) -> list[dict[str, str]]:
    """Return the triggers whose function names a column that is not there, and what the server says.

    They are fired for rows of a temporary table with the same columns. Only code that is run is known to fail, so a branch that is
    not taken for a row without values is not tried.
    """
    fired = ((trigger, _fired(session, trigger, catalog)) for trigger in triggers)
    return [
        {
            "oid": trigger["oid"],
            "trigger": trigger["name"],
            "function": str(trigger["function"]),
            "table": trigger["table"],
            "error": error,
        }
        for trigger, error in fired
        if error
    ]


def _fired(session: Session, trigger: Entry, catalog: Catalog) -> str | None:
    """Return what the server says of a column that is not there when this trigger is fired."""
    source = str(session.value(_SOURCE.format(oid=int(trigger["function"]))) or "")
    if not source or _GOES_BY_TABLE.search(source) or _REACHES_OUT.search(source):
        return None
    columns = [each for each in belonging(catalog, trigger["relation"]) if each["kind"] == "column"]
    columns = [each for each in columns if each["relation"] == trigger["relation"]]
    same = ", ".join(f"{quoted(each['column'])} = {quoted(each['column'])}" for each in columns)
    if not columns:
        return None
    schema, _dot, name = str(trigger["table"]).partition(".")
    with session.hurrying(), session.by_index():
        session.rows("begin")
        try:
            session.rows(f"create temporary table {_TABLE} as select * from {quoted(schema)}.{quoted(name)} with no data")
            session.rows(f"insert into {_TABLE} default values")
            session.rows(_ON.sub(lambda match: f" ON {_TABLE}", str(trigger["definition"]), count=1))
            session.rows("set constraints all immediate")
            statements = (f"insert into {_TABLE} default values", f"update {_TABLE} set {same}", f"delete from {_TABLE}")
            return next(filter(None, (_missing(session, statement) for statement in statements)), None)
        except Exception:  # it can not be tried here, which says nothing of it
            return None
        finally:
            with contextlib.suppress(Exception):
                session.rows("rollback")


def _missing(session: Session, statement: str) -> str | None:
    session.rows("savepoint dbops_trial")
    try:
        session.rows(statement)
    except Exception as exc:
        if sqlstate_of(exc) == _UNDEFINED_COLUMN:
            return str(describe(exc)["message"]).splitlines()[0]
    session.rows("rollback to savepoint dbops_trial")
    return None


def exhausted(
    session: Session, oids: Iterable[str], before: Catalog, original: Callable[[str], list[tuple[Any, ...]]]
) -> list[dict[str, Any]]:
    """Return the sequences among these that were there and have no next number, which they have in the real database.

    :param original: asks the real database.
    """
    numbers = sorted(oid for oid in oids if ("relation", oid) in before and before[("relation", oid)]["relkind"] == "S")
    if not numbers:
        return []
    found = session.rows(_EXHAUSTED.format(which=f"c.oid = any('{{{','.join(numbers)}}}'::oid[])"))
    already = {name for name, *_values in original(_EXHAUSTED.format(which="true"))} if found else set()
    told = ({"sequence": name, "last": last, "least": least, "most": most} for name, last, least, most in found)
    return [item for item in told if item["sequence"] not in already]
