# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a host has to bring for a deployment, held against what it has: what is wrong, and what is to be looked at.

What could not be found out is empty or None here, and is never a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Iterator, Mapping, Sequence

from .dumpable import program_findings

#: With less than this nothing can be built or written; bytes and number of files.
LEAST_BYTES, LEAST_FILES = 20_000_000, 1000
#: When the program that writes archives has to be there: always, where nothing else could put the database back, or never.
DUMP_NEEDED = ("always", "without_snapshot", "never")
#: What a server says when it will say the same the next time.
_FINAL = re.compile(
    r"FATAL: +(.*(?:authentication failed|does not exist|no pg_hba\.conf entry|not permitted to log in|permission denied).*)"
)


@dataclass(frozen=True)
class Folder:
    """A folder that is needed. ``nearest`` is the part of its path that exists; ``reason`` is why that could not be looked at."""

    path: str
    nearest: str
    is_folder: bool
    writable: bool
    free_bytes: int | None = None
    free_files: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Python:
    """A Python that has to make virtual environments. ``missing`` are modules; ``said`` is why it could not be run."""

    command: str
    missing: Sequence[str] = ()
    said: str = ""
    version: str = ""


@dataclass(frozen=True)
class Database:
    """What was found of a database. ``said`` are the errors of its own program; ``server`` and ``creates`` is what it told.

    ``creates`` is whether the role may make databases, and so snapshots.
    """

    dialect: str
    where: str = ""
    unreached: str = ""
    said: str = ""
    server: str = ""
    creates: bool | None = None
    dump: str = ""
    dump_said: str | None = None
    dump_needed: str = "never"


@dataclass(frozen=True)
class Answered:
    """How the health check of the next release fares today. ``unresolved`` is why its ``host`` has no address, ``problem`` what
    would be wrong with the answer of what serves now; empty where nothing serves.
    """

    url: str
    host: str = ""
    unresolved: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Found:
    """What was found on a host.

    ``told`` are problems in words, ``starts`` is unit → how it is started, ``absent`` what a start would miss, which is wrong
    only where nobody makes it before (``absent_binding``). ``room_binding`` is whether a full file system is wrong. ``dangling``
    is link → target that is not there.
    """

    user: str = ""
    told: Sequence[str] = ()
    folders: Sequence[Folder] = ()
    python: Python | None = None
    programs: Mapping[str, bool] = field(default_factory=dict)
    starts: Mapping[str, str] = field(default_factory=dict)
    absent: Sequence[str] = ()
    absent_binding: bool = True
    room_binding: bool = True
    link: str = ""
    dangling: Mapping[str, str] = field(default_factory=dict)
    database: Database | None = None
    answered: Answered | None = None


def problems(found: Found) -> list[str]:
    """Return what would make a deployment fail on this host, each with what to do."""
    told = [*found.told, *(_absent(found) if found.absent_binding else [])]
    for folder in found.folders:
        told += [*_folder(folder, found.user), *(_room(folder) if found.room_binding else [])]
    told += _python(found.python) if found.python else []
    told += [f"{name} is not there. Install it." for name, there in found.programs.items() if not there]
    if found.database:
        told += _database(found.database)
        told += _dump(found.database) if _dump_binds(found.database) else []
    return list(dict.fromkeys(told))


def warnings(found: Found) -> list[str]:
    """Return what a deployment would not fail on, and what may not be meant."""
    told = [] if found.absent_binding else _absent(found)
    told += _doubts(found.answered)
    told += [
        f"release_links leads {name!r} to {target}, which is not there, so the release would have a link to nothing. Make it,"
        " unless something does so before the release starts."
        for name, target in found.dangling.items()
    ]
    told += [] if found.room_binding else [text for folder in found.folders for text in _room(folder)]
    told += [
        f"{unit} names {found.link} in neither its command, its folder nor its environment, so it may go on with other code than"
        " the release's."
        for unit, started in found.starts.items()
        if found.link and started and not _names(started, found.link)
    ]
    if found.database and not _dump_binds(found.database):
        told += [f"No archive will be written. {text}" for text in _dump(found.database)]
    return told


def _doubts(answered: Answered | None) -> list[str]:
    """Return what would be wrong with an answer of what serves now, which need not be wrong with the next one's."""
    if not answered or not answered.problem:
        return []
    return [
        f"{answered.problem}. So what serves now would not count as healthy. Look whether health_url, and what else health_"
        " variables ask for, is right for the new release: if that does not pass either, what serves now is put back, and not"
        " asked then."
    ]


def _absent(found: Found) -> list[str]:
    """Return what is not there and may be made by somebody before it is needed, the address of a name among it."""
    answered = found.answered
    if not answered or not answered.unresolved:
        return list(found.absent)
    return [
        *found.absent,
        f"health_url is {answered.url}, and {answered.host} has no address on this host ({answered.unresolved}), so no release"
        " would count as healthy. Mend the name, or let it resolve here.",
    ]


def _names(started: str, link: str) -> bool:
    return bool(re.search(rf"(?:^|[\s'\"=:;{{]){re.escape(link)}(?:/|$|[\s'\";}}])", started))


def _folder(folder: Folder, user: str) -> Iterator[str]:
    if folder.reason:
        yield f"{folder.path} can not be made or used: {folder.nearest}: {folder.reason}."
    elif not folder.is_folder:
        yield f"{folder.nearest} is no folder, so {folder.path} can not be made."
    elif not folder.writable:
        what = "written to" if folder.nearest == folder.path else f"made, since {folder.nearest} can not be written to"
        yield f"{folder.path} can not be {what} by {user}. Set become, or give that user the folder."


def _room(folder: Folder) -> Iterator[str]:
    if folder.reason or not folder.is_folder or not folder.writable:
        return
    if folder.free_bytes is not None and folder.free_bytes < LEAST_BYTES:
        yield f"{folder.nearest} has {folder.free_bytes // 1_000_000} MB left on its file system. Make room."
    elif folder.free_files is not None and folder.free_files < LEAST_FILES:
        yield f"{folder.nearest} has room for {folder.free_files} more files on its file system (df -i). Make room."


def _python(python: Python) -> Iterator[str]:
    if python.said:
        yield f"{python.command} can not be run: {python.said}. Install it, or name another one in release_python."
    elif python.missing:
        package = f"python{python.version}-venv" if python.version else "python3-venv"
        yield (
            f"{python.command} has no {' and no '.join(python.missing)}, so it can make no virtual environment. Install {package},"
            " or choose another program with release_virtualenv_command."
        )


def _database(database: Database) -> Iterator[str]:
    at = f"The database at {database.where}" if database.where else "The database"
    final = _FINAL.search(database.said)
    if database.unreached:
        yield f"{at} can not be reached: {database.unreached}. Look at its address, its port and the firewall."
    elif final:
        yield (
            f"{at} takes no connection: {final.group(1).strip().rstrip('.')}. Look at schema_database_url and at what the server"
            " allows from this host."
        )


def _dump(database: Database) -> list[str]:
    if not database.dump:
        return []
    server = database.server or None if database.dialect == "postgresql" else None
    return [finding.text() for finding in program_findings(database.dump, database.dump_said, server)]


def _dump_binds(database: Database) -> bool:
    if database.dump_needed == "without_snapshot":
        return database.dialect != "postgresql" or database.creates is False
    return database.dump_needed == "always"
