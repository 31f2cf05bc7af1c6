# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Rows of the real PostgreSQL database that a revision's rows point to: a foreign key finds none in an empty copy."""

from __future__ import annotations

import re
from typing import Any, Sequence

from .. import server
from ..failure import sqlstate_of
from .access import quoted
from .relations import Ask

FOREIGN_KEY_VIOLATION = "23503"
#: So far the rows that are pointed to point on.
_DEEP = 5
_DETAIL = re.compile(r"\((?P<columns>.*?)\)=\((?P<values>.*)\)", re.S)
_REFERENCED = """
select n.nspname::text, r.relname::text,
  (select json_agg(a.attname order by k.place) from unnest(c.confkey) with ordinality k(number, place)
   join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.number)::text,
  (select json_agg(a.attname) from pg_attribute a where a.attrelid = c.confrelid and a.attnum > 0 and not a.attisdropped
   and coalesce(to_jsonb(a) ->> 'attgenerated', '') = '')::text
from pg_constraint c join pg_class t on t.oid = c.conrelid join pg_namespace s on s.oid = t.relnamespace
join pg_class r on r.oid = c.confrelid join pg_namespace n on n.oid = r.relnamespace
where c.contype = 'f' and s.nspname = {schema} and t.relname = {table} and c.conname = {constraint}"""


def is_missing(exc: BaseException) -> bool:
    """Tell whether a statement failed for want of a row that its own point to."""
    return sqlstate_of(exc) == FOREIGN_KEY_VIOLATION


def bring(ask: Ask, real: Any, exc: BaseException, places: Sequence[Ask], many: bool = False, depth: int = 0) -> bool:
    """Put the row that is missed into the copy; tell whether the real database has it, and it is there now.

    :param ask: asks for what there is in the transaction of the revision.
    :param places: ways to write there, of which the first is taken that succeeds.
    :param many: more are missed, so those that follow it are brought as well.
    """
    import json

    detail = server.first_of(lambda: exc.diag.message_detail, lambda: exc.detail)  # type: ignore[attr-defined]
    where = [
        server.first_of(lambda: getattr(exc.diag, name), lambda: getattr(exc, name))  # type: ignore[attr-defined]  # noqa: B023
        for name in ("schema_name", "table_name", "constraint_name")
    ]
    told = _DETAIL.search(str(detail or ""))
    if told is None or None in where or depth > _DEEP:
        return False
    names = dict(zip(("schema", "table", "constraint"), (server.literal(str(name)) for name in where)))
    found = ask(_REFERENCED.format(**names))
    if not found:
        return False
    schema, table, keys, columns = found[0][0], found[0][1], json.loads(found[0][2]), json.loads(found[0][3])
    values = told.group("values").split(", ") if len(keys) > 1 else [told.group("values")]
    missed = dict(zip(keys, values))
    row = real.row(schema, table, missed) if len(values) == len(keys) else None
    if row is None:
        return False
    shown = ", ".join(quoted(name) for name in columns if name in json.loads(row))
    name = f"{quoted(schema)}.{quoted(table)}"
    rows = (many and real.following(schema, table, missed)) or f"[{row}]"
    text = (
        f"insert into {name} ({shown}) overriding system value "
        f"select {shown} from jsonb_populate_recordset(null::{name}, {server.literal(rows)}::jsonb) on conflict do nothing"
    )
    for place in places:
        for _parent in range(_DEEP):
            try:
                place(text)
            except Exception as problem:
                if is_missing(problem) and bring(ask, real, problem, places, many, depth + 1):
                    continue
                break
            real.borrowed.add(f"{schema}.{table}")
            return True
    return False
