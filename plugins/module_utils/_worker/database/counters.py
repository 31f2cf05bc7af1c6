# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How many rows were written, from the counters that PostgreSQL keeps anyway: as quick for a large database as for a small one.

See "The Cumulative Statistics System" in PostgreSQL's manual. A session hands its numbers in when it ends, or within ten seconds of
idleness, so they are complete once the application is stopped.
"""

from __future__ import annotations

from typing import Any, Callable

from .. import counting
from .connected import postgresql, wait_for_none
from .engine import Connection

_WRITTEN = f"""
select n.nspname::text, c.relname::text, coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), c.reltuples)::float8,
       c.oid::text || '/' || c.relfilenode::text,
       pg_stat_get_tuples_inserted(c.oid) + pg_stat_get_tuples_updated(c.oid) + pg_stat_get_tuples_deleted(c.oid)
{counting.TABLES}"""
# A database's counters start again when somebody resets them and after a crash; the latter shows in the server's own statistics.
_EPOCH = """
select coalesce((select stats_reset::text from pg_stat_database where datname = current_database()), '') || ' '
       || coalesce((select stats_reset::text from pg_stat_bgwriter), '')"""


def written(connection: Connection, database: str, wanted: Callable[[str], bool], wait: float) -> dict[str, dict[str, Any]]:
    """Return for each table how many rows were inserted, updated and deleted in it since its counter began.

    Waits up to ``wait`` seconds for sessions that are just ending: they hand their numbers in before they disappear.

    ``counter`` names what was counted: two counts can be compared only where it is the same, which it isn't after TRUNCATE, a
    rewrite of the table, a reset of the statistics or a crash. ``written`` is ``None`` where the server doesn't count
    (track_counts is off).
    """
    wait_for_none(lambda: postgresql(connection, [database]), wait)
    counts = connection.value("show track_counts") == "on"
    epoch = connection.value(_EPOCH)
    return {
        name: {
            "rows": None if row[2] < 0 else int(row[2]),
            "exact": False,
            "checksum": None,
            "written": int(row[4]) if counts else None,
            "counter": f"{row[3]} {epoch}",
        }
        for name, row in ((f"{row[0]}.{row[1]}", row) for row in connection.rows(_WRITTEN))
        if wanted(name)
    }
