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
from . import back, declared, reading, squawk
from .access import Access, access_to
from .catalog import Catalog
from .cluster import Cluster
from .database import Database, Unreachable, real_of
from .given import Given
from .kinds import KINDS
from .looked import Looked, by_database, hindrance, look
from .redirect import WAIT_SECONDS, Redirection
from .scratch import Scratch
from .sqlite_copy import SqliteCopy

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
        self.bases: dict[tuple[str, ...], Catalog] = {}  # what the copies have
        self.sizes: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}  # by the OID that a table has in the copy
        self.outside: set[str] = set()  # texts of statements that change what other databases have too
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
                for access, found in by_database(waiting):
                    self._rehearse(self.scratches[access.endpoint], found, reports)
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

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def _report(self, looked: Looked) -> dict[str, Any]:
        return {
            "database": looked.database,
            "initialised": looked.initialised,
            "read_only": looked.read_only,
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
        real = real_of(looked, self.request) if report["known"] else None
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
                scratch.fill([each.version_table for each in found if each.initialised])
            except Exception as exc:
                if isinstance(exc, Failure) and exc.kind in ("not_ours", "options_invalid"):
                    raise  # the user's to mend, not a reason to know less
                raise _Impossible(exc) from exc
            self.redirection.settings.update(scratch.settings)
            if dialect in MYSQL:
                self.redirection.elsewhere.update({name: scratch.elsewhere.named for name in (scratch.name, scratch.copy)})
            with scratch.session() as session:
                seen = self.bases[access.endpoint] = KINDS[dialect].look(session, self.version_tables, None)
            names = {entry["name"]: entry["oid"] for entry in seen.values() if entry["kind"] == "relation"}
            tables = scratch.sizes(found[0].tables)
            self.sizes[access.endpoint] = {names[name]: size for name, size in tables.items() if name in names}
        self.redirection.settings.update(SESSION)
        self.aim()

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

    def aim(self, **second: str) -> None:
        self.redirection.aim(
            {
                endpoint: (second.get("copy") or scratch.name, None if scratch.here is scratch.access else scratch.here.cparams)
                for endpoint, scratch in self.scratches.items()
            }
        )

    def _rehearse(self, scratch: Any, found: list[Looked], reports: list[dict[str, Any]]) -> None:
        """Rehearse what env.py migrates in one database, and then, where that can be made again, take it all back."""
        databases: list[Database] = []
        try:
            for looked in found:
                databases.append(Database(self, looked, scratch, list(databases)))
                databases[-1].run()
            if scratch.renews:
                back.all_the_way(databases)
        except Unreachable as exc:
            raise _Impossible(Failure("environment_failed", f"env.py can not be led to the copy: {exc}")) from exc
        finally:
            scratch.let_go()
        for database in databases:
            number = database.looked.number
            reports[number].update(differences=scratch.missing, copy=scratch.place, revisions=database.reports)


class _Impossible(Exception):
    """It can not be rehearsed here, for this reason."""

    def __init__(self, exc: BaseException) -> None:
        told = describe(exc)
        hint = f" {told['hint']}" if told.get("hint") else ""
        super().__init__(told["message"])
        self.reason = f"{told['message'].rstrip('.')}.{hint}"
