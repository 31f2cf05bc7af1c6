# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the supervisor knows of an operation from its events, whether or not the process that sent them lived on."""

from __future__ import annotations

from typing import Any

#: Events that are worth showing while they happen; the others only feed the journal.
PROGRESS = (
    "lock_wait",
    "revision_start",
    "revision_end",
    "retry",
    "initialise",
    "target_end",
    "archive",
    "session_wait",
    "step_lasts",
)


def identity(database: dict[str, Any]) -> str:
    """Return what tells one database or tenant of an env.py from another."""
    keys = (
        "dialect",
        "host",
        "port",
        "database",
        "schema",
        "version_table_schema",
        "version_table",
        "name",
        "schema_translate_map",
    )
    return "|".join(str(database.get(key)) for key in keys)


def served(database: dict[str, Any]) -> str | None:
    """Return the same by what the server says of itself: one database may have several addresses."""
    if not database.get("served_by"):
        return None
    return identity({**database, "host": database["served_by"], "port": None, "database": None})


class Journal:
    """Collects the events of all attempts of one operation."""

    def __init__(self) -> None:
        self.versions: dict[str, str] | None = None
        self.graph: dict[str, list[str]] = {}
        self.contexts: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.facts: dict[str, Any] = {}
        self.backends: list[dict[str, Any]] = []
        self.looked: list[dict[str, Any]] = []  # seen over connections of our own, for when env.py can not show it
        self.begin_attempt()

    def begin_attempt(self) -> None:
        self.by_number: dict[int, dict[str, Any]] = {}
        self.error: dict[str, Any] | None = None
        self.use_url: str | None = None
        self.observed: list[dict[str, Any]] | None = None
        self.done = False
        self.running: dict[str, Any] | None = None
        self.held: list[dict[str, Any]] = []  # finished, and still in the transaction of what runs

    @property
    def dirty(self) -> bool:
        """Something of a revision that is not there as a whole is in the database for good."""
        return any(entry["committed"] for entry in [*self.held, self.running] if entry)

    def take(self, message: dict[str, Any]) -> None:
        """Note one event."""
        handler = getattr(self, "_on_" + message["event"], None)
        if handler:
            handler(message)

    def _on_versions(self, message: dict[str, Any]) -> None:
        self.versions = message["versions"]

    def _on_graph(self, message: dict[str, Any]) -> None:
        self.graph = message["graph"]

    def _on_warning(self, message: dict[str, Any]) -> None:
        if message["message"] not in self.warnings:
            self.warnings.append(message["message"])

    def _on_backend(self, message: dict[str, Any]) -> None:
        self.backends.append(message)

    def _on_context(self, message: dict[str, Any]) -> None:
        """A context is known: the same one as in an earlier attempt keeps what it was before that."""
        key = identity(message["database"])
        taken = [id(context) for context in self.by_number.values()]
        context = next((item for item in self.contexts if item["key"] == key and id(item) not in taken), None)
        if context is None:
            context = {name: message[name] for name in ("database", "initialised", "before", "planned", "invalid_before")}
            context.update(key=key, ran=[], lock=None, observed=None, moved=message.get("moved"))
            self.contexts.append(context)
        context["lock"] = message["lock"] or context["lock"]
        self.by_number[message["number"]] = context

    def _on_lock(self, message: dict[str, Any]) -> None:
        context = self.by_number.get(message["context"])
        if context is not None:
            context["lock"] = message["lock"]

    def _on_revision_start(self, message: dict[str, Any]) -> None:
        self.running = {
            "revision": message["revision"],
            "message": message["message"],
            "sql": [],
            "committed": False,
            "finished": False,
            "kept": False,  # it is there as a whole: its transaction was committed
            "seconds": None,
        }
        self.by_number[message["context"]]["ran"].append(self.running)

    def _on_statement(self, message: dict[str, Any]) -> None:
        if self.running:
            self.running["sql"].append(message["sql"])

    def _on_committed(self, message: dict[str, Any]) -> None:
        own = self.by_number.get(message["context"], {"ran": ()})["ran"] if "context" in message else self.held
        for entry in [entry for entry in self.held if any(entry is other for other in own)]:
            entry["committed"] = entry["kept"] = True
        self.held = [entry for entry in self.held if not entry["committed"]]
        if self.running and message.get("running", True):
            self.running["committed"] = True

    def _on_revision_end(self, message: dict[str, Any]) -> None:
        if self.running:
            self.running.update(finished=True, kept=not message.get("held"), seconds=message["seconds"])
            if message.get("held"):
                self.held.append(self.running)
        self.running = None

    def _on_preview(self, message: dict[str, Any]) -> None:
        for number, revisions in enumerate(message["contexts"]):
            for step in self.by_number[number]["planned"] if number in self.by_number else []:
                step.update(revisions.get(step["revision"], {}))

    def _on_rehearsing(self, message: dict[str, Any]) -> None:
        """A revision runs on a copy of the database; it is known so that a death in it can be told."""
        self.running = dict(message, sql=[], committed=False, finished=False, seconds=None)

    def _on_observed(self, message: dict[str, Any]) -> None:
        self.observed = message["observed"]

    def _on_looked(self, message: dict[str, Any]) -> None:
        self.looked = message["looked"]

    def _on_failed(self, message: dict[str, Any]) -> None:
        self.error, self.use_url = message["error"], message.get("use_url")

    def _on_error(self, message: dict[str, Any]) -> None:
        self.error = self.error or message["error"]

    def _on_done(self, message: dict[str, Any]) -> None:
        self.facts, self.done = message["facts"], True

    def reply(self, error: dict[str, Any] | None, attempts: list[dict[str, Any]], output: str) -> dict[str, Any]:
        """Return the worker's reply."""
        self._match_observed()
        return {
            "ok": error is None,
            "error": error,
            "versions": self.versions,
            "graph": self.graph,
            "contexts": self.contexts,
            "attempts": attempts,
            "warnings": self.warnings,
            "output": output,
            "facts": self.facts,
        }

    def adopt(self, operation: str) -> None:
        """Take the databases that were seen afterwards for those worked in, where nothing is known of any: who told it is gone."""
        for found in [] if self.contexts else self.observed or []:
            context = {name: found[name] for name in ("database", "initialised")}
            context.update(key=identity(found["database"]), before=found["current"], planned=found["pending"])
            self.contexts.append({**context, "ran": [], "lock": None, "invalid_before": [], "unseen": operation})

    def _match_observed(self) -> None:
        """Tie what was seen afterwards to the contexts that were worked in."""
        rest = [*(self.observed or []), *self.looked]
        for context in self.contexts:
            found = next((entry for entry in rest if identity(entry["database"]) == context["key"]), None)
            if found is not None:
                rest.remove(found)
            context["observed"] = found
