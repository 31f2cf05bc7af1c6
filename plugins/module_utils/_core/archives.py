# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Archives as the text beside each describes it: which are of a database, and which are too many or too old."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Dict, Mapping, Sequence

from .names import KINDS

Object = Dict[str, Any]
#: The end of the name of the text beside an archive.
SUFFIX = ".json"
#: The beginning of the name of one that is still being written; nobody else's file is called so.
PARTIAL = ".dbops-partial-"
_TEXTS = ("path", "sha256", "created_at", "database")


def described(found: Any, name: str) -> Object | None:
    """Return what the text beside ``name`` says, or None when it is no description of that archive.

    :param found: the text, parsed. Whoever may write into the folder can write it, so nothing of it is taken as it is.
    """
    if not isinstance(found, dict) or not all(
        isinstance(found.get(key), str) for key in ("path", "sha256", "created_at", "database")
    ):
        return None
    if not isinstance(found.get("server", ""), str):
        return None
    if found["path"].rpartition("/")[2] != name or not KINDS["archive"].fits(name):
        return None
    try:
        _seconds(found)
    except ValueError:
        return None
    return found


def belongs(item: Mapping[str, Any], database: str) -> bool:
    """Tell whether an archive is of a database, or of a copy of it; ``shop-staging`` is another one than ``shop``.

    A copy is called after the database, of whose name it has 27 bytes and a checksum where it is long.
    """
    begin = database.encode()[:27].decode("utf-8", "ignore") if len(database.encode()) > 36 else f"{database}__"
    return bool(item["database"] == database or item["database"].startswith(begin))


def is_of(item: Mapping[str, Any], database: str, servers: Sequence[str]) -> bool:
    """Tell whether an archive is shown to be of a database on one of these servers; of any server, where none is told.

    One that says no server, as the first version wrote it, is not: two servers may have databases of one name.
    """
    return bool(item["database"] == database and (not servers or item.get("server") in servers))


def told_of(item: Mapping[str, Any], database: str, servers: Sequence[str]) -> bool:
    """Tell whether an archive may be of a database on one of these servers; one that says no server is anybody's of that name."""
    return bool(item["database"] == database and ("server" not in item or is_of(item, database, servers)))


def doomed(archives: list[Object], keep_count: int, keep_seconds: float, now: float) -> list[str]:
    """Return the paths of the archives that are too many or too old, never that of the last one.

    :param keep_count: 0 keeps any number.
    :param keep_seconds: 0 keeps however old.
    :param now: seconds since 1970.
    """
    newest = sorted(archives, key=age, reverse=True)
    return [
        str(item["path"])
        for number, item in enumerate(newest)
        if number and ((keep_count and number >= keep_count) or (keep_seconds and _seconds(item) < now - keep_seconds))
    ]


def age(item: Mapping[str, Any]) -> tuple[str, str]:
    return str(item["created_at"]), str(item["path"])


def _seconds(item: Mapping[str, Any]) -> float:
    return datetime.strptime(str(item["created_at"]), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()
