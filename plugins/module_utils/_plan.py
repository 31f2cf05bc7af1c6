# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""From the parameters of alembic_plan to its result: the worker looks, the rules find, the core decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Mapping

from ._bridge import Bridge
from ._core.outcome import HIDDEN
from ._core.plan import Declared, Policy, Reversal, Step, allowed, rollback, route
from ._operations import Params, Result, facts_of, project_request
from ._rehearsal import findings, reversal, static
from ._rehearsal.known import Known
from ._rehearsal.rendered import Rendered
from ._rehearsal.seen import Large, Seen
from ._worker.rehearsal import parsed

if TYPE_CHECKING:
    from ._worker.rehearsal import operations  # noqa: F401 - packed with the modules that rehearse

MEBIBYTE = 1024 * 1024
_OPTIONS = (
    "mode",
    "scratch_url",
    "throwaway_cluster",
    "maintenance_database",
    "postgresql_programs",
    "data_checks",
    "data_checks_timeout",
    "observed_statements",
    "application_roles",
)


def run_plan(bridge: Bridge, params: Params) -> Result:
    """Return what the pending revisions do, and the route that follows.

    :raises MigrationError: what the worker says went wrong.
    """
    request = dict(project_request(params, "plan"), target=params["revision"])
    request.update({name: params[name] for name in _OPTIONS if params.get(name) is not None})
    facts = facts_of(bridge, request)
    large = Large(params["large_rows"], params["large_mebibytes"] * MEBIBYTE)
    policy = Policy(params["may_break"], params["unknown"])
    planned = [_Database(entry, large, policy) for entry in facts["databases"]]
    steps = [step for database in planned for step in database.steps]
    chosen = route(steps, policy)
    for warning in [*facts["warnings"], *(warning for database in planned for warning in database.warnings)]:
        bridge.warn(warning)
    shown = [database.as_result() for database in planned]
    return Result(
        {
            "changed": False,
            "versions": facts["versions"],
            "databases": shown,
            "route": chosen.name,
            "reason": chosen.reason,
            "before": _once(chosen.before),
            "after": _once(chosen.after),
            "rollback": rollback(steps),
            "mode": _mode(planned),
            "revisions": [dict(item, database=entry["database"]["name"]) for entry in shown for item in entry["revisions"]],
        }
    )


def _once(names: Any) -> list[str]:
    return list(dict.fromkeys(names))


def _mode(planned: list[_Database]) -> str:
    modes = [database.facts["mode"] for database in planned]
    return next((mode for mode in ("static", "rehearsal") if mode in modes), "none")


class _Database:
    """The plan of one database or tenant."""

    def __init__(self, facts: Mapping[str, Any], large: Large, policy: Policy) -> None:
        self.facts, self.large, self.policy = facts, large, policy
        self.warnings: list[str] = []
        self.seen: dict[str, Seen] = {}
        held: dict[str, str] = {}
        for item in facts["revisions"]:
            seen = self.seen[item["revision"]] = Seen(item, large, held)
            if facts["database"].get("transaction_per") == "run":
                held = seen.left_held()
        self.parser = facts.get("parser")
        self.known = Known(facts.get("known"))
        if facts["mode"] == "static":
            self._parse()
            told = f" {facts['second_opinion']} has read it too." if facts["second_opinion"] else ""
            self.warnings.append(
                "The revisions were not rehearsed, so the plan knows only what their SQL shows, as "
                f"{self.parser or 'our own reader'} reads it.{told} {facts['reason']}"
            )
        if facts["differences"]:
            shown = "; ".join(facts["differences"][:5])
            self.warnings.append(f"The copy of the schema is not complete, so statements on what is missing fail: {shown}.")
        self.steps = [self._step(pending) for pending in facts["pending"]]

    def _parse(self) -> None:
        """Read the SQL with PostgreSQL's parser, where it is installed beside us and was not in the application's Python."""
        if self.facts["database"]["dialect"] != "postgresql":
            return
        for pending in self.facts["pending"]:
            if pending.get("sql") and not pending.get("parsed"):
                pending["parsed"] = found = parsed.read(pending["sql"])
                self.parser = self.parser or (found or {}).get("parser")

    def _step(self, pending: Mapping[str, Any]) -> Step:
        given = pending["declared"]
        declared = Declared(given["phase"], given["allow"], tuple(given["problems"]))
        seen = self.seen.get(pending["revision"])
        proof = Reversal()
        if self.facts["mode"] == "static":
            found = static.findings(self._rendered(pending))
        elif seen is None:
            found = static.not_seen(pending["revision"])
        else:
            found, proof = findings(seen), reversal.proved(seen)
        kept, unused = allowed(found, declared)
        step = pending["revision"]
        for name in unused:
            self.warnings.append(f"Revision {step} allows {name}, and nothing like it was found. Remove it.")
        return Step(pending["revision"], pending["message"], kept, declared, proof)

    def _rendered(self, pending: Mapping[str, Any]) -> Rendered:
        names = (str(self.facts["database"]["version_table"]),)
        dialect = self.facts["database"]["dialect"]
        understood = dialect in static.DIALECTS
        sql = pending.get("sql") if understood else None
        problem = pending.get("reason") if understood else f"the rules read no SQL of {dialect}"
        tables, squawk = self.facts.get("tables") or {}, pending.get("squawk") or ()
        statements = (pending.get("parsed") or {}).get("statements")
        plans = pending.get("plans") or {}
        return Rendered(
            pending["revision"], sql, problem, tables, names, self.large, dialect, squawk, statements, self.known, plans
        )

    def as_result(self) -> dict[str, Any]:
        database = {name: value for name, value in self.facts["database"].items() if name not in HIDDEN}
        return {
            "database": database,
            "initialised": self.facts["initialised"],
            "read_only": self.facts["read_only"],
            "current": self.facts["current"],
            "mode": self.facts["mode"],
            "mode_reason": self.facts["reason"],
            "copy": self.facts["copy"],
            "second_opinion": self.facts["second_opinion"],
            "parser": self.parser,
            "tables": {name: {"rows": _rows(table)} for name, table in (self.facts.get("tables") or {}).items()},
            "revisions": [self._shown(step, pending) for step, pending in zip(self.steps, self.facts["pending"])],
        }

    def _shown(self, step: Step, pending: Mapping[str, Any]) -> dict[str, Any]:
        seen = self.seen.get(step.revision)
        told = {name: pending[name] for name in ("revision", "message", "down_revision", "path")}
        return dict(
            told,
            phase=step.phase(self.policy),
            declared_phase=step.declared.phase,
            transactional=all(item["transactional"] for item in seen.statements) if seen else None,
            statements=[_statement(seen, item) for item in seen.statements] if seen else [],
            findings=[finding.as_result() for finding in step.findings],
            reversible=step.reversal.as_result(),
        )


def _rows(table: Mapping[str, Any]) -> int | None:
    """The rows that the server counts as they come and go; without that what it saw when it analysed the table."""
    rows: int | None = table.get("live") or table["rows"]
    return rows


def _statement(seen: Seen, statement: Mapping[str, Any]) -> dict[str, Any]:
    def names(oids: Any) -> list[str]:
        return sorted(str(seen.table(oid)["name"]) for oid in oids)

    return {
        "sql": statement["sql"],
        "transactional": statement["transactional"],
        "algorithm": statement["algorithm"],
        "locks": {str(seen.table(oid)["name"]): mode for oid, mode in sorted(statement["locks"].items())},
        "scanned": names(statement["scanned"]),
        "rewritten": names(statement["rewritten"]),
        "written": names({*statement["written"], *statement["procedural_writes"]}),
    }
