# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a catalogue does not say of triggers, functions, sequences and published tables: whether what comes next fails."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Callable, Iterable

from ..failure import describe, sqlstate_of
from ..server import literal
from .access import Session, qualified, quoted
from .catalog import Catalog, Entry, belonging, of_kind
from .lacking import takes_numbers
from .replay import plain_value

_UNDEFINED_COLUMN = "42703"
_UNDEFINED_TABLE = "42P01"
TABLE = '"dbops_trial"'
#: Where the definition of a trigger names its table. PostgreSQL manual, "CREATE TRIGGER".
ON = re.compile(r"\sON .+?(?=\s(?:FROM|NOT DEFERRABLE|DEFERRABLE|INITIALLY|REFERENCING|FOR EACH)\b)", re.S)
#: Code that goes by the table which it is called for finds another one here.
GOES_BY_TABLE = re.compile(r"\bTG_(?:TABLE_NAME|TABLE_SCHEMA|RELNAME|RELID)\b", re.I)
#: Code in these languages stays inside of the database, unless it calls what does not.
_SOURCE = (
    "select prosrc from pg_proc p join pg_language l on l.oid = p.prolang where p.oid = {oid} and l.lanname in ('plpgsql', 'sql')"
)
REACHES_OUT = re.compile(r"dblink|\bnet\.|http|\bPROGRAM\b|\blo_export\b|pg_background|pg_read_|pg_write_|\bCOPY\b", re.I)
_EXHAUSTED = """
select q.name, q.last, q.seqmin, q.seqmax from (
  select n.nspname || '.' || c.relname as name, s.*,
         case when has_sequence_privilege(c.oid, 'USAGE,SELECT') then pg_sequence_last_value(c.oid) end as last
  from pg_sequence s join pg_class c on c.oid = s.seqrelid join pg_namespace n on n.oid = c.relnamespace
  where {which} and not s.seqcycle) q
where q.last::numeric + q.seqincrement not between q.seqmin and q.seqmax"""


#: Sequences, what they add, and the column with a unique index that takes their numbers.
FEEDS = """
select s.oid::text, n.nspname || '.' || s.relname, q.seqincrement, t.oid::text, u.nspname || '.' || t.relname, a.attname::text
from pg_class s join pg_namespace n on n.oid = s.relnamespace join pg_sequence q on q.seqrelid = s.oid
join (select d.objid, d.refobjid, d.refobjsubid from pg_depend d where d.classid = 'pg_class'::regclass
        and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')
      union select d.refobjid, f.adrelid, f.adnum from pg_depend d join pg_attrdef f on f.oid = d.objid
      where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass) f(seq, tab, num) on f.seq = s.oid
join pg_class t on t.oid = f.tab join pg_namespace u on u.oid = t.relnamespace
join pg_attribute a on a.attrelid = f.tab and a.attnum = f.num
where s.relkind = 'S' and {which}
  and exists (select from pg_index i where i.indrelid = f.tab and i.indisunique and i.indnkeyatts = 1 and i.indkey[0] = f.num)
order by 1, 4"""
STANDS = "select last_value, is_called, (select seqincrement from pg_sequence where seqrelid = {literal}::regclass) from {name}"
_SEQUENCE = {"relkind": "S"}  # what is new may be one
#: What sets a sequence to a number that may have been read from the table.
_MAY_SET = re.compile(r"\bsetval\b|\bRESTART\b|^\s*(?:DO|CALL|EXECUTE)\b", re.I)
#: Tables whose rows nobody can change: they are published with that, and nothing tells one row from another, or columns are listed
#: without those that do. PostgreSQL manual, "Logical Replication", "Column Lists".
_PUBLISHED = """
select distinct t.schemaname || '.' || t.tablename from pg_publication p join pg_publication_tables t on t.pubname = p.pubname
where p.pubupdate or p.pubdelete"""
_UNIDENTIFIED = """
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relreplident <> 'f'
  and (n.nspname || '.' || c.relname = any({published})
       or exists (select from pg_publication p join pg_publication_tables t on t.pubname = p.pubname
                  where (p.pubupdate or p.pubdelete) and t.schemaname = n.nspname and t.tablename = c.relname))
  and (c.relreplident = 'n'
       or not exists (select from pg_index i where i.indrelid = c.oid and i.indimmediate and i.indisvalid
                      and (c.relreplident = 'd' and i.indisprimary or c.relreplident = 'i' and i.indisreplident)))
union
select n.nspname || '.' || c.relname from (select r.*, to_jsonb(r) ->> 'prattrs' as listed from pg_publication_rel r) r
join pg_publication p on p.oid = r.prpubid join pg_class c on c.oid = r.prrelid join pg_namespace n on n.oid = c.relnamespace
where (p.pubupdate or p.pubdelete) and r.listed is not null
  and (c.relreplident = 'f' or exists (
    select from pg_index i cross join unnest(i.indkey) k where i.indrelid = c.oid
      and (c.relreplident = 'd' and i.indisprimary or c.relreplident = 'i' and i.indisreplident)
      and k::text <> all(regexp_split_to_array(btrim(r.listed, '[]'), '[, ]+'))))"""


def source_of(session: Session, oid: str) -> str:
    """Return the text of a function in SQL or PL/pgSQL."""
    return str(session.value(_SOURCE.format(oid=int(oid))) or "")


def published(original: Session) -> list[str]:
    """Return the tables that the real database publishes with updates or deletes; a copy of it has no publications."""
    return [str(name) for (name,) in original.rows(_PUBLISHED)]


def unidentified(session: Session, published: Iterable[str]) -> set[str]:
    """Return the tables whose rows PostgreSQL changes no more, since it could not tell a subscriber which ones."""
    names = f"array[{', '.join(literal(name) for name in published)}]::text[]"
    return {str(name) for (name,) in session.rows(_UNIDENTIFIED.replace("{published}", names))}


def colliding(
    session: Session,
    oids: Iterable[str],
    before: Catalog,
    statements: Iterable[dict[str, Any]],
    original: Callable[[str], list[tuple[Any, ...]] | None],
) -> list[dict[str, Any]]:
    """Return the sequences among these that give numbers which their column has in the real database.

    A new one counts for a column that had its numbers from another. One that was set by what it read from the table is left out:
    an empty copy gives another number.

    :param original: asks the real database; None is no answer.
    """
    numbers = sorted(oid for oid in oids if before.get(("relation", oid), _SEQUENCE)["relkind"] == "S")
    rows = session.rows(FEEDS.format(which=f"s.oid = any('{{{','.join(numbers)}}}'::oid[])")) if numbers else []
    found = []
    for oid, name, step, table, table_name, column in rows:
        own = before.get(("relation", table))
        if own is None or any(_decides(statement, own) for statement in statements):
            continue
        shown = _feeding(before, oid, table, column)
        there = original(f"select min({quoted(column)}), max({quoted(column)}) from {qualified(own['name'])}") if shown else None
        stood = original(STANDS.format(literal=literal(shown), name=shown)) if shown and there and there[0][0] is not None else None
        if not there or not stood:
            continue
        now, least, most = session.rows(STANDS.format(literal=literal(qualified(name)), name=qualified(name)))[0], *there[0]
        after, then = (last + step * called for last, called, step in (now, stood[0]))
        if _meets(after, int(step), least, most) and not _meets(then, stood[0][2], least, most):
            told = {"sequence": name, "table": table_name, "column": column, "next": after, "least": least, "most": most}
            found.append(dict(told, step=int(step), was=stood[0][2]))
    return found


def _feeding(before: Catalog, sequence: str, table: str, column: str) -> str | None:
    """Return the sequence that was there as it is written in SQL: this one, or the one that the column had its numbers from."""
    if ("relation", sequence) in before:
        return qualified(before[("relation", sequence)]["name"])
    own = (each for each in belonging(before, table) if each["kind"] == "column" and each["relation"] == table)
    name = next((takes_numbers(each) for each in own if each["column"] == column), None)
    return qualified(name) if name else None


def _meets(number: int, step: int, least: int, most: int) -> bool:
    return number <= most if step > 0 else number >= least


def _decides(statement: dict[str, Any], table: Entry) -> bool:
    """Tell whether a statement may have set a sequence by what is in the table, or has emptied that."""
    mode, text = statement["locks"].get(table["oid"]), str(statement["sql"])
    name = re.escape(str(table["name"]).partition(".")[2])
    asks = mode == "AccessShare" or re.search(rf"\bFROM\s+(?:ONLY\s+)?(?:\"?\w+\"?\.)?\"?{name}\b", text, re.I)
    emptied = statement["truncated"] and re.search(rf"\b(?:{name}|CASCADE)\b", text, re.I)
    return bool(mode) and bool(emptied or (asks and _MAY_SET.search(text)))


def unable(session: Session, changes: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the functions that were changed and name a table or column that is not there, and what the server says.

    They are called with plain values, and what they do is undone. ``certain``: a table may be one that the caller makes.
    """
    found = []
    for change in changes:
        old, new = change["before"], change["after"]
        if change["kind"] != "function" or not old or not new or new["procedure"] or new["returns"] in ("trigger", "event_trigger"):
            continue
        source = source_of(session, new["oid"])
        if old["source"] == new["source"] or not source or REACHES_OUT.search(source):
            continue
        error = _called(session, new)
        if error is not None:
            told = str(describe(error)["message"]).splitlines()[0]
            found.append({"function": new["name"], "error": told, "certain": sqlstate_of(error) == _UNDEFINED_COLUMN})
    return found


def _called(session: Session, function: Entry) -> BaseException | None:
    name = qualified(function["name"].split("(")[0])
    values = ", ".join(plain_value(each) for each in str(function["arguments"]).split(", ") if each)
    with session.hurrying():
        session.rows("begin")
        try:
            session.rows("set local statement_timeout = 2000")
            session.rows(f"select * from {name}({values})")
        except Exception as exc:
            return exc if sqlstate_of(exc) in (_UNDEFINED_COLUMN, _UNDEFINED_TABLE) else None
        finally:
            with contextlib.suppress(Exception):
                session.rows("rollback")
    return None


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
    source = source_of(session, trigger["function"])
    if not source or GOES_BY_TABLE.search(source) or REACHES_OUT.search(source):
        return None
    columns = [each for each in belonging(catalog, trigger["relation"]) if each["kind"] == "column"]
    columns = [each for each in columns if each["relation"] == trigger["relation"]]
    same = ", ".join(f"{quoted(each['column'])} = {quoted(each['column'])}" for each in columns)
    if not columns:
        return None
    with session.hurrying(), session.by_index():
        session.rows("begin")
        try:
            session.rows(f"create temporary table {TABLE} as select * from {qualified(str(trigger['table']))} with no data")
            session.rows(f"insert into {TABLE} default values")
            session.rows(ON.sub(lambda match: f" ON {TABLE}", str(trigger["definition"]), count=1))
            session.rows("set constraints all immediate")
            statements = (f"insert into {TABLE} default values", f"update {TABLE} set {same}", f"delete from {TABLE}")
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
