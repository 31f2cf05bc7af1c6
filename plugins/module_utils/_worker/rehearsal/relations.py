# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a watcher of PostgreSQL has to know of each relation before a revision, to see what became of it."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterable, List, Tuple

from .access import Session

#: With ``{0}`` for a condition on the relation. The fourth is how often the transaction began to read all of it.
RELATIONS = """
select c.oid::text, n.nspname || '.' || c.relname, c.relkind::text, pg_relation_filenode(c.oid)::text,
       coalesce(pg_stat_get_xact_numscans(c.oid), 0), c.relispartition, c.relnatts
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'm', 'i', 'f') and c.oid >= 16384 and n.nspname !~ '^pg_'"""
INDEXES = "select indexrelid::text, indrelid::text, indisvalid from pg_index where indrelid >= 16384"
FOREIGN_KEYS = """
select oid::text, conrelid::text, convalidated, (select min(number) from unnest(conkey) number),
       exists (select 1 from pg_attribute a where a.attrelid = conrelid and a.attnum = any(conkey) and a.atthasdef)
from pg_constraint where contype = 'f'"""
SORTS = ("known relation", "known index", "known foreign key")
#: All of these, of a few tables, as a look at the catalogue has its rows: the sort, the OID, the name, and what is known of it.
AGAIN = f"""
select '{SORTS[0]}', q.oid, q.name, json_build_array(q.name, q.kind, q.file, 0, q.partition, q.columns)::text
from ({RELATIONS} and c.oid = any($1 || array(select indexrelid from pg_index where indrelid = any($1))))
  q(oid, name, kind, file, scans, partition, columns)
union all
select '{SORTS[1]}', q.oid, null, json_build_array(q.table, q.valid)::text
from ({INDEXES} and indrelid = any($1)) q(oid, "table", valid)
union all
select '{SORTS[2]}', q.oid, null, json_build_array(q.table, q.valid, q.first, q.filled)::text
from ({FOREIGN_KEYS} and conrelid = any($1)) q(oid, "table", valid, first, filled)"""
Ask = Callable[[str], List[Tuple[Any, ...]]]


class Known:
    """:param relations: OID → name, kind, file, 0, whether it is a partition, number of columns.
    :param indexes: OID → the table, whether it is valid.
    :param foreign_keys: OID → the table, whether it was checked, its first column, whether one of its columns has a default.
    """

    def __init__(self, relations: dict[str, Any], indexes: dict[str, Any], foreign_keys: dict[str, Any]) -> None:
        self.relations, self.indexes, self.foreign_keys = relations, indexes, foreign_keys

    def again(self, dirty: Iterable[str], rows: Iterable[Any]) -> Known:
        """Return what is known when these relations were read again; ``rows`` is what ``AGAIN`` gave."""
        names = set(dirty)
        indexes = {oid for oid, entry in self.indexes.items() if entry[0] in names}
        keys = {oid for oid, entry in self.foreign_keys.items() if entry[0] in names}
        fresh: dict[str, dict[str, Any]] = {sort: {} for sort in SORTS}
        for sort, oid, _name, told in rows:
            fresh[sort][oid] = tuple(json.loads(told))
        relations, of_indexes, of_keys = (fresh[sort] for sort in SORTS)
        return Known(
            _without(self.relations, names | indexes, relations),
            _without(self.indexes, indexes, of_indexes),
            _without(self.foreign_keys, keys, of_keys),
        )


def _without(entries: dict[str, Any], gone: Iterable[str], fresh: dict[str, Any]) -> dict[str, Any]:
    if not fresh and not any(oid in entries for oid in gone):
        return entries
    kept = dict(entries)
    for oid in gone:
        kept.pop(oid, None)
    kept.update(fresh)
    return kept


def read(session: Session) -> Known:
    return read_by(session.rows)


def read_by(ask: Ask) -> Known:
    """Read all there is."""
    return Known(
        {row[0]: (*row[1:4], 0, *row[5:]) for row in ask(RELATIONS)},
        {row[0]: (row[1], row[2]) for row in ask(INDEXES)},
        {row[0]: row[1:] for row in ask(FOREIGN_KEYS)},
    )
