# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is at a path, and replacing and removing it where :mod:`._core.owned` says that it is ours."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
from typing import Callable, Iterator, TypeVar

from ._core import owned
from ._core.names import WHOLE, refusal, shown
from ._core.owned import Found, Thing
from ._errors import MigrationError

_T = TypeVar("_T")
#: What to do where nothing more can be written; anything else is a matter of rights.
_FULL = {errno.ENOSPC: "Make room on that file system (df -h, df -i).", errno.EDQUOT: "Make room within the quota of this user."}
_REMEDIES = {**_FULL, errno.EROFS: "That file system is mounted read-only: mount it for writing, or name another folder."}
#: Bytes that are kept in a folder for what must be written there even on a file system that is full, and the file that keeps them.
_ROOM, _ROOM_NAME = 1 << 20, ".room"


def checked(variable: str, kind: str, value: object) -> None:
    """:raises MigrationError: ``name_invalid``, when ``value`` is no name of this kind."""
    problem = refusal(variable, kind, value)
    if problem:
        raise MigrationError(problem, "name_invalid")


def file_at(path: str) -> str:
    """Return what is at a path, links not followed: ``absent``, ``folder``, ``file``, ``link`` or ``other``."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return "absent"
    known = {stat.S_IFDIR: "folder", stat.S_IFREG: "file", stat.S_IFLNK: "link"}
    return known.get(stat.S_IFMT(mode), "other")


def nearest(path: str) -> str:
    """Return the part of a path that is there."""
    while not os.path.lexists(path) and path != os.path.dirname(path):
        path = os.path.dirname(path)
    return path


def make_folder(path: str) -> None:
    """Make a folder for this user alone, and what is above it as usual.

    :raises MigrationError: ``folder_unusable``.
    """
    with usable(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.mkdir(path, 0o700)


def mounts_below(path: str) -> tuple[str, ...]:
    """Return the mount points at a path and below it, bind mounts too; where the system has no such list, the path's own."""
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            fields = [line.split()[4] for line in file]
    except OSError:
        return (path,) if os.path.ismount(path) else ()
    points = [_octal(field) for field in fields]
    return tuple(sorted(point for point in points if point == real or point.startswith(real + "/")))


def _octal(field: str) -> str:
    """Undo the escapes of /proc/self/mountinfo (proc(5)): blank, tab, newline and backslash."""
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, plain)
    return field


def look(path: str, folder_proof: str, proof: str, folder_remedy: str = "") -> Found:
    """Return what is at a path, with what speaks for it."""
    folder, name = os.path.split(path)
    return Found(
        folder=folder,
        real_folder=os.path.realpath(folder),
        folder_is_link=os.path.islink(folder),
        folder_proof=folder_proof,
        folder_remedy=folder_remedy,
        name=name,
        file=file_at(path),
        proof=proof,
        mounts=mounts_below(path),
    )


def demand(thing: Thing, found: Found) -> str:
    """Return the real path of what is ours; nothing else is ever handed to :func:`remove` or to a rename.

    :raises MigrationError: ``not_ours``.
    """
    reason = owned.refusal(thing, found)
    if reason:
        path = os.path.join(found.folder, found.name)
        raise MigrationError(f"{shown(path, WHOLE)} is left alone: {reason.rstrip('.')}.", "not_ours")
    return os.path.join(found.real_folder, found.name)


def remove(thing: Thing, found: Found) -> bool:
    """Remove what is ours, and say whether it was there.

    :raises MigrationError: ``not_ours``, ``folder_unusable``.
    """
    path = demand(thing, found)
    if found.file == "absent":
        return False
    with usable(found.folder):
        if found.file == "folder":
            shutil.rmtree(path)
        else:
            os.unlink(path)
    return True


def write(thing: Thing, found: Found, text: str, mode: int = 0o644) -> None:
    """Replace a file of ours in one rename.

    :raises MigrationError: ``not_ours``, ``folder_unusable``.
    """
    path = demand(thing, found)
    with usable(found.folder):
        descriptor, temporary = tempfile.mkstemp(prefix=".dbops-", dir=found.real_folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), mode)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


def link(thing: Thing, found: Found, target: str) -> None:
    """Replace a link of ours in one rename."""
    path = demand(thing, found)
    with usable(found.folder):
        temporary = f"{path}.dbops-{os.getpid()}"
        os.symlink(target, temporary)
        try:
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise


def read(path: str) -> str | None:
    """Return the text of a plain file, or None where there is no plain file; a link is not followed.

    :raises OSError: it can not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        if file_at(path) == "file":
            raise
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)  # Python makes no file object of a folder
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(1 << 26).decode("utf-8", "replace")


@contextlib.contextmanager
def usable(folder: str) -> Iterator[None]:
    """Turn what the system says of a folder into an error that a user understands."""
    try:
        yield
    except OSError as exc:
        where = f" ({exc.filename})" if exc.filename not in (None, folder) else ""
        raise MigrationError(
            f"{folder} can not be used: {exc.strerror or exc}{where}.",
            "folder_unusable",
            _REMEDIES.get(exc.errno or 0, "Look whose it is, and whether this user may write to it."),
        ) from exc


def keep_room(folder: str) -> None:
    """Keep room in a folder for :func:`with_room`, as far as there is any."""
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(os.path.join(folder, _ROOM_NAME), flags, 0o600), "wb") as file:
            file.write(bytes(_ROOM))


def with_room(folder: str, write: Callable[[], _T]) -> _T:
    """Write to a folder; where its file system is full, once more in the room that was kept.

    :raises OSError: as ``write``.
    """
    try:
        return write()
    except OSError as exc:
        if exc.errno not in _FULL:
            raise
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, _ROOM_NAME))
        return write()
