# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Several steps on a database in one call, with the deployment record written between them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Sequence

from ._argspec import ArgumentSpec, follow_spec, kubernetes_spec, project_spec, upgrade_request_spec
from ._background import Background, Tell, values_of
from ._bridge import Bridge, interpreter
from ._core import record as core
from ._core.outcome import migration
from ._database import database_spec, rows_spec, run_database, sessions_spec, snapshot_spec
from ._errors import MigrationError
from ._jobs import Followed, Jobs, Unfinished
from ._operations import after_death, migration_request, run_check, run_upgrade
from ._records import RecordStore, write_record
from ._warm import WarmBridge, load

Params = Mapping[str, Any]
KINDS = ("prove", "copy", "record", "upgrade", "verify", "count")
_PROVE = ("users", "exclude_users", "applications", "exclude_applications", "wait", "terminate", "terminate_wait")
_COPY = ("name", "revisions", "note", "accept", "wait", "maintenance_database", "free_bytes")
_COUNT = ("count", "checksum", "exclude", "statement_timeout", "wait")


def _but(spec: ArgumentSpec, *others: ArgumentSpec) -> dict[str, Any]:
    """Return the options of a module that are no options of the database or the project."""
    taken = {name for other in others for name in other.options}
    return {name: dict(option) for name, option in spec.options.items() if name not in taken}


def _step_options() -> dict[str, dict[str, Any]]:
    """Return the options of each kind of step: those of the module that takes it alone."""
    copy = _but(snapshot_spec(), database_spec())
    count = _but(rows_spec(), database_spec())
    count["count"] = dict(count["count"], default="written")
    count["checksum"] = dict(count["checksum"], default=True)
    return {
        "prove": dict({name: sessions_spec().options[name] for name in _PROVE}, may_be_missing=dict(type="bool", default=False)),
        "copy": {name: copy[name] for name in _COPY},
        "record": dict(step=dict(type="str", choices=list(core.STEPS), required=True), facts=dict(type="dict", default={})),
        "upgrade": _but(upgrade_request_spec(), project_spec()),
        "verify": dict(models=dict(type="bool", default=False)),
        "count": {name: count[name] for name in _COUNT},
    }


def steps_spec() -> ArgumentSpec:
    """The options of ``database_steps``."""
    project = project_spec()
    place = {name: option for name, option in project.options.items() if name not in kubernetes_spec().options}
    record = dict(
        directory=dict(type="path", required=True), id=dict(type="str", required=True), owner=dict(type="str", required=True)
    )
    steps: dict[str, dict[str, Any]] = {kind: dict(type="dict", options=options) for kind, options in _step_options().items()}
    steps["upgrade"]["required_if"] = [list(rule) for rule in upgrade_request_spec().required_if]
    step = dict(
        type="list", elements="dict", required=True, options=steps, mutually_exclusive=[list(KINDS)], required_one_of=[list(KINDS)]
    )
    own = ArgumentSpec(options=dict(steps=step, record=dict(type="dict", options=record)))
    return ArgumentSpec(place, project.mutually_exclusive, required_one_of=project.required_one_of) + follow_spec() + own


@dataclass
class Run:
    """The steps of one call, and what they have found so far.

    :param tell: takes the events that are worth keeping.
    """

    params: Params
    bridge: WarmBridge
    check: bool
    tell: Tell
    migration: dict[str, Any] = field(default_factory=dict)
    snapshot: dict[str, Any] | None = None
    record: dict[str, Any] | None = None
    rows: dict[str, Any] = field(default_factory=dict)
    changed: bool = False
    began: list[dict[str, Any]] = field(default_factory=list)

    def carry_out(self, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
        """Take the steps in order and return the result's values.

        :raises MigrationError: why one of them failed, with all that was found until then.
        """
        try:
            for kind, options in steps_of(self.params["steps"]):
                self.began.append({"step": kind, "name": options.get("step") or kind, "at": clock()})
                self.tell({"event": "step", "step": kind})
                _STEPS[kind](self, options)
        except MigrationError as exc:
            values = {**exc.facts, **self._values(clock()), "failed_step": self.began[-1]["step"]}
            values["changed"] = bool(self.changed or exc.facts.get("changed"))
            raise MigrationError(exc.msg, exc.kind, exc.hint, values) from exc
        finally:
            self.bridge.close()
        return self._values(clock())

    def _values(self, now: float) -> dict[str, Any]:
        steps = [{"step": entry["step"], "name": entry["name"], "ago": round(now - entry["at"], 3)} for entry in self.began]
        found = {"migration": self.migration, "snapshot": self.snapshot, "record": self.record, "rows": self.rows}
        databases = self.migration.get("databases") or []
        return {"changed": self.changed, "steps": steps, "applied": applied_of(databases), "databases": databases, **found}

    def place(self, options: Params) -> dict[str, Any]:
        """Return what a module on the whole database is given."""
        names = ("url", "chdir", "environment", "timeout")
        return {**{name: self.params.get(name) for name in names}, **options}


def take_steps(params: Params, check: bool) -> dict[str, Any]:
    """Take the steps in this process, or as a job in one that outlives it, and return the module's result.

    :raises MigrationError: why a step failed.
    """
    python = interpreter(params)
    first = {name: params.get(name) for name in ("url", "environment")}

    def work(descriptor: int | None, tell: Tell) -> Mapping[str, Any]:
        warnings: list[str] = []
        own = () if descriptor is None else (descriptor,)  # what it keeps open tells that the job is not over
        run = Run(params, WarmBridge(python, warnings.append, first, own), check, tell)
        try:
            return dict(run.carry_out(), warnings=warnings)
        except MigrationError as exc:
            raise MigrationError(exc.msg, exc.kind, exc.hint, dict(exc.facts, warnings=warnings)) from exc

    if check or not params.get("job"):
        return dict(work(None, lambda message: None))
    load()
    request = dict(first, x_arguments=params.get("x_arguments"), urls=params.get("urls"))
    job, cursor, wait = params["job"], params.get("cursor"), params.get("wait") or 0
    followed = Jobs.default().follow(Background(work), request, job, cursor, wait)
    if isinstance(followed, Unfinished):
        return followed.as_result()
    if followed.reply:
        return values_of(followed.reply)
    raise _died(params, Bridge(python), followed)


def _died(params: Params, bridge: Bridge, followed: Followed) -> MigrationError:
    """Return the failure of a run that ended without saying so, with where the database and the record stand."""
    kinds = dict(steps_of(params["steps"]))
    found: dict[str, Any] = {"migration": {}, "record": None}
    if followed.journal.contexts and "upgrade" in kinds:
        request = migration_request({**params, **kinds["upgrade"]}, "upgrade")
        outcome = migration(after_death(bridge, request, followed.journal, followed.death), "upgrade")
        found.update(migration=outcome.as_result(False))
    place = params.get("record")
    if place:
        with contextlib.suppress(MigrationError):
            found["record"] = RecordStore(place["directory"]).read(place["id"]).as_dict()
    values = dict(found, steps=[], applied=applied_of(found["migration"].get("databases") or ()), changed=True)
    output = followed.death.facts if followed.death else {}
    return MigrationError(
        "The process that took the steps is gone, and has not said how far it came.",
        "worker_died",
        "The deployment record says which step it had begun; alembic_info says where the database stands.",
        {**output, **values},
    )


def applied_of(databases: Sequence[Params]) -> list[Any]:
    """Return the revisions that were applied to any of the databases."""
    return [step for database in databases for step in database["applied"]]


def steps_of(given: Sequence[Params]) -> list[tuple[str, dict[str, Any]]]:
    """Return kind and options of each step."""
    return [next((kind, dict(step[kind])) for kind in KINDS if step.get(kind) is not None) for step in given]


def _prove(run: Run, options: dict[str, Any]) -> None:
    may_be_missing = options.pop("may_be_missing")
    try:
        done = run_database(run.bridge, run.place(options), "database_sessions", run.check)
        run.changed |= done["changed"]
    except MigrationError as exc:
        if not (may_be_missing and exc.kind == "database_missing"):  # nobody has a database open that has still to be made
            raise


def _copy(run: Run, options: dict[str, Any]) -> None:
    options = dict(options, state="present", content="copy", terminate=False)
    done = run_database(run.bridge, run.place(options), "database_snapshot", run.check)
    run.changed |= done["changed"]
    run.snapshot = done["snapshot"]


def _record(run: Run, options: dict[str, Any]) -> None:
    """Write the record; what was applied and counted before in the same call belongs to it."""
    place = run.params.get("record")
    if not place:
        raise MigrationError("A step writes the record, and record does not say which.", "options_invalid", "Set record.")
    applied = applied_of(run.migration.get("databases") or ())
    known = {"applied": applied, "rows": run.rows} if run.migration and not run.check else {}
    given = dict(place, state="advanced", step=options["step"], facts={**(options["facts"] or {}), **known}, status=None)
    done = write_record(RecordStore(place["directory"]), given, run.check)
    run.changed |= done["changed"]
    run.record = done["record"]


def _upgrade(run: Run, options: dict[str, Any]) -> None:
    run.bridge.listeners.append(run.tell)
    try:
        run.migration = run_upgrade(run.bridge, {**run.params, **options, "job": None}, dry=run.check).as_result()
    except MigrationError as exc:
        run.migration = exc.facts if "databases" in exc.facts else {}
        raise
    finally:
        run.bridge.listeners.remove(run.tell)
    run.changed |= run.migration["changed"]


def _verify(run: Run, options: dict[str, Any]) -> None:
    """Hold the upgrade's result against what was aimed at; in check mode nothing is there to look at."""
    if run.check:
        return
    databases = run.migration.get("databases") or ()
    invalid = [name for database in databases for name in database["invalid_indexes"]]
    if run.migration and (run.migration["state"] != "to_revision" or invalid):
        after = sorted({revision for database in databases for revision in database["after"] or ()})
        raise MigrationError(
            f"The upgrade left the database at {', '.join(after) or 'base'} ({run.migration['state']}), with these indexes "
            f"invalid: {', '.join(invalid) or 'none'}.",
            "verification_failed",
        )
    if options["models"]:
        run_check(run.bridge, {**run.params, "fail_on_difference": True})


def _count(run: Run, options: dict[str, Any]) -> None:
    """Note what is there. Where that can't be told, nothing is noted: a way back then says so."""
    try:
        run.rows = {"tables": run_database(run.bridge, run.place(options), "database_rows")["tables"]}
    except MigrationError as exc:
        run.rows = {}
        run.bridge.warn(f"What is written in the tables was not counted: {exc.msg}")


_STEPS: dict[str, Callable[[Run, dict[str, Any]], None]] = {
    "prove": _prove,
    "copy": _copy,
    "record": _record,
    "upgrade": _upgrade,
    "verify": _verify,
    "count": _count,
}
