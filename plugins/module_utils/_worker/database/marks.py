# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""How a snapshot is known to be ours: JSON in the comment of the database (or beside the SQLite file), and its name."""

from __future__ import annotations

import json
from typing import Any, Dict, Sequence

from ..failure import Failure
from .engine import OUR_NAME

Mark = Dict[str, Any]
Entry = Dict[str, Any]
#: What a mark says a database is. "at_work" is put on the application's own database for as long as a call works on it.
SNAPSHOT, BEFORE_RESTORE, SIDE, UNFINISHED, AT_WORK = "snapshot", "before_restore", "side", "unfinished", "at_work"
MAXIMUM_NAME = 63
RESERVED = ("template0", "template1", "postgres")
_TEXTS = ("kind", "of", "by", "created", "note", "restored_from", "comment", "making")


def written(mark: Mark) -> str:
    return json.dumps({OUR_NAME: mark}, sort_keys=True)


def parsed(comment: str | None) -> Mark | None:
    """Return the mark in a comment, or None for a comment that is not ours.

    Whoever owns a database can write its comment, so every value is made to be of its type here, and none is trusted to be SQL.
    """
    try:
        found = json.loads(comment or "")
    except ValueError:
        return None
    mark = found.get(OUR_NAME) if isinstance(found, dict) else None
    if not isinstance(mark, dict) or not isinstance(mark.get("kind"), str):
        return None
    known: Mark = {name: mark[name] if isinstance(mark.get(name), str) else None for name in _TEXTS}
    epoch, revisions = mark.get("epoch"), mark.get("revisions")
    known["epoch"] = float(epoch) if isinstance(epoch, (int, float)) else 0.0
    known["revisions"] = [str(item) for item in revisions] if isinstance(revisions, list) else []
    known.update(allow_connections=bool(mark.get("allow_connections", True)), closed=bool(mark.get("closed")))
    return known


def entry(name: str, mark: Mark, owner: str | None, size: int | None, whole: bool = True, path: str | None = None) -> Entry:
    """Return what is said of a snapshot; ``epoch`` orders them and is not shown."""
    told = {key: mark[key] for key in ("of", "created", "revisions", "note", "restored_from", "epoch")}
    kind = mark["kind"] if whole else UNFINISHED
    return dict({"name": name, "kind": kind, "size_bytes": size, "owner": owner, "usable": whole, "path": path}, **told)


def shown(entries: Sequence[Entry]) -> list[Entry]:
    return [{key: value for key, value in item.items() if key != "epoch"} for item in entries]


def newest_first(entries: Sequence[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda item: (item["epoch"], item["name"]), reverse=True)


def make_name(database: str, kind: str, stamp: str, taken: Sequence[str]) -> str:
    """Return a name that no database has: ``<database>__<kind>_<stamp>``, cut to what PostgreSQL keeps of a name.

    :param stamp: UTC time such as 20261121T063900Z.
    """
    for number in range(1, 1000):
        end = f"__{kind}_{stamp}" + ("" if number == 1 else f"_{number}")
        name = database.encode()[: MAXIMUM_NAME - len(end)].decode("utf-8", "ignore") + end
        if name not in taken:
            return name
    raise Failure("name_invalid", f"No free name for a {kind} of {database} was found.")


def check_name(name: str, database: str) -> None:
    """Refuse a name for a snapshot that the server would cut, or that means something else."""
    if not name or "\0" in name:
        raise Failure("name_invalid", "The name of a snapshot can not be empty.")
    if len(name.encode()) > MAXIMUM_NAME:
        raise Failure(
            "name_invalid", f"The name {name} is longer than {MAXIMUM_NAME} bytes; PostgreSQL would cut it.", "Shorten it."
        )
    if name == database or name in RESERVED:
        raise Failure("name_invalid", f"{name} can not be the name of a snapshot.")


def prunable(entries: Sequence[Entry], kinds: Sequence[str], count: int | None, seconds: float | None, now: float) -> list[str]:
    """Return the names to remove, oldest first; of each kind the newest is never among them.

    :param entries: newest first.
    :param count: how many of each kind to keep.
    :param seconds: how old one may be.
    """
    if count is None and seconds is None:
        raise Failure("options_invalid", "Nothing says what to keep.", "Give keep_count, keep_seconds or both.")
    found = []
    for kind in kinds:
        older = [item for item in entries if item["kind"] == kind][1:]
        for rank, item in enumerate(older, 1):
            if (count is not None and rank >= count) or (seconds is not None and now - item["epoch"] > seconds):
                found.append(item)
    return [item["name"] for item in reversed(newest_first(found))]
