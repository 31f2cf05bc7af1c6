# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Several steps on a database in one call, with the deployment record written between them."""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import dataclass
from typing import IO, Any, Callable, Mapping

from .._background import Background, Tell, let_go, now_and_then, values_of
from .._bridge import Bridge, interpreter
from .._core.outcome import migration
from .._errors import MigrationError
from .._jobs import HELD, Followed, Jobs, Unfinished, follow, named
from .._operations import after_death, migration_request
from .._ready import Ready, Serve, StandBy, fingerprint
from .._records import RecordStore
from .._warm import WarmBridge, load
from .kinds import STEPS, Params, Run, applied_of
from .spec import steps_of

#: Steps that may take as long as the database is large.
LASTING = ("copy", "restore", "count", "recount", "verify")


def carry_out(run: Run, clock: Callable[[], float] = time.monotonic) -> dict[str, Any]:
    """Take the steps in order and return the result's values.

    :raises MigrationError: why one of them failed, with all that was found until then.
    """
    began: list[dict[str, Any]] = []
    try:
        for kind, options in steps_of(run.params["steps"]):
            began.append({"step": kind, "name": options.get("step") or kind, "at": clock()})
            run.check_owner()
            run.tell({"event": "step", "step": kind})
            with _lasting(run, kind, began[-1]["at"], clock):
                STEPS[kind](run, options)
    except MigrationError as exc:
        values = {**exc.facts, **_values(run, began, clock()), "failed_step": began[-1]["step"]}
        values["changed"] = bool(run.changed or exc.facts.get("changed"))
        raise MigrationError(exc.msg, exc.kind, exc.hint, values) from exc
    return _values(run, began, clock())


def _lasting(run: Run, kind: str, began: float, clock: Callable[[], float]) -> contextlib.AbstractContextManager[None]:
    """Tell from time to time how long a step takes that tells nothing itself."""
    if kind not in LASTING:
        return contextlib.nullcontext()
    return now_and_then(lambda: run.tell({"event": "step_lasts", "step": kind, "seconds": round(clock() - began, 1)}))


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
    work = _Work(params)
    if check or not params.get("job"):
        return work.done(check, shows)
    load()
    starter = _Told(work, shows) if params.get("session") else work.background(shows)
    followed = follow(starter, _secret(params), params)
    if isinstance(followed, Unfinished):
        return followed.as_result()
    if followed.reply:
        return values_of(followed.reply)
    raise _died(params, Bridge(work.python), followed)


def stand_by(params: Params, ahead: bool) -> tuple[str, StandBy | None]:
    """Start a process that a later call for the same application takes its steps in; return its name and what to tell it.

    It loads what the steps need while nobody waits for it. Where none can be, ("", None) is returned.

    :param ahead: whether it loads as well what env.py begins with, so that later changes of the application's code are not seen.
    """
    load()
    work, name = _Work(params), uuid.uuid4().hex
    try:
        return name, _place(params, work.python, name).stand_by(lambda own: work.begin(own, ahead))
    except OSError:
        return "", None


def _place(params: Params, python: str, name: str) -> Ready:
    same = ("url", "urls", "environment", "chdir", "config", "section", "prelude", "x_arguments")
    return Ready(Jobs.default().folder, named(name), fingerprint({**{key: params.get(key) for key in same}, "python": python}))


def _secret(params: Params) -> dict[str, Any]:
    """Return the options that may hold what nobody may read."""
    return {key: params.get(key) for key in ("url", "environment", "x_arguments", "urls")}


class _Work:
    """What takes steps for one application: its worker is started with the first of them, or before."""

    def __init__(self, params: Params) -> None:
        self.params, self.python = params, interpreter(params)
        self.warnings: list[str] = []

    def bridge(self, own: tuple[int, ...], **more: Any) -> WarmBridge:
        """:param own: what it keeps open tells that the job is not over."""
        first = {name: self.params.get(name) for name in ("url", "environment")}
        return WarmBridge(self.python, self.warnings.append, {**first, **more}, own)

    def done(self, check: bool, shows: bool) -> dict[str, Any]:
        """Take the steps in this process."""
        with contextlib.closing(self.bridge(())) as bridge:
            return self._carried_out(Run(self.params, bridge, check, lambda message: None, shows))

    def background(self, shows: bool) -> Background:
        def work(descriptor: int, tell: Tell) -> Mapping[str, Any]:
            with contextlib.closing(self.bridge((descriptor,))) as bridge:
                return self._carried_out(Run(self.params, bridge, False, tell, shows))

        return Background(work)

    def begin(self, own: tuple[int, ...], ahead: bool = False) -> Serve:
        """Start the worker; return what takes the steps that this process is told."""
        project = {name: self.params.get(name) for name in ("chdir", "config", "section", "prelude")}
        bridge = self.bridge(own, **project, ahead=ahead)
        bridge.begin()

        def serve(message: Mapping[str, Any], descriptor: int, errors: int, lock: str) -> None:
            def work(_descriptor: int, tell: Tell) -> Mapping[str, Any]:
                tell({"event": HELD, "lock": lock})
                return self._carried_out(Run(message["params"], bridge, False, tell, message["shows"]))

            Background(work).serve(_secret(message["params"]), descriptor, errors)
            let_go(None)

        return serve

    def _carried_out(self, run: Run) -> dict[str, Any]:
        self.warnings.clear()
        try:
            return dict(carry_out(run), warnings=list(self.warnings))
        except MigrationError as exc:
            raise MigrationError(exc.msg, exc.kind, exc.hint, dict(exc.facts, warnings=list(self.warnings))) from exc


@dataclass(frozen=True)
class _Told:
    """Starts a job by telling a process that is ready; one is made where there is none, and stays for the next call."""

    work: _Work
    shows: bool

    def start(self, request: Mapping[str, Any], descriptor: int, errors: IO[bytes]) -> None:
        params = self.work.params
        place = _place(params, self.work.python, params["session"])
        message = {"params": dict(params), "shows": self.shows}
        taken = place.hand(message, descriptor, errors.fileno())
        if taken is None:
            with contextlib.suppress(OSError):
                place.make(self.work.begin)
                taken = place.hand(message, descriptor, errors.fileno())
        if not taken:
            self.work.background(self.shows).start(request, descriptor, errors)


def _died(params: Params, bridge: Bridge, followed: Followed) -> MigrationError:
    """Return the failure of a run that ended without saying so, with where the database and the record stand."""
    kinds = dict(steps_of(params["steps"]))
    way = next((kind for kind in ("upgrade", "downgrade") if kind in kinds), "")
    found: dict[str, Any] = {"migration": {}, "record": None}
    # not by what the worker told: who passes it on may be the one that is gone
    if any(message["event"] == "step" and message["step"] == way for message in followed.messages):
        target = {"revision": ((kinds[way].get("revisions") or ["base"])[-1])} if way == "downgrade" else {}
        request = migration_request({**params, **kinds[way], **target}, way)
        outcome = migration(after_death(bridge, request, followed.journal, followed.death, passed_on=True), way)
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
