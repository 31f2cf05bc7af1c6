# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How large the tables of the real database are, from the server's own statistics; no table is read."""

from __future__ import annotations

from typing import Any

from .. import server

#: A partitioned table counts with its partitions. A table never analysed has no number of rows (-1 since PostgreSQL 14, else 0).
_POSTGRESQL = """
with recursive tree(root, oid) as (
  select c.oid, c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  union all select t.root, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid),
leaf as (select t.root, c.reltuples, pg_table_size(c.oid) as bytes, pg_relation_size(c.oid) as own,
                pg_stat_get_live_tuples(c.oid) as live
         from tree t join pg_class c on c.oid = t.oid where c.relkind in ('r', 'm'))
select n.nspname || '.' || c.relname, coalesce(sum(greatest(l.reltuples, 0)), 0)::bigint, coalesce(sum(l.bytes), 0)::bigint,
       coalesce(bool_and(l.reltuples > 0 or (l.reltuples = 0 and l.own = 0)), true), coalesce(sum(l.live), 0)::bigint
from (select distinct root from tree) t join pg_class c on c.oid = t.root join pg_namespace n on n.oid = c.relnamespace
left join leaf l on l.root = t.root group by 1"""


_MYSQL = """
select table_name, coalesce(table_rows, 0), coalesce(data_length + index_length, 0) from information_schema.tables
where table_schema = database() and table_type <> 'VIEW'"""


def of_tables(dialect: str, dbapi: Any) -> dict[str, dict[str, Any]]:
    """Return table → {rows, bytes}; ``rows`` is None where the statistics do not say.

    PostgreSQL has the ``live`` ones besides, which it counts as they come and go.
    """
    if dialect in server.MYSQL:
        with server.looking(dbapi):
            return {str(name): {"rows": int(rows), "bytes": int(size)} for name, rows, size in server.rows(dbapi, _MYSQL)}
    if dialect != "postgresql":
        return {}
    with server.looking(dbapi):
        found = server.rows(dbapi, _POSTGRESQL)
    return {
        name: {"rows": int(rows) if known else None, "bytes": int(size), "live": int(live)}
        for name, rows, size, known, live in found
    }
