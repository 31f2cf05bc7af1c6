#!/usr/bin/env python3
# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures what the migrations of the labelled sets do to running code, and writes the labels.

For each case: a database with rows; every statement of old code in a session of its own, again and again, while the migration runs
in another process; then each of them once more. A case blocks if in every round the same statement waited for more than 0.3 s and
for more than half of the migration. Run it on a machine that is not busy: measure.py mariadb postgresql sqlite [--only CASE …]
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from bench.labelled import (
    Labelled,
    Old,
    mariadb,
    postgresql,
    postgresql_billing,
    postgresql_clinic,
    postgresql_desk,
    postgresql_energy,
    postgresql_exchange,
    postgresql_shipping,
    sqlite,
)
from support import venvs
from support.mariadb import MariaDB
from support.postgres import Postgres

ROWS = 150_000
#: PostgreSQL reads faster than its least wait in so few.
POSTGRESQL_ROWS = 1_500_000
ROUNDS = 2
LEAST_SECONDS = 0.3
#: Migrates when it is told to, and says when it began and ended; what it imports it has imported before.
_RUN = """
import sys, time
from alembic import command
from alembic.config import Config
config = Config("alembic.ini")
command.current(config)
print("ready", flush=True)
sys.stdin.readline()
began, error = time.time(), ""
try:
    command.upgrade(config, sys.argv[1])
except Exception as exc:
    error = str(exc).splitlines()[0]
print(repr((began, time.time(), error)), flush=True)
"""
Connect = Callable[[], Any]


class Worker(threading.Thread):
    """One statement of old code, in a session of its own, until it is told to stop."""

    def __init__(self, connect: Connect, old: Old, numbers: Iterator[int], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.connect, self.old, self.numbers, self.stop = connect, old, numbers, stop
        self.waits: list[tuple[float, float]] = []

    def run(self) -> None:
        connection = self.connect()
        while not self.stop.is_set():
            began = time.time()
            with contextlib.suppress(Exception):  # whether it still works is asked afterwards
                run(connection, self.old.sql.replace("{n}", str(next(self.numbers))))
            self.waits.append((began, time.time()))
            time.sleep(0.01)
        connection.close()

    def longest(self, began: float, ended: float) -> float:
        return max((until - since for since, until in self.waits if until > began and since < ended), default=0.0)


def run(connection: Any, sql: str) -> list[Any]:
    cursor = connection.cursor()
    try:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        cursor.close()


def measured(labelled: Labelled, folder: Path, case: str, connect: Connect, url: str) -> dict[str, Any]:
    """Run one case on a database that is at the base, and return what was seen."""
    stop, numbers = threading.Event(), itertools.count(int(time.time()) % 1000 * 100000 + 2000)
    program = subprocess.Popen(
        [venvs.application("alembic120"), "-c", _RUN, case],
        cwd=folder,
        env={**os.environ, "DB_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin and program.stdout
    while program.stdout.readline().strip() != "ready":
        assert program.poll() is None, f"the migration of {case} could not be started"
    workers = {name: Worker(connect, old, numbers, stop) for name, old in labelled.old.items()}
    for worker in workers.values():
        worker.start()
    time.sleep(0.5)
    program.stdin.write("go\n")
    program.stdin.flush()
    *_rest, told = program.communicate()[0].strip().splitlines()
    began, ended, error = eval(told)  # our own program's repr
    time.sleep(0.3)
    stop.set()
    for worker in workers.values():
        worker.join()
    failed = failing(labelled, connect, numbers)
    waits = {name: worker.longest(began, ended) for name, worker in workers.items()}
    return {"seconds": ended - began, "error": error, "waits": waits, "failed": failed}


def failing(labelled: Labelled, connect: Connect, numbers: Iterator[int]) -> dict[str, str]:
    """Run every statement of old code once, and return what is wrong with those that do not work."""
    try:
        connection = connect()
    except Exception as exc:  # old code is let in no more
        return dict.fromkeys(labelled.old, str(exc))
    failed = {name: why for name, old in labelled.old.items() for why in [wrong(connection, old, next(numbers))] if why}
    connection.close()
    return failed


def rounds(labelled: Labelled, folder: Path, case: str, fresh: Callable[[], tuple[Connect, str]]) -> Iterator[dict[str, Any]]:
    """Measure a case as often as its label needs: what harms nothing in one round does not harm in every round."""
    for _round in range(ROUNDS):
        seen = measured(labelled, folder, case, *fresh())
        yield seen
        if label([seen])["blocks"] is False and not seen["failed"]:
            return


def wrong(connection: Any, old: Old, number: int) -> str:
    """Run a statement of old code, and return what is wrong with it."""
    try:
        run(connection, old.sql.replace("{n}", str(number)))
        found = run(connection, old.after.replace("{n}", str(number)))[0][0] if old.after else old.expected
    except Exception as exc:
        return str(exc)
    return "" if found == old.expected else f"{old.after} gives {found}"


def label(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    last = rounds[-1]
    blocking = [
        name for name in last["waits"] if all(each["waits"][name] > max(LEAST_SECONDS, each["seconds"] / 2) for each in rounds)
    ]
    waits = {name: round(min(each["waits"][name] for each in rounds), 2) for name in blocking}
    broken = {name: why for name, why in last["failed"].items() if all(name in each["failed"] for each in rounds)}
    return {
        "blocks": None if last["error"] else bool(blocking),
        "old_code": "fails" if last["error"] else "break" if broken else "ok",
        "seconds": round(min(each["seconds"] for each in rounds), 2),
        "waits": waits,
        "after": broken,
        "error": last["error"] or None,
    }


@contextlib.contextmanager
def of_mariadb(labelled: Labelled, folder: Path) -> Iterator[Callable[[], tuple[Connect, str]]]:
    import pymysql

    server = MariaDB().create().start()
    database = server.database()
    filled(labelled, folder, database.url(), database.fetch)
    where = {"host": server.host, "port": server.port, "user": database.role, "password": database.password}
    data, template = server.folder / "data", server.folder / "template"
    server.stop()
    subprocess.run(["cp", "-a", data, template], check=True)

    def fresh() -> tuple[Connect, str]:
        server.stop()
        shutil.rmtree(data)
        subprocess.run(["cp", "-a", template, data], check=True)
        server.start()
        return lambda: pymysql.connect(database=database.name, autocommit=True, **where), database.url()

    try:
        yield fresh
    finally:
        server.remove()


@contextlib.contextmanager
def of_postgresql(labelled: Labelled, folder: Path) -> Iterator[Callable[[], tuple[Connect, str]]]:
    server = Postgres().create().start()
    server.fetch(f"create role {postgresql.READER} login password '{server.password}'")
    template = server.database()
    filled(labelled, folder, template.url(), template.fetch, POSTGRESQL_ROWS)
    one = dataclasses.replace(template, name="one")

    def fresh() -> tuple[Connect, str]:
        server.fetch(f"drop database if exists {one.name} with (force)")
        server.fetch(f"create database {one.name} template {template.name} owner {one.role} strategy file_copy")
        return lambda: server.connect(one.name, postgresql.READER), one.url()

    try:
        yield fresh
    finally:
        server.remove()


@contextlib.contextmanager
def of_sqlite(labelled: Labelled, folder: Path) -> Iterator[Callable[[], tuple[Connect, str]]]:
    with tempfile.TemporaryDirectory(prefix="dbops-bench-") as home:
        template, path = Path(home) / "template.db", Path(home) / "one.db"

        def connect() -> Any:
            return sqlite3.connect(path, isolation_level=None, timeout=600, check_same_thread=False)

        def fresh() -> tuple[Connect, str]:
            if not template.exists():
                with contextlib.closing(sqlite3.connect(template, isolation_level=None)) as connection:
                    filled(labelled, folder, f"sqlite:///{template}", lambda sql: run(connection, sql))
            shutil.copyfile(template, path)
            return connect, f"sqlite:///{path}"

        yield fresh


def filled(labelled: Labelled, folder: Path, url: str, run_one: Callable[[str], Any], rows: int = ROWS) -> None:
    """Bring a database to the base, and fill it."""
    python = venvs.application("alembic120")
    command = [python, "-m", "alembic.config", "upgrade", "b000"]
    subprocess.run(command, cwd=folder, env={**os.environ, "DB_URL": url}, check=True, capture_output=True)
    for statement in labelled.rows:
        run_one(statement.replace("{rows}", str(rows)))


MAKERS = {
    labelled.name: (labelled, maker)
    for labelled, maker in (
        (mariadb.SET, of_mariadb),
        (postgresql.SET, of_postgresql),
        (postgresql_shipping.SET, of_postgresql),
        (postgresql_desk.SET, of_postgresql),
        (postgresql_clinic.SET, of_postgresql),
        (postgresql_exchange.SET, of_postgresql),
        (postgresql_billing.SET, of_postgresql),
        (postgresql_energy.SET, of_postgresql),
        (sqlite.SET, of_sqlite),
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", choices=list(MAKERS))
    parser.add_argument("--only", nargs="*", help="cases to measure again; the labels of others are kept")
    arguments = parser.parse_args()
    for name in arguments.sets:
        labelled, server = MAKERS[name]
        labels = labelled.labels if labelled.path.exists() else {}
        with tempfile.TemporaryDirectory(prefix="dbops-bench-") as home:
            folder = labelled.project(Path(home) / "project")
            with server(labelled, folder) as fresh:
                for case in arguments.only or labelled.cases:
                    labels[case] = label(list(rounds(labelled, folder, case, fresh)))
                    print(case, json.dumps(labels[case]), flush=True)
                    kept = {each: labels[each] for each in labelled.cases if each in labels}
                    labelled.path.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
