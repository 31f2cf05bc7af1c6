# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""From a module's parameters to its outcome: request, bridge, reply."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ._bridge import Bridge
from ._core.diff import text_diff
from ._core.outcome import HIDDEN, Migration, migration
from ._errors import MigrationError
from ._jobs import Followed, Follower, Unfinished, follow
from ._worker.journal import Journal

Params = Mapping[str, Any]
#: Seconds that a migration which failed waits for a restarting server, to say where the database stands.
OBSERVE_SECONDS = 30


def project_request(params: Params, operation: str) -> dict[str, Any]:
    """Return the part of a request that every operation on a project has."""
    names = ("config", "section", "url", "urls", "environment", "x_arguments", "prelude", "timeout", "version_schema")
    request = {name: params[name] for name in names if params.get(name) is not None}
    folder = params.get("chdir") or os.path.dirname(os.path.abspath(params.get("config") or "."))
    return dict(request, operation=operation, chdir=folder)


def migration_request(params: Params, operation: str) -> dict[str, Any]:
    """Return the request of an operation that changes a database."""
    request = project_request(params, operation)
    request.update(
        target=params["revision"],
        lock={"enabled": params["lock"], "wait": params["lock_wait"]},
        limits={"lock": params["lock_timeout"], "statement": params["statement_timeout"]},
        retries={"count": params["retries"], "delay": params["retry_delay"]},
        observe_seconds=OBSERVE_SECONDS,
    )
    request.update({name: params[name] for name in ("expect_current", "max_pending", "purge") if params.get(name) is not None})
    if params.get("initialise"):
        request["initialise"] = {
            "method": params["initialise"],
            "command": params.get("initialise_command"),
            "revision": params.get("initialise_revision"),
        }
    return request


def run_upgrade(bridge: Bridge, params: Params, dry: bool = False, diff: bool = False) -> Result | Unfinished:
    return _migrate(bridge, params, "upgrade", dry, diff)


def run_downgrade(bridge: Bridge, params: Params, dry: bool = False, diff: bool = False) -> Result | Unfinished:
    return _migrate(bridge, params, "downgrade", dry, diff)


def run_stamp(bridge: Bridge, params: Params, dry: bool = False, diff: bool = False) -> Result | Unfinished:
    return _migrate(bridge, params, "stamp", dry, diff)


@dataclass(frozen=True)
class Result:
    """A module's result."""

    values: Mapping[str, Any]

    def as_result(self) -> dict[str, Any]:
        return dict(self.values)


def _migrate(bridge: Bridge, params: Params, operation: str, dry: bool, diff: bool) -> Result | Unfinished:
    """Run a migration, or in check mode look at what it would do.

    :raises MigrationError: with all that the migration did, where the database stands, and why.
    """
    request = migration_request(params, operation)
    if dry:
        reply = bridge.call(dict(request, operation="preview", preview_of=operation, sql=diff))
    elif params.get("job"):
        followed = _follow(bridge, request, params)
        if isinstance(followed, Unfinished):
            return followed
        reply = followed.reply or after_death(bridge, request, followed.journal, followed.death)
    else:
        journal = Journal()
        try:
            reply = bridge.call(request, journal.take)
        except MigrationError as exc:
            if exc.kind != "worker_died":
                raise
            reply = after_death(bridge, request, journal, exc)
    return _result(bridge, migration(reply, operation, dry), diff)


def _follow(bridge: Bridge, request: Mapping[str, Any], params: Params) -> Unfinished | Followed:
    if isinstance(bridge, Follower):
        return bridge.follow(request, params["job"], params.get("cursor"), params.get("wait") or 0)
    return follow(bridge, request, params)


def _result(bridge: Bridge, outcome: Migration, diff: bool) -> Result:
    for warning in outcome.warnings:
        bridge.warn(warning)
    values = outcome.as_result(diff)
    if outcome.failure:
        raise MigrationError(outcome.failure.message, outcome.failure.kind, outcome.failure.hint, values)
    return Result(values)


def after_death(
    bridge: Bridge, request: Mapping[str, Any], journal: Journal, death: MigrationError | None, passed_on: bool = False
) -> dict[str, Any]:
    """Look with a new worker where the database stands, after one died that could not say so itself.

    :param passed_on: what the worker said came by another process, which may have died before it passed it on.
    """
    running = journal.running or {}
    error: dict[str, Any] = {
        "kind": "worker_died",
        "message": death.msg if death else "The worker is gone.",
        "hint": None,
        "revision": running.get("revision"),
        "statement": (running.get("sql") or [None])[-1],
    }
    kept = journal.running
    try:
        reply = bridge.call(dict(request, operation="observe", verb=request["operation"], orphans=journal.backends), journal.take)
        if reply["error"]:
            error["observing"] = reply["error"]["message"]
    except MigrationError as exc:
        error["observing"] = exc.msg
    journal.running = kept
    if passed_on:
        journal.adopt(request["operation"])
    return journal.reply(error, [], str((death.facts if death else {}).get("output", "")))


def facts_of(bridge: Bridge, request: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out an operation that answers with facts alone.

    :raises MigrationError: what the worker says went wrong.
    """
    reply = bridge.call(request)
    error = reply["error"]
    for warning in reply.get("warnings") or ():
        bridge.warn(warning)
    if error:
        known = ("kind", "message", "hint", "traceback", "use_url")
        place = f" ({error['file']}:{error['line']})" if error.get("line") else ""
        facts = {name: value for name, value in error.items() if name not in known and value is not None}
        if facts.get("databases"):
            facts["databases"] = _lifted(facts["databases"])["databases"]
        raise MigrationError(
            f"{str(error['message']).rstrip('.')}{place}.",
            error["kind"],
            error.get("hint"),
            dict(facts, output=reply.get("output") or ""),
        )
    return dict(reply["facts"], attempts=None)


def revisions_of(databases: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return where databases stand that were looked at: the heads of all of them, sorted."""
    return sorted({revision for database in databases for revision in database["current"]})


def _lifted(databases: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the databases, and with exactly one its keys as well."""
    shown = [
        dict(entry, database={name: value for name, value in entry["database"].items() if name not in HIDDEN})
        for entry in databases
    ]
    return dict(shown[0] if len(shown) == 1 else {}, databases=shown)


def run_info(bridge: Bridge, params: Params) -> Result:
    """Return where databases and scripts stand."""
    facts = facts_of(bridge, dict(project_request(params, "info"), target=params.get("target") or "heads"))
    scripts = {name: facts[name] for name in ("versions", "heads", "bases", "history", "branches")}
    return Result(dict(_lifted(facts["databases"]), changed=False, **scripts))


def run_check(bridge: Bridge, params: Params) -> Result:
    """Return whether models and database agree.

    :raises MigrationError: ``models_differ``, if that is asked for.
    """
    facts = facts_of(bridge, project_request(params, "check"))
    differences = facts["differences"]
    values = dict(
        _lifted(facts["databases"]), changed=False, versions=facts["versions"], in_sync=not differences, differences=differences
    )
    if differences and params.get("fail_on_difference"):
        shown = "; ".join(f"{item['operation']} {item['table'] or ''} {item['name'] or ''}".strip() for item in differences[:5])
        more = f" and {len(differences) - 5} more" if len(differences) > 5 else ""
        raise MigrationError(
            f"Models and database differ in {len(differences)} operations: {shown}{more}.",
            "models_differ",
            "Make a revision with alembic_revision, method: autogenerate.",
            values,
        )
    return Result(values)


def run_revision(bridge: Bridge, params: Params, dry: bool = False, diff: bool = False) -> Result:
    """Make a revision; nothing to merge and nothing to generate is no change."""
    names = ("method", "message", "head", "heads", "splice", "branch_label", "version_path", "revision_id", "depends_on")
    request = dict(
        project_request(params, "revision"), dry=dry, **{name: params[name] for name in names if params.get(name) is not None}
    )
    facts = facts_of(bridge, request)
    revisions = facts["revisions"]
    values = {"changed": bool(revisions), "versions": facts["versions"], "operations": facts["operations"]}
    values["revisions"] = [{name: item[name] for name in ("revision", "down_revision", "message", "path")} for item in revisions]
    if diff:
        values["diff"] = [
            text_diff(item["path"] or "a new revision", "", item["content"] or f"{item['message']}\n") for item in revisions
        ]
    return Result(values)
