# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the supervisor knows of an operation from its events, whether or not the process that sent them lived on."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

#: Events that are worth showing while they happen; the others only feed the journal.
PROGRESS = ("lock_wait", "revision_start", "revision_end", "retry", "initialise")


def identity(database: Dict[str, Any]) -> str:
    """Return what tells one database or tenant of an env.py from another."""
    keys = ("dialect", "host", "port", "database", "schema", "version_table_schema", "version_table", "name", "schema_translate_map")
    return "|".join(str(database.get(key)) for key in keys)


class Journal:
    """Collects the events of all attempts of one operation."""

    def __init__(self) -> None:
        self.versions: Optional[Dict[str, str]] = None
        self.graph: Dict[str, List[str]] = {}
        self.contexts: List[Dict[str, Any]] = []
        self.warnings: List[str] = []
        self.facts: Dict[str, Any] = {}
        self.backends: List[Dict[str, Any]] = []
        self.begin_attempt()

    def begin_attempt(self) -> None:
        self.by_number: Dict[int, Dict[str, Any]] = {}
        self.error: Optional[Dict[str, Any]] = None
        self.use_url: Optional[str] = None
        self.observed: Optional[List[Dict[str, Any]]] = None
        self.done = False
        self.running: Optional[Dict[str, Any]] = None

    @property
    def dirty(self) -> bool:
        """Something of the revision that was running is in the database for good."""
        return bool(self.running and self.running["committed"])

    def take(self, message: Dict[str, Any]) -> None:
        """Note one event."""
        handler = getattr(self, "_on_" + message["event"], None)
        if handler:
            handler(message)

    def _on_versions(self, message: Dict[str, Any]) -> None:
        self.versions = message["versions"]

    def _on_graph(self, message: Dict[str, Any]) -> None:
        self.graph = message["graph"]

    def _on_warning(self, message: Dict[str, Any]) -> None:
        if message["message"] not in self.warnings:
            self.warnings.append(message["message"])

    def _on_backend(self, message: Dict[str, Any]) -> None:
        self.backends.append(message)

    def _on_context(self, message: Dict[str, Any]) -> None:
        """A context is known: the same one as in an earlier attempt keeps what it was before that."""
        key = identity(message["database"])
        taken = [id(context) for context in self.by_number.values()]
        context = next((item for item in self.contexts if item["key"] == key and id(item) not in taken), None)
        if context is None:
            context = {name: message[name] for name in ("database", "initialised", "before", "planned", "invalid_before")}
            context.update(key=key, ran=[], lock=None, observed=None)
            self.contexts.append(context)
        context["lock"] = message["lock"] or context["lock"]
        self.by_number[message["number"]] = context

    def _on_lock(self, message: Dict[str, Any]) -> None:
        context = self.by_number.get(message["context"])
        if context is not None:
            context["lock"] = message["lock"]

    def _on_revision_start(self, message: Dict[str, Any]) -> None:
        self.running = {"revision": message["revision"], "message": message["message"], "sql": [], "committed": False, "finished": False, "seconds": None}
        self.by_number[message["context"]]["ran"].append(self.running)

    def _on_statement(self, message: Dict[str, Any]) -> None:
        if self.running:
            self.running["sql"].append(message["sql"])

    def _on_committed(self, message: Dict[str, Any]) -> None:
        if self.running:
            self.running["committed"] = True

    def _on_revision_end(self, message: Dict[str, Any]) -> None:
        if self.running:
            self.running.update(finished=True, seconds=message["seconds"])
        self.running = None

    def _on_preview(self, message: Dict[str, Any]) -> None:
        for number, revisions in enumerate(message["contexts"]):
            for step in self.by_number[number]["planned"] if number in self.by_number else []:
                step.update(revisions.get(step["revision"], {}))

    def _on_observed(self, message: Dict[str, Any]) -> None:
        self.observed = message["observed"]

    def _on_failed(self, message: Dict[str, Any]) -> None:
        self.error, self.use_url = message["error"], message.get("use_url")

    def _on_error(self, message: Dict[str, Any]) -> None:
        self.error = self.error or message["error"]

    def _on_done(self, message: Dict[str, Any]) -> None:
        self.facts, self.done = message["facts"], True

    def reply(self, error: Optional[Dict[str, Any]], attempts: List[Dict[str, Any]], output: str) -> Dict[str, Any]:
        """Return the worker's reply."""
        self._match_observed()
        return {"ok": error is None, "error": error, "versions": self.versions, "graph": self.graph, "contexts": self.contexts, "attempts": attempts,
                "warnings": self.warnings, "output": output, "facts": self.facts}

    def _match_observed(self) -> None:
        """Tie what was seen afterwards to the contexts that were worked in."""
        rest = list(self.observed or [])
        for context in self.contexts:
            found = next((entry for entry in rest if identity(entry["database"]) == context["key"]), None)
            if found is not None:
                rest.remove(found)
            context["observed"] = found
