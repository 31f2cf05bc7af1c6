# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Many databases compared: which are equal, how the others differ, and what the rehearsals of each kind come to."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping, Sequence, Tuple

from .plan import ROUTES

Entry = Dict[str, Any]
#: Kind, name, table and definition of an object, as the worker tells them.
Objects = Sequence[Sequence[str]]
Schemas = Mapping[str, Objects]
_Key = Tuple[str, str]
#: Kinds of objects that others belong to.
RELATIONS = ("table", "view", "materialized view", "foreign table")


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
