# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample application on its hosts: put back to a known state, and looked at."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Sequence

import database
from keeper import HOSTS
from remote import address, network, on

#: Inventory → its application hosts. The first one is the migrator.
APPLICATION = {"three": ("app1", "app2", "app3"), "debian13": ("new1",), "hybrid": ("app1", "app2")}
MANAGERS = {"app1": "systemctl", "app2": "systemctl", "app3": "supervisorctl", "new1": "systemctl"}
COMMANDS = {host: MANAGERS[host] for host in MANAGERS if host in HOSTS}
#: What scenarios leave behind on a host.
CLEAN = """
umount /var/backups/shop 2>/dev/null
rm -rf /var/lib/dbops /var/backups/shop /run/systemd/system/shop.service.d
sed -i /^CARRIER_KEY/d /etc/shop/environment
pkill -KILL -u shop
[ {command} != systemctl ] || {{ systemctl daemon-reload; systemctl reset-failed shop 2>/dev/null; }}
{command} stop shop # supervisor starts what was killed again
"""
#: A release that no deployment has made yet is made as setup made release 1.0.
SERVE = """
set -e; cd /srv/shop/releases
[ -e {release} ] || {{ cp -a 1.0 .new; rm -rf .new/shop; cp -r /srv/releases/tree/{release}/. .new; mv .new {release}; }}
ln -sfn releases/{release} /srv/shop/current; {command} start shop
"""


def reset(release: str, inventory: str = "three") -> None:
    """That release serves on every host of the inventory, on its reference database; no trace of a deployment is left."""
    hosts = APPLICATION[inventory]
    for host in COMMANDS:
        network().cable(host, "up")
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: on(host, CLEAN.format(command=COMMANDS[host]), check=False), COMMANDS))
        database.reset(release)
        if inventory == "three":
            on("lb1", "systemctl restart haproxy")
        list(pool.map(lambda host: on(host, SERVE.format(release=release, command=COMMANDS[host])), hosts))
    deadline = time.monotonic() + 180
    while not _all_up(look_at_hosts(inventory)):
        if time.monotonic() > deadline:
            raise SystemExit(f"release {release} does not come up on {', '.join(hosts)}")


def forget(release: str) -> None:
    """No host has that release any more."""
    for host in COMMANDS:
        on(host, f"rm -rf /srv/shop/releases/{release}")


def _all_up(seen: dict[str, Any]) -> bool:
    return all(host["health"] == 200 for host in seen["hosts"].values()) and {*seen["haproxy"].values()} <= {"UP"}


def ask(url: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON; status 0 when nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, {"Content-Type": "application/json"}), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None
    except (OSError, ValueError):
        return 0, None


def look(inventory: str = "three", down: Sequence[str] = ()) -> dict[str, Any]:
    """All that can be asked, but not of hosts `down`: database, service managers, health pages, HAProxy, records."""
    found: dict[str, Any] = {"databases": database.databases()}
    if database.DATABASE in found["databases"]:
        found.update(database.content(), properties=database.properties())
    return {**found, **look_at_hosts(inventory, down)}


def look_at_hosts(inventory: str, down: Sequence[str] = ()) -> dict[str, Any]:
    hosts, found = [host for host in APPLICATION[inventory] if host not in down], {}
    script = (Path(__file__).parent / "on_host.py").read_text()
    with ThreadPoolExecutor() as pool:
        asked = dict(zip((*hosts, "lb1"), pool.map(lambda host: json.loads(on(host, "python3 -", stdin=script)), (*hosts, "lb1"))))
    for host in hosts:
        status, said = ask(f"http://{address(host)}:8000/health")
        found[host] = {**asked[host], "health": status, "says": said or {}}
    return {
        "hosts": found,
        "records": asked[hosts[0]]["records"],
        "archives": asked[hosts[0]]["archives"],
        "haproxy": asked["lb1"]["haproxy"] if inventory == "three" else {},
    }


def write_orders(number: int, host: str = "app1") -> None:
    """Business goes on: that many orders, by the application itself."""
    for count in range(number):
        status, _said = ask(f"http://{address(host)}:8000/orders", {"customer_id": 1 + count, "amount_cents": 100 + count})
        if status != 201:
            raise SystemExit(f"{host} took no order: status {status}")


def make_reference(release: str, before: str | None) -> None:
    """What that release's database has to be, made by Alembic's own command line on app1."""
    name = database.reference_name(release)
    if (name,) in database.fetch("SELECT datname FROM pg_database"):
        return
    template = database.reference_name(before) if before else "template1"
    database.fetch(f"CREATE DATABASE {name} TEMPLATE {template} OWNER shop")
    seed = "" if before else "&& {python} -m shop seed --orders 1000"
    url = "${DATABASE_URL%/*}/" + name
    python = "/srv/shop/releases/1.0/venv/bin/python"
    on(
        "app1",
        f"set -e; . /etc/shop/environment; export DATABASE_URL={url} PYTHONDONTWRITEBYTECODE=1; cd /srv/releases/tree/{release}\n"
        f"{python} -m alembic upgrade head {seed.format(python=python)}",
    )
