# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The ways back: each revision is undone, applied again, and what is left over is compared with what there was before it."""

from __future__ import annotations

from typing import Any

from . import catalog
from .step import Move, Passage, Step


def aside(database: Any, step: Step, after: catalog.Catalog) -> dict[str, Any]:
    """Undo a revision on a copy of the copy, which itself stays as the upgrade left it."""
    rehearsal, revision = database.rehearsal, step.move.revision
    with database.scratch.second() as copy:
        rehearsal.aim(copy=copy)
        try:
            down = Passage(rehearsal, database.looked, [Move(revision, False)], after).run()
            found: dict[str, Any] = dict(database.report(down.step, []), residue=[], again=None)
            if down.error is None:
                with database.scratch.connect(copy).closing() as session:
                    back = database.kind.look(session, database.version_tables, down.step.watch, after)
                found["residue"] = catalog.residue(step.before, back)
                found["again"] = Passage(rehearsal, database.looked, [Move(revision, True)], back).run().error
                found["changes"] = catalog.changes(after, after, back)
            return found
        finally:
            rehearsal.aim()


def all_the_way(databases: list[Any]) -> None:
    """Undo one revision after the other, from the last, on the copy that the upgrade of these databases has left.

    Mostly all can be undone and are then all applied again. Where one can not, or leaves something else than it found, it is no
    ground for the next: then all is done once more, each by itself, and after such a one the next gets a new copy.
    """
    clean = all(report["error"] is None for database in databases for report in database.reports)
    top = databases[-1].states[-1]
    for database in reversed(databases):
        number = len(database.passed)
        hasty = number > 1
        while number:
            found = database.look(None, top) if clean else renewed(database, number)
            if found is None:
                break
            descent = _Descent(database, number, found, hasty)
            number, clean, top, hasty = descent.run(), descent.clean, descent.catalog, False
        clean = clean and not number
        if database.real is not None:
            database.real.close()


def renewed(database: Any, number: int) -> catalog.Catalog | None:
    """Bring the copy to where the first revisions had left it; None where they do not get there again."""
    rehearsal, looked = database.rehearsal, database.looked
    database.scratch.renew()
    rehearsal.aim()
    before = {each.looked.number: each.passed for each in database.earlier}
    todo = [_again(report) for report in database.reports[:number]]
    top: catalog.Catalog | None = None
    while todo or before:
        moves = todo if database.together else todo[:1]
        if moves and moves[0].answered:
            top = database.look(None, top)
            moves = moves[:1]
        elif any(move.answered for move in moves):
            moves = moves[: next(number for number, move in enumerate(moves) if move.answered)]
        passage = Passage(rehearsal, looked, moves, top, real=database.real, others=before).run()
        if passage.error:
            return None
        todo, before = todo[passage.finished :] if moves else todo, {}
    return database.look(None, top)  # type: ignore[no-any-return]


def _again(report: dict[str, Any]) -> Move:
    answered = any(statement["answered"] for statement in report["statements"])
    return Move(report["revision"], True, watched=False, answered=answered)


class _Descent:
    """From the last of ``number`` revisions down to the first, or to one that does not bring back what there was.

    Each is undone, applied and undone again, so that where the next begins is where it would have been without that.

    :param hasty: all are undone, then all are applied again; nothing is left if that does not go well.
    """

    def __init__(self, database: Any, number: int, top: catalog.Catalog, hasty: bool) -> None:
        self.hasty = hasty
        self.database, self.number, self.catalog = database, number, top
        self.clean = False  # all that was undone brought back what there was
        self.passage: Passage | None = None
        self.found: dict[str, Any] = {}  # what is known of the way back that is tried

    def run(self) -> int:
        """Return how many revisions are left, which can not be undone from here."""
        database = self.database
        todo: list[Move] = []
        for report in reversed(database.reports[: self.number]):
            revision = report["revision"]
            todo += [Move(revision, False)]
            if not self.hasty:
                todo += [_again(report), Move(revision, False, watched=False)]
        if not self.hasty and not database.earlier:
            todo.pop()  # nothing comes after it
        number = self.number
        if not self._pass(todo):
            return number if self.hasty else self.number - 1
        self.clean = not self.hasty or self._climb(number)
        return 0 if self.clean else number

    def _climb(self, number: int) -> bool:
        """Apply all again, and leave the copy as it is below them; tell whether that went well."""
        database = self.database
        again = [_again(report) for report in database.reports[:number]]
        if any(move.answered for move in again) or not self._pass(again):
            return False
        return not database.earlier or self._pass([Move(move.revision, False, watched=False) for move in reversed(again)])

    def _pass(self, todo: list[Move]) -> bool:
        database = self.database
        while todo:
            moves = todo if database.together else todo[:1]
            self.passage = Passage(database.rehearsal, database.looked, moves, self.catalog, None, database.real, self._passed)
            self.passage.run()
            if self.passage.error:
                self._failed(self.passage.step)
                return False
            if self.passage.enough:
                return False
            todo, self.catalog = todo[self.passage.finished :], self.passage.catalog
        return True

    def _failed(self, step: Step) -> None:
        if step.move.watched:
            self._take_down(step, [])
        elif step.move.upwards:
            self.found["again"] = step.error

    def _passed(self, step: Step) -> catalog.Catalog:
        """Compare after the first time down; the second one leads to the next revision."""
        database = self.database
        if step.move.upwards:
            self.passage.enough = not self.hasty and bool(self.found["residue"])  # type: ignore[union-attr]
            return self.passage.catalog  # type: ignore[union-attr,no-any-return]
        if self.hasty and not step.move.watched:
            return self.passage.catalog  # type: ignore[union-attr,no-any-return]
        back = database.look(step.watch, step.before)
        if step.move.watched:
            self._take_down(step, catalog.changes(step.before, step.before, back))
            self.found["residue"] = catalog.residue(database.states[self.number - 1], back)
            self.passage.enough = self.hasty and bool(self.found["residue"])  # type: ignore[union-attr]
        if self.hasty or not step.move.watched:
            self.number -= 1
        return back  # type: ignore[no-any-return]

    def _take_down(self, step: Step, changes: list[Any]) -> None:
        database = self.database
        sizes = _Sizes(database.states[self.number], database.sizes, step.before)
        self.found = dict(database.report(step, changes, sizes), residue=[], again=None)
        database.reports[self.number - 1]["downgrade"] = self.found


class _Sizes:
    """How large the tables are, by the names that they have by then: undone and applied again, one may have another OID.

    :param state: what the revisions left when they were first applied, of which the sizes are known.
    :param now: the catalogue whose OIDs are asked for.
    """

    def __init__(self, state: catalog.Catalog, sizes: dict[str, Any], now: catalog.Catalog) -> None:
        self._now = now
        self._named = {state[("relation", oid)]["name"]: size for oid, size in sizes.items() if ("relation", oid) in state}

    def get(self, oid: str, otherwise: Any) -> Any:
        entry = self._now.get(("relation", oid))
        return otherwise if entry is None else self._named.get(entry["name"], otherwise)
