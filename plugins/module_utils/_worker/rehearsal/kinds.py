# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a rehearsal needs of each kind of database: a copy, a look at its catalogue, and eyes for its statements."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from . import changed, mysql_catalog, sqlite_catalog
from .catalog import Catalog
from .mysql_copy import MysqlCopy
from .mysql_watch import MysqlWatch
from .named import Identities
from .scratch import Scratch
from .sqlite_copy import SqliteCopy
from .sqlite_watch import SqliteWatch
from .watch import Watch
from .watching import Watcher


class Kind(NamedTuple):
    """:param copy: makes the copies, as :class:`.scratch.Scratch` does.
    :param look: reads a catalogue, after the statements of a watch; what is as in an earlier look need not be read again.
    :param watch: watches one step from a catalogue on.
    :param rows: the copy has the rows of the original, so nothing has to be asked of that.
    """

    copy: Callable[..., Any]
    look: Callable[..., Catalog]
    watch: Callable[..., Any]
    rows: bool


def _watch_postgresql(
    running: Any, autocommit: Any, version_tables: list[str], before: Catalog, session: Any = None, real: Any = None
) -> Watcher:
    if isinstance(before, changed.Snapshot):
        return Watch(running, autocommit, version_tables, before.tables, session, real, before.known)
    tables = [oid for (kind, oid), entry in before.items() if kind == "relation" and entry["relkind"] in "rpmf"]
    return Watch(running, autocommit, version_tables, tables, session, real)


def _watch_mysql(
    running: Any, autocommit: Any, version_tables: list[str], before: Catalog, session: Any = None, real: Any = None
) -> Watcher:
    return MysqlWatch(running, autocommit, version_tables, before, real)


def _watch_sqlite(
    running: Any, autocommit: Any, version_tables: list[str], before: Catalog, session: Any = None, real: Any = None
) -> Watcher:
    return SqliteWatch(running, autocommit, version_tables, before)


def _look_postgresql(session: Any, version_tables: list[str], watch: Any, previous: Catalog | None = None) -> Catalog:
    return changed.look(session, version_tables, previous, watch.account if watch else None)


def _look_sqlite(session: Any, version_tables: list[str], watch: Any, previous: Catalog | None = None) -> Catalog:
    return sqlite_catalog.look(session, version_tables, watch.identities if watch else Identities({}))


def _look_mysql(session: Any, version_tables: list[str], watch: Any, previous: Catalog | None = None) -> Catalog:
    return mysql_catalog.look(session, version_tables, watch.identities if watch else Identities({}))


_MYSQL = Kind(MysqlCopy, _look_mysql, _watch_mysql, rows=False)
KINDS = {
    "postgresql": Kind(Scratch, _look_postgresql, _watch_postgresql, rows=False),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "sqlite": Kind(SqliteCopy, _look_sqlite, _watch_sqlite, rows=True),
}
