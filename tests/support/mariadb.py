# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private MariaDB server with a data folder, port and socket of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import time
from dataclasses import dataclass
from typing import Any, Iterator, Sequence
from urllib.parse import quote

from .processes import Daemon, free_port, plain_user, program, run_as, service_folder
from .waiting import PATIENCE


class MariaDB:
    def __init__(self) -> None:
        self.program, self.installer = program("mariadbd"), program("mariadb-install-db")
        self.user = plain_user("mysql")
        self.folder = service_folder("my", self.user)
        self.host, self.port, self.password = "127.0.0.1", free_port(), secrets.token_urlsafe(12)
        self.log = self.folder / "log"
        self.daemon: Daemon | None = None

    @property
    def _common(self) -> list[str]:
        return [
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--tmpdir={self.folder}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
        ]

    def create(self) -> MariaDB:
        run_as(
            self.user,
            [self.installer, "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", self._common[0]],
            env={**os.environ, "TMPDIR": str(self.folder)},  # a server that starts removes the temporary tables of others there
        )
        return self

    def start(self) -> MariaDB:
        self.daemon = Daemon(
            [
                self.program,
                "--no-defaults",
                "--innodb-flush-log-at-trx-commit=0",
                "--skip-log-bin",
                "--skip-name-resolve",
                "--character-set-server=utf8mb4",
                *self._common,
            ],
            self.user,
            self.log,
            deathsig=signal.SIGKILL,
        )
        self.daemon.start(self._ready)
        return self

    def _ready(self) -> bool:
        if not (self.folder / "socket").exists():
            return False
        with contextlib.suppress(Exception):
            self._open(self.password).close()
            return True
        with contextlib.suppress(Exception), contextlib.closing(self._open("")) as connection, connection.cursor() as cursor:
            cursor.execute("alter user root@localhost identified by %s", [self.password])  # the first start
            return True
        return False

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.daemon:
            self.daemon.stop(how)

    def restart(self, how: int = signal.SIGTERM) -> None:
        self.stop(how)
        self.start()

    def remove(self) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _open(self, password: str, name: str | None = None) -> Any:
        import pymysql

        return pymysql.connect(
            unix_socket=str(self.folder / "socket"), user="root", password=password, database=name, autocommit=True
        )

    def fetch(self, sql: str, parameters: Sequence[Any] = (), name: str | None = None) -> list[tuple[Any, ...]]:
        with contextlib.closing(self._open(self.password, name)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return list(cursor.fetchall())

    def database(self, password: str | None = None) -> MariaDatabase:
        word = secrets.token_hex(5)
        made = MariaDatabase(self, f"db_{word}", f"app_{word}", secrets.token_urlsafe(12) if password is None else password)
        self.fetch(f"create database {made.name}")
        self.fetch(f"create user {made.role}@'%%' identified by %s", [made.password])
        self.fetch(f"grant all on {made.name}.* to {made.role}@'%'")
        return made


@dataclass(frozen=True)
class MariaDatabase:
    server: MariaDB
    name: str
    role: str
    password: str
    dialect = "mysql"

    def url(self, driver: str = "pymysql", password: str | None = None) -> str:
        secret = quote(self.password if password is None else password, safe="")
        return f"mysql+{driver}://{self.role}:{secret}@{self.server.host}:{self.server.port}/{self.name}"

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.server.fetch(sql, parameters, self.name)

    def tables(self) -> list[str]:
        return sorted(row[0] for row in self.fetch("show tables"))

    def wait_for_session(self, where: str, seconds: float = PATIENCE) -> int:
        """The id of the first of the application's sessions that this condition on the processlist is true of."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for row in self.server.fetch(f"select id from information_schema.processlist where user = %s and {where}", [self.role]):
                return int(row[0])
            time.sleep(0.05)
        raise AssertionError(f"no session with {where} within {seconds} s")

    @contextlib.contextmanager
    def holding(self, *statements: str) -> Iterator[Any]:
        """A connection in a transaction that has run these statements and keeps what they locked."""
        with contextlib.closing(self.server._open(self.server.password, self.name)) as connection:
            connection.autocommit(False)
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            yield connection

    def dump(self) -> str:
        """Definition and rows of each table, the same text for the same content."""
        texts = []
        for table in self.tables():
            texts += [*self.fetch(f"show create table {table}"), *sorted(self.fetch(f"select * from {table}"), key=repr)]
        return "\n".join(map(repr, texts))

    def drop(self) -> None:
        self.server.fetch(f"drop database if exists {self.name}")
        self.server.fetch(f"drop user if exists {self.role}@'%'")
