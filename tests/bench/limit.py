# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least that a window can take here: its steps by a bare script over SSH connections that are open, with all prepared.

It proves nothing, writes nothing down, and has no way back but the copy that it makes.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

#: As CLEAN makes the release that is there before.
PREPARE = """
set -e; cd /srv/shop/releases; rm -rf .new {release}; cp -a 1.0 .new
rm -rf .new/shop; cp -r /srv/releases/tree/{release}/. .new; mv .new {release}
cd {release}; DATABASE_URL= venv/bin/python -m compileall -q . || true"""
TELL = """python3 -c '
import socket, sys
for command in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as balancer:
        balancer.connect("/run/haproxy/admin.sock")
        balancer.sendall((command + chr(10)).encode())
        balancer.recv(4096)
' {commands}"""
DATABASE = """
set -e; cd /srv/shop/releases/{release}
psql -qc 'create database shop_limit template shop strategy file_copy'
venv/bin/alembic upgrade head"""
SERVE = """
set -e; ln -sfn releases/{release} /srv/shop/current; {control} start shop
exec python3 -c '
import time, urllib.request
while True:
    try:
        with urllib.request.urlopen("http://127.0.0.1:8000/health", timeout=5):
            break
    except OSError:
        time.sleep(0.1)
'"""


class Limit:
    """:param hosts: of the application, each with the program that controls its services."""

    def __init__(self, folder: Path, hosts: Mapping[str, str]) -> None:
        self.folder, self.hosts = folder, hosts

    def prepare(self, release: str) -> None:
        self._all(PREPARE.format(release=release))

    def deploy(self, release: str, environment: Mapping[str, str]) -> None:
        """Take the window's steps; the first host of the application works on the database."""
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        self._tell("drain")
        self._all("{control} stop shop")
        self._on(next(iter(self.hosts)), exports + DATABASE.format(release=release))
        self._all(SERVE.format(release=release, control="{control}"))
        self._tell("ready")

    def _tell(self, state: str) -> None:
        commands = " ".join(shlex.quote(f"set server shop/{host} state {state}") for host in self.hosts)
        self._on("lb1", TELL.format(commands=commands))

    def _all(self, script: str) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda host: self._on(host, script.replace("{control}", self.hosts[host])), self.hosts))

    def _on(self, host: str, script: str) -> None:
        subprocess.run(
            [*self._ssh(host), "sh"], input=script, text=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _ssh(self, host: str, *options: str) -> Sequence[str]:
        from remote import OPTIONS, address

        return ["ssh", *OPTIONS, "-o", f"ControlPath={self.folder}/{host}.ssh", *options, f"root@{address(host)}"]

    @contextlib.contextmanager
    def connected(self) -> Iterator[Limit]:
        """Keep a connection to each host open."""
        places = ["lb1", *self.hosts]
        for host in places:
            subprocess.run([*self._ssh(host, "-MNf")], check=True)
        try:
            yield self
        finally:
            for host in places:
                subprocess.run([*self._ssh(host, "-O", "exit")], check=False, stderr=subprocess.DEVNULL)
