# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The rehearsal of one database: its pending revisions run on its copy and are watched, then they are taken back."""

from __future__ import annotations

from typing import Any

from ..failure import Failure
from ..server import MYSQL
from . import back, catalog, defaults, lacking, numbers, paths, policies, refusing, replay, rights, sampled, trial
from .access import Session
from .checks import Checks
from .kinds import KINDS
from .looked import Looked
from .mysql_real import MysqlReal
from .real import Real
from .report import reported
from .step import Move, Passage, Step

#: Without it (PostgreSQL 15) what one revision has read is counted late, and would be taken for what the next one does.
_FLUSHES = "select to_regprocedure('pg_stat_force_next_flush()') is not null"


class Unreachable(Exception):
    """env.py could not be led to the copy; the argument says why."""


class Database:
    """:param rehearsal: it has made the copies.
    :param scratch: the copy of this database.
    :param earlier: what env.py migrates before this on the same copy.
    """

    def __init__(self, rehearsal: Any, looked: Looked, scratch: Any, earlier: list[Database]) -> None:
        if looked.access is None:
            raise Failure("internal_error", "A context without a way to its database.")
        self.rehearsal, self.looked, self.scratch, self.earlier = rehearsal, looked, scratch, earlier
        self.request, self.access, self.name = rehearsal.request, looked.access, str(looked.database["database"])
        self.dialect = looked.database["dialect"]
        self.kind, self.version_tables = KINDS[self.dialect], rehearsal.version_tables
        self.sizes = rehearsal.sizes[self.access.endpoint]
        self.together = False  # all revisions can pass in one run of env.py
        self.states: list[catalog.Catalog] = []  # the catalogue before the first revision, and after each
        self.reports: list[dict[str, Any]] = []
        self.real: Real | None = None
        self.held: rights.Rights = {}  # what old code may do that it could do before
        self.now: rights.Rights = {}
        self.writers: list[str] = []  # the roles of old code that write
        self.settings: dict[tuple[str, str], str] = {}
        self.published: list[str] = []  # tables, with their updates or deletes
        self.unidentified: set[str] = set()  # tables whose rows nobody can change, since they are published
        self.today: str | None = None

    @property
    def passed(self) -> list[str]:
        """The revisions that succeeded."""
        return [report["revision"] for report in self.reports if report["error"] is None]

    def run(self) -> None:
        """Run the revisions, and make a report of each; one that failed is the last.

        :raises Unreachable: see there.
        """
        base = self.look(None, self.rehearsal.bases.get(self.access.endpoint))
        self.real = real_of(self.looked, self.request)
        if self.scratch.renews:
            with self.scratch.session() as session:
                self.together = bool(session.value(_FLUSHES))
        if not self._go(base):
            self.together = False
            self._go(back.renewed(self, 0) or {})
        if self.real is not None:
            self.real.close()
        self.rehearsal.bases[self.access.endpoint] = self.states[-1]

    def look(self, watch: Any, previous: catalog.Catalog | None) -> catalog.Catalog:
        with self.scratch.session() as session:
            return self.kind.look(session, self.version_tables, watch, previous)

    def _go(self, base: catalog.Catalog) -> bool:
        """Run the pending revisions, in one run of env.py or each in its own; tell whether all that it did came from them.

        An env.py that goes on writing when they have run does so once, after the last of them. In between that would be missed.
        """
        self.states, self.reports = [base], []
        self.observed = self._observed()
        self.roles = self._rights()
        self.asked = Checks(self.access, self.name, base, float(self.request.get("data_checks_timeout") or 0))
        todo = [Move(step["revision"], True) for step in self.looked.pending]
        while todo:
            moves = todo if self.together else todo[:1]
            with self.scratch.session() as session:
                passage = Passage(self.rehearsal, self.looked, moves, self.states[-1], session, self.real, self._passed).run()
            if passage.error:
                self._failed(passage)
                return True
            todo = todo[passage.finished :]
            if passage.finished > 1 and self.look(None, self.states[-1]) != self.states[-1]:
                return False
        return True

    def _failed(self, passage: Passage) -> None:
        """Take down the revision that failed; where env.py failed after the last of them, that is told of this one."""
        step = passage.step
        if not self.reports and not passage.began and not self.rehearsal.redirection.refused:
            raise Unreachable(step.error["message"] if step.error else "")
        if passage.finished == len(passage.moves):
            self.reports[-1].update(error=step.error, refused=list(self.rehearsal.redirection.refused))
            return
        after = self.look(step.watch, step.before)
        self.reports.append(self.report(step, catalog.changes(self.states[0], step.before, after)))

    def report(self, step: Step, changes: list[dict[str, Any]], sizes: Any = None) -> dict[str, Any]:
        found = reported(step, changes, self.sizes if sizes is None else sizes, self.rehearsal.redirection.refused)
        return dict(found, dialect=self.dialect, whole=self.kind.rows)

    def _passed(self, step: Step) -> catalog.Catalog:
        """Take down what a revision did, which is committed."""
        before = step.before
        with self.scratch.session() as session:
            step.watch.close()
            after = self.kind.look(session, self.version_tables, step.watch, before)
            changes = catalog.changes(self.states[0], before, after)
            report = self.report(step, changes)
            report["broken"] = replay.problems(session, self.observed) if self.observed else {}
            if self.dialect == "postgresql":
                report["defaults"] = replay.defaults(session, changes, after)
                report["refused"] = replay.refused(session, changes, before, after)
                report["reordered"] = catalog.reordered(changes, before, after)
                report["strict"] = catalog.strict(changes, after)
                report["unset"] = catalog.unset(changes, before, after)
                self._try(session, step, report, after)
            if self.roles is not None:
                self._compare_rights(session, self.roles, report, before, after)
        self.observed = [text for text in self.observed if text not in report["broken"]]
        report.update(_standing(changes, after), checked=catalog.checked(changes, after))
        triggers = list(catalog.of_kind(after, "trigger"))
        report["skipping"] = refusing.skipping(changes, triggers, after)
        report["refusing"] = refusing.of_functions(changes, triggers)
        if self.dialect == "postgresql" and any(change["kind"] == "column" for change in changes):
            report.update(kept=catalog.kept(self.states[0], changes), domains=catalog.domains(before, after))
        self.states.append(after)
        self.reports.append(report)
        if not self.scratch.renews:
            report["downgrade"] = back.aside(self, step, after)
        if self.request.get("data_checks", True) and not self.kind.rows:
            with self.scratch.session() as session:
                copy = session if self.dialect == "postgresql" else None
                report["checks"] = self.asked.of(
                    changes, step.watch.statements, copy, self.real.borrowed if self.real else frozenset()
                )
        return after

    def _try(self, session: Any, step: Step, report: dict[str, Any], after: catalog.Catalog) -> None:
        """Take down the triggers and functions that fail now, and the sequences that have no next number, or one that is there."""
        touched = step.watch.account.locked | (getattr(after, "dirty", None) or set())
        report["exhausted"] = trial.exhausted(session, touched, step.before, self._ask_original)
        if self.real is not None and self.real.answers:
            base, statements = self.states[0], step.watch.statements
            fed = {oid for oid in touched if ("relation", oid) in step.before} | _new_sequences(report["changes"])
            report["colliding"] = trial.colliding(session, fed, step.before, statements, self.real.ask)
            report["colliding"] += numbers.taken(session, statements, base, self.real)
            report["given"] = defaults.refused(session, report["changes"], base, after, self.real.ask)
        triggers = trial.concerned(report["changes"], step.before, after)
        functions = any(change["kind"] == "function" and change["before"] and change["after"] for change in report["changes"])
        if (triggers or functions) and session.value(_FLUSHES):
            report["failing"] = trial.failing(session, triggers, after)
            if self.real is not None and self.real.answers:
                report["sampled"] = sampled.done(session, triggers, self.states[0], after, self.real.ask)
            report["unable"] = trial.unable(session, report["changes"])
            session.rows("select pg_stat_force_next_flush()")
            if step.watch.ledger is not None:
                step.watch.ledger.latest = None  # what was tried was counted

    def _ask_original(self, sql: str) -> list[tuple[Any, ...]]:
        with self.access.connect(self.name, "rehearsal", reading=True).closing() as original:
            return original.rows(sql)

    def _compare_rights(
        self, session: Any, roles: rights.Held, report: dict[str, Any], before: catalog.Catalog, after: catalog.Catalog
    ) -> None:
        now = roles.again(session, before, after)
        lost: list[dict[str, Any]] = []
        if now is not self.now:
            columns: set[str] = set()

            def is_column(name: str) -> bool:
                columns.update(() if columns else (entry["name"] for entry in catalog.of_kind(after, "column")))
                return name in columns

            found = rights.lost(self.held, now, is_column, roles.changed)
            lost = [each for each in found if each["kind"] != "S" or not _is_of_identity(after, each["object"])]
            known = self.held.keys() if roles.changed is None else self.held.keys() & roles.changed
            there = {key: now[key] for key in known if key in now}  # what is new, old code can not use
            self.held = there if roles.changed is None else rights.replaced(self.held, known, there)
            self.now = now
        if roles.publishes or self.unidentified or self.published:
            now_unidentified = trial.unidentified(session, self.published)
            report["unidentified"] = sorted(now_unidentified - self.unidentified)
            self.unidentified = now_unidentified
        report["settings"] = [[*key, value] for key, value in roles.settings.items() if self.settings.get(key) != value]
        self.settings = roles.settings
        if self.real is not None and self.real.answers:
            catalogs = (self.states[0], before, after)
            report["policies"] = policies.narrowed(session, roles.names, report["changes"], catalogs, self.real.ask)
        report["shadowed"] = paths.shadowed(roles.names, roles.settings, report["changes"], before, now)
        lacking_now = lacking.found(session, report["changes"], before, after, now)
        report.update(
            roles=roles.names,
            writers=self.writers,
            lost=lost,
            lacking=lacking_now,
            calls=replay.calls(session, report["changes"]),
            calls_by_name=replay.calls(session, report["changes"], by_name=True),
            ambiguous=replay.ambiguous(session, report["changes"], after),
            today=self.today,
        )

    def _observed(self) -> list[str]:
        """Return the statements of running code that work on the copy as it is now."""
        count = int(self.request.get("observed_statements") or 0)
        if not count:
            return []
        if self.dialect != "postgresql":
            self.rehearsal.warn(f"No statement of running code was tried: {self.dialect} has no pg_stat_statements.")
            return []
        try:
            with self.access.connect(self.name, "rehearsal", reading=True).closing() as original:
                texts = replay.read(original, count)
        except Failure as exc:
            self.rehearsal.warn(f"{exc.message} {exc.hint or ''}".strip())
            return []
        with self.scratch.session() as session:
            unknown = replay.problems(session, texts) if texts else {}
        return [text for text in texts if text not in unknown]

    def _rights(self) -> rights.Held | None:
        """Return the roles of old code and what they may do on the copy as it is now; None where there are none to know."""
        self.held = self.now = {}
        if self.dialect != "postgresql":
            return None
        with self.access.connect(self.name, "rehearsal", reading=True).closing() as original:
            found = rights.roles(original, self.request.get("application_roles") or [])
            self.published = trial.published(original)
            owner = str(original.value("select current_user"))
        with self.scratch.session() as session:
            held = rights.Held(session, found)
            self.settings = held.settings
            known = held.publishes or self.published
            self.unidentified = trial.unidentified(session, self.published) if known else set()
            self.today = session.value("select current_date::text")
        self.held = self.now = held.rights
        self.writers = rights.writing(held.rights, owner)
        return held


def _new_sequences(changes: list[dict[str, Any]]) -> set[str]:
    """Return the OIDs of new sequences, where a column that was there may take its numbers from one now."""
    if not any(change["kind"] == "column" and change["before"] and change["after"] for change in changes):
        return set()
    made = (change["after"] for change in changes if change["kind"] == "relation" and (change["remade"] or not change["before"]))
    return {str(entry["oid"]) for entry in made if entry["relkind"] == "S"}


def real_of(looked: Looked, request: dict[str, Any]) -> Any:
    """Return what asks the real database, where that can be asked."""
    access, name, dialect = looked.access, looked.database["database"], looked.database["dialect"]
    seconds = float(request.get("data_checks_timeout") or 0)
    if access is None or dialect not in (*MYSQL, "postgresql"):
        return None

    def connect() -> Session:
        return access.connect(name, "rehearsal: checks", reading=True)

    if dialect in MYSQL:
        return MysqlReal(connect, seconds, request.get("data_checks", True))
    return Real(connect, looked.tables, seconds, request.get("data_checks", True))


def _standing(changes: list[dict[str, Any]], after: catalog.Catalog) -> dict[str, Any]:
    """Return of what belongs to these changes the tables whose rows a trigger fills, and those with a unique index.

    Where a partition has changed, the parents of DEFAULT partitions too.
    """
    oids = {
        str(entry["relation"])
        for change in changes
        for entry in (change["before"], change["after"])
        if entry and "relation" in entry
    }
    own = [entry for oid in oids for entry in catalog.belonging(after, oid)]
    triggers = [entry for entry in own if catalog.fills(entry)]
    sources = {str(each["oid"]): str(each.get("raises") or "") for each in catalog.of_kind(after, "function")} if triggers else {}
    partitions = any(change["kind"] == "relation" and (change["before"] or {}).get("partition") for change in changes)
    relations = catalog.of_kind(after, "relation") if partitions else ()
    return {
        "filled": sorted({each["table"] for each in triggers if not refusing.only_refuses(sources.get(str(each.get("function"))))}),
        "unique": sorted({str(entry["relation"]) for entry in own if entry["kind"] == "index" and entry["unique"]}),
        "default_partitions": [each["parent"] for each in relations if each.get("bound") == "DEFAULT"],
    }


def _is_of_identity(after: catalog.Catalog, name: str) -> bool:
    """Nobody needs a right on the sequence of an identity column, but the table's."""
    return any(entry["name"] == name and entry["identity"] for entry in catalog.of_kind(after, "relation"))
