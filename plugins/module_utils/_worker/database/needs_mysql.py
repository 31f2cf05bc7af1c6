# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a dump of a MySQL or MariaDB database would hold, and what the user may do."""

from __future__ import annotations

from typing import Any

from .engine import Connection

_DEFINERS = """
select distinct definer from (
  select definer from information_schema.views where table_schema = database()
  union all select definer from information_schema.routines where routine_schema = database()
  union all select definer from information_schema.triggers where trigger_schema = database()
  union all select definer from information_schema.events where event_schema = database()) d order by 1"""
_ENGINES = """
select table_name from information_schema.tables
where table_schema = database() and table_type = 'BASE TABLE' and engine <> 'InnoDB' order by 1"""


def read(connection: Connection) -> dict[str, Any]:
    """Return what is in the present database."""
    grants = [str(row[0]) for row in connection.rows("show grants for current_user()")]
    return {
        "server": str(connection.value("select version()")),
        "user": str(connection.value("select current_user()")),
        "grants": [" ".join(grant.split(" IDENTIFIED ")[0].upper().replace("`", "").split()) for grant in grants],
        "definers": [str(row[0]) for row in connection.rows(_DEFINERS)],
        "events": [
            str(row[0])
            for row in connection.rows("select event_name from information_schema.events where event_schema = database()")
        ],
        "other_engines": [str(row[0]) for row in connection.rows(_ENGINES)],
        "bytes": int(
            connection.value(
                "select coalesce(sum(data_length + index_length), 0) from information_schema.tables where table_schema = database()"
            )
        ),
    }
