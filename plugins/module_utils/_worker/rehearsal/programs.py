# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""PostgreSQL's own programs: where they are, and a schema carried from one database to another by them."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
from typing import Iterable

from ..failure import Failure, describe
from .access import Access

_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/lib64/pgsql/bin", "/opt/homebrew/opt/postgresql@*/bin")
LOCK_WAIT_MILLISECONDS = 5000
#: What pg_dump would fail at, since it locks each table that it reads.
_UNREADABLE = """
select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and not (has_table_privilege(c.oid, 'SELECT') and has_schema_privilege(n.oid, 'USAGE')) order by 1"""
#: What a role may often not make again, and no migration needs.
_NEEDLESS = ("pg_stat_statements", "extension plpgsql")


def find(name: str, folder: str | None, major: int) -> str:
    """Return the path of a program that is not older than the server.

    :param folder: where the user says that it is.
    :param major: major version of the server.
    :raises Failure: ``config_missing``.
    """
    if folder:
        given = os.path.join(folder, name)
        if os.access(given, os.X_OK):
            return given
        raise Failure("config_missing", f"There is no {name} in {folder}.", "Check postgresql_programs.")
    found = [path for pattern in _FOLDERS for path in glob.glob(os.path.join(pattern, name)) if os.access(path, os.X_OK)]
    versioned = sorted((int(match.group(1)), path) for path in found for match in [re.search(r"(\d+)/bin/", path)] if match)
    fitting = [path for version, path in versioned if version >= major]
    path = fitting[0] if fitting else shutil.which(name)
    if path:
        return path
    package = "server" if name == "initdb" else "client programs"
    raise Failure(
        "config_missing",
        f"There is no {name} on this host.",
        f"Install PostgreSQL's {package}, version {major} or later, or say with postgresql_programs where they are.",
    )


def copy_schema(source: Access, database: str, target: Access, copy: str, folder: str | None, major: int) -> list[str]:
    """Carry the schema of ``database`` to ``copy``; return what could not be read or restored, a line for each.

    :raises Failure: pg_dump failed.
    """
    dump = find("pg_dump", folder, major)
    try:
        return _carried(dump, source, database, target, copy, {})
    except Failure as exc:
        refused = _refused(source, database) if exc.kind == "insufficient_privilege" else {}
        if not refused:
            raise
        return [*refused.values(), *_carried(dump, source, database, target, copy, refused)]


def _refused(source: Access, database: str) -> dict[str, str]:
    """Return the tables that this role may not read, as pg_dump wants them named → the server's own words."""
    found = {}
    with source.connect(database, "rehearsal", reading=True).closing() as original:
        for (name,) in original.rows(_UNREADABLE):
            try:
                original.rows(f"select from {name} limit 0")
            except Exception as exc:
                found[str(name)] = f"{name}: {str(describe(exc)['message']).splitlines()[0].rstrip('.')}"
    return found


def _carried(dump: str, source: Access, database: str, target: Access, copy: str, without: Iterable[str]) -> list[str]:
    restore = os.path.join(os.path.dirname(dump), "pg_restore")
    command = [dump, *(f"--exclude-table={name}" for name in without), "--schema-only", "--format=custom"]
    command += [f"--lock-wait-timeout={LOCK_WAIT_MILLISECONDS}"]
    command += ["--no-publications", "--no-subscriptions", "--no-security-labels", "--no-tablespaces"]
    with subprocess.Popen(  # pylint: disable=ansible-bad-function  # there is no Ansible here
        command, env=_environment(source, database), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as dumping, subprocess.Popen(  # pylint: disable=ansible-bad-function
        [restore, "--dbname", copy, "--no-tablespaces"],
        env=_environment(target, copy),
        stdin=dumping.stdout,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as restoring:
        dumping.stdout.close()  # type: ignore[union-attr]  # so that pg_dump notices when pg_restore ends
        problems = restoring.communicate()[1].decode("utf-8", "replace")
        said = dumping.stderr.read().decode("utf-8", "replace").strip()  # type: ignore[union-attr]
    if dumping.returncode:
        kind = (
            "insufficient_privilege"
            if "permission denied" in said
            else "lock_timeout"
            if "lock timeout" in said
            else "database_error"
        )
        raise Failure(kind, f"pg_dump could not read the schema: {said.splitlines()[-1] if said else dumping.returncode}.")
    told = [line.split("ERROR:", 1)[1].strip() for line in problems.splitlines() if "ERROR:" in line]
    return [line for line in told if not any(name in line for name in _NEEDLESS)]


def _environment(access: Access, database: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG") or name == "PGPASSFILE"}
    return dict(kept, LC_ALL="C", **access.variables(database))
