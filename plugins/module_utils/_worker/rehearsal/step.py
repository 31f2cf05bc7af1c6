# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One revision as it runs on the copy: env.py is led there, and what happens is kept."""

from __future__ import annotations

from typing import Any

from .. import project
from ..environment import EnvironmentRun, Visit
from ..failure import Failure, describe
from . import raw
from .kinds import KINDS


class Step:
    """One revision, upwards or downwards, on the copy.

    :param before: the catalogue before it.
    :param session: a connection of ours to the copy, from which the step is looked at.
    :param real: asks the real database.
    """

    def __init__(
        self, rehearsal: Any, looked: Any, revision: str, upwards: bool, before: Any, session: Any = None, real: Any = None
    ) -> None:
        self.rehearsal, self.looked, self.revision, self.upwards = rehearsal, looked, revision, upwards
        self.names = {
            entry["oid"]: entry["name"] for entry in before.values() if entry["kind"] == "relation" and entry["relkind"] in "rpmf"
        }
        self.stored = {entry["oid"] for entry in before.values() if entry["kind"] == "relation" and entry["relkind"] == "m"}
        self.error: dict[str, Any] | None = None
        self.began = False
        request = dict(rehearsal.request, lock={"enabled": False}, limits={})
        self.environment = EnvironmentRun(
            request, project.load(request, "upgrade"), self._work, self._send, self._prepare, writing=True
        )
        if looked.revision_map is not None:
            self.environment.script.revision_map = looked.revision_map
        self.environment.asked = []  # it is the copy that it connects to
        statements = self.environment.statements
        self.watch = KINDS[looked.database["dialect"]].watch(
            lambda: statements.running, lambda: statements.autocommit, rehearsal.version_tables, before, session, real
        )

        self.watch.began = lambda: self.began

    def run(self) -> Step:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        for name, listener, keywords in self.watch.events():
            event.listen(Engine, name, listener, **keywords)
        raw.CURRENT.append(self.watch)
        try:
            self.environment.run()
            self.error = next((visit.error for visit in self.environment.visits if visit.error), None)
            if self.error is None and not self.began:
                self.error = describe(Failure("no_migrations", "env.py ran no migrations."))
        except (Exception, SystemExit) as exc:
            failed = next((visit.error for visit in self.environment.visits if visit.error), None)
            self.error = failed or describe(exc, self.environment.revision)
        finally:
            raw.CURRENT.pop()
            for name, listener, _keywords in self.watch.events():
                event.remove(Engine, name, listener)
        self.error = self.error and {
            name: self.error.get(name) for name in ("kind", "message", "statement", "sqlstate", "file", "line")
        }
        return self

    def _send(self, message: dict[str, Any]) -> None:
        if message["event"] == "secret":
            self.rehearsal.send(message)

    def _prepare(self, visit: Visit) -> None:
        if visit.number != self.looked.number:
            visit.context.opts["dont_mutate"] = True

    def _work(self, visit: Visit, heads: tuple[str, ...]) -> Any:
        if visit.number != self.looked.number:
            return []
        from alembic.runtime.migration import MigrationStep

        self.began = True
        script = self.environment.script
        make = MigrationStep.upgrade_from_script if self.upwards else MigrationStep.downgrade_from_script
        return self.environment.steps(visit, [make(script.revision_map, script.get_revision(self.revision))])
