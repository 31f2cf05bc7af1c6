# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What PostgreSQL finds by a name without a schema: the first of the search path that the role may use."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from .catalog import Catalog, of_kind
from .rights import Rights

_STANDARD = '"$user", public'


def shadowed(
    roles: Iterable[str],
    settings: Mapping[tuple[str, str], str],
    changes: Iterable[dict[str, Any]],
    catalog: Catalog,
    rights: Rights,
) -> list[dict[str, str]]:
    """Return what is new, or has a name since this revision, and is found instead of what had it in another schema."""
    named = [change["after"] for change in changes if change["after"] and change["kind"] in ("relation", "type", "function")]
    named = [each for each in named if _schema(each["name"]) != "public"]
    found = []
    for role in roles if named else ():
        path = settings.get((role, "search_path")) or settings.get(("", "search_path")) or _STANDARD
        schemas = [role if part == '"$user"' else part.strip('"') for part in (each.strip() for each in path.split(","))]
        usable = [each for each in schemas if "USAGE" in (rights.get((role, "schema", each)) or {})]
        for new in named:
            schema = _schema(new["name"])
            behind = usable[usable.index(schema) + 1 :] if schema in usable else []
            others = {each["name"] for each in of_kind(catalog, new["kind"]) if each["oid"] != new["oid"]} if behind else set()
            other = next(
                (f"{each}{new['name'][len(schema) :]}" for each in behind if f"{each}{new['name'][len(schema) :]}" in others), ""
            )
            if other:
                found.append({"role": role, "object": new["name"], "other": other, "kind": new["kind"]})
    return found


def _schema(name: str) -> str:
    return name.partition(".")[0]
