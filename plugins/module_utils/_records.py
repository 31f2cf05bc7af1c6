# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Deployment records on disk: one JSON file each, written to a temporary name, synced, renamed."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Callable, Iterator, Mapping, Sequence

from ._argspec import ArgumentSpec
from ._core import record as core
from ._core.decision import Observed, Policy, decide
from ._core.fleet_decision import LEDGER, ledger_of
from ._core.record import RESULT, Record
from ._core.rolling_decision import decide_rolling
from ._errors import MigrationError
from ._fleet.standing import standings_of
from ._owned import checked, keep_room, read, usable, with_room

_SUFFIX = ".json"


def _is_record(name: str) -> bool:
    return name.endswith(_SUFFIX) and not name.startswith(".") and not name.endswith(RESULT)


def utc_now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RecordStore:
    """The records of one application in one folder."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def path(self, record_id: str) -> str:
        return os.path.join(self.directory, record_id + _SUFFIX)

    def check_folder(self) -> None:
        """Refuse a folder in which somebody else could put a record or a link: what is written here decides what is done.

        :raises MigrationError: ``folder_unusable``.
        """
        try:
            found = os.stat(self.directory)
        except FileNotFoundError:
            return
        if found.st_uid not in (0, os.geteuid()):
            whose, remedy = (
                f"belongs to the user with the number {found.st_uid}",
                f"chown it to the user {os.geteuid()}, who runs this",
            )
        elif found.st_mode & 0o022:
            whose = f"may be written to by others (mode {stat.S_IMODE(found.st_mode):04o})"
            remedy = f"chmod 0700 {self.directory}"
        else:
            return
        raise MigrationError(
            f"The folder of the deployment records, {self.directory}, {whose}.",
            "folder_unusable",
            f"Look whether the records in it are what they should be, then {remedy}; or name another folder.",
        )

    def all(self) -> list[Record]:
        """Return every record, oldest first; one that can not be read is an error."""
        self.check_folder()
        try:
            names = sorted(name for name in os.listdir(self.directory) if _is_record(name))
        except FileNotFoundError:
            return []
        return sorted((self.read(name[: -len(_SUFFIX)]) for name in names), key=lambda record: (record.created_at, record.id))

    def read(self, record_id: str) -> Record:
        path = self.path(record_id)
        try:
            text = read(path)
        except OSError as exc:
            raise MigrationError(f"The deployment record {path} can not be read: {exc}.", "record_unreadable") from exc
        if text is None:
            there = "is no plain file" if os.path.lexists(path) else "is not there"
            raise MigrationError(f"The deployment record {path} {there}.", "record_unreadable")
        record = core.parse(text, path)
        if record.id != record_id:
            raise MigrationError(
                f"The deployment record {path} can not be understood: it is of deployment {record.id}.", "record_unreadable"
            )
        return record

    def open_record(self) -> Record | None:
        """Return the one record that is not closed; two of them are an error."""
        found = [record for record in self.all() if record.is_open]
        if len(found) > 1:
            names = ", ".join(record.id for record in found)
            raise MigrationError(
                f"{self.directory} holds several open deployments: {names}.", "record_conflict", "Close all but one with recover."
            )
        return found[0] if found else None

    def write(self, record: Record) -> None:
        """Replace the record's file: at every moment a reader finds the former or the new text, whole.

        :raises MigrationError: ``folder_unusable``.
        """
        first = not os.path.lexists(self.path(record.id))
        with usable(self.directory):
            with_room(self.directory, lambda: self._replace(record))
        if first:
            keep_room(self.directory)

    def _replace(self, record: Record) -> None:
        descriptor, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self.directory)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(core.serialise(record))
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, self.path(record.id))
        except BaseException:
            os.unlink(temporary)
            raise
        folder = os.open(self.directory, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def begin_ledger(self, record_id: str) -> None:
        """Make the empty ledger of a deployment of many databases: one that is missing later was lost, and not never begun."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with usable(self.directory):
            os.close(os.open(os.path.join(self.directory, record_id + LEDGER), flags, 0o600))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers on this host out; the lock dies with its holder."""
        with usable(self.directory):
            os.makedirs(self.directory, mode=0o700, exist_ok=True)
            self.check_folder()
            lock = os.open(os.path.join(self.directory, ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(lock).st_mode):
                raise MigrationError(
                    f"{self.directory}/.lock is no plain file.", "folder_unusable", "Look what it is, and remove it."
                )
            os.fchmod(lock, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def write_record(
    store: RecordStore, params: Mapping[str, Any], check_mode: bool, now: Callable[[], str] = utc_now
) -> dict[str, Any]:
    """Do what the module ``deployment_record`` was asked for and return its result."""
    checked("id", "record", params["id"])
    if check_mode:
        before, after = _change(store, params, now())
    else:
        with store.locked():
            before, after = _change(store, params, now())
            if after != before:
                if after.fleet and before is None and ledger_of(after) == after.id + LEDGER:
                    store.begin_ledger(after.id)
                store.write(after)
    old, new = (core.serialise(item) if item else "" for item in (before, after))
    path = store.path(after.id)
    return {
        "changed": old != new,
        "record": after.as_dict(),
        "path": path,
        "diff": {"before": old, "after": new, "before_header": path, "after_header": path},
    }


def _change(store: RecordStore, params: Mapping[str, Any], now: str) -> tuple[Record | None, Record]:
    state, owner, facts = params["state"], params["owner"] or "", params["facts"]
    if state == "begun":
        return None, _begin(store, params, now)
    record = store.read(params["id"])
    if state == "advanced":
        return record, core.advance(record, owner, params["step"], facts, now)
    if state == "closed":
        return record, core.close(record, owner, params["status"], facts, now)
    if state == "taken_over":
        return record, core.take_over(record, owner, facts, now, params["from_owner"])
    return record, core.annotate(record, facts, now)


def _begin(store: RecordStore, params: Mapping[str, Any], now: str) -> Record:
    _refuse_others(store, store.all(), params["facts"].get("application"))
    standing = store.open_record()
    if standing:
        raise MigrationError(
            f"Deployment {standing.id} of {standing.application} is {standing.status} at step {standing.step!r} "
            f"(begun {standing.created_at} from {standing.controller or 'an unknown controller'}).",
            "record_conflict",
            "Finish or revert it with the playbook dbops.alembic.recover; nothing was touched.",
            facts={"record": standing.as_dict()},
        )
    if os.path.lexists(store.path(params["id"])):
        raise MigrationError(f"There is a deployment record {params['id']} already.", "record_conflict")
    if params["facts"].get("fleet") and params["kubernetes"]:
        raise MigrationError(
            "The record of a deployment of many databases is kept in a folder, beside their ledger.",
            "options_invalid",
            "Set deployment_record_store to directory.",
        )
    identity = {"id": params["id"], "kind": params["kind"], "owner": params["owner"] or ""}
    return core.begin(identity, params["facts"], params["step"] or core.FIRST_STEPS.get(params["kind"], "stopping"), now)


def read_records(store: RecordStore, params: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the module ``deployment_record_info`` was asked for and return its result."""
    if params["id"]:
        checked("id", "record", params["id"])
    records = store.all()
    _refuse_others(store, records, params["application"])
    standing = store.open_record()
    record = store.read(params["id"]) if params["id"] else standing
    result: dict[str, Any] = {
        "records": [{name: getattr(item, name) for name in _BRIEF} for item in records],
        "open": standing.as_dict() if standing else None,
        "record": record.as_dict() if record else None,
        "last_finished": next((item.as_dict() for item in reversed(records) if item.status == "finished"), None),
    }
    if record and params["observed"] is not None:
        observed = _observed(params["observed"])
        if record.fleet and params["directory"]:
            observed = replace(observed, standings=standings_of(params["directory"], ledger_of(record)))
        result["decision"] = decided(record, observed, params)
    return result


def _refuse_others(store: RecordStore, records: Sequence[Record], application: str | None) -> None:
    """Refuse the records of another application: one would wait for the other's deployments, and go back to what they were.

    :raises MigrationError: ``record_conflict``.
    """
    others = sorted({record.application for record in records} - {application}) if application else []
    if others:
        raise MigrationError(
            f"The deployments in {store.directory} are of {', '.join(others)}, and this is {application}; nothing was touched.",
            "record_conflict",
            "Each application has a place of its own: look at deployment_record_directory, or at deployment_record_configmap and"
            " deployment_record_namespace. Where the application got another name, move the former records away.",
        )


def decided(record: Record, observed: Observed, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decision about ``record``, with ``direction``, ``downgrade_trusted`` and ``rows_given_up`` of ``params``."""
    deciding = decide_rolling if record.kind == "rolling" else decide
    policy = Policy(params["direction"], params["downgrade_trusted"], params["rows_given_up"])
    return deciding(record, observed, policy).as_dict()


_BRIEF = (
    "id",
    "application",
    "kind",
    "status",
    "step",
    "created_at",
    "closed_at",
    "from_release",
    "to_release",
    "from_revision",
    "to_revision",
    "snapshot",
    "archive",
    "undoes",
    "undone_by",
)


def _observed(found: Mapping[str, Any]) -> Observed:
    revisions = found["revisions"]
    return Observed(
        revisions=None if revisions is None else tuple(revisions),
        dirty=found["dirty"],
        snapshot=found["snapshot"],
        archive=found["archive"],
        new_rows=found["new_rows"],
    )


def policy_options() -> dict[str, Any]:
    """The options of what the operator said about a way back."""
    return dict(
        direction=dict(type="str", choices=["auto", "finish", "revert"], default="auto"),
        downgrade_trusted=dict(type="bool", default=False),
        rows_given_up=dict(type="int", default=0),
    )


def _place_spec() -> ArgumentSpec:
    options = dict(
        kubeconfig=dict(type="path"),
        context=dict(type="str"),
        namespace=dict(type="str", required=True),
        name=dict(type="str", required=True),
    )
    return ArgumentSpec(
        options=dict(directory=dict(type="path"), kubernetes=dict(type="dict", options=options)),
        mutually_exclusive=(("directory", "kubernetes"),),
        required_one_of=(("directory", "kubernetes"),),
    )


def record_spec() -> ArgumentSpec:
    """The options of ``deployment_record``."""
    return _place_spec() + ArgumentSpec(
        options=dict(
            id=dict(type="str", required=True),
            state=dict(type="str", choices=["begun", "advanced", "closed", "taken_over", "annotated"], default="advanced"),
            owner=dict(type="str"),
            from_owner=dict(type="str"),
            kind=dict(type="str", choices=list(core.KINDS), default="maintenance_window"),
            step=dict(type="str", choices=list(core.STEPS)),
            status=dict(type="str", choices=["finished", "reverted", "halted"]),
            facts=dict(type="dict", default={}),
        ),
        required_if=(
            ("state", "begun", ["owner"]),
            ("state", "advanced", ["owner", "step"]),
            ("state", "closed", ["owner", "status"]),
            ("state", "taken_over", ["owner"]),
        ),
    )


def record_info_spec() -> ArgumentSpec:
    """The options of ``deployment_record_info``."""
    observed = dict(
        revisions=dict(type="list", elements="str"),
        dirty=dict(type="bool"),
        snapshot=dict(type="str", choices=["complete", "incomplete", "absent", "unknown"], default="unknown"),
        archive=dict(type="bool", default=False),
        new_rows=dict(type="int"),
    )
    return _place_spec() + ArgumentSpec(
        options=dict(
            application=dict(type="str"), id=dict(type="str"), observed=dict(type="dict", options=observed), **policy_options()
        )
    )
