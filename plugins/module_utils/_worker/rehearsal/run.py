# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The rehearsal: the pending revisions run one by one on a copy of the schema, are watched, undone and run again."""

from __future__ import annotations

import contextlib
import subprocess
from typing import Any

from .. import preview, project
from ..environment import Send
from ..failure import Failure, describe
from ..server import MYSQL
from . import catalog, declared, reading, replay, rights, squawk
from .access import Access, access_to
from .checks import Checks
from .cluster import Cluster
from .given import Given
from .kinds import KINDS
from .looked import Looked, by_database, hindrance, look
from .real import Real
from .redirect import WAIT_SECONDS, Redirection
from .scratch import Scratch
from .sqlite_copy import SqliteCopy
from .step import Step

#: Settings of each session on the copy: no plan scans a table where something else would do, and nothing hangs.
SESSION = {"enable_seqscan": "off", "lock_timeout": f"{WAIT_SECONDS}s", "statement_timeout": "300s"}


def plan(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Return what was seen of every pending revision of every database."""
    project.enter(request)
    versions = project.versions()
    redirection = Redirection()
    redirection.listen()
    looked = look(request, send, redirection)
    for access, found in by_database(looked):
        with contextlib.suppress(Exception):  # a role that may not make copies has left none, and the plan is what was asked for
            _prune(access, found[0].database["database"], request)
    rehearsal = Rehearsal(request, send, redirection, looked)
    return {"versions": versions, "databases": rehearsal.run(), "warnings": rehearsal.warnings}


def clean(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Drop the copies that a run which was killed left behind."""
    project.enter(request)
    redirection = Redirection()
    redirection.listen()
    dropped: list[str] = []
    for access, found in by_database(look(request, send, redirection)):
        dropped += _prune(access, found[0].database["database"], request)
    return {"dropped": dropped}


def leftovers(request: dict[str, Any], send: Send) -> dict[str, Any]:
    """Drop what rehearsals that were killed have left on the server of a URL, or with ``check`` name it; no env.py is run."""
    project.enter(request)
    access = access_to(str(request["url"]))
    if access.dialect.name not in KINDS:
        return {"removed": []}
    return {"removed": _prune(access, access.endpoint[2], request)}


def _prune(access: Access, database: str, request: dict[str, Any]) -> list[str]:
    """Remove the copies on this server, and the folders on this host, that have nobody any more; return their names."""
    kind = KINDS.get(access.dialect.name)
    removed: list[str] = []
    if kind is None:
        return []
    for copy in dict.fromkeys([Cluster if kind.copy is Scratch else SqliteCopy, kind.copy]):  # both look for folders of either
        scratch = copy(access, database, request)
        try:
            removed += scratch.prune(bool(request.get("check")))
        finally:
            scratch.remove()
    return removed


class Rehearsal:
    """Rehearses what was found pending, each database on a copy of its own."""

    def __init__(self, request: dict[str, Any], send: Send, redirection: Redirection, looked: list[Looked]) -> None:
        self.request, self.send, self.redirection, self.looked = request, send, redirection, looked
        self.warnings: list[str] = []
        self.scratches: dict[tuple[str, ...], Any] = {}
        self.rows: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}  # sizes by the OID that a table has in the copy
        self.version_tables = [each.database["version_table"] for each in looked]

    def run(self) -> list[dict[str, Any]]:
        reports = [self._report(each) for each in self.looked]
        waiting = [each for each in self.looked if each.pending]
        if not waiting:
            return reports
        mode = self.request.get("mode") or "auto"
        reason = "It was not asked for (mode)." if mode == "static" else next(filter(None, map(hindrance, self.looked)), None)
        try:
            if reason is None:
                self._make_copies()
                for each in waiting:
                    scratch = self.scratches[each.access.endpoint]  # type: ignore[union-attr]
                    reports[each.number].update(differences=scratch.missing, copy=scratch.place)
                    reports[each.number]["revisions"] = self._database(each)
        except _Impossible as exc:
            reason = exc.reason
        finally:
            for scratch in self.scratches.values():
                with contextlib.suppress(Exception):  # the next run drops what could not be dropped now
                    scratch.remove()
        if reason and mode == "rehearse":
            raise Failure("rehearsal_impossible", f"The revisions can not be rehearsed. {reason}")
        if reason:
            self._render(reports)
        for each in waiting:
            reports[each.number].update(mode="static" if reason else "rehearsal", reason=reason)
            reports[each.number]["copy"] = None if reason else reports[each.number]["copy"]
        return reports

    def _report(self, looked: Looked) -> dict[str, Any]:
        return {
            "database": looked.database,
            "initialised": looked.initialised,
            "current": sorted(looked.current),
            "pending": [dict(step, declared=declared.read(step["path"], step["branch_labels"])) for step in looked.pending],
            "mode": "none",
            "reason": None,
            "copy": None,
            "second_opinion": None,
            "parser": None,
            "differences": [],
            "tables": looked.tables,
            "revisions": [],
        }

    def _render(self, reports: list[dict[str, Any]]) -> None:
        """Add the SQL of each revision, as far as it can be had without running it."""
        self.redirection.aim({})  # from here on nothing is connected to
        request = dict(self.request, operation="upgrade")
        for report, looked, found in zip(reports, self.looked, preview.render(request, self.looked, lambda message: None)):
            for step in report["pending"]:
                step.update(found.get(step["revision"], {}))
            if looked.database["dialect"] == "postgresql":
                self._read(report, looked)
                self._ask_squawk(report)

    def _read(self, report: dict[str, Any], looked: Looked) -> None:
        report["known"] = reading.known(looked, self.request)
        real = self._real(looked) if report["known"] else None
        for step in report["pending"]:
            reading.read(step, real)
            report["parser"] = report["parser"] or (step.get("parsed") or {}).get("parser")
        if real is not None:
            real.close()

    def _ask_squawk(self, report: dict[str, Any]) -> None:
        try:
            reader = squawk.find(str(report["database"]["server_version"]))
            for step in report["pending"] if reader else []:
                step["squawk"] = reader.read(step["sql"]) if step.get("sql") else []  # type: ignore[union-attr]
            report["second_opinion"] = reader.name if reader else None
        except (OSError, ValueError, subprocess.SubprocessError) as exc:
            self.warnings.append(f"squawk is installed and could not be used: {exc}.")

    def _make_copies(self) -> None:
        for access, found in by_database(self.looked):
            dialect = access.dialect.name
            try:
                scratch = self._made(access, found[0].database["database"])
                if dialect == "postgresql":
                    scratch.fill_views()
                scratch.fill_versions([each.version_table for each in found if each.initialised])
            except Exception as exc:
                if isinstance(exc, Failure) and exc.kind in ("not_ours", "options_invalid"):
                    raise  # the user's to mend, not a reason to know less
                raise _Impossible(exc) from exc
            self.redirection.settings.update(scratch.settings)
            if dialect in MYSQL:
                self.redirection.elsewhere.update({name: scratch.elsewhere.named for name in (scratch.name, scratch.copy)})
            with scratch.connect().closing() as session:
                seen = KINDS[dialect].look(session, self.version_tables, None)
            names = {entry["name"]: entry["oid"] for entry in seen.values() if entry["kind"] == "relation"}
            tables = scratch.sizes(found[0].tables)
            self.rows[access.endpoint] = {names[name]: size for name, size in tables.items() if name in names}
        self.redirection.settings.update(SESSION)
        self._aim()

    def _made(self, access: Access, database: str) -> Any:
        """Make the copy of a database: where it is, in what the user gives, or else in a server of our own."""
        dialect = access.dialect.name
        if self.request.get("scratch_url") and dialect != "postgresql":
            raise Failure("options_invalid", f"scratch_url is for PostgreSQL, and this is {dialect}.", "Leave it out.")
        wanted: list[Any] = [Given if self.request.get("scratch_url") else KINDS[dialect].copy]
        if wanted == [Scratch] and self.request.get("throwaway_cluster", True):
            wanted.append(Cluster)
        problems: list[Exception] = []
        for copy in wanted:
            scratch = self.scratches[access.endpoint] = copy(access, database, self.request)
            try:
                scratch.create()
                return scratch
            except Exception as exc:
                problems.append(exc)
                with contextlib.suppress(Exception):  # the next run drops what could not be dropped now
                    scratch.remove()
        if len(problems) == 1:
            raise problems[0]
        first, second = (str(describe(problem)["message"]).rstrip(".") for problem in problems)
        hint = describe(problems[1]).get("hint")
        raise Failure("rehearsal_impossible", f"{first}. A server of its own for it could not be made either: {second}.", hint)

    def _aim(self, **second: str) -> None:
        self.redirection.aim(
            {
                endpoint: (second.get("copy") or scratch.name, None if scratch.here is scratch.access else scratch.here.cparams)
                for endpoint, scratch in self.scratches.items()
            }
        )

    def _database(self, looked: Looked) -> list[dict[str, Any]]:
        access = looked.access
        if access is None:
            raise Failure("internal_error", "A context without a way to its database.")
        scratch, kind = self.scratches[access.endpoint], KINDS[looked.database["dialect"]]
        with scratch.connect().closing() as session:
            base = before = kind.look(session, self.version_tables, None)
        observed = self._observed(looked, scratch)
        roles, held = self._rights(looked, scratch)
        real = self._real(looked)
        reports: list[dict[str, Any]] = []
        undone: list[tuple[Any, ...]] = []  # what is still to be undone, where there is no copy to do it on
        checks = Checks(access, looked.database["database"], base, float(self.request.get("data_checks_timeout") or 0))
        for number, step in enumerate(looked.pending):
            self.send({"event": "rehearsing", "revision": step["revision"], "message": step["message"]})
            with scratch.connect().closing() as session:
                up = Step(self, looked, step["revision"], True, before, session, real).run()
                if up.error is None:
                    up.watch.close()
            if number == 0 and up.error and not up.began and not self.redirection.refused:
                raise _Impossible(Failure("environment_failed", f"env.py can not be led to the copy: {up.error['message']}"))
            with scratch.connect().closing() as session:
                after = kind.look(session, self.version_tables, up.watch, before)
            changes = catalog.changes(base, before, after)
            report = self._seen(looked, step["revision"], up, changes)
            if up.error is None:
                with scratch.connect().closing() as session:
                    report["broken"] = replay.problems(session, observed) if observed else {}
                    if roles is not None:
                        now = rights.look(session, roles)
                        names = {entry["name"] for entry in after.values() if entry["kind"] == "column"}
                        lost = [
                            each
                            for each in rights.lost(held, now, names)
                            if each["kind"] != "S" or not _is_of_identity(after, each["object"])
                        ]
                        report.update(roles=roles, lost=lost, calls=replay.calls(session, changes))
                        report["today"] = session.value("select current_date::text")
                        held = {key: what for key, what in now.items() if key in held}  # what is new, old code can not use
                observed = [text for text in observed if text not in report["broken"]]
                report["filled"] = sorted({each["table"] for each in after.values() if catalog.fills(each)})
                report["checked"] = catalog.checked(changes, after)
                report["default_partitions"] = [each["parent"] for each in after.values() if each.get("bound") == "DEFAULT"]
                if scratch.copies:
                    report["downgrade"] = self._back(looked, scratch, step, before, after)
                else:
                    undone.append((step, before, after, report))
                if self.request.get("data_checks", True) and not kind.rows:
                    report["checks"] = checks.of(changes, up.watch.statements)
            reports.append(report)
            if up.error is not None:
                break
            before = after
        if real is not None:
            real.close()
        if reports and reports[-1]["error"] is None:
            self._undo(looked, scratch, undone)
        return reports

    def _observed(self, looked: Looked, scratch: Any) -> list[str]:
        """Return the statements of running code that work on the copy as it is now."""
        count = int(self.request.get("observed_statements") or 0)
        if not count:
            return []
        if looked.database["dialect"] != "postgresql":
            self.warnings.append(f"No statement of running code was tried: {looked.database['dialect']} has no pg_stat_statements.")
            return []
        try:
            with scratch.access.connect(looked.database["database"], "rehearsal", reading=True).closing() as original:
                texts = replay.read(original, count)
        except Failure as exc:
            self.warnings.append(f"{exc.message} {exc.hint or ''}".strip())
            return []
        with scratch.connect().closing() as session:
            unknown = replay.problems(session, texts) if texts else {}
        return [text for text in texts if text not in unknown]

    def _rights(self, looked: Looked, scratch: Any) -> tuple[list[str] | None, rights.Rights]:
        """Return the roles of old code and what they may do on the copy as it is now; no roles where there are none to know."""
        if looked.database["dialect"] != "postgresql":
            return None, {}
        with scratch.access.connect(looked.database["database"], "rehearsal", reading=True).closing() as original:
            found = rights.roles(original, self.request.get("application_roles") or [])
        with scratch.connect().closing() as session:
            return found, rights.look(session, found)

    def _real(self, looked: Looked) -> Real | None:
        access = looked.access
        if looked.database["dialect"] != "postgresql" or access is None:
            return None
        seconds = float(self.request.get("data_checks_timeout") or 0)
        name = looked.database["database"]
        return Real(
            lambda: access.connect(name, "rehearsal: checks", reading=True),
            looked.tables,
            seconds,
            self.request.get("data_checks", True),
        )

    def _undo(self, looked: Looked, scratch: Any, undone: list[tuple[Any, ...]]) -> None:
        """Try the ways back one after the other from the top, up to the first that leaves something else than it found."""
        for step, before, after, report in reversed(undone):
            report["downgrade"] = found = self._back(looked, scratch, step, before, after)
            if found["error"] or found["residue"] or found["again"]:
                return
            down = Step(self, looked, step["revision"], False, after).run()  # it was applied again, to see that it can be
            if down.error:
                return

    def _back(self, looked: Looked, scratch: Any, step: dict[str, Any], before: Any, after: Any) -> dict[str, Any]:
        """Downgrade and upgrade again on a second copy; the first stays as the upgrade left it."""
        with scratch.second() as copy:
            self._aim(copy=copy)
            try:
                down = Step(self, looked, step["revision"], False, after).run()
                found = self._seen(looked, step["revision"], down, [])
                found.update(residue=[], again=None)
                if down.error is None:
                    with scratch.connect(copy).closing() as session:
                        back = KINDS[looked.database["dialect"]].look(session, self.version_tables, down.watch, after)
                    found["residue"] = catalog.residue(before, back)
                    again = Step(self, looked, step["revision"], True, back).run()
                    found["again"] = again.error
                    found["changes"] = catalog.changes(after, after, back)
                return found
            finally:
                self._aim()

    def _seen(self, looked: Looked, revision: str, step: Step, changes: list[dict[str, Any]]) -> dict[str, Any]:
        rows, names = self.rows[looked.access.endpoint], step.names  # type: ignore[union-attr]
        unknown = {"rows": 0, "bytes": 0}  # made by a pending revision, so there is nothing in it yet
        return {
            "revision": revision,
            "error": step.error,
            "refused": list(self.redirection.refused) if step.error else [],
            "statements": step.watch.statements,
            "strange": step.watch.strange,
            "changes": changes,
            "dialect": looked.database["dialect"],
            "whole": KINDS[looked.database["dialect"]].rows,
            "tables": {oid: {"name": name, "stored": oid in step.stored, **rows.get(oid, unknown)} for oid, name in names.items()},
            "downgrade": None,
            "checks": [],
            "roles": None,
            "lost": [],
            "calls": {},
            "today": None,
        }


def _is_of_identity(after: catalog.Catalog, name: str) -> bool:
    """Nobody needs a right on the sequence of an identity column, but the table's."""
    return any(entry["kind"] == "relation" and entry["name"] == name and entry["identity"] for entry in after.values())


class _Impossible(Exception):
    """It can not be rehearsed here, for this reason."""

    def __init__(self, exc: BaseException) -> None:
        told = describe(exc)
        hint = f" {told['hint']}" if told.get("hint") else ""
        super().__init__(told["message"])
        self.reason = f"{told['message'].rstrip('.')}.{hint}"
