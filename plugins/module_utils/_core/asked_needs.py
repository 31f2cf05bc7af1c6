# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a host is asked for before a deployment: the options of the module host_check, from the variables of the roles."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

#: Ending of an archive → what tar, or the module that unpacks, calls for it. gzip is everywhere.
_UNPACKERS = {".zip": "unzip", ".xz": "xz", ".txz": "xz", ".bz2": "bzip2", ".tbz": "bzip2", ".tbz2": "bzip2", ".zst": "zstd"}
#: Releases that are a folder on a host.
_FOLDERS = ("git", "archive", "wheel")
#: The program of the database gets the password by itself.
_SECRET = ("PGPASSWORD", "MYSQL_PWD")


@dataclass(frozen=True)
class Asked:
    """What is to be done on one host. Where a variable is not set, its key has the default of the role that has it.

    :param builds: whether a release is built; ``serves`` whether processes of the application are started here; ``migrates``
        whether the host is the migrator; ``hooks`` whether the operator has tasks of his own, which may make what is lacking.
    :param source: release_source, and ``release_archive``. ``root``, ``version``, ``install``, ``python`` and
        ``virtualenv_command`` are as release_… has them.
    :param services: of the application, with their ``manager``, ``scope`` and ``supervisor_config``.
    :param records: the folder of the records; empty where they are elsewhere. ``reports`` are folders of what is told at the end.
        ``files`` is variable → file that is read here, ``links`` release_links.
    :param runner: schema_runner. ``database`` is what the filter database_url finds in schema_database_url, empty without one, and
        ``environment`` schema_environment.
    :param archive: backup_archive_enabled, with its ``archive_directory`` and ``claim``; the other switches are called as those of
        backup_….
    :param copied_as: whether backup_database_url names who copies the database, in the place of who migrates it.
    """

    builds: bool = False
    serves: bool = False
    migrates: bool = False
    hooks: bool = False
    source: str = "none"
    release_archive: str = ""
    root: str = ""
    version: str = ""
    install: str = "auto"
    python: str = "python3"
    virtualenv_command: Sequence[str] = ()
    services: Sequence[str] = ()
    manager: str = "systemd"
    scope: str = ""
    supervisor_config: str = ""
    records: str = ""
    reports: Sequence[str] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    runner: str = "host"
    database: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    programs_directory: str = ""
    archive: bool = True
    archive_directory: str = ""
    claim: str = ""
    restore_check: bool = True
    restore_check_binding: bool = False
    snapshot: bool = True
    window_archive: bool = True
    without_way_back: bool = False
    copied_as: bool = False

    @property
    def archives_here(self) -> bool:
        return self.archive and not self.claim and self.runner == "host"


def needs(asked: Asked) -> dict[str, Any]:
    """Return the options of host_check; what is not asked for is left out."""
    folders = asked.source in _FOLDERS
    makes = folders and asked.builds and asked.install != "none"
    command = list(asked.virtualenv_command)
    found = {
        "manager": asked.manager if asked.serves else "",
        "services": list(asked.services) if asked.serves else [],
        "scope": asked.scope,
        "supervisor_config": asked.supervisor_config,
        "root": asked.root if folders else "",
        "version": asked.version if asked.builds else "",
        "folders": _folders(asked),
        "files": {variable: path for variable, path in asked.files.items() if path},
        "links": dict(asked.links) if folders and asked.builds else {},
        "python": [asked.python] if makes and not command else [],
        "programs": [*(_fetches(asked) if asked.builds else []), *(command[:1] if makes else [])],
        "programs_directory": asked.programs_directory,
        "database": _database(asked),
    }
    # What goes back writes next to nothing, and may be what makes room again.
    binding = {"unit_files_binding": not asked.hooks, "room_binding": asked.builds}
    return {**{key: value for key, value in found.items() if value}, **binding}


def _fetches(asked: Asked) -> list[str]:
    """Return the programs that bring the code of a release to a host."""
    if asked.source == "archive":
        return [program for program in [_UNPACKERS.get(os.path.splitext(asked.release_archive.lower())[1])] if program]
    return ["git"] if asked.source == "git" else []


def _folders(asked: Asked) -> list[str]:
    """A task of the operator may make or mount the folders of the archives and reports."""
    if not asked.migrates:
        return []
    archives = asked.archives_here and asked.builds and not asked.hooks
    reports = [] if asked.hooks else asked.reports
    return [*([asked.records] if asked.records else []), *([asked.archive_directory] if archives else []), *reports]


def _database(asked: Asked) -> dict[str, Any]:
    parts = asked.database
    if not (asked.migrates and asked.runner == "host" and parts):
        return {}
    given = {key: parts.get(key) for key in ("host", "port", "socket", "password")}
    several = "," in str((parts.get("libpq") or {}).get("host") or "")
    environment = parts.get("environment") or {}
    return {
        **{key: value for key, value in given.items() if value},
        "dialect": parts["dialect"],
        "environment": {name: value for name, value in environment.items() if name not in _SECRET},
        # Of several hosts one may be down, and with an environment of its own Alembic may connect in another way.
        "connect": not several and not any(str(name).startswith("PG") for name in asked.environment),
        "dump": asked.archives_here and asked.builds and asked.restore_check,
        "dump_needed": _dump_needed(asked),
    }


def _dump_needed(asked: Asked) -> str:
    if asked.restore_check_binding or not (asked.snapshot or asked.without_way_back):
        return "always"
    # Who copies in another way than the migrations are run may have a role that can make snapshots.
    return "without_snapshot" if asked.window_archive and not (asked.without_way_back or asked.copied_as) else "never"
