# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""A look at PostgreSQL's catalogue that reads again only what a revision has changed, so that hundreds of tables cost it little."""

from __future__ import annotations

from typing import Any, Dict, Iterable

from . import catalog
from .access import Session

#: Relation → what tells whether a row of the catalogue about it is another than before; an index counts for its table.
_MARKS = """
select relation::text, sum(mark)::text from (
  select coalesce(i.indrelid, c.oid) as relation, hashint8((c.oid::bigint << 30) # c.xmin::text::bigint) as mark
  from pg_class c left join pg_index i on i.indexrelid = c.oid where c.oid >= 16384
  union all select attrelid, hashint8((attnum::bigint << 40) # xmin::text::bigint) from pg_attribute where attrelid >= 16384
  union all select adrelid, hashint8((oid::bigint << 29) # xmin::text::bigint) from pg_attrdef
  union all select conrelid, hashint8((oid::bigint << 28) # xmin::text::bigint) from pg_constraint where conrelid <> 0
  union all select indrelid, hashint8((indexrelid::bigint << 27) # xmin::text::bigint) from pg_index where indrelid >= 16384
  union all select tgrelid, hashint8((oid::bigint << 26) # xmin::text::bigint) from pg_trigger
  union all select polrelid, hashint8((oid::bigint << 25) # xmin::text::bigint) from pg_policy
  union all select ev_class, hashint8((oid::bigint << 24) # xmin::text::bigint) from pg_rewrite where ev_class >= 16384
  union all select objid, hashint8((refobjid::bigint << 22) # xmin::text::bigint) from pg_depend
    where classid = 'pg_class'::regclass and refclassid = 'pg_class'::regclass and refobjsubid > 0 and objid >= 16384
  union all select inhrelid, hashint8((inhparent::bigint << 23) # xmin::text::bigint) from pg_inherits) parts
group by 1"""
_WITHOUT_RELATION = ("schema", "type", "function", "extension")
#: From so many on, all is read.
_MANY = 200


class Snapshot(Dict[catalog.Key, catalog.Entry]):
    """A catalogue that knows how the rows were marked which it was read from."""

    marks: dict[str, str]


def look(session: Session, version_tables: Iterable[str], previous: catalog.Catalog | None = None) -> catalog.Catalog:
    """Return every object, as :func:`.catalog.look` does.

    :param previous: an earlier look at the same database, or at one that it was copied from.
    """
    tables = list(version_tables)
    marks = {str(relation): str(mark) for relation, mark in session.rows(_MARKS)}
    found = _changed(session, tables, previous, marks) if isinstance(previous, Snapshot) else None
    result = Snapshot(catalog.look(session, tables) if found is None else found)
    result.marks = marks
    return result


def _changed(session: Session, tables: list[str], previous: Snapshot, marks: dict[str, str]) -> catalog.Catalog | None:
    """Return the catalogue; None where a name has changed, which the texts of any other object may contain."""
    dirty = {oid for oid in {*marks, *previous.marks} if marks.get(oid) != previous.marks.get(oid)}
    if len(dirty) > _MANY:
        return None
    fresh = catalog.look(session, tables, _WITHOUT_RELATION)
    for key, entry in previous.items():
        if key[0] in ("schema", "type", "extension") and fresh.get(key) != entry:
            return None
    if dirty:
        fresh.update(catalog.look(session, tables, [kind for kind in catalog.QUERIES if kind not in _WITHOUT_RELATION], dirty))
    if any(key in previous and previous[key]["name"] != entry["name"] for key, entry in fresh.items()):
        return None
    kept = {key: entry for key, entry in previous.items() if key[0] not in _WITHOUT_RELATION and _relation(entry) not in dirty}
    # what is the same stays the same object, which makes comparing it again a matter of a moment
    return {**kept, **{key: previous[key] if previous.get(key) == entry else entry for key, entry in fresh.items()}}


def _relation(entry: dict[str, Any]) -> str:
    return str(entry["oid"] if entry["kind"] == "relation" else entry["relation"])
