# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The SQL by which rows of PostgreSQL are counted and summed up, for the worker and for psql in the container of an archive."""

from __future__ import annotations

#: How row values are written as text must not depend on who asks.
SETTINGS = (
    "datestyle = 'ISO, YMD'",
    "intervalstyle = 'postgres'",
    "timezone = 'UTC'",
    "extra_float_digits = 1",
    "bytea_output = 'hex'",
    "row_security = off",
)
#: The tables whose rows count: what a query over them goes on with after its columns.
TABLES = """
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
order by 1, 2"""
CHECKSUM = 'mod(coalesce(sum(hashtextextended(t::text collate "C", 0)::numeric), 0), 18446744073709551616)::text'
NONE = "null::text"
#: What psql is told: to dump and to count in one snapshot, a line of JSON for each table. $scratch/dump dumps; the
#: limits would end the transaction that waits for it, and which of them a server knows depends on its version.
_SCRIPT = r"""begin isolation level repeatable read read only;
select count(set_config(name, '0', true)) as limits from pg_settings
where name in ('idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout') \gset
select pg_export_snapshot() as snapshot \gset
\setenv DBOPS_SNAPSHOT :snapshot
\set failed `sh "$scratch/dump"`
\if :failed
\quit
\endif
SETTINGS
select format('select to_json(%L::text)::text || '':'' || json_build_object(''rows'', count(*), ''exact'', true,
''checksum'', SUM)::text from only %I.%I t', nspname || '.' || relname, nspname, relname)
from (select n.nspname::text, c.relname::text TABLES) of_all \gexec
commit;
"""


def script(checksum: bool) -> str:
    """Return what psql is told. ``$scratch/dump`` finds the snapshot in ``DBOPS_SNAPSHOT`` and says whether it failed."""
    settings = "\n".join(f"set local {setting};" for setting in SETTINGS)
    return _SCRIPT.replace("SETTINGS", settings).replace("SUM", CHECKSUM if checksum else NONE).replace("TABLES", TABLES)
