# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stage with HAProxy in front of its hosts, and controllers that can be killed and hosts that can be lost."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.load import Load
from flows.stage import Run, Stage
from support.paths import ROOT
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
  option redispatch
  retries 2

frontend web
  bind 127.0.0.1:{port}
  default_backend shop

backend shop
  option httpchk GET /health
  default-server check inter 300ms fall 2 rise 1
{servers}
"""

#: A lost host is one that Ansible reaches by SSH on a port where nobody listens.
LOST = "{{{{ 'ansible.builtin.ssh' if lookup('ansible.builtin.fileglob', '{folder}/lost/' ~ inventory_hostname) else 'local' }}}}"


@dataclass
class BalancedStage(Stage):
    more: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port, self.killed = free_port(), self.folder / "killed"
        self.socket = Path(f"/tmp/dbops-haproxy-{os.getpid()}-{self.port}.sock")  # a socket's path has to be short
        self.variables = {
            "traffic_method": "haproxy",
            "traffic_haproxy_hosts": ["localhost"],
            "traffic_haproxy_backend": "shop",
            "traffic_haproxy_socket": str(self.socket),
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
        servers = "\n".join(f"  server {host.name} 127.0.0.1:{host.port}" for host in self.hosts)
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(HAPROXY.format(socket=self.socket, port=self.port, servers=servers))
        self.balancer = Daemon([program("haproxy"), "-db", "-f", str(configuration)], None, self.folder / "haproxy.out")
        self.balancer.start(lambda: bool(self.servers()))

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

    def lose(self, name: str) -> Path:
        flag = self.folder / "lost" / name
        flag.touch()
        return flag

    def killed_at(self, playbook: str, task: str, moment: str = "before", number: int = 1, **extra: Any) -> Run:
        """Run a playbook whose controller gets SIGKILL at that task."""
        self.killed.unlink(missing_ok=True)
        at = {"task": task, "moment": moment, "number": number, "kill": True}
        self.more = {
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "molecule" / "shared" / "callbacks"),
            "LAB_AT": json.dumps(at),
            "LAB_AT_DONE": str(self.killed),
        }
        try:
            run = self.play(playbook, **extra)
        finally:
            self.more = {}
        assert self.killed.exists(), f"{at} never came:\n{run.output}"
        return run

    def hook(self, name: str, tasks: list[dict[str, Any]]) -> str:
        path = self.folder / f"{name}.yml"
        path.write_text(json.dumps(tasks))
        return str(path)

    def load(self) -> Load:
        return Load(self.port)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.more}

    def close(self) -> None:
        self.balancer.stop()
        self.socket.unlink(missing_ok=True)
        super().close()
