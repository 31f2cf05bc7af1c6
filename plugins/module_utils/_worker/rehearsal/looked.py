# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is found out about a database before anything is rehearsed: where it stands, what is pending, and how it is reached."""

from __future__ import annotations

from typing import Any

from .. import history, project, target
from ..environment import EnvironmentRun, Send, Visit
from . import sizes
from .access import Access
from .kinds import KINDS
from .redirect import Redirection


class Looked:
    """What was found out about one context of env.py before anything is rehearsed."""

    def __init__(self, visit: Visit, steps: list[Any], access: Access | None, tables: dict[str, dict[str, Any]]) -> None:
        self.number, self.database, self.current = visit.number, visit.database, visit.current
        self.initialised = visit.initialised
        self.read_only = visit.read_only
        self.steps = steps
        self.pending = [target.describe_step(step) for step in steps]
        self.access, self.tables = access, tables
        self.revision_map: Any = None  # what was read of the revisions' files, which does not change while they are rehearsed

    @property
    def version_table(self) -> tuple[str, str, list[str]]:
        schema = self.database["version_table_schema"] or self.database["schema"] or "public"
        return str(schema), str(self.database["version_table"]), sorted(self.current)


def look(request: dict[str, Any], send: Send, redirection: Redirection) -> list[Looked]:
    found: list[Looked] = []

    def prepare(visit: Visit) -> None:
        steps = target.upgrade_steps(environment.script, request.get("target") or "heads", visit.current)
        for message in history.check_lengths(visit.context, steps):
            send({"event": "warning", "message": message})
        tables = sizes.of_tables(visit.database["dialect"], visit.dbapi)
        found.append(Looked(visit, steps, redirection.access_of(visit.connection), tables))

    environment = EnvironmentRun(request, project.load(request, "upgrade"), lambda visit, heads: [], send, prepare)
    environment.run()
    for each in found:
        each.revision_map = environment.script.revision_map
    return found


def by_database(looked: list[Looked]) -> list[tuple[Access, list[Looked]]]:
    found: dict[tuple[str, ...], tuple[Access, list[Looked]]] = {}
    for each in looked:
        if each.access is not None:
            found.setdefault(each.access.endpoint, (each.access, []))[1].append(each)
    return list(found.values())


def hindrance(looked: Looked) -> str | None:
    """Return why a database can not be rehearsed, before anything is tried."""
    dialect = looked.database["dialect"]
    if dialect not in KINDS:
        return f"There is no rehearsal for {dialect}."
    if looked.access is None:
        return "The project connects with a function of its own, which can not be led to a copy."
    if looked.database["pooler"]:
        return "The URL goes through a proxy that pools transactions. Give the server's own address."
    if dialect == "sqlite" and looked.access.endpoint[2] in ("", ":memory:"):
        return "The database is in memory, so there is nothing to copy."
    if dialect == "sqlite" and looked.access.endpoint[2].startswith("file:"):
        return "The database is given as a URI. Give its path, so that it can be copied."
    return None
