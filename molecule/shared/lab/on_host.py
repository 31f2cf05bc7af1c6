# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a host, from standard input: prints as JSON what is to be seen there."""

import glob
import json
import os
import socket
import subprocess


def output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip()


def service() -> str:
    if not os.path.exists("/etc/supervisor/conf.d/shop.conf"):
        return output("systemctl", "is-active", "shop")
    word = [*output("supervisorctl", "status", "shop").split(), "", ""][1]
    return {"RUNNING": "active", "STOPPED": "inactive"}.get(word, word.lower())


def records() -> dict:  # type: ignore[type-arg]
    found = {}
    for path in glob.glob("/var/lib/dbops/shop/2*.json"):
        try:
            with open(path) as file:
                record = json.load(file)
            found[record["id"]] = record
        except (ValueError, KeyError):
            found[os.path.basename(path)] = {"status": "unreadable"}
    return found


def haproxy() -> dict:  # type: ignore[type-arg]
    try:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect("/run/haproxy/admin.sock")
            admin.sendall(b"show stat\n")
            rows = [line.split(",") for line in admin.makefile() if line.startswith("shop,")]
    except OSError:
        return {}
    return {row[1]: row[17] for row in rows if row[1] not in ("FRONTEND", "BACKEND")}


print(
    json.dumps(
        {
            "service": service(),
            "current": os.path.basename(os.path.realpath("/srv/shop/current")),
            "processes": len(output("pgrep", "-u", "shop").split()),
            "releases": sorted(os.listdir("/srv/shop/releases")) if os.path.isdir("/srv/shop/releases") else [],
            "archives": sorted(path for path in glob.glob("/var/backups/shop/**", recursive=True) if os.path.isfile(path)),
            "records": records(),
            "haproxy": haproxy(),
        }
    )
)
