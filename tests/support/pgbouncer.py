# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PgBouncer in front of a private PostgreSQL server. Any role and any database of the server work through it."""

from __future__ import annotations

import contextlib
import shutil

from .postgres import Postgres
from .processes import Daemon, free_port, plain_user, program, service_folder

CONFIGURATION = """\
[databases]
* = host={server.host} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
auth_user = postgres
auth_query = select usename, passwd from pg_shadow where usename = $1
pool_mode = {mode}
default_pool_size = 20
max_client_conn = 200
server_reset_query = DISCARD ALL
pidfile = {folder}/pid
logfile = {folder}/log
"""


class PgBouncer:
    def __init__(self, server: Postgres, mode: str = "transaction"):
        self.server, self.mode, self.port = server, mode, free_port()
        self.program = program("pgbouncer")
        self.user = plain_user("postgres")
        self.folder = service_folder("pgb", self.user)
        self.daemon: Daemon | None = None

    def start(self) -> PgBouncer:
        files = {
            "users": f'"postgres" "{self.server.password}"\n',
            "ini": CONFIGURATION.format(server=self.server, port=self.port, folder=self.folder, mode=self.mode),
        }
        for name, text in files.items():
            path = self.folder / name
            path.touch(mode=0o600)
            path.write_text(text)
            if self.user:
                shutil.chown(path, self.user)
        self.daemon = Daemon([self.program, str(self.folder / "ini")], self.user, self.folder / "output")
        self.daemon.start(self._ready)
        return self

    def _ready(self) -> bool:
        import psycopg2

        with contextlib.suppress(psycopg2.Error):
            psycopg2.connect(
                host="127.0.0.1", port=self.port, dbname="postgres", user="postgres", password=self.server.password
            ).close()
            return True
        return False

    def remove(self) -> None:
        if self.daemon:
            self.daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
