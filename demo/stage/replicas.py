# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three replicas of the shop under one supervisord."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from support.processes import Daemon, Unavailable

CONFIGURATION = """\
[unix_http_server]
file = {socket}
chmod = 0700

[supervisord]
nodaemon = true
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
childlogdir = {folder}
{user}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{socket}
"""

# DATABASE_URL comes from supervisord's own environment, so that the password is in no file.
PROGRAM = """
[program:{replica.name}]
command = {replica.folder}/current/venv/bin/python -m shop serve
directory = {replica.folder}/current
environment = PORT="{replica.port}",PYTHONUNBUFFERED="1"
autostart = false
autorestart = unexpected
startsecs = 1
startretries = 2
stopwaitsecs = 25
killasgroup = true
redirect_stderr = true
stdout_logfile = {replica.folder}/shop.log
"""


@dataclass(frozen=True)
class Replica:
    name: str
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def health(self) -> tuple[int, dict[str, str]]:
        """The status and what the page says; status 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
        except OSError as error:
            return 0, {"reason": str(error)}

    def answers(self) -> bool:
        """Whether a customer gets a page."""
        try:
            with urllib.request.urlopen(f"{self.url}/orders?limit=1", timeout=5) as answer:
                return bool(answer.read())
        except OSError:  # an answer that is an error is one as well
            return False

    def place_order(self, amount_cents: int) -> int:
        order = json.dumps({"customer_id": 1, "amount_cents": amount_cents, "note": "placed during the demo"}).encode()
        request = urllib.request.Request(f"{self.url}/orders", order, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(json.load(answer)["id"])


def make(folder: Path, count: int) -> list[Replica]:
    replicas = [Replica(f"shop{number}", folder / f"shop{number}", port) for number, port in enumerate(_free_ports(count), 1)]
    for replica in replicas:
        replica.folder.mkdir(parents=True)
    return replicas


def _free_ports(count: int) -> list[int]:
    """Below the range that outgoing connections take theirs from: a replica comes back to its port after each restart."""
    ports: list[int] = []
    for port in random.sample(range(20000, 32000), 200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                ports.append(port)
        if len(ports) == count:
            return ports
    raise Unavailable("There are no free ports between 20000 and 32000.")


class Supervisor:
    def __init__(self, environment: Path, folder: Path, sockets: Path, replicas: list[Replica]):
        self.ctl = environment / "bin" / "supervisorctl"
        self.configuration = folder / "supervisord.conf"
        names = {"folder": folder, "socket": sockets / "supervisor.sock", "user": "user = root" if os.geteuid() == 0 else ""}
        text = CONFIGURATION.format(**names) + "".join(PROGRAM.format(replica=replica) for replica in replicas)
        self.configuration.write_text(text)
        command = [str(environment / "bin" / "supervisord"), "-n", "-c", str(self.configuration)]
        self.daemon = Daemon(command, None, folder / "supervisord.out")

    def start(self, database_url: str) -> None:
        os.environ["DATABASE_URL"] = database_url
        try:
            self.daemon.start(lambda: self.status().returncode in (0, 3))
        finally:
            del os.environ["DATABASE_URL"]

    def status(self) -> subprocess.CompletedProcess[str]:
        return self._ask("status")

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.ctl), "-c", str(self.configuration), *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def stop(self) -> None:
        self._ask("signal", "TERM", "all")  # all at once: supervisord stops one after the other
        self.daemon.stop(seconds=40)
