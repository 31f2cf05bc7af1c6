# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Revisions as they run on the copy, one after the other in one run of env.py: it is led there, and what each does is kept."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, NamedTuple

from .. import project
from ..environment import EnvironmentRun, Visit
from ..failure import Failure, describe
from ..transaction import RUN
from . import raw
from .catalog import of_kind
from .kinds import KINDS
from .watching import Watcher

STORED = "rpmf"  # kinds of relations that have rows


class Move(NamedTuple):
    """A revision and the way that it goes.

    :param watched: it is to be known what it does.
    :param answered: what it reads decides what it does, so it gets the real rows, as when it was watched.
    """

    revision: str
    upwards: bool
    watched: bool = True
    answered: bool = False


class Step:
    """What one revision did on the copy, in one direction.

    :param before: the catalogue before it.
    :param watch: watches it; None where nobody asks what it does.
    """

    def __init__(self, move: Move, before: Any, watch: Any) -> None:
        self.move, self.before, self.watch = move, before, watch
        self.error: dict[str, Any] | None = None

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """What has rows and was there before, by OID."""
        return {entry["oid"]: entry for entry in of_kind(self.before, "relation") if entry["relkind"] in STORED}


class Passage:
    """One run of env.py in which revisions pass.

    A project that keeps all of them in one transaction gets one revision only: what it did has to be there for others to see.

    :param moves: the revisions, in their order.
    :param before: the catalogue before the first.
    :param session: a connection of ours to the copy, from which the steps are looked at.
    :param real: asks the real database.
    :param passed: called with each step as soon as it is committed; returns the catalogue after it.
    :param others: number of another context of env.py → revisions that are to be applied there.
    """

    def __init__(
        self,
        rehearsal: Any,
        looked: Any,
        moves: list[Move],
        before: Any = None,
        session: Any = None,
        real: Any = None,
        passed: Callable[[Step], Any] | None = None,
        others: Mapping[int, list[str]] | None = None,
    ) -> None:
        self.rehearsal, self.looked, self.moves, self.catalog = rehearsal, looked, moves, before
        self.session, self.real, self.passed, self.others = session, real, passed, others or {}
        self.finished = 0
        self.began = False
        self.enough = False  # the next one is not to be begun
        self.broken: BaseException | None = None  # what went wrong in our own work between two steps
        request = dict(rehearsal.request, lock={"enabled": False}, limits={})
        self.environment = EnvironmentRun(
            request, project.load(request, "upgrade"), self._work, self._send, self._prepare, writing=True
        )
        if looked.revision_map is not None:
            self.environment.script.revision_map = looked.revision_map
        self.environment.asked = []  # it is the copy that it connects to
        self.idle = Watcher(lambda: False, lambda: False, ())
        self.idle.outside = rehearsal.outside
        self.idle.beside = looked.database["dialect"] == "postgresql" and any(
            scratch.here is scratch.access for scratch in rehearsal.scratches.values()
        )
        self.steps = [self._step(moves[0] if moves else Move("", True, watched=False))]

    @property
    def step(self) -> Step:
        """The one that runs, or has run last."""
        return self.steps[-1]

    @property
    def error(self) -> dict[str, Any] | None:
        return self.step.error

    def _step(self, move: Move) -> Step:
        if move.upwards and move.watched:
            message = next(each["message"] for each in self.looked.pending if each["revision"] == move.revision)
            self.rehearsal.send({"event": "rehearsing", "revision": move.revision, "message": message})
        if not (move.watched or move.answered):
            return Step(move, self.catalog, None)
        statements = self.environment.statements
        watch = KINDS[self.looked.database["dialect"]].watch(
            lambda: statements.running,
            lambda: statements.autocommit,
            self.rehearsal.version_tables,
            self.catalog,
            self.session,
            self.real,
        )
        watch.began = lambda: self.began
        watch.beside, watch.outside = self.idle.beside, self.idle.outside
        watch.begin(self.step.watch if self.finished else None)
        return Step(move, self.catalog, watch)

    @property
    def _watcher(self) -> Watcher:
        return self.step.watch or self.idle

    def _listeners(self) -> list[tuple[str, Callable[..., Any], dict[str, Any]]]:
        """Return what hands the events of all engines to the watcher of the step that runs."""

        def handing(name: str) -> Callable[..., Any]:
            def hand(*arguments: Any) -> Any:
                return getattr(self._watcher, name)(*arguments)

            return hand

        return [(event, handing(method.__name__), keywords) for event, method, keywords in self.idle.events()]

    def run(self) -> Passage:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        listeners = self._listeners()
        for name, listener, keywords in listeners:
            event.listen(Engine, name, listener, **keywords)
        raw.CURRENT.append(self._watcher)
        try:
            error = self._run()
        finally:
            raw.CURRENT.pop()
            for name, listener, _keywords in listeners:
                event.remove(Engine, name, listener)
        if self.broken is not None:
            raise self.broken
        self.step.error = error and {name: error.get(name) for name in ("kind", "message", "statement", "sqlstate", "file", "line")}
        if error is None and not self.finished:
            self._has_passed()
        return self

    def _run(self) -> dict[str, Any] | None:
        error: dict[str, Any] | None = None
        try:
            self.environment.run()
            if self.moves and not self.began:
                error = describe(Failure("no_migrations", "env.py ran no migrations."))
        except (Exception, SystemExit) as exc:
            error = describe(exc, self.environment.revision)
        return next((visit.error for visit in self.environment.visits if visit.error), error)

    def _send(self, message: dict[str, Any]) -> None:
        if message["event"] == "secret":
            self.rehearsal.send(message)

    def _prepare(self, visit: Visit) -> None:
        if not (self.moves if visit.number == self.looked.number else self.others.get(visit.number)):
            visit.context.opts["dont_mutate"] = True

    def _work(self, visit: Visit, heads: tuple[str, ...]) -> Any:
        if visit.number == self.looked.number and self.moves:
            self.began = True
            return self._pass(visit, self.moves[:1] if visit.database["transaction_per"] == RUN else self.moves)
        others = [Move(revision, True) for revision in self.others.get(visit.number, ())]
        return self.environment.steps(visit, self._made(others)) if others else []

    def _made(self, moves: list[Move]) -> list[Any]:
        from alembic.runtime.migration import MigrationStep

        script = self.environment.script
        makers = {True: MigrationStep.upgrade_from_script, False: MigrationStep.downgrade_from_script}
        return [makers[move.upwards](script.revision_map, script.get_revision(move.revision)) for move in moves]

    def _pass(self, visit: Visit, moves: list[Move]) -> Iterator[Any]:
        """Hand the revisions to Alembic; when it asks for the next, the one before is committed."""
        for number, step in enumerate(self.environment.steps(visit, self._made(moves))):
            if number:
                self._has_passed()
                if self.enough:
                    return
                self.steps.append(self._ours(lambda: self._step(moves[self.finished])))
                raw.CURRENT[-1] = self._watcher
            yield step
        if len(moves) > 1:  # a single one may be in a transaction that env.py ends
            self._has_passed()

    def _has_passed(self) -> None:
        step = self.step
        if self.passed is not None:
            self.catalog = self._ours(lambda: self.passed(step))  # type: ignore[misc]
        self.finished += 1

    def _ours(self, work: Callable[[], Any]) -> Any:
        """Do what is none of env.py's business, so that a failure of it is not one of env.py's."""
        try:
            return work()
        except BaseException as exc:
            self.broken = exc
            raise
