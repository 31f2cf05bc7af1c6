# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Whether a database is where it was expected and takes writes, for whoever looks before an upgrade and for the upgrade itself."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

_NO_WRITES = {
    "standby": "{server} is a standby, which takes no writes. Use the URL of the primary; after a failover that is another server.",
    "server": "{server} has read_only set, as a replica has, and {user} may not write then. Use the URL of its primary.",
    "file": "The user that runs the migrations may not write to the file {database}, or to its folder. Let it write to both.",
}


def stands_at(current: Sequence[str], expected: Sequence[str]) -> bool:
    """Each name is the beginning of one revision, and no revision is without a name; ``base`` is none."""
    names = [name for name in expected if name != "base"]
    return len(names) == len(current) and all(sum(revision.startswith(name) for revision in current) == 1 for name in names)


def no_writes(database: Mapping[str, Any], reason: str | None) -> str:
    """Return why nothing can be written to a database, and what to do; empty where something can.

    :param reason: as :func:`.server.read_only` or the session of PostgreSQL told it.
    """
    server = f"{database.get('host') or 'The server'}{':' + str(database['port']) if database.get('port') else ''}"
    return _NO_WRITES[reason].format(server=server, user=database.get("user"), database=database.get("database")) if reason else ""
