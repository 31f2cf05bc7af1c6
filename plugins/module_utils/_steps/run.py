# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Several steps on a database in one call, with the deployment record written between them."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Callable, Mapping

from .._background import Background, Tell, values_of
from .._bridge import Bridge, interpreter
from .._core.outcome import migration
from .._errors import MigrationError
from .._jobs import Followed, Jobs, Unfinished
from .._operations import after_death, migration_request
from .._records import RecordStore
from .._warm import WarmBridge, load
from .kinds import STEPS, Params, Run, applied_of
from .spec import steps_of


def carry_out(run: Run, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """Take the steps in order and return the result's values.

    :raises MigrationError: why one of them failed, with all that was found until then.
    """
    began: list[dict[str, Any]] = []
    try:
        for kind, options in steps_of(run.params["steps"]):
            began.append({"step": kind, "name": options.get("step") or kind, "at": clock()})
            run.tell({"event": "step", "step": kind})
            STEPS[kind](run, options)
    except MigrationError as exc:
        values = {**exc.facts, **_values(run, began, clock()), "failed_step": began[-1]["step"]}
        values["changed"] = bool(run.changed or exc.facts.get("changed"))
        raise MigrationError(exc.msg, exc.kind, exc.hint, values) from exc
    finally:
        run.bridge.close()
    return _values(run, began, clock())


def _values(run: Run, began: list[dict[str, Any]], now: float) -> dict[str, Any]:
    steps = [{"step": entry["step"], "name": entry["name"], "ago": round(now - entry["at"], 3)} for entry in began]
    databases = run.migration.get("databases") or []
    names = ("migration", "snapshot", "record", "rows", "rows_written", "current", "copied", "decision")
    found = {name: getattr(run, name) for name in (*names, *(["diff"] if run.shows else []))}
    applied = applied_of(databases) if run.upgraded or run.check else []
    return {"changed": run.changed, "steps": steps, "applied": applied, "databases": databases, **found}


def take_steps(params: Params, check: bool, shows: bool = False) -> dict[str, Any]:
    """Take the steps in this process, or as a job in one that outlives it, and return the module's result.

    :raises MigrationError: why a step failed.
    """
    python = interpreter(params)
    first = {name: params.get(name) for name in ("url", "environment")}

    def work(descriptor: int | None, tell: Tell) -> Mapping[str, Any]:
        warnings: list[str] = []
        own = () if descriptor is None else (descriptor,)  # what it keeps open tells that the job is not over
        run = Run(params, WarmBridge(python, warnings.append, first, own), check, tell, shows)
        try:
            return dict(carry_out(run), warnings=warnings)
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
    way = next((kind for kind in ("upgrade", "downgrade") if kind in kinds), "")
    found: dict[str, Any] = {"migration": {}, "record": None}
    if followed.journal.contexts and way:
        target = {"revision": ((kinds[way].get("revisions") or ["base"])[-1])} if way == "downgrade" else {}
        request = migration_request({**params, **kinds[way], **target}, way)
        outcome = migration(after_death(bridge, request, followed.journal, followed.death), way)
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
