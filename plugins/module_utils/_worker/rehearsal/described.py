# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a database holds, in words that are the same for every database that holds the same: to tell many of them apart."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Iterable, List

from .. import moved, observe, project, server, target
from ..environment import EnvironmentRun, Send, Visit
from . import catalog, mysql_catalog, sqlite_catalog
from .named import Identities

#: Kind, name, the table that it belongs to (empty for none), and all that is compared of it.
Object = List[str]
_RELATIONS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "S": "sequence", "f": "foreign table"}
#: Said by the name already, or another way of saying what ``definition`` or ``type`` says.
_SAID = (
    "kind",
    "name",
    "table",
    "column",
    "schema",
    "relkind",
    "key",
    "embedded",
    "affinity",
    "expressions",
    "texts",
    "skips",
    "predicate",
    "unique",
    "raises",
)
_MAIN = ("definition", "type")


class _Reader:
    """The connection of env.py, as the catalogues read one."""

    def __init__(self, dbapi: Any) -> None:
        self.dbapi = dbapi

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return server.rows(self.dbapi, sql)

    def value(self, sql: str) -> Any:
        return server.value(self.dbapi, sql)


def described(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Operation ``plan_schema``: what ``info`` says of each database in brief, with a fingerprint of all that is in it.

    :param request: ``version_schema`` is the only schema to look at; ``known`` are fingerprints whose objects need not be told.
    """
    project.enter(request)
    versions = project.versions()
    moved.begin(request)
    wanted = str(request.get("target") or "heads")
    request = dict(request, observe_target=wanted)
    found: list[dict[str, Any]] = []
    objects: list[Object] = []

    def read(visit: Visit) -> None:
        found.append(observe.entry(request, environment.script, visit))
        prefix = f"{visit.number}:" if visit.number else ""
        objects.extend([kind, prefix + name, prefix + table, text] for kind, name, table, text in _objects(request, visit))

    environment = EnvironmentRun(request, project.load(request, "current"), lambda visit, heads: [], send, read)
    environment.run()
    target.check_project(environment.script)
    objects.sort()
    sign = fingerprint(objects)
    told = None if sign in (request.get("known") or ()) else objects
    aim = sorted(step.revision for step in environment.script.get_revisions(wanted)) if wanted[:1] not in "+-" else []
    return {"versions": versions, "databases": found, "fingerprint": sign, "objects": told, "aim": aim}


def fingerprint(objects: Iterable[Object]) -> str:
    return hashlib.sha256(json.dumps(list(objects)).encode()).hexdigest()[:16]


def _objects(request: dict[str, Any], visit: Visit) -> list[Object]:
    dialect, tables, schema = visit.database["dialect"], [str(visit.database["version_table"])], request.get("version_schema")
    reader: Any = _Reader(visit.dbapi)
    with server.looking(visit.dbapi):
        if dialect == "postgresql":
            seen = catalog.look(reader, tables, schema=schema)
        elif dialect in server.MYSQL:
            seen = mysql_catalog.look(reader, tables, Identities({}))
        elif dialect == "sqlite":
            seen = sqlite_catalog.look(reader, tables, Identities({}))
        else:
            return []
    return spoken(seen, schema if dialect == "postgresql" else None)


def spoken(seen: catalog.Catalog, schema: str | None) -> list[Object]:
    """Return the objects of a catalogue in words, without what only says whose they are.

    :param schema: left out of all names and definitions.
    """
    bare = _without(schema)
    found = []
    for entry in seen.values():
        if (entry["kind"] == "index" and entry.get("constraint")) or entry.get("owned"):
            continue  # which the constraint or the column that it is for says already
        if schema is not None and entry["kind"] in ("schema", "extension", "cast"):
            continue
        kind = _RELATIONS.get(str(entry.get("relkind")), "table") if entry["kind"] == "relation" else str(entry["kind"])
        found.append([kind, bare(str(entry["name"])), bare(str(entry.get("table") or "")), bare(_text(catalog.compared(entry)))])
    return found


def _without(schema: str | None) -> Any:
    if schema is None:
        return lambda text: text
    quoted = '"' + schema.replace('"', '""') + '"'
    pattern = re.compile(rf'(?<![\w".$])(?:{re.escape(schema)}|{re.escape(quoted)})\.')
    return lambda text: pattern.sub("", text)


def _text(facts: dict[str, Any]) -> str:
    first = [str(facts[name]) for name in _MAIN if facts.get(name)][:1]
    if facts.get("valid") is False:
        first.append("not valid")
    rest = {name: value for name, value in facts.items() if name not in (*_SAID, *_MAIN, "valid", "not_null")}
    told = [f"{name} {_shown(value)}" for name, value in sorted(rest.items()) if value not in (None, "", False, [])]
    return ", ".join([*first, *(["not null"] if facts.get("not_null") else []), *told])


def _shown(value: Any) -> str:
    return "yes" if value is True else value if isinstance(value, str) else json.dumps(value, sort_keys=True)
