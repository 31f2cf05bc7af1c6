# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The SQL of each pending revision, rendered without running it (Alembic's offline mode)."""

from __future__ import annotations

import builtins
import contextlib
import io
import os
from typing import Any, Callable, Iterator, Sequence

from . import history, moved, project, target
from .environment import EnvironmentRun, Send, Visit
from .failure import describe
from .migrate import PLANS, _Migration


class _Look(_Migration):
    """A migration that stops when everything is planned: the same refusals, no lock, nothing written."""

    def _settle(self, visit: Visit) -> None:
        self.plan(visit)

    def work(self, visit: Visit, heads: tuple[str, ...]) -> Any:
        for message in history.check_lengths(visit.context, visit.steps or []):
            self.send({"event": "warning", "message": message})
        return []

    def run(self) -> dict[str, Any] | None:
        config = project.load(self.request, self.operation)
        self.environment = EnvironmentRun(self.request, config, self.work, self.send, self.prepare)
        self.environment.run()
        return None


def preview(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Announce what ``request`` would do, with SQL where it can be had; a revision that can't be rendered says why."""
    project.enter(request)
    send({"event": "versions", "versions": project.versions()})
    moved.begin(request)
    wanted = dict(request, operation=request["preview_of"])
    look = _Look(wanted, send)
    try:
        look.run()
    except (Exception, SystemExit) as exc:
        if not look.visits:
            raise
        send({"event": "failed", "error": next((visit.error for visit in look.visits if visit.error), None) or describe(exc)})
        return {}
    send({"event": "observed", "observed": [look.unchanged(visit) for visit in look.visits]})
    if wanted["operation"] != "stamp" and request.get("sql", True):
        rendered = render(wanted, look.visits, send)
        send({"event": "preview", "contexts": rendered})
    return {}


def render(request: dict[str, Any], visits: Sequence[Any], send: Send) -> list[dict[str, Any]]:
    """Return for each context: revision → {sql, previewable, reason}."""
    results: list[dict[str, Any]] = [{} for _visit in visits]
    buffer = io.StringIO()

    def starting(number: int) -> tuple[str, ...] | None:
        return (visits[number].current or None) if number < len(visits) else None

    def work(visit: Visit, heads: tuple[str, ...]) -> Iterator[Any]:
        if visit.number >= len(visits):
            return
        planned = visits[visit.number]
        steps = PLANS[request["operation"]](offline.script, request["target"], planned.current)
        for step in steps:
            results[visit.number][target.describe_step(step)["revision"]] = entry = _unrendered(True, None)
            start = buffer.tell()
            step.migration_fn = _guarded(step.migration_fn, entry)
            yield step
            entry["sql"] = buffer.getvalue()[start:].strip() if entry["previewable"] else None

    try:
        offline = EnvironmentRun(
            dict(request, buffer=buffer, starting=starting), project.load(request, request["operation"]), work, send, offline=True
        )
        with _writing_nothing():
            offline.run()
    except (Exception, SystemExit) as exc:
        reason = f"env.py can not render SQL: {describe(exc)['message']}"
        for number, visit in enumerate(visits):
            for step in visit.steps or []:
                results[number].setdefault(target.describe_step(step)["revision"], _unrendered(False, reason))
    return results


@contextlib.contextmanager
def _writing_nothing() -> Iterator[None]:
    """Send what env.py writes to files to nowhere: the multidb template opens one for each database, in the project."""
    original = builtins.open

    def reading(file: Any, mode: str = "r", *args: Any, **keywords: Any) -> Any:
        return original(os.devnull if set(mode) & set("wax+") else file, mode, *args, **keywords)

    builtins.open = reading
    try:
        yield
    finally:
        builtins.open = original


def _unrendered(previewable: bool, reason: str | None) -> dict[str, Any]:
    return {"sql": None, "previewable": previewable, "reason": reason}


@contextlib.contextmanager
def _noting(entry: dict[str, Any]) -> Iterator[None]:
    """Note as ``asks`` when a revision looks whether there is a database: with one it may do something else."""
    from alembic.runtime.environment import EnvironmentContext

    original = EnvironmentContext.is_offline_mode

    def asked(*args: Any, **keywords: Any) -> bool:
        entry["asks"] = True
        return bool(original(*args, **keywords))

    EnvironmentContext.is_offline_mode = asked  # type: ignore[method-assign]
    try:
        yield
    finally:
        EnvironmentContext.is_offline_mode = original  # type: ignore[method-assign]


def _guarded(upgrade: Callable[..., None], entry: dict[str, Any]) -> Callable[..., None]:
    """Keep one revision that needs a database from ending the rendering of those after it."""

    def run(**keywords: Any) -> None:
        try:
            with _noting(entry):
                upgrade(**keywords)
        except (Exception, SystemExit) as exc:
            entry.update(previewable=False, reason=f"it can not be rendered without the database: {describe(exc)['message']}")

    return run
