# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of one run: a bridge with a subnet that nothing else here uses, and a network namespace per host.

This machine is .1 in it. Nothing is routed any further, so the hosts reach nothing beyond this machine.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUBNETS = "10.213.{}.0/24"
BRIDGES = "dblab{}"


class Taken(Exception):
    """Another run made a bridge of that name first."""


def ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode and "File exists" in done.stderr:
        raise Taken(done.stderr)
    if done.returncode and check:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def listed(*arguments: str) -> list[dict[str, Any]]:
    return [entry for entry in json.loads(ip("-json", *arguments) or "[]") if entry]


@dataclass(frozen=True)
class Network:
    number: int

    @classmethod
    def claim(cls, owner: Path) -> Network:
        """Make the bridge of a free subnet. Its alias says which run it belongs to."""
        routes = [entry["dst"] for entry in listed("-4", "route", "show", "table", "all") if "/" in entry.get("dst", "")]
        used = [ipaddress.ip_network(route, strict=False) for route in routes]
        for number in range(1, 255):
            if any(ipaddress.ip_network(SUBNETS.format(number)).overlaps(other) for other in used):
                continue
            network = cls(number)
            try:
                ip("link", "add", network.bridge, "type", "bridge")
            except Taken:
                continue
            ip("link", "set", network.bridge, "alias", str(owner))
            ip("address", "add", f"{network.prefix}.1/24", "dev", network.bridge)
            ip("link", "set", network.bridge, "up")
            return network
        raise RuntimeError("no free subnet in 10.213.0.0/16")

    @classmethod
    def all(cls) -> list[tuple[Network, Path]]:
        """The networks that are there now, and the folder of the run that each was made for."""
        links = [entry for entry in listed("-details", "link", "show", "type", "bridge") if "ifalias" in entry]
        return [(cls(int(entry["ifname"][5:])), Path(entry["ifalias"])) for entry in links if entry["ifname"].startswith("dblab")]

    @property
    def bridge(self) -> str:
        return BRIDGES.format(self.number)

    @property
    def prefix(self) -> str:
        return f"10.213.{self.number}"

    def unique(self, host: str) -> str:
        """A name for the host that no other run uses: its machine, namespace and cable."""
        return f"dbl{self.number}-{host}"

    def plug_in(self, host: str, address: str) -> None:
        name = self.unique(host)
        ip("netns", "add", name)
        ip("link", "add", name, "type", "veth", "peer", "name", "host0", "netns", name)
        ip("link", "set", name, "master", self.bridge, "up")
        ip("-n", name, "link", "set", "lo", "up")
        ip("-n", name, "address", "add", f"{address}/24", "dev", "host0")
        ip("-n", name, "link", "set", "host0", "up")
        ip("-n", name, "route", "add", "default", "via", f"{self.prefix}.1")

    def cable(self, host: str, state: str) -> None:
        """`down` pulls the host's cable, `up` puts it back."""
        ip("link", "set", self.unique(host), state)

    def remove(self) -> None:
        ours = f"dbl{self.number}-"
        for link in listed("link", "show"):
            if link["ifname"].startswith(ours):
                ip("link", "delete", link["ifname"], check=False)
        for space in listed("netns", "list"):
            if space["name"].startswith(ours):
                ip("netns", "delete", space["name"], check=False)
        ip("link", "delete", self.bridge, check=False)
