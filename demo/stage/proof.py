# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked after each deployment: the database, the replicas and a client who kept knocking."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass

from support.postgres import Postgres

from .replicas import Replica


@dataclass(frozen=True)
class Contents:
    """Everything that a deployment could have done to the data."""

    revision: str
    columns: str
    rows: int
    checksum: str

    @property
    def text(self) -> str:
        return f"revision {self.revision}, {self.rows} rows, checksum {self.checksum[:12]}"


def contents(server: Postgres, database: str) -> Contents:
    def fetch(sql: str) -> list[tuple]:
        return server.fetch(sql, name=database)

    columns = fetch(
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    tables = [
        name
        for (name,) in fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"
        )
    ]
    checksum, rows = hashlib.md5(), 0
    for table in tables:
        count, digest = fetch(f"SELECT count(*), md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM {table} t")[0]
        rows += count
        checksum.update(f"{table} {count} {digest}".encode())
    revisions = fetch("SELECT version_num FROM alembic_version ORDER BY 1") if columns else []
    return Contents(",".join(name for (name,) in revisions), str(columns), rows, checksum.hexdigest())


def serving(replicas: list[Replica]) -> list[tuple[str, str, str, str]]:
    """Replica, status, release and revision (or the reason why there is none) as each one tells them."""
    answers = [(replica, *replica.health()) for replica in replicas]
    return [
        (replica.name, str(status or "-"), said.get("release", "-"), said.get("revision") or said.get("reason", ""))
        for replica, status, said in answers
    ]


class Client:
    """Asks for the newest order five times a second, the next replica where one does not answer, and remembers when none did."""

    def __init__(self, replicas: list[Replica]):
        self.replicas = replicas
        self.without_service = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._knock, daemon=True)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _knock(self) -> None:
        failing_since = None
        while not self._over.wait(0.2):
            now = time.monotonic()
            if any(replica.answers() for replica in self.replicas):
                if failing_since is not None:
                    self.without_service += now - failing_since
                failing_since = None
            elif failing_since is None:
                failing_since = now
        if failing_since is not None:
            self.without_service += time.monotonic() - failing_since
