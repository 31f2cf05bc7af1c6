# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Holds what there is against what has to be. Each check names what differs; nothing is taken from what Ansible returned."""

from __future__ import annotations

import fnmatch
import json
from typing import Any, Sequence

import database
import load
import shop
from paths import LAST, LOGS, RUN
from remote import address, on, on_all

SESSIONS = "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = 'shop' AND application_name LIKE 'shop %'"
REMEMBERED = RUN / "remembered.json"


class Expected(Exception):
    """Something is not as it has to be."""


def remember(inventory: str = "three") -> None:
    REMEMBERED.write_text(json.dumps(shop.look(inventory)))


def serves(release: str, inventory: str = "three", rows: str = "", folder: str = "", down: Sequence[str] = ()) -> None:
    """That release serves everywhere but on the hosts `down`, on its schema with its rows: of its reference, or `remembered` ones.

    The properties of the database are those that it was made with, and no session of another release is left.
    """
    found, wanted = shop.look(inventory, down), _content(rows or release)
    wrong = [
        f"{name}: {found.get(name)} and not {wanted[name]}"
        for name in ("revision", "schema", "invalid_indexes")
        if found.get(name) != wanted[name]
    ]
    wrong += _differing_tables(found.get("tables", {}), wanted["tables"])
    if found.get("properties") != _properties():
        wrong.append(f"properties of the database: {found.get('properties')} and not {_properties()}")
    for host, seen in found["hosts"].items():
        wrong += _wrong_on(host, seen, release, folder or release, wanted["revision"])
    wrong += [f"HAProxy has {host} {state}" for host, state in found["haproxy"].items() if (state == "UP") == (host in down)]
    wrong += _wrong_behind_haproxy(release) if inventory == "three" else []
    wrong += [f"a session of {name!r} is left" for (name,) in database.fetch(SESSIONS) if name != f"shop {release}"]
    if wrong:
        raise Expected("\n".join(wrong))


def untouched(inventory: str = "three", built: bool = False) -> None:
    """Nothing at all has changed since `remember`, the files of deployments included; a release may have been `built` in vain."""
    before, now = json.loads(REMEMBERED.read_text()), json.loads(json.dumps(shop.look(inventory)))
    for host in [*before["hosts"].values(), *now["hosts"].values()] if built else []:
        del host["releases"]
    wrong = [f"{name}: {now.get(name)} and not {before.get(name)}" for name in before if now.get(name) != before[name]]
    if wrong:
        raise Expected("\n".join(wrong))


def record(status: str, inventory: str = "three") -> None:
    """The newest deployment ended so, and none is open."""
    records = sorted(shop.look(inventory)["records"].items())
    if not records or records[-1][1]["status"] != status:
        raise Expected(f"the records are {[(name, each['status']) for name, each in records]}; the last one should be {status}")


def said(*texts: str) -> None:
    """Each text is in what the last playbook printed, however its lines were broken."""
    output = " ".join(LAST.read_text().split())
    missing = [text for text in texts if " ".join(text.split()) not in output]
    if missing:
        raise Expected(f"the playbook did not print {missing}; see the newest file in {LOGS}")


def sql_says(sql: str, value: Any) -> None:
    found = database.fetch(sql, database=database.DATABASE)
    if found != [(value,)]:
        raise Expected(f"{sql} says {found} and not {value}")


def no_files(host: str, folder: str) -> None:
    """No half-written file is left there."""
    found = on(host, f"find {folder} -type f").split()
    if found:
        raise Expected(f"{host} has {', '.join(found)}")


def has_database(pattern: str) -> None:
    if not fnmatch.filter(database.databases(), pattern):
        raise Expected(f"the databases are {database.databases()}")


def no_request_failed(*releases: str) -> None:
    """Those who asked since `load` all got an answer, from each of these releases and no other."""
    seen = load.end()
    if seen["failed"] or int(str(seen["asked"])) < 300 or seen["releases"] != sorted(releases):
        raise Expected(f"the clients saw {json.dumps(seen)[:3000]}")


def no_secrets() -> None:
    """No password of this run is in what was printed, nor in any file that a deployment left on a host."""
    secrets = json.loads((RUN / "secrets.json").read_text())
    shown = "".join(path.read_text(errors="replace") for path in LOGS.glob("*.log"))
    kept = "".join(on_all(shop.APPLICATION["three"], "cat /var/lib/dbops/shop/* /root/.ansible* 2>/dev/null; true").values())
    for name in ("shop", "shop_quoted"):
        if secrets[name] in shown + kept:
            raise Expected(f"the password of {name} was printed, or is kept in a file")


def _content(source: str) -> dict[str, Any]:
    if source == "remembered":
        remembered: dict[str, Any] = json.loads(REMEMBERED.read_text())
        return remembered
    return json.loads(json.dumps(database.content(database.reference_name(source))))  # type: ignore[no-any-return]


def _properties() -> dict[str, Any]:
    properties: dict[str, Any] = json.loads((RUN / "properties.json").read_text())
    return properties


def _differing_tables(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [
        f"table {name}: {found.get(name)} and not {wanted.get(name)}"
        for name in sorted({*found, *wanted})
        if found.get(name) != wanted.get(name)
    ]


def _wrong_on(host: str, seen: dict[str, Any], release: str, folder: str, revision: list[str]) -> list[str]:
    wanted = {"service": "active", "current": folder, "health": 200}
    wrong = [f"{host}: {name} is {seen[name]} and not {value}" for name, value in wanted.items() if seen[name] != value]
    if (seen["says"].get("release"), [seen["says"].get("revision")]) != (release, revision):
        wrong.append(f"{host} says {seen['says']}")
    return wrong


def _wrong_behind_haproxy(release: str) -> list[str]:
    said = [shop.ask(f"http://{address('lb1')}:8080/health") for _number in range(6)]
    return [f"through HAProxy: {answer}" for answer in said if answer[0] != 200 or answer[1]["release"] != release]
