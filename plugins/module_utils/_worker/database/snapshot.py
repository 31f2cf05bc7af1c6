# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Operations on snapshots, whatever keeps them: databases beside a PostgreSQL one, or files beside an SQLite one."""

from __future__ import annotations

import time
from typing import Any, Callable, ContextManager, Protocol

from ..failure import Failure
from . import guards, marks
from .engine import MYSQL, open_server
from .files import Files
from .marks import Entry, Mark
from .templates import Templates


class Store(Protocol):
    """Where the snapshots of one database are."""

    database: str
    request: dict[str, Any]

    def locked(self) -> ContextManager[list[dict[str, Any]]]: ...

    def interrupted(self) -> list[dict[str, Any]]: ...

    def listed(self) -> list[Entry]: ...

    def find(self, name: str) -> Entry | None: ...

    def exists(self) -> bool: ...

    def begins(self) -> bool: ...

    def check_copy(self, kind: str) -> tuple[dict[str, Any], list[guards.Refusal]]: ...

    def check_swap(self, name: str) -> None: ...

    def new_name(self, kind: str) -> str: ...

    def new_mark(self, kind: str, **more: Any) -> Mark: ...

    def planned(self, name: str, mark: Mark, size: int) -> Entry: ...

    def make(self, name: str, mark: Mark) -> None: ...

    def swap(self, name: str, kept: str | None) -> None: ...

    def remove(self, name: str) -> None: ...

    def now(self) -> float: ...

    def cost(self) -> dict[str, Any]: ...

    def close(self) -> None: ...


def _with_store(request: dict[str, Any], work: Callable[[Store], dict[str, Any]]) -> dict[str, Any]:
    server = open_server(request)
    if server.dialect in MYSQL:
        name = "MariaDB" if server.dialect == "mariadb" else "MySQL"
        raise Failure(
            "archive_required", f"{name} can not copy a database inside the server.", "Make an archive with its dump program."
        )

    def run() -> dict[str, Any]:
        store: Store = Files(server, request) if server.dialect == "sqlite" else Templates(server, request)
        try:
            done = work(store)
        finally:
            store.close()
        return dict(done, dialect=server.dialect, database=server.database, warnings=server.warnings + _unknown(done["space"]))

    return server.drive(run)  # type: ignore[no-any-return]


def _unknown(space: dict[str, Any] | None) -> list[str]:
    if space is None or space["free_bytes"] is not None:
        return []
    return [
        "The free space on the database server is not known, so it was not checked; give it in free_bytes,"
        " in the roles backup_free_bytes, if you know it."
    ]


def snapshot_info(request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Operation ``database_snapshot_info``: which snapshots there are, and whether one could be made now."""

    def look(store: Store) -> dict[str, Any]:
        space, refused = (
            store.check_copy(marks.SNAPSHOT) if store.exists() or store.begins() else (None, [guards.missing(store.database)])
        )
        told = {"changed": False, "snapshots": marks.shown(store.listed()), "interrupted": store.interrupted()}
        return dict(told, possible=not refused, refused=refused, space=space)

    return _with_store(request, look)


def snapshot(request: dict[str, Any], send: Any) -> dict[str, Any]:
    """Operation ``database_snapshot``: bring the snapshots into the state that the request names, or say what that would do."""
    state = STATES[request.get("state") or "present"]

    def work(store: Store) -> dict[str, Any]:
        started = time.monotonic()
        if request.get("check"):
            return _reply(store, store.interrupted(), _names(store), state(store), started)
        with store.locked() as repaired:
            return _reply(store, repaired, _names(store), state(store), started)

    return _with_store(request, work)


def _names(store: Store) -> list[str]:
    return [store.database] * store.exists() + [entry["name"] for entry in store.listed()]


def _reply(store: Store, repaired: list[dict[str, Any]], before: list[str], done: dict[str, Any], started: float) -> dict[str, Any]:
    """Complete what a state has done; a repair is a change as well. ``names`` are the databases before and after."""
    found = marks.shown(store.listed())
    made = next((entry for entry in found if entry["name"] == done.get("name")), None)
    gone, new = [*done.get("removed", ()), done.get("used")], [done.get("name"), done.get("kept")]
    after = sorted(set(before) - set(gone) | set(filter(None, new))) if store.request.get("check") else sorted(_names(store))
    reply = {"snapshot": made, "snapshots": found, "removed": [], "kept": None, "space": None, "repaired": repaired, **store.cost()}
    reply.update({key: value for key, value in done.items() if key not in ("name", "used")})
    reply.update(changed=bool(done.get("changed") or repaired), names={"before": sorted(before), "after": after})
    return dict(reply, seconds=round(time.monotonic() - started, 3))


def _present(store: Store) -> dict[str, Any]:
    """Make a copy, or an empty database of the same kind for an archive to be read into."""
    request = store.request
    kind = marks.SIDE if request.get("content") == "empty" else marks.SNAPSHOT
    name = request.get("name")
    if name:
        marks.check_name(name, store.database)
        found = store.find(name)
        if found and found["kind"] != kind:
            raise Failure("not_ours", f"{name} exists and is no {kind} but a {found['kind']}.", "Give another name.")
        if found:
            return {"name": name}
    if not (store.exists() or store.begins()):
        guards.refuse(store.database, [guards.missing(store.database)])
    space, refused = store.check_copy(kind)
    guards.refuse(store.database, refused)
    name = name or store.new_name(kind)
    mark = store.new_mark(kind, revisions=list(request.get("revisions") or ()), note=request.get("note"))
    done = {"changed": True, "name": name, "space": space}
    if request.get("check"):
        return dict(done, snapshot=marks.shown([store.planned(name, mark, space["size_bytes"])])[0])
    store.make(name, mark)
    return done


def _restored(store: Store) -> dict[str, Any]:
    """Put the snapshot in the place of the database, whose content is kept beside it."""
    name = store.request.get("name") or ""
    found = store.find(name)
    if found is None:
        before = (entry for entry in store.listed() if entry["restored_from"] == name and entry["kind"] == marks.BEFORE_RESTORE)
        done = next(before, None)
        if done is None or not store.exists():
            what = f"There is no snapshot {name} of {store.database}."
            raise Failure("database_missing", what, "database_snapshot_info lists the snapshots.")
        return {"kept": done["name"]}
    if not found["usable"]:
        raise Failure("snapshot_refused", f"The snapshot {name} is unfinished.", "Use another one, or the archive.")
    store.check_swap(name)
    kept = store.new_name(marks.BEFORE_RESTORE) if store.exists() else None
    if not store.request.get("check"):
        store.swap(name, kept)
    return {"changed": True, "kept": kept, "used": name}


def _remove(store: Store, names: list[str]) -> dict[str, Any]:
    removed: list[str] = []
    for name in [] if store.request.get("check") else names:
        try:
            store.remove(name)
        except Failure as failure:
            failure.facts["removed"] = removed
            raise
        removed.append(name)
    return {"changed": bool(names), "removed": names}


def _absent(store: Store) -> dict[str, Any]:
    name = store.request.get("name") or ""
    return _remove(store, [name] if store.find(name) else [])


def _pruned(store: Store) -> dict[str, Any]:
    request = store.request
    kinds = list(request.get("kinds") or [marks.SNAPSHOT])
    return _remove(
        store, marks.prunable(store.listed(), kinds, request.get("keep_count"), request.get("keep_seconds"), store.now())
    )


STATES: dict[str, Callable[[Store], dict[str, Any]]] = {
    "present": _present,
    "restored": _restored,
    "absent": _absent,
    "pruned": _pruned,
    "repaired": lambda store: {},
}
