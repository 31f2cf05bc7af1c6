# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One target in a deployment: saved, upgraded and put back, with each step in the ledger before it is taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Mapping

from .._core.fleet_ledger import Standing, Way, way_back
from .._core.fleet_outcome import Entry, looked_at, migrated
from .._database import run_database
from .._errors import MigrationError
from .._operations import facts_of, project_request, revisions_of, run_downgrade, run_upgrade
from .._worker.server import MYSQL
from .hub import TargetBridge
from .ledger import Ledger
from .targets import Target

#: Characters of a database's name that are left when the ends of its snapshots are taken off; PostgreSQL keeps 63 bytes.
STEM = 36


@dataclass(frozen=True)
class Recorded:
    """The deployment that a target is upgraded or put back for.

    :param ways: what a target goes back by.
    :param alone: a target that failed goes back by itself.
    :param given_up: rows that may be lost; -1 for any number.
    """

    ledger: Ledger
    ways: tuple[str, ...]
    alone: bool
    given_up: int = 0

    def upgrade(self, target: Target, bridge: TargetBridge) -> Entry:
        """Upgrade a target, or what is left of that, and put it back where it fails and that is wanted."""
        name = target.entry["name"]
        standing = self.ledger.of(name)
        self._let_in(target, bridge, standing)
        found = _look(target, bridge)
        current = revisions_of(found["databases"])
        if standing.step == "returning" and self._way(target, bridge, standing, found["databases"]).how == "stay":
            self.ledger.write(name, "returned", {})  # it was cut off between the way back and this line
            standing = self.ledger.of(name)
        if found["pending"] and self._half_done(standing, found):
            # what is there of the revision that was cut off would be in its own way
            back = self.put_back(target, bridge)
            if not back["went_back"]:
                return back
            return self.upgrade(target, bridge)
        if not found["pending"] and standing.step in ("", "saving", "returned", "upgraded"):
            if standing.step != "upgraded":
                self.ledger.write(name, "upgraded", {"from_revision": current, "to_revision": current, "failure": None})
            return self._with(migrated(target.entry, _nothing(found), None, False), standing)
        facts: dict[str, Any] = {"failure": None, "clean": False}
        copied = self._copies(target, found)
        if standing.begins_anew(current):
            facts.update(from_revision=current, to_revision=None, rows=None, snapshot="")
            if copied:
                facts["snapshot"] = self._snapshot_name(found, standing.copies)
                self.ledger.write(name, "saving", facts)
                self._copy(target, bridge, facts["snapshot"], current)
        self.ledger.write(name, "upgrading", facts)
        failure: MigrationError | None = None
        try:
            values: Mapping[str, Any] = run_upgrade(bridge, target.params).as_result()
        except MigrationError as exc:
            values, failure = exc.facts, exc
        entry = self._with(migrated(target.entry, values, _told(failure) if failure else None, False), self.ledger.of(name))
        if failure is None:
            rows = self._rows(target, bridge) if copied else None
            self.ledger.write(name, "upgraded", {"to_revision": entry["after"], "rows": rows})
            return entry
        clean = entry["state"] in ("from_revision", "between")
        if entry["after"] == current and standing.dirty:
            clean = False  # the revision that was cut off before is the one that failed now
        self.ledger.write(name, "failed", {"failure": _kept(target, failure), "clean": clean})
        return self._alone(target, bridge, entry) if self.alone else entry

    def _half_done(self, standing: Standing, found: Mapping[str, Any]) -> bool:
        """Tell whether a part of a revision may be committed in a target that was cut off, and its snapshot is without that."""
        whole = all(item["database"]["transactional_ddl"] for item in found["databases"])
        return standing.step == "upgrading" and bool(standing.snapshot) and "snapshot" in self.ways and not whole

    def _copies(self, target: Target, found: Mapping[str, Any]) -> bool:
        """Tell whether a target is copied before it is upgraded.

        :raises MigrationError: ``archive_required``, where it can not be and nothing else is allowed.
        """
        if "snapshot" not in self.ways:
            return False
        why = not_copied(target, found["databases"][0]["database"]["dialect"])
        if why and "downgrade" not in self.ways:
            raise MigrationError(
                f"{why} It has no way back.", "archive_required", "Add downgrade to way_back, or none for no way back."
            )
        return not why

    def _alone(self, target: Target, bridge: TargetBridge, entry: Entry) -> Entry:
        try:
            done = self.put_back(target, bridge)
        except MigrationError as exc:
            done = {"state": "unknown", "after": None, "failure": _told(exc), "outcome": "failed", "went_back": False}
        failure = dict(entry["failure"])
        if done["went_back"]:
            failure["message"] = f"{failure['message'].rstrip('.')}. It has gone back to {', '.join(done['after']) or 'base'}."
        else:
            failure["message"] = f"{failure['message'].rstrip('.')}. It has not gone back: {(done['failure'] or {}).get('message')}"
        more = {"failure": failure, "went_back": done["went_back"]}
        if done["after"] is not None:
            more.update(after=done["after"], state=done["state"], pending=done["pending"])
        return {**entry, **more}

    def refuse(self, target: Target, exc: MigrationError) -> None:
        """Write down why a target could not be worked on."""
        name = target.entry["name"]
        standing = self.ledger.of(name)
        step = "failed" if standing.begun else "refused"
        self.ledger.write(name, step, {"failure": _kept(target, exc), "clean": _whole(standing)})

    def put_back(self, target: Target, bridge: TargetBridge) -> Entry:
        """Bring a target to where it was before this deployment, if anything was done to it."""
        name = target.entry["name"]
        standing = self.ledger.of(name)
        self._let_in(target, bridge, standing)
        if not standing.begun:
            return {**self._with(target.entry, standing), "outcome": "unchanged"}
        found = self._found(target, bridge)
        way = self._way(target, bridge, standing, found)
        if way.how == "stay":
            self.ledger.write(name, "returned", {})
            return {**self._with(looked_at(target.entry, found or [], None), standing), "went_back": True, "state": "from_revision"}
        if way.how == "stuck":
            return self._stuck(target, standing, found, way.reason, _whole(standing))
        # Downgrades that were cut off can go on: what is half undone is still among the heads.
        whole = way.how == "downgrade"
        self.ledger.write(name, "returning", {"clean": whole})
        try:
            self._go(target, bridge, standing, way)
            found = self._found(target, bridge)
        except MigrationError as exc:
            whole = whole and migrated(target.entry, exc.facts, _told(exc), False)["state"] in ("from_revision", "between")
            return self._stuck(target, standing, self._found(target, bridge), exc.msg, whole)
        entry = looked_at(target.entry, found or [], None)
        if found is None or entry["after"] != sorted(standing.from_revision or ()):
            return self._stuck(target, standing, found, "It was put back, and does not stand where it did.")
        self.ledger.write(name, "returned", {})
        done = {"went_back": True, "outcome": "changed", "changed": True, "before": None, "state": "from_revision"}
        return {**self._with(entry, standing), **done}

    def would_go(self, target: Target, bridge: TargetBridge) -> Entry:
        """Say whether a target could be brought to where it was, and change nothing."""
        standing = self.ledger.of(target.entry["name"])
        if not standing.begun or standing.step == "returned":
            return {**self._with(target.entry, standing), "outcome": "unchanged"}
        found = self._found(target, bridge)
        way = self._way(target, bridge, standing, found)
        failure = {"kind": "verification_failed", "message": way.reason, "hint": None} if way.how == "stuck" else None
        entry = self._with(looked_at(target.entry, found or [], failure), standing)
        changes = way.how in ("restore", "downgrade")
        return {**entry, "changed": changes, "outcome": "changed" if changes else entry["outcome"]}

    def _way(self, target: Target, bridge: TargetBridge, standing: Standing, found: list[Any] | None) -> Way:
        current = None if found is None else revisions_of(found)
        if (
            standing.step == "returning"
            and current == sorted(standing.from_revision or ())
            and self._swapped(target, bridge, standing)
        ):
            return Way("stay")
        cut_off = standing.step == "returning" and current is None and standing.snapshot and "snapshot" in self.ways
        if cut_off and not self._swapped(target, bridge, standing):
            return Way("restore")  # nobody may connect while it is swapped; what had been decided goes on
        written: int | None = 0
        if standing.served and standing.step != "returning" and "snapshot" in self.ways:
            written = self._written(target, bridge, standing)
        way = way_back(standing, current, self.ways, written, self.given_up)
        if way.how == "restore" and self._swapped(target, bridge, standing):
            way = way_back(replace(standing, snapshot=""), current, self.ways, written, self.given_up)
            return way if way.how != "stuck" else Way("stuck", f"Its snapshot {standing.snapshot} is not there any more.")
        return way

    @staticmethod
    def _swapped(target: Target, bridge: TargetBridge, standing: Standing) -> bool:
        """Tell whether the snapshot has become the database: it is gone under its own name."""
        if not standing.snapshot:
            return False
        found = run_database(bridge, place_of(target), "database_snapshot_info")["snapshots"]
        return standing.snapshot not in [item["name"] for item in found]

    def _go(self, target: Target, bridge: TargetBridge, standing: Standing, way: Way) -> None:
        if way.how == "restore":
            options = {"state": "restored", "name": standing.snapshot, "wait": 30.0}
            run_database(bridge, {**place_of(target), **options}, "database_snapshot")
            return
        for revision in sorted(standing.from_revision or ()) or ["base"]:
            run_downgrade(bridge, {**target.params, "revision": revision})

    def _stuck(self, target: Target, standing: Standing, found: list[Any] | None, why: str, clean: bool = False) -> Entry:
        name = target.entry["name"]
        failure = {"kind": "verification_failed", "message": target.redactor.clean(why)}
        self.ledger.write(name, "stuck", {"failure": standing.failure or failure, "clean": clean})
        entry = looked_at(target.entry, found or [], {**failure, "hint": None})
        return {**self._with(entry, standing), "went_back": False, "outcome": "failed"}

    def _found(self, target: Target, bridge: TargetBridge) -> list[Any] | None:
        try:
            return list(_look(target, bridge)["databases"])
        except MigrationError as exc:
            return exc.facts.get("databases") or None

    def _let_in(self, target: Target, bridge: TargetBridge, standing: Standing) -> None:
        """Open a target again where a copy or a swap was cut off: while one is made nobody may connect, the application neither."""
        if standing.cut_off and "snapshot" in self.ways:
            run_database(bridge, {**place_of(target), "state": "repaired", "wait": 30.0}, "database_snapshot")

    def _copy(self, target: Target, bridge: TargetBridge, name: str, revisions: list[str]) -> None:
        options = {"state": "present", "content": "copy", "name": name, "note": self.ledger.name, "terminate": False, "wait": 30.0}
        run_database(bridge, {**place_of(target), **options, "revisions": revisions}, "database_snapshot")

    def _rows(self, target: Target, bridge: TargetBridge) -> Any:
        """Note what is there, for a way back to say what it would lose; where that can't be told nothing is noted."""
        try:
            return run_database(bridge, {**place_of(target), "count": "written", "checksum": True}, "database_rows")["tables"]
        except MigrationError:
            return None

    def _written(self, target: Target, bridge: TargetBridge, standing: Standing) -> int | None:
        if not standing.rows:
            return None
        options = {"count": "written", "checksum": True, "since": standing.rows}
        try:
            found = run_database(bridge, {**place_of(target), **options}, "database_rows").get("rows_written")
        except MigrationError:
            return None
        return None if found is None else int(found)

    def _snapshot_name(self, found: Mapping[str, Any], copies: int) -> str:
        base = str(found["databases"][0]["database"].get("database") or "").rsplit("/", 1)[-1]
        data = base.encode()
        if len(data) > STEM:
            base = f"{data[:27].decode('utf-8', 'ignore')}_{hashlib.sha256(data).hexdigest()[:8]}"
        return f"{base}__snapshot_{self.ledger.stamp}" + (f"_{copies}" if copies else "")

    @staticmethod
    def _with(entry: Entry, standing: Standing) -> Entry:
        return {**entry, "snapshot": standing.snapshot or None}


def _whole(standing: Standing) -> bool:
    """Tell whether nothing is half done in a target that nothing is done to now."""
    return standing.clean or standing.step == "upgraded"


def not_copied(target: Target, dialect: str) -> str:
    """Return why there can be no snapshot of a target, whatever its rights and the space; empty where there can."""
    if target.params["version_schema"] is not None:
        return f"{target.name} is a schema, and a snapshot is of a whole database, in which others are too."
    if dialect in MYSQL:
        server = "MariaDB" if dialect == "mariadb" else "MySQL"
        return f"{target.name} is in {server}, which can not copy a database inside the server."
    return ""


def place_of(target: Target) -> dict[str, Any]:
    """Return where a target is, in the options of the modules on a whole database."""
    names = ("url", "chdir", "environment", "timeout")
    return {name: target.params.get(name) for name in names}


def _look(target: Target, bridge: TargetBridge) -> dict[str, Any]:
    """Return where a target stands, with ``pending``: whether any revision is."""
    found = facts_of(bridge, dict(project_request(target.params, "info"), target=target.params["revision"], brief=True))
    return {**found, "pending": any(item["pending"] for item in found["databases"])}


def _nothing(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an upgrade says that had nothing to do."""
    databases = [
        {
            "database": item["database"],
            "before": item["current"],
            "after": item["current"],
            "applied": [],
            "planned": [],
            "pending": [],
        }
        for item in found["databases"]
    ]
    return {"databases": databases, "state": "to_revision", "changed": False, "attempts": []}


def _kept(target: Target, exc: MigrationError) -> dict[str, Any]:
    """Return what the ledger keeps of a failure."""
    return {"kind": exc.kind, "message": target.redactor.clean(exc.msg)}


def _told(exc: MigrationError) -> dict[str, Any]:
    return {"kind": exc.kind, "message": exc.msg, "hint": exc.hint}
