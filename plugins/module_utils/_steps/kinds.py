# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What each step on a database does, in a run that has its application's Python at hand."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Sequence

from .._background import Tell
from .._core.decision import Observed
from .._core.record import check_writer
from .._database import run_database
from .._errors import MigrationError
from .._jobs import Unfinished
from .._operations import Result, revisions_of, run_check, run_downgrade, run_info, run_upgrade
from .._records import RecordStore, decided, write_record
from .._warm import WarmBridge

Params = Mapping[str, Any]


@dataclass
class Run:
    """The steps of one call, and what they have found so far.

    :param tell: takes the events that are worth keeping.
    :param shows: whether ``diff`` is filled.
    :param current: where the database was found to stand.
    :param copied: what was found of a snapshot: complete, incomplete, absent or unknown.
    :param decision: what is to be done about the deployment.
    """

    params: Params
    bridge: WarmBridge
    check: bool
    tell: Tell
    shows: bool = False
    migration: dict[str, Any] = field(default_factory=dict)
    snapshot: dict[str, Any] | None = None
    record: dict[str, Any] | None = None
    rows: dict[str, Any] = field(default_factory=dict)
    rows_written: int | None = None
    current: list[str] | None = None
    copied: str = "unknown"
    decision: dict[str, Any] | None = None
    upgraded: bool = False
    changed: bool = False
    diff: list[dict[str, Any]] = field(default_factory=list)

    def check_owner(self) -> None:
        """Refuse to go on with a deployment that another run has taken over, or has ended, meanwhile."""
        place = self.params.get("record")
        if place and not self.check:
            check_writer(RecordStore(place["directory"]).read(place["id"]), place["owner"])

    def place(self, options: Params) -> dict[str, Any]:
        """Return what a module on the whole database is given."""
        names = ("url", "chdir", "environment", "timeout")
        return {**{name: self.params.get(name) for name in names}, **options}

    def migrate(self, work: Callable[..., Result | Unfinished], options: Params) -> None:
        """Run a migration, and keep what it says also where it fails."""
        self.bridge.listeners.append(self.tell)
        try:
            given = {**self.params, **options, "job": None}
            self.migration = work(self.bridge, given, dry=self.check, diff=self.shows).as_result()
        except MigrationError as exc:
            self.migration = exc.facts if "databases" in exc.facts else {}
            raise
        finally:
            self.bridge.listeners.remove(self.tell)
            self.diff += self.migration.pop("diff", [])
        self.changed |= self.migration["changed"]


def applied_of(databases: Sequence[Params]) -> list[Any]:
    """Return the revisions that were applied to any of the databases."""
    return [step for database in databases for step in database["applied"]]


def _prove(run: Run, options: dict[str, Any]) -> None:
    may_be_missing = options.pop("may_be_missing")
    run.bridge.listeners.append(run.tell)
    try:
        done = run_database(run.bridge, run.place(options), "database_sessions", run.check)
        run.changed |= done["changed"]
    except MigrationError as exc:
        if not (may_be_missing and exc.kind == "database_missing"):  # nobody has a database open that has still to be made
            raise
    finally:
        run.bridge.listeners.remove(run.tell)


def _copy(run: Run, options: dict[str, Any]) -> None:
    options = dict(options, state="present", content="copy", terminate=False)
    done = run_database(run.bridge, run.place(options), "database_snapshot", run.check)
    run.changed |= done["changed"]
    run.snapshot = done["snapshot"]


def _record(run: Run, options: dict[str, Any]) -> None:
    """Write the record; what was applied and counted before in the same call belongs to it."""
    place = _record_of(run)
    applied = applied_of(run.migration.get("databases") or ())
    known = {"applied": applied, "rows": run.rows} if run.upgraded and not run.check else {}
    given = dict(place, state="advanced", step=options["step"], facts={**(options["facts"] or {}), **known}, status=None)
    done = write_record(RecordStore(place["directory"]), given, run.check)
    run.changed |= done["changed"]
    run.record = done["record"]


def _record_of(run: Run) -> Mapping[str, Any]:
    if not run.params.get("record"):
        raise MigrationError("A step needs the record, and record does not say which.", "options_invalid", "Set record.")
    return run.params["record"]  # type: ignore[no-any-return]


def _upgrade(run: Run, options: dict[str, Any]) -> None:
    run.migrate(run_upgrade, options)
    run.upgraded = True


def _downgrade(run: Run, options: dict[str, Any]) -> None:
    for revision in options.pop("revisions") or ["base"]:
        run.migrate(run_downgrade, {**options, "revision": revision})


def _verify(run: Run, options: dict[str, Any]) -> None:
    """Hold the upgrade's result against what was aimed at; in check mode nothing is there to look at."""
    if run.check:
        return
    databases = run.migration.get("databases") or ()
    invalid = [name for database in databases for name in database["invalid_indexes"]]
    if run.migration and (run.migration["state"] != "to_revision" or invalid):
        after = sorted({revision for database in databases for revision in database["after"] or ()})
        raise MigrationError(
            f"The upgrade left the database at {', '.join(after) or 'base'} ({run.migration['state']}), with these indexes "
            f"invalid: {', '.join(invalid) or 'none'}.",
            "verification_failed",
        )
    if options["models"]:
        run_check(run.bridge, {**run.params, "fail_on_difference": True})


def _count(run: Run, options: dict[str, Any]) -> None:
    """Note what is there. Where that can't be told, nothing is noted: a way back then says so."""
    try:
        run.rows = {"tables": run_database(run.bridge, run.place(options), "database_rows")["tables"]}
    except MigrationError as exc:
        run.rows = {}
        run.bridge.warn(f"What is written in the tables was not counted: {exc.msg}")


def _recount(run: Run, options: dict[str, Any]) -> None:
    """Count what was written since, and refuse to lose more than is given up."""
    given_up = options.pop("given_up")
    run.rows_written = run_database(run.bridge, run.place(options), "database_rows").get("rows_written")
    if run.rows_written is not None and run.rows_written <= given_up:
        return
    count = "An unknown number of rows" if run.rows_written is None else f"{run.rows_written} rows"
    raise MigrationError(
        f"{count} written since the upgrade would be lost, and deployment_rows_given_up allows {given_up}.",
        "rows_written",
        f"To give them up, set deployment_rows_given_up={-1 if run.rows_written is None else run.rows_written}.",
    )


def _restore(run: Run, options: dict[str, Any]) -> None:
    run.changed |= run_database(run.bridge, run.place({**options, "state": "restored"}), "database_snapshot", run.check)["changed"]


def _stand(run: Run, options: dict[str, Any]) -> None:
    """Look where the database stands, and refuse to go on elsewhere; in check mode nothing has moved it."""
    if run.check:
        return
    run.current = _found(run, options)
    if run.current != sorted(options["revisions"]):
        found, wanted = (", ".join(revisions) or "base" for revisions in (run.current, sorted(options["revisions"])))
        raise MigrationError(f"The database was put back, and is at {found} and not at {wanted}.", "verification_failed")


def _look(run: Run, options: dict[str, Any]) -> None:
    """Find out what a way back has to know. What can not be found out is unknown, and no failure."""
    with contextlib.suppress(MigrationError):
        run.current = _found(run, options)
    if options["snapshot"]:
        place = run.place({"maintenance_database": options["maintenance_database"] or None})
        with contextlib.suppress(MigrationError):
            found = run_database(run.bridge, place, "database_snapshot_info")["snapshots"]
            usable = {item["name"]: item["usable"] for item in found}.get(options["snapshot"])
            run.copied = "absent" if usable is None else "complete" if usable else "incomplete"
    if options["since"] is not None:
        counted = {"count": "written", "checksum": True, **{name: options[name] for name in ("since", "exclude", "wait")}}
        with contextlib.suppress(MigrationError):
            run.rows_written = run_database(run.bridge, run.place(counted), "database_rows").get("rows_written")


def _decide(run: Run, options: dict[str, Any]) -> None:
    """Say what is to be done about the deployment, given what was found in the same call before."""
    place = _record_of(run)
    revisions = None if run.current is None else tuple(run.current)
    observed = Observed(revisions, options["dirty"], run.copied, new_rows=run.rows_written)
    run.decision = decided(RecordStore(place["directory"]).read(place["id"]), observed, options)


def _found(run: Run, options: Params) -> list[str]:
    """Read where the database stands, and again while it does not answer; env.py may fail when all of its databases were read."""
    retries, delay = options["retries"], options["delay"]
    while True:
        try:
            return revisions_of(run_info(run.bridge, run.params).as_result()["databases"])
        except MigrationError as exc:
            read = exc.facts.get("databases") or ()
            if len(read) >= max(1, options["databases"]):
                return revisions_of(read)
            if exc.kind not in ("connection_failed", "connection_lost") or retries < 1:
                raise
            retries -= 1
            time.sleep(delay)


#: What takes each kind of step.
STEPS: dict[str, Callable[[Run, dict[str, Any]], None]] = {
    "prove": _prove,
    "copy": _copy,
    "record": _record,
    "upgrade": _upgrade,
    "verify": _verify,
    "count": _count,
    "recount": _recount,
    "restore": _restore,
    "downgrade": _downgrade,
    "stand": _stand,
    "look": _look,
    "decide": _decide,
}
