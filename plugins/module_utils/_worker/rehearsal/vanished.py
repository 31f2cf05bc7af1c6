# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What an UPDATE or a DELETE leaves in the real database: no row with a value that code knows by name, or with NULL."""

from __future__ import annotations

import re
from typing import Any, Iterator

from .. import server
from .access import quoted
from .chosen import of
from .pieces import tokens
from .questions import counted
from .rights import names_of

#: With more of them in a column nobody has written their names down.
FEW = 40
#: So many are told.
SHOWN = 6
_ASSIGNMENT = re.compile(r"\s*(?:\"([^\"]+)\"|(\w+))\s*=\s*(.+)$", re.S)
_TEXTS = ("text", "character varying", "character", "citext")
#: Columns with how many values they have, as the statistics say it, whether one tells a row from another or points to one, and
#: whether it may be NULL.
_COLUMNS = """
select a.attname::text, format_type(a.atttypid, null), t.typtype::text,
  case when s.n_distinct < 0 then -s.n_distinct * greatest(c.reltuples, 0) else s.n_distinct end,
  exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indnatts = 1 and i.indkey[0] = a.attnum)
    or exists (select from pg_constraint f where f.conrelid = c.oid and f.contype = 'f' and a.attnum = any(f.conkey)),
  not a.attnotnull
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid
left join pg_stats s on s.schemaname = {schema} and s.tablename = {table} and s.attname = a.attname
where a.attrelid = to_regclass({where}) and a.attnum > 0 and not a.attisdropped and a.attname = any({names})"""
_GONE = """
select v from (
  select {column}::text as v, count(*) as n,
    count(*) filter (where {chosen} and ({value})::text is distinct from {column}::text) as gone
  from {target} where {column} is not null group by 1) s
where n = gone and (
  select count(distinct {column}) <= least({few}, count({column}) / 2) from {target})
order by n desc, v limit {shown}"""
_KEYS = """
with s as (
    select {column}::jsonb as old, case when {chosen} then ({value})::jsonb else {column}::jsonb end as new
    from {target} where jsonb_typeof({column}::jsonb) = 'object' limit 20000),
  k as (select distinct jsonb_object_keys(old) as key from s)
select key from k where (select count(*) from k) <= {few}
  and key not in (select jsonb_object_keys(new) from s where jsonb_typeof(new) = 'object') order by key limit {shown}"""

#: Rows of a small table that are deleted by the names which are their keys.
_KEYS_GONE = """
select {column}::text from {target} where {chosen} and {column}::text = any({names})
  and (select count(*) from (select 1 from {target} limit {few} + 1) s) <= {few} order by 1 limit {shown}"""
_KEY_COLUMNS = """
select a.attname::text from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = to_regclass({where}) and a.attnum > 0 and not a.attisdropped
  and (t.typtype = 'e' or format_type(a.atttypid, null) in ({texts}))
  and exists (select from pg_index i where i.indrelid = a.attrelid and i.indisunique and i.indnkeyatts = 1 and i.indpred is null
              and i.indkey[0] = a.attnum)"""
_LITERAL = re.compile(r"'((?:[^']|'')*)'")
_NULLS = "select 1 from {target} where {column} is null and ({chosen} and ({value}) is not null) is not true"


def left(statement: str, parameters: Any, described: Any, real: Any) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return what an UPDATE leaves in the columns that it gives a value: of which a value, or a key of JSON, is in no row any more,
    and which these are; and in how many rows of each that may be NULL it leaves that, as far as they are counted.

    :param described: gives schema, name and column → type of a table.
    :param real: asks the real database.
    """
    vanished, nulls = [], {}
    for table, name, parts, (kind, sort, count, is_key, nullable) in _assigned(statement, parameters, described, real):
        query = None if is_key else _query(parts, str(kind), sort == "e", count)
        gone = real.values(query, parameters) if query else None
        if gone:
            vanished.append({"column": f"{table}.{name}", "values": [str(value) for (value,) in gone]})
        rows = real.values(counted(_NULLS.format(**parts)), parameters) if nullable else None
        if rows:
            nulls[f"{table}.{name}"] = int(rows[0][0])
    return vanished, nulls


def deleted(statement: str, parameters: Any, described: Any, real: Any) -> list[dict[str, Any]]:
    """Return the columns that are keys of a small table by a name, with those which a DELETE itself names and takes away."""
    chosen = of(statement)
    if not real.answers or chosen is None or chosen.values or chosen.others or _by_place(parameters):
        return []
    names = sorted({*(text.replace("''", "'") for text in _LITERAL.findall(chosen.condition)), *_texts(parameters)})
    table = described(chosen.table) if names and chosen.condition else None
    if table is None:
        return []
    found = []
    where, texts = server.literal(f"{quoted(table[0])}.{quoted(table[1])}"), ", ".join(map(server.literal, _TEXTS))
    for (name,) in real.ask(_KEY_COLUMNS.format(where=where, texts=texts)) or ():
        query = _KEYS_GONE.format(
            column=f"{chosen.alias}.{quoted(str(name))}",
            chosen=f"({chosen.condition[len('WHERE') :]})",
            target=chosen.target,
            names=names_of(names).replace("%", "%%" if parameters else "%"),
            few=FEW,
            shown=SHOWN,
        )
        gone = real.values(query, parameters)
        if gone:
            found.append({"column": f"{table[0]}.{table[1]}.{name}", "values": [str(value) for (value,) in gone]})
    return found


def _by_place(parameters: Any) -> bool:
    """Tell whether parameters are known by where they stand, which is another place in a query of ours."""
    return bool(parameters) and isinstance(parameters, (list, tuple))


def _texts(parameters: Any) -> Iterator[str]:
    """Yield the texts among the parameters of a statement."""
    for value in parameters.values() if isinstance(parameters, dict) else ():
        yield from (each for each in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(each, str))


def _assigned(
    statement: str, parameters: Any, described: Any, real: Any
) -> Iterator[tuple[str, str, dict[str, Any], tuple[Any, ...]]]:
    """Yield the columns of the real table that an UPDATE gives a value: table, name, what a query is made of, and what is known."""
    chosen = of(statement)
    if not real.answers or chosen is None or not chosen.values or chosen.others or _by_place(parameters):
        return
    given = dict(assignments(chosen.values))
    table = described(chosen.table) if given else None
    if table is None:
        return
    texts = {"schema": server.literal(table[0]), "table": server.literal(table[1]), "names": names_of(given)}
    where = server.literal(f"{quoted(table[0])}.{quoted(table[1])}")
    for name, *told in real.ask(_COLUMNS.format(where=where, **texts)) or ():
        parts = {
            "column": f"{chosen.alias}.{quoted(str(name))}",
            "chosen": f"({chosen.condition[len('WHERE') :]})" if chosen.condition else "true",
            "value": given[str(name)],
            "target": chosen.target,
        }
        yield f"{table[0]}.{table[1]}", str(name), parts, tuple(told)


def assignments(text: str) -> Iterator[tuple[str, str]]:
    """Yield each column that SET names with the expression that it gets."""
    commas = [start + place for start, token, depth in tokens(text) if not depth for place in _commas(token)]
    for first, end in zip([-1, *commas], [*commas, len(text)]):
        match = _ASSIGNMENT.match(text[first + 1 : end])
        if match:
            yield match.group(1) or match.group(2).lower(), match.group(3).strip()


def _commas(text: str) -> list[int]:
    return [match.start() for match in re.finditer(",", text)]


def _query(parts: dict[str, Any], kind: str, enum: bool, count: Any) -> str | None:
    if kind in ("json", "jsonb"):
        return _KEYS.format(**parts, few=FEW, shown=SHOWN)
    named = (enum or kind in _TEXTS) and (count is None or 0 < float(count) <= FEW)
    return _GONE.format(**parts, few=FEW, shown=SHOWN) if named else None
