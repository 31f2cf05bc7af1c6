# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What an UPDATE leaves in the real database: no row with a value that code knows by name, or with NULL."""

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
#: Columns that tell no row from another and point to none, and how many values they have, as the statistics say it.
_COLUMNS = """
select a.attname::text, format_type(a.atttypid, null), t.typtype::text,
  case when s.n_distinct < 0 then -s.n_distinct * greatest(c.reltuples, 0) else s.n_distinct end
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_type t on t.oid = a.atttypid
left join pg_stats s on s.schemaname = {schema} and s.tablename = {table} and s.attname = a.attname
where a.attrelid = to_regclass({where}) and a.attnum > 0 and a.attname = any({names})
  and not exists (select from pg_index i where i.indrelid = c.oid and i.indisunique and i.indnatts = 1 and i.indkey[0] = a.attnum)
  and not exists (select from pg_constraint f where f.conrelid = c.oid and f.contype = 'f' and a.attnum = any(f.conkey))"""
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


_NULLABLE = """
select attname::text from pg_attribute
where attrelid = to_regclass({where}) and attname = any({names}) and not attnotnull and not attisdropped"""
_NULLS = "select 1 from {target} where {column} is null and ({chosen} and ({value}) is not null) is not true"


def nulls(statement: str, parameters: Any, described: Any, real: Any) -> dict[str, int]:
    """Return the columns that an UPDATE gives a value, and in how many rows of each it leaves NULL, as far as they are counted."""
    found = {}
    for name, parts, _told in _assigned(statement, parameters, described, real, _NULLABLE):
        rows = real.values(counted(_NULLS.format(**parts)), parameters)
        if rows:
            found[name] = int(rows[0][0])
    return found


def values(statement: str, parameters: Any, described: Any, real: Any) -> list[dict[str, Any]]:
    """Return the columns of which an UPDATE leaves a value in no row, or a key of JSON, and which these are.

    :param described: gives schema, name and column → type of a table.
    :param real: asks the real database.
    """
    found = []
    for name, parts, (kind, sort, count) in _assigned(statement, parameters, described, real, _COLUMNS):
        query = _query(parts, str(kind), sort == "e", count)
        gone = real.values(query, parameters) if query else None
        if gone:
            found.append({"column": name, "values": [str(value) for (value,) in gone]})
    return found


def _assigned(
    statement: str, parameters: Any, described: Any, real: Any, asked: str
) -> Iterator[tuple[str, dict[str, Any], tuple[Any, ...]]]:
    """Yield the columns of the real table that an UPDATE gives a value: the name, what a query is made of, and what was asked."""
    chosen = of(statement)
    if not real.answers or chosen is None or not chosen.values or chosen.others or isinstance(parameters, (list, tuple)):
        return
    given = dict(assignments(chosen.values))
    table = described(chosen.table) if given else None
    if table is None:
        return
    texts = {"schema": server.literal(table[0]), "table": server.literal(table[1]), "names": names_of(given)}
    where = server.literal(f"{quoted(table[0])}.{quoted(table[1])}")
    for name, *told in real.ask(asked.format(where=where, **texts)) or ():
        parts = {
            "column": f"{chosen.alias}.{quoted(str(name))}",
            "chosen": f"({chosen.condition[len('WHERE') :]})" if chosen.condition else "true",
            "value": given[str(name)],
            "target": chosen.target,
        }
        yield f"{table[0]}.{table[1]}.{name}", parts, tuple(told)


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
