# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots of an SQLite database: files beside it, made and put back by SQLite's backup API.

A copy gets its final name when it is whole and on the disk. The way back writes into the database file itself: the backup
API does that in one transaction of SQLite, so it happened or not, also for somebody who has the file open, and neither a
WAL nor a journal of the old content is ever left beside the new one.
"""

from __future__ import annotations

import contextlib
import glob
import os
import sqlite3
import time
from typing import Any, Iterator

from ..failure import Failure
from . import connected, guards, marks, processes
from .engine import Server
from .marks import Entry, Mark

MARK_SUFFIX = ".dbops.json"
_PART = ".part"
_BUSY = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED: https://www.sqlite.org/rescode.html


class Files:
    """The snapshots of one SQLite database; a store, see :class:`.snapshot.Store`."""

    def __init__(self, server: Server, request: dict[str, Any]) -> None:
        self.request = request
        self.path = processes.plain_file(server.database)
        self.folder, self.database = os.path.split(self.path)
        if not os.path.isdir(self.folder):
            what = f"There is no folder {self.folder} for the SQLite database {self.database}."
            raise Failure("database_missing", what, "Make the folder, or check the URL; a relative path is relative to chdir.")
        self.wait = float(request.get("wait") or 0)

    def close(self) -> None:
        pass

    def cost(self) -> dict[str, Any]:
        return {"terminated": [], "blocked_seconds": 0.0}

    def now(self) -> float:
        return time.time()

    def exists(self) -> bool:
        return os.path.isfile(self.path)

    def begins(self) -> bool:
        """Tell whether the database has still to be made, and may be: SQLite makes it with the first connection that writes."""
        accepted = "database_missing" in (self.request.get("accept") or ())
        return accepted and not os.path.lexists(self.path) and os.path.isdir(self.folder)

    def file(self, name: str) -> str:
        return os.path.join(self.folder, name)

    @contextlib.contextmanager
    def locked(self) -> Iterator[list[dict[str, Any]]]:
        """Keep other calls away, by a lock on the folder, which leaves no file behind; yield what was repaired."""
        with contextlib.closing(_FolderLock(self.folder)) as lock:
            deadline = time.monotonic() + self.wait
            while not lock.attempt():
                if time.monotonic() >= deadline:
                    what = f"Another call is at work on the snapshots in {self.folder}, and wait ({self.wait:g} s) is over."
                    raise Failure("lock_unavailable", what, "Wait for it to end.")
                time.sleep(0.2)
            found = self._unfinished()
            for problem in found:
                self.remove(problem["database"])
            yield found

    def listed(self) -> list[Entry]:
        """Return the snapshots of the database, newest first; one without its file was not finished."""
        found = []
        for path in glob.glob(os.path.join(glob.escape(self.folder), "*" + MARK_SUFFIX)):
            mark, file = _read_mark(path), path[: -len(MARK_SUFFIX)]
            if mark and mark["of"] == self.database:
                with contextlib.suppress(FileNotFoundError):  # somebody removes it at this moment
                    whole = os.path.isfile(file)
                    size, owner = os.path.getsize(file) if whole else None, processes.owner_of(path)
                    found.append(marks.entry(os.path.basename(file), mark, owner, size, whole, file))
        return marks.newest_first(found)

    def find(self, name: str) -> Entry | None:
        """Return our snapshot ``name``; a file of this name that is none is a failure."""
        if os.path.basename(name) != name or name.startswith("."):
            raise Failure("name_invalid", f"{name} can not be the name of a snapshot: it is that of a file beside the database.")
        entry = next((entry for entry in self.listed() if entry["name"] == name), None)
        if entry is None and os.path.lexists(self.file(name)):
            raise Failure(
                "not_ours",
                f"{self.file(name)} is no snapshot of {self.path}: it was not made by this collection, so it is left alone.",
                "database_snapshot_info lists the snapshots.",
            )
        return entry if entry and entry["usable"] else None

    def interrupted(self) -> list[dict[str, Any]]:
        with contextlib.closing(_FolderLock(self.folder)) as lock:
            return self._unfinished() if lock.attempt() else []

    def _unfinished(self) -> list[dict[str, Any]]:
        """Return what a call that was cut off has left; who asks knows that no call is at work."""
        names = {entry["name"] for entry in self.listed() if not entry["usable"]}
        names |= {name[: -len(MARK_SUFFIX + _PART)] for name in os.listdir(self.folder) if name.endswith(MARK_SUFFIX + _PART)}
        message = "A call that was cut off left the copy {} unfinished."
        return [{"what": "unfinished", "database": name, "message": message.format(self.file(name))} for name in sorted(names)]

    def check_copy(self, kind: str) -> tuple[dict[str, Any], list[guards.Refusal]]:
        if kind == marks.SIDE:
            hint = "Read the archive of an SQLite database into a file."
            raise Failure("options_invalid", "An empty side database is made for PostgreSQL only.", hint)
        size = sum(os.path.getsize(self.path + end) for end in ("", "-wal") if os.path.exists(self.path + end))
        status = os.statvfs(self.folder)
        space = guards.measured(size, status.f_bavail * status.f_frsize, "local_disk")
        return space, guards.space_refusals(self.path, space, list(self.request.get("accept") or ()))

    def check_swap(self, name: str) -> None:
        if self.exists():
            guards.refuse(self.path, self.check_copy(marks.BEFORE_RESTORE)[1])

    def new_name(self, kind: str) -> str:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        return marks.make_name(self.database, kind, stamp, os.listdir(self.folder))

    def new_mark(self, kind: str, **more: Any) -> Mark:
        now, user = time.time(), processes.owner_of("/proc/self")
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        mark = {"kind": kind, "of": self.database, "created": created, "epoch": now, "by": user, "restored_from": None}
        return dict(mark, **dict({"revisions": [], "note": None}, **more))

    def planned(self, name: str, mark: Mark, size: int) -> Entry:
        owner = processes.owner_of(self.path if self.exists() else self.folder)
        return marks.entry(name, dict(mark, created=None), owner, size, path=self.file(name))

    def _status(self) -> os.stat_result:
        """Return the owner and mode of the database; of one that has still to be made, those that it would get."""
        if self.exists():
            return os.stat(self.path)
        folder = os.stat(self.folder)
        return os.stat_result((0o600, 0, 0, 1, folder.st_uid, folder.st_gid, 0, 0, 0, 0))

    def make(self, name: str, mark: Mark) -> None:
        """Copy the database to a new file, of the same owner and mode; the mark is first, the whole file last.

        The copy of a database that has still to be made is an empty file, which is an empty database to SQLite.
        """
        part, status = self.file(name) + _PART, self._status()
        _write(self.file(name) + MARK_SUFFIX, marks.written(mark), status)
        os.close(_made(part))
        _same_owner(part, status)
        if self.exists():
            _backup(self.path, part, self.wait)
        _sync(part)
        os.rename(part, self.file(name))
        _sync(self.folder)

    def swap(self, name: str, kept: str | None) -> None:
        """Write the snapshot into the database, whose content is kept before; the snapshot is used up by that."""
        if kept is not None:
            left = connected.wait_for_none(lambda: processes.holders(self.path)[0], self.wait)
            if left:
                raise connected.busy([self.path], left)
            self.make(kept, self.new_mark(marks.BEFORE_RESTORE, restored_from=name))
        else:
            os.close(os.open(self.path, os.O_CREAT | os.O_WRONLY, 0o600))
            _same_owner(self.path, os.stat(self.file(name)))
        _backup(self.file(name), self.path, self.wait)
        _sync(self.path)
        self.remove(name)

    def remove(self, name: str) -> None:
        """Remove a snapshot; its mark goes last, so that half a removal is known to be ours.

        Where only half a mark was written, the mark is all that there can be: a file of that name is somebody else's.
        """
        mark = _read_mark(self.file(name) + MARK_SUFFIX)
        if mark is None or mark["of"] != self.database or name == self.database:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.file(name) + MARK_SUFFIX + _PART)
            return
        for end in ("", "-wal", "-shm", "-journal", _PART, _PART + "-journal", MARK_SUFFIX + _PART, MARK_SUFFIX):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.file(name) + end)
        _sync(self.folder)


class _FolderLock:
    def __init__(self, folder: str) -> None:
        self._handle = os.open(folder, os.O_RDONLY)

    def attempt(self) -> bool:
        import fcntl

        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        os.close(self._handle)


def _read_mark(path: str) -> Mark | None:
    try:
        with open(path, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK)) as handle:
            return marks.parsed(handle.read(65536))
    except (OSError, UnicodeDecodeError):
        return None


def _same_owner(path: str, status: os.stat_result) -> None:
    with contextlib.suppress(PermissionError):  # another owner's database that we may read: the copy is ours
        os.chown(path, status.st_uid, status.st_gid)
    os.chmod(path, status.st_mode & 0o777)


def _made(part: str) -> int:
    """Make a file that is to be renamed to its final name: always a new one, never what a link in its place points to."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(part)
    return os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)


def _write(path: str, text: str, status: os.stat_result) -> None:
    with os.fdopen(_made(path + _PART), "w") as handle:
        handle.write(text + "\n")
    _same_owner(path + _PART, status)
    _sync(path + _PART)
    os.rename(path + _PART, path)
    _sync(os.path.dirname(path))


def _sync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _page_size(connection: sqlite3.Connection) -> int:
    return int(connection.execute("pragma page_size").fetchone()[0])


def _backup(source: str, target: str, wait: float) -> None:
    """Write the content of ``source`` into ``target``, all or nothing."""
    deadline = time.monotonic() + wait

    def progress(status: int, _left: int, _total: int) -> None:
        if status in _BUSY and time.monotonic() >= deadline:
            raise Failure("database_busy", f"{source} or {target} is being written to.", "Stop what uses it.")

    with contextlib.ExitStack() as stack:
        read = stack.enter_context(contextlib.closing(sqlite3.connect(source, timeout=wait)))
        write = stack.enter_context(contextlib.closing(sqlite3.connect(target, timeout=wait)))
        if os.path.getsize(target) and _page_size(read) != _page_size(write):
            write.execute("pragma journal_mode = delete")  # a database in WAL mode can't change its page size
        read.backup(write, progress=progress)
        write.execute("pragma wal_checkpoint(truncate)")
