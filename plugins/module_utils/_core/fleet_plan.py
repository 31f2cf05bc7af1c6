# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Many databases compared: which are equal, how the others differ, and what the rehearsals of each kind come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, Mapping, Sequence, Tuple

from .fleet import share
from .plan import ROUTES

Entry = Dict[str, Any]
#: Kind, name, table and definition of an object, as the worker tells them.
Objects = Sequence[Sequence[str]]
Schemas = Mapping[str, Objects]
_Key = Tuple[str, str]
#: Kinds of objects that others belong to.
RELATIONS = ("table", "view", "materialized view", "foreign table")


@dataclass(frozen=True)
class Way:
    """How a target would go back: ``snapshot``, ``downgrade`` or ``none``, with the reason where it is not the first one wanted.

    :param needed: bytes that its snapshot takes.
    :param free: bytes that its server has; None where that is not known.
    :param kind: what targets that have no way back for the same reason have in common, as reasons name them.
    """

    how: str
    reason: str = ""
    needed: int = 0
    free: int | None = None
    kind: str = ""


def ways_back(ways: Mapping[str, Way], servers: Mapping[str, str]) -> list[Entry]:
    """Return how the targets would go back: an entry for each way and kind of reason, those that have none first.

    :param ways: in the order in which they were found out.
    :param servers: target → its server, in the order in which targets are told; empty for a file.
    """
    full: dict[str, str] = {}
    for server in {servers[name] for name in ways} - {""}:
        there = [way for name, way in ways.items() if servers[name] == server and way.how == "snapshot"]
        needed, free = sum(way.needed for way in there), min((way.free for way in there if way.free is not None), default=None)
        if free is not None and needed > free:
            full[server] = (
                f"{server} has {free >> 20} MiB free, and the snapshots of {len(there)} databases need {needed >> 20} MiB."
            )
    found: dict[tuple[str, str], Entry] = {}
    for name, way in ((name, ways[name]) for name in servers if name in ways):
        lacks = way.how == "snapshot" and servers[name] in full
        key = ("none", servers[name]) if lacks else (way.how, way.kind if way.how == "none" else "")
        reason = full[servers[name]] if lacks else way.reason if way.how == "none" else ""
        entry = found.setdefault(key, {"way": key[0], "reason": reason, "count": 0, "targets": []})
        entry["count"] += 1
        entry["targets"].append(name)
    return sorted(found.values(), key=lambda entry: (entry["way"] != "none", -entry["count"]))


def kinds(entries: Iterable[Entry]) -> list[Entry]:
    """Return the targets that stand at the same place with the same schema, the largest group first.

    The first target of a group is the one that is rehearsed for all of it. Targets that could not be read are left out.
    """
    found: dict[tuple[Any, ...], Entry] = {}
    for entry in entries:
        if entry["schema_fingerprint"] is None or entry["after"] is None:
            continue
        key = (tuple(entry["after"]), entry["state"], tuple(entry["pending"]), entry["schema_fingerprint"])
        same = {name: entry[name] for name in ("state", "schema_fingerprint")}
        fresh = {"at": entry["after"], **same, "pending": list(entry["pending"]), "count": 0, "targets": []}
        group = found.setdefault(key, fresh)
        group["count"] += 1
        group["targets"].append(entry["name"])
    return sorted(found.values(), key=lambda group: -group["count"])


def drift(groups: Sequence[Entry], schemas: Schemas) -> list[Entry]:
    """Return, for targets at the same revisions whose schemas differ, which have another one than most, and how it differs.

    :param groups: those of :func:`kinds`.
    :param schemas: fingerprint → what is there.
    """
    found: list[Entry] = []
    places: dict[tuple[str, ...], list[Entry]] = {}
    for group in groups:
        places.setdefault(tuple(group["at"]), []).append(group)
    for at, there in places.items():
        counts: dict[str, list[str]] = {}
        for group in there:
            counts.setdefault(group["schema_fingerprint"], []).extend(group["targets"])
        most = max(counts, key=lambda sign: len(counts[sign]))  # the first one of those that are equal
        for sign, names in counts.items():
            if sign != most:
                told = {"at": list(at), "targets": names, "count": len(names), "compared_with": counts[most][0]}
                found.append({**told, "equal": len(counts[most]), "differences": differences(schemas[most], schemas[sign])})
    return found


def differences(expected: Objects, found: Objects) -> list[Entry]:
    """Return what is ``missing``, ``extra`` or ``different``; of a table that is not on both sides nothing else is told."""
    first, second = _by_name(expected), _by_name(found)
    alone = {name for kind, name in set(first) ^ set(second) if kind in RELATIONS}
    told: list[Entry] = []
    for key in sorted(set(first) | set(second)):
        wanted, there = first.get(key), second.get(key)
        table = str((wanted or there or ("", ""))[0])
        if table in alone:
            continue
        if wanted is None or there is None or wanted[1] != there[1]:
            how = "missing" if there is None else "extra" if wanted is None else "different"
            texts = {"expected": wanted[1] if wanted else None, "found": there[1] if there else None}
            told.append({"what": how, "kind": key[0], "name": key[1], **texts})
    return told


def _by_name(objects: Objects) -> dict[_Key, tuple[str, str]]:
    return {(kind, name): (table, text) for kind, name, table, text in objects}


def route(plans: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
    """Return the way that all targets can go, and why: the worst of those of their kinds.

    :param plans: ``route``, ``reason`` and ``targets`` of each kind that has something pending.
    """
    worst = max(plans, key=lambda plan: ROUTES.index(plan["route"]), default=None)
    if worst is None:
        return "rolling", "Nothing is pending."
    return worst["route"], str(worst["reason"])


def lines(found: Mapping[str, Any]) -> list[Entry]:
    """Return where many databases stand: an entry for those that are equal, and one for each that is not as the others.

    :param found: the result of ``alembic_fleet`` with ``state`` ``current`` or ``planned``.
    :returns: ``count``, ``at`` (None where it could not be read), ``state``, ``pending``, ``targets`` and ``remark``.
    """
    remarks = {entry["name"]: str(entry["failure"]["message"]) for entry in found["targets"] if entry["failure"]}
    for item in found.get("drift") or ():
        for name in item["targets"]:
            remarks.setdefault(name, f"unlike {item['compared_with']}: {told(item['differences'])}")
    equal: list[Entry] = []
    others: list[Entry] = []
    for group in found["groups"]:
        common = {"at": group["at"], "state": group["state"], "pending": list(group["pending"])}
        same = [name for name in group["targets"] if name not in remarks]
        if same:
            equal.append({"count": len(same), **common, "targets": same, "remark": ""})
        others += [
            {"count": 1, **common, "targets": [name], "remark": remarks[name]} for name in group["targets"] if name in remarks
        ]
    return equal + others


def facts(recorded: Mapping[str, Any], found: Mapping[str, Any]) -> Entry:
    """Return what the record of a deployment is told of many databases when they are upgraded, or were put back.

    :param recorded: what it says of them already, and its ``warnings``.
    :param found: the result of ``alembic_fleet``; empty where nothing was to be done.
    """
    entries = found.get("targets") or []
    behind = [entry for entry in entries if entry["failure"]]
    revisions: dict[str, Entry] = {}
    for entry in entries:
        for step in entry["applied"]:
            known = revisions.setdefault(step["revision"], dict(step))
            known["seconds"] = max(known["seconds"], step["seconds"])  # of the database that took longest
    fleet = {**recorded["fleet"], "counts": found.get("counts") or {}, "behind": [entry["name"] for entry in behind]}
    warnings = list(recorded["warnings"])
    if behind:
        names = "; ".join(f"{entry['name']} ({entry['failure']['kind']}): {entry['failure']['message']}" for entry in behind[:5])
        more = f"; and {len(behind) - 5} more" if len(behind) > 5 else ""
        count = f"{len(behind)} of {len(entries)} databases {'is' if len(behind) == 1 else 'are'} not at the release"
        warnings.append(f"{count}: {names}{more}. Mend that, and deploy the release again with deployment_force_enabled=true.")
    return {"fleet": fleet, "warnings": warnings, "applied": list(revisions.values())}


def told(found: Sequence[Mapping[str, Any]], shown: int = 3) -> str:
    """Return what differs, in a few words."""
    words = [f"{item['what']} {item['kind']} {item['name']}" for item in found]
    return ", ".join(words[:shown]) + (f" and {len(words) - shown} more" if len(words) > shown else "")


def refusals(
    plan: Mapping[str, Any], binding: bool = False, drift: str = "warn", on_failure: str = "all", most: str = "0"
) -> list[str]:
    """Return why the upgrade of many databases is not begun.

    :param binding: a route of ``refuse`` forbids it.
    :param drift: ``warn`` or ``refuse``, of databases that are not as the others.
    :param most: how many may fail where ``on_failure`` is ``one``, as a number or a share.
    """
    found = []
    unread = [entry for entry in plan["targets"] if entry["failure"]]
    if len(unread) > (share(most, len(plan["targets"])) if on_failure == "one" else 0):
        first = f"{unread[0]['name']}: {unread[0]['failure']['message']}"
        closed = all(entry["failure"].get("kind") == "database_read_only" for entry in unread)
        what = "take no writes" if closed else "could not be read"
        found.append(f"{len(unread)} of {len(plan['targets'])} databases {what}. {first}")
    unjudged = [item for item in plan["plans"] if item["failure"]]
    if binding and plan["route"] == "refuse":
        lift = "Mend the release, or set deployment_rehearsal_binding_enabled to false to try all the same."
        found.append(f"{plan['reason']} {lift}" if not unjudged else f"{plan['reason']} {unjudged[0]['failure']['message']} {lift}")
    for entry in plan.get("ways_back") or ():
        if entry["way"] == "none":
            names = ", ".join(entry["targets"][:5]) + (" …" if entry["count"] > 5 else "")
            lift = "Mend that, or choose fleet_way_back: snapshot, downgrade, or none to go without."
            found.append(
                f"{entry['count']} databases have no way back ({names}): {entry['reason'] or 'no way was allowed.'} {lift}"
            )
    if drift == "refuse":
        found += [
            f"{', '.join(item['targets'][:5])}{' …' if item['count'] > 5 else ''} {'is' if item['count'] == 1 else 'are'} not as "
            f"{item['compared_with']}: {told(item['differences'])}. Mend that, or set fleet_drift to warn."
            for item in plan["drift"]
        ]
    return found


def text(plan: Mapping[str, Any]) -> list[str]:
    """Return a plan as lines: the route, each kind with what is found in its revisions, and those that are not as the others."""
    found = [f"{plan['route'].replace('_', ' ')}: {plan['reason']}"]
    for kind in plan["plans"]:
        names = ", ".join(kind["targets"][:5]) + (f" and {kind['count'] - 5} more" if kind["count"] > 5 else "")
        found.append(f"{kind['count']} at {', '.join(kind['at']) or 'base'}: {names}")
        if kind["failure"]:
            found.append(f"  could not be judged: {kind['failure']['message']}")
        for step in kind["revisions"]:
            found.append(f"  {step['revision']} {step['message']}: {step['phase']}")
            found += [f"    {item['rule']} {item['object']}: {item['message']}" for item in step["findings"] if not item["allowed"]]
    return found + [f"{line['targets'][0]}: {line['remark']}" for line in lines(plan) if line["remark"]]
