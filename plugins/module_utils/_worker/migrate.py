# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Upgrade, downgrade and stamp: plan, lock, plan again, run, look at what is really there."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from typing import Any

from . import ahead, history, moved, project, server, target
from .environment import EnvironmentRun, Send, Visit
from .failure import RETRYABLE, Failure, describe
from .look import look
from .observe import observe
from .standing import no_writes, stands_at
from .transaction import RUN

PLANS = {"upgrade": target.upgrade_steps, "downgrade": target.downgrade_steps, "stamp": target.stamp_steps}


def migrate(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Run one attempt of ``request["operation"]``; all that happens is sent as events.

    After a failure that may be tried again, looking where the database stands is left to the supervisor.
    """
    project.enter(request)
    send({"event": "versions", "versions": project.versions()})
    moved.begin(request)
    migration = _Migration(request, send)
    try:
        _look_afterwards(request, send, migration, migration.run())
    finally:
        migration.close()
    return {}


def _look_afterwards(request: dict[str, Any], send: Send, migration: _Migration, failure: dict[str, Any] | None) -> None:
    if not migration.ran_anything:
        send({"event": "observed", "observed": [migration.unchanged(visit) for visit in migration.visits]})
    elif failure is None or failure["kind"] not in RETRYABLE:
        seen = _seen(request, migration) if failure is None and ahead.ORDINARY else []
        migration.close()  # what looks now has connections of its own
        try:
            send({"event": "observed", "observed": seen}) if seen else observe(request, send)
        except (Exception, SystemExit):  # an env.py that can't run twice: the supervisor tries it in a new process
            send({"event": "looked", "looked": look(request, migration.environment)})
    if failure:
        send({"event": "failed", "error": failure})


def _seen(request: dict[str, Any], migration: _Migration) -> list[dict[str, Any]]:
    """Return where all databases stand, over connections of our own: an ordinary env.py would show the same once more.

    Nothing where not all of them answer, or one had moved before.
    """
    found = look(request, migration.environment)
    whole = len(found) == len(migration.visits) and not any(entry.get("moved") for entry in found)
    return found if whole else []


class _Migration:
    def __init__(self, request: dict[str, Any], send: Send) -> None:
        self.request, self.send, self.operation = request, send, request["operation"]
        self.environment: EnvironmentRun | None = None
        self.found_initialised: set[int] = set()
        self.graph_sent = False

    @property
    def visits(self) -> list[Visit]:
        return self.environment.visits if self.environment else []

    @property
    def ran_anything(self) -> bool:
        return any(visit.facts.get("touched") for visit in self.visits)

    def close(self) -> None:
        if self.environment:
            self.environment.locks.close()

    def run(self) -> dict[str, Any] | None:
        """Run env.py; return the failure, if there was one."""
        try:
            config = project.load(self.request, self.operation)
            self._look_ahead()
            self.environment = EnvironmentRun(
                self.request, config, self.work, self.send, self.prepare, writing=True, approach=self.approach
            )
            if self.operation == "stamp" and self.request.get("purge"):
                self.environment.options["purge"] = True
            self.environment.run()
        except (Exception, SystemExit) as exc:
            if not self.visits:
                raise  # nothing was connected, so there is nothing to look after
            failed = next((visit.error for visit in self.visits if visit.error), None)
            for visit in self.visits:
                if visit.database and not visit.facts.get(
                    "announced"
                ):  # env.py failed before it ran anything: what would have run is not known
                    visit.steps = []
                    self._announce(visit)
            return failed or self._afterwards(describe(exc))
        finally:
            if self.environment:
                self._report_locks()
        return next((visit.error for visit in self.visits if visit.error), None)

    def _afterwards(self, error: dict[str, Any]) -> dict[str, Any]:
        """Say that env.py failed when the migrations had run, if they had."""
        if not any(visit.ended and visit.facts.get("touched") for visit in self.visits):
            return error
        message = f"env.py failed after it had run the migrations: {error['message']}"
        hint = "See what env.py does after context.run_migrations(), its commit included: it did not come to its end."
        return dict(error, message=message, hint=hint)

    def _report_locks(self) -> None:
        for visit in self.visits:
            if "lock" in visit.facts:
                self.send({"event": "lock", "context": visit.number, "lock": visit.facts["lock"]})

    def _look_ahead(self) -> None:
        """Where an application's own command may have to run first, find out which databases have no version table.

        The command can not run inside the transaction that env.py migrates in, and only there is the right version table known.
        """
        if self.operation != "upgrade" or (self.request.get("initialise") or {}).get("method") != "command":
            return
        look = EnvironmentRun(self.request, project.load(self.request, self.operation), lambda visit, heads: [], self._confide)
        with contextlib.suppress(Exception, SystemExit):  # it may fail for want of what the command is to make
            look.run()
        self.found_initialised = {visit.number for visit in look.visits if visit.ran and visit.initialised}

    def _confide(self, message: dict[str, Any]) -> None:
        if message["event"] == "secret":
            self.send(message)

    def approach(self, visit: Visit) -> None:
        """Take the lock before env.py goes on if there is something to do, as far as can be seen by now: it may write itself."""
        try:
            self.environment.read(visit)  # type: ignore[union-attr]
            try:
                self.plan(visit)
            except Failure:
                return  # said when it is certain: env.py may still choose another version table
            if self._has_work(visit):
                self.environment.lock(visit)  # type: ignore[union-attr]
                if visit.number not in self.found_initialised:
                    self._initialise(visit)
            if visit.steps:
                self.environment.limit(visit)  # type: ignore[union-attr]
        except BaseException:
            self._announce(visit)
            raise

    def prepare(self, visit: Visit) -> None:
        try:
            self._settle(visit)
        finally:
            self._announce(visit)

    def _has_work(self, visit: Visit) -> bool:
        return bool(visit.steps) or (not visit.initialised and self.operation == "upgrade")

    def _settle(self, visit: Visit) -> None:
        """Plan, and when there is something to do take the lock and plan again; the lock's holder may have done it."""
        self.plan(visit)
        if self._has_work(visit):
            if "lock" not in visit.facts:
                self.environment.lock(visit)  # type: ignore[union-attr]
            if self._awaits_command(visit) and visit.database["transaction_per"] == RUN:
                raise Failure(
                    "command_failed",
                    "The initialisation command was not run: env.py has begun a transaction that it would have to wait for.",
                    "Move what env.py does on the connection before context.configure(), or run the command by hand first.",
                )
            self._initialise(visit)
            self.plan(visit)
        if visit.steps:
            self.environment.limit(visit)  # type: ignore[union-attr]
            visit.facts["invalid_before"] = server.invalid_indexes(visit.database["dialect"], visit.dbapi)
        else:
            visit.context.opts["dont_mutate"] = True  # else an empty version table would be made

    def plan(self, visit: Visit) -> None:
        """Fill in the steps from the heads just read, and refuse what the request does not allow."""
        script = self.environment.script  # type: ignore[union-attr]
        current = () if self.operation == "stamp" and self.request.get("purge") else visit.current
        stamps: list[Any] = []
        if self.operation == "upgrade" and not visit.initialised:
            stamps = self._first_stamp(visit, script)
            current = tuple(revision for step in stamps for revision in step.to_revisions)
        steps = PLANS[self.operation](script, self.request["target"], current)
        visit.steps = stamps + steps
        if visit.steps and not self._awaits_command(visit):
            self._expect(visit, len(steps))

    def _first_stamp(self, visit: Visit, script: Any) -> list[Any]:
        """Return the stamp that a database without a version table gets first, if the request says so."""
        initialise = self.request.get("initialise") or {}
        method, revision = initialise.get("method"), initialise.get("revision")
        if method == "refuse":
            raise Failure(
                "not_initialised",
                f"The database has no version table {visit.database['version_table']}.",
                "Say with initialise whether to upgrade it from base, run the application's command first, or stamp a revision.",
            )
        if method == "stamp" or (method == "command" and revision):
            return target.stamp_steps(script, str(revision), ())
        return []

    def _awaits_command(self, visit: Visit) -> bool:
        """The application's own command has still to run, so what will be pending is not known yet."""
        wanted = self.operation == "upgrade" and (self.request.get("initialise") or {}).get("method") == "command"
        return wanted and not visit.initialised and not visit.facts.get("command_ran")

    def _initialise(self, visit: Visit) -> None:
        """Run the application's own initialisation command, under the lock."""
        initialise = self.request.get("initialise") or {}
        if not self._awaits_command(visit):
            return
        environment = dict(os.environ, PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)]))
        self.send({"event": "initialise", "context": visit.number})
        visit.facts.update(touched=True, command_ran=True, before=sorted(visit.current))
        command = [str(part) for part in initialise["command"]]
        try:
            status = subprocess.run(  # pylint: disable=ansible-bad-function  # there is no Ansible here
                command, env=environment, stdin=subprocess.DEVNULL, check=False
            ).returncode
        except OSError as exc:
            raise Failure(
                "command_failed",
                f"The initialisation command {command[0]} can not be run: {exc.strerror}.",
                "Check initialise_command.",
            ) from exc
        if status:
            raise Failure(
                "command_failed",
                f"The initialisation command {command[0]} ended with status {int(status)}.",
                "Its output is in 'output'.",
            )
        self.environment.read(visit)  # type: ignore[union-attr]

    def _expect(self, visit: Visit, count: int) -> None:
        closed = no_writes(visit.database, visit.read_only)
        if closed:
            raise Failure("database_read_only", closed)
        expected, maximum = self.request.get("expect_current"), self.request.get("max_pending")
        if expected is not None and not stands_at(visit.current, expected):
            raise Failure(
                "unexpected_revision",
                f"The database is at {_heads(visit.current)}; expect_current names {_heads(expected)}.",
                "Somebody else has migrated it, or this is another database: look with alembic_info.",
            )
        if maximum is not None and count > maximum:
            raise Failure(
                "too_many_pending",
                f"{int(count)} revisions would run; max_pending allows {int(maximum)}.",
                "Look at them with alembic_info, then raise max_pending.",
            )

    def _announce(self, visit: Visit) -> None:
        steps = visit.steps or []
        visit.facts["announced"] = True
        self.send(
            {
                "event": "context",
                "number": visit.number,
                "database": visit.database,
                "initialised": visit.initialised,
                "before": visit.facts.get("before", sorted(visit.current)),
                "planned": [target.describe_step(step) for step in steps],
                "invalid_before": visit.facts.get("invalid_before", []),
                "lock": visit.facts.get("lock"),
                "moved": moved.of(visit),
            }
        )
        if not self.graph_sent:
            self.graph_sent = True
            self.send({"event": "graph", "graph": target.graph(self.environment.script)})  # type: ignore[union-attr]

    def work(self, visit: Visit, heads: tuple[str, ...]) -> Any:
        """Alembic's ``fn``: the steps, planned anew if the heads are not those that were planned from."""
        if not self.request.get("purge") and set(heads) != set(visit.current):
            visit.current = heads
            self.plan(visit)
        visit.doubtful = bool(history.check_lengths(visit.context, visit.steps or [], visit.current))
        visit.facts["touched"] = visit.facts.get("touched") or bool(visit.steps)
        return self.environment.steps(visit, visit.steps or [])  # type: ignore[union-attr]

    @staticmethod
    def unchanged(visit: Visit) -> dict[str, Any]:
        """Return what looking again would say of a context in which nothing was done."""
        return {
            "database": visit.database,
            "current": sorted(visit.current),
            "pending": [],
            "unknown": [],
            "initialised": visit.initialised,
            "invalid_indexes": None,
            "read_only": visit.read_only,
        }


def _heads(revisions: Any) -> str:
    return ", ".join(sorted(revisions)) or "base"
