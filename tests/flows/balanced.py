# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage with HAProxy in front of its hosts, and hosts that can be lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.load import Load
from flows.mortal import Mortal
from flows.stage import Stage
from support.processes import Daemon, free_port, program

HAPROXY = """\
global
  log stderr format raw local0 warning
  stats socket {socket} mode 600 level admin

defaults
  mode http
  timeout connect 2s
  timeout check 5s
  timeout client 30s
  timeout server 30s
  {options}

frontend web
  bind 127.0.0.1:{port}
  default_backend shop

backend shop
  option httpchk GET /health
  default-server check inter 300ms fall 2 rise 1
{servers}

backend of_others
  server shop9 127.0.0.1:1 disabled
"""

#: The clients' connections are kept, those to the servers are not, and nothing is tried twice.
STRICT = "option http-server-close\n  retries 0"

#: A lost host is one that Ansible reaches by SSH on a port where nobody listens.
LOST = "{{{{ 'ansible.builtin.ssh' if lookup('ansible.builtin.fileglob', '{folder}/lost/' ~ inventory_hostname) else 'local' }}}}"


def downgrade(python: Path, tree: Path, url: str, revision: str) -> None:
    """Downgrade with Alembic's own command line, of that Python's environment, and the scripts in `tree`."""
    command = [str(python.parent / "alembic"), "downgrade", revision]
    subprocess.run(command, cwd=tree, env={**os.environ, "DATABASE_URL": url}, check=True, capture_output=True)


class Balancer:
    """HAProxy in front of `servers`, name → address, with a socket for its administrator."""

    def __init__(self, folder: Path, options: str = "option redispatch\n  retries 2"):
        self.folder, self.options, self.port = folder, options, free_port()
        self.socket = Path(f"/tmp/dbops-haproxy-{os.getpid()}-{self.port}.sock")  # a socket's path has to be short

    def start(self, servers: dict[str, str]) -> None:
        """:raises Unavailable: HAProxy is not installed."""
        lines = "\n".join(f"  server {name} {address}" for name, address in servers.items())
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(socket=self.socket, port=self.port, servers=lines, options=self.options))
        self.daemon = Daemon([program("haproxy"), "-db", "-f", str(configuration)], None, self.folder / "haproxy.out")
        self.daemon.start(lambda: bool(self.servers()))

    def servers(self) -> dict[str, str]:
        """What HAProxy says of each server, such as UP or DRAIN."""
        try:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.connect(str(self.socket))
                asking.sendall(b"show stat\n")
                text = b"".join(iter(lambda: asking.recv(65536), b"")).decode()
        except OSError:
            return {}
        head, *lines = [line.split(",") for line in text.lstrip("# ").splitlines() if line]
        rows = [dict(zip(head, line)) for line in lines]
        return {row["svname"]: row["status"] for row in rows if row["pxname"] == "shop" and row["svname"] != "BACKEND"}

    def stop(self) -> None:
        self.daemon.stop()
        self.socket.unlink(missing_ok=True)


@dataclass
class BalancedStage(Stage, Mortal):
    watched: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.balancer = Balancer(self.folder)
        self.variables = {
            "traffic_method": "haproxy",
            "traffic_haproxy_hosts": ["localhost"],
            "traffic_haproxy_socket": str(self.balancer.socket),
            "traffic_wait_retries": 30,
            "traffic_wait_interval_seconds": 1,
            "health_release_key": "release",
            "ansible_connection": LOST.format(folder=self.folder),
            "ansible_host": "127.0.0.1",
            "ansible_port": 1,
            "deployment_rolling_lock_timeout_seconds": 1,
            **self.variables,
        }
        super().__post_init__()
        (self.folder / "lost").mkdir()
        self.balancer.start({host.name: f"127.0.0.1:{host.port}" for host in self.hosts})

    def servers(self) -> dict[str, str]:
        return self.balancer.servers()

    def lose(self, name: str) -> Path:
        flag = self.folder / "lost" / name
        flag.touch()
        return flag

    def hook(self, name: str, tasks: list[dict[str, Any]]) -> str:
        path = self.folder / f"{name}.yml"
        path.write_text(json.dumps(tasks))
        return str(path)

    def downgrade(self, release: str, revision: str) -> None:
        """Take back by hand what a deployment that was reverted has left expanded."""
        tree = self.hosts[0].root / "releases" / release
        downgrade(self.app, tree, self.database.url(), revision)

    def load(self) -> Load:
        return Load(self.balancer.port)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.watched}

    def close(self) -> None:
        self.balancer.stop()
        super().close()
