# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong in scenarios. `shop.reset` undoes all of it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import database
from remote import network, on

LAB = [sys.executable, str(Path(__file__).parent)]
NEVER_STOPS = """
mkdir -p /run/systemd/system/shop.service.d
printf '[Service]\\nKillSignal=SIGCONT\\nTimeoutStopSec=25\\n' > /run/systemd/system/shop.service.d/never-stops.conf
systemctl daemon-reload
"""


def unplug(host: str) -> None:
    network().cable(host, "down")


def plug_in(host: str) -> None:
    network().cable(host, "up")


def never_stops(host: str) -> None:
    """The service ignores that it is to stop, until systemd kills it much later."""
    on(host, NEVER_STOPS)


def small_disk(host: str, folder: str, kilobytes: int) -> None:
    on(host, f"mkdir -p {folder} && mount -t tmpfs -o size={kilobytes}k tmpfs {folder}")


def restart_database() -> None:
    """As a crash: no session is waited for."""
    on("db1", "pg_ctlcluster 15 main stop -m immediate --skip-systemctl-redirect; systemctl restart postgresql@15-main")


def crash_soon(seconds: float) -> None:
    """The database server crashes while the migration waits for a lock."""
    session("shop", seconds + 3, "LOCK TABLE orders IN ACCESS SHARE MODE")
    command = [*LAB, "steps", json.dumps([["sleep", seconds], ["restart-database"]])]
    subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def session(user: str, seconds: float, sql: str = "SELECT 1") -> None:
    """Somebody else's session, in a transaction, for a while and in the background; returns when it is there."""
    command = [*LAB, "hold", user, str(seconds), sql]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True, text=True)
    if not process.stdout or process.stdout.readline() != "held\n":
        raise SystemExit("the session could not be opened")


def hold(user: str, seconds: str, sql: str) -> None:
    with contextlib.suppress(Exception), database.connected(database.DATABASE, user) as connection:
        connection.autocommit = False
        connection.cursor().execute(sql)
        print("held", flush=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        deadline = time.monotonic() + float(seconds)
        while time.monotonic() < deadline:
            time.sleep(0.2)
            connection.cursor().execute("SELECT 1")


def corrupt(host: str, pattern: str) -> None:
    """Some bytes in the middle of the newest such file are others; its size and time stay."""
    on(
        host,
        f"set -e; file=$(ls -t {pattern} | head -1); time=$(stat -c %Y $file); size=$(stat -c %s $file)\n"
        "printf 'not what was written' | dd of=$file bs=1 seek=$((size / 2)) conv=notrunc status=none; touch -d @$time $file",
    )


def write_file(host: str, path: str, text: str) -> None:
    on(host, f"mkdir -p $(dirname {path}) && cat > {path}", stdin=text)


def sql(statement: str) -> None:
    database.fetch(statement, database=database.DATABASE)


def server_sql(statement: str) -> None:
    database.fetch(statement)


FAULTS = {
    name.replace("_", "-"): function
    for name, function in list(globals().items())
    if callable(function) and getattr(function, "__module__", "") == __name__
}
