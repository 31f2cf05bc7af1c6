# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The deployment record: what a deployment set out to do, how far it came, and all that undoing it needs."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, fields, replace
from typing import Any, Mapping

from .._errors import MigrationError
from .._worker.redaction import Redactor

SCHEMA_VERSION = 1
KINDS = ("maintenance_window", "rolling", "rollback", "restore")
#: ``open`` and ``halted`` records keep other deployments out; the others are closed for good.
STATUSES = ("open", "halted", "finished", "reverted")
CLOSED = ("finished", "reverted")


@dataclass(frozen=True)
class Step:
    """One recorded step: it is written down before its first action."""

    actor: str
    does: str
    successors: tuple[str, ...]


#: The closed list of recorded steps. A step may always be written down again, since every step can be repeated.
STEPS: dict[str, Step] = {
    "stopping": Step(
        "application hosts, then migrator",
        "traffic away, processes stopped, no session left, snapshot made; the database is untouched",
        ("upgrading", "restoring", "starting", "restarting"),
    ),
    "upgrading": Step("migrator", "the pending revisions", ("starting", "restoring", "restarting")),
    "starting": Step(
        "application hosts",
        "the aimed-at release activated, started, checked, traffic back; new rows from here on",
        ("archiving", "restoring", "restarting"),
    ),
    "archiving": Step(
        "migrator",
        "the archive written, old backups and releases pruned; the release serves",
        ("restoring", "restarting", "returning"),
    ),
    "restoring": Step("migrator", "the database put back by a downgrade or from a backup", ("starting", "restarting")),
    "restarting": Step("application hosts", "the former release activated, started, checked, traffic back", ()),
    # rolling
    "expanding": Step(
        "migrator", "the revisions of the expand part; every host runs the former release", ("rolling", "downgrading", "returning")
    ),
    "rolling": Step(
        "application hosts",
        "batch by batch: traffic away, the aimed-at release activated, restarted, checked, traffic back",
        ("backfilling", "contracting", "archiving", "returning"),
    ),
    "backfilling": Step(
        "migrator", "rows filled; the aimed-at release serves everywhere", ("contracting", "archiving", "returning")
    ),
    "contracting": Step(
        "migrator", "the revisions of the contract part; no process of the former release is left", ("archiving", "returning")
    ),
    "downgrading": Step("migrator", "the expand part undone; every host runs the former release", ("returning",)),
    "returning": Step("application hosts", "batch by batch, the last one first: the former release again", ("rolling",)),
}
#: Where a record begins unless it is told otherwise.
FIRST_STEPS = {"rolling": "expanding"}

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SECRET_KEY = re.compile(r"(?i)^(password|passwd|pwd|secret|token|credentials?|url|dsn)$|_(password|passwd|secret|token|url|dsn)$")


@dataclass(frozen=True)
class Record:
    """One deployment. Times are ISO 8601 in UTC, revisions are Alembic's, releases are names of release folders.

    ``hosts`` maps each application host to ``{"from_release": …, "to_release": …}``, ``workloads`` one of Kubernetes to its
    replicas and autoscalers, ``services`` another one to the units or programs that it had, and which of them ran;
    ``doubted`` says of hosts why what served before the deployment would not have passed the health check;
    ``failure`` holds the step, host, error kind and message of what went wrong first; ``rows`` is the baseline for counting
    rows written since the upgrade.
    ``plan`` of a rolling deployment holds its route, the revisions ``before`` and ``after`` the rollout, and ``expand_revision``
    between them; ``batches`` its hosts, of which ``batches_begun`` were touched. ``fleet`` says where many databases are
    worked on: the ledger, how many targets, the policy, and in the end how many are at the release.
    """

    id: str
    application: str
    kind: str
    owner: str
    status: str = "open"
    step: str = "stopping"
    controller: str = ""
    created_at: str = ""
    updated_at: str = ""
    closed_at: str = ""
    from_revision: list[str] = field(default_factory=list)
    to_revision: list[str] = field(default_factory=list)
    from_release: str = ""
    to_release: str = ""
    migrator: str = ""
    database: dict[str, Any] = field(default_factory=dict)
    hosts: dict[str, Any] = field(default_factory=dict)
    workloads: dict[str, Any] = field(default_factory=dict)
    services: dict[str, Any] = field(default_factory=dict)
    doubted: dict[str, Any] = field(default_factory=dict)
    snapshot: str = ""
    window_archive: dict[str, Any] = field(default_factory=dict)
    archive: dict[str, Any] = field(default_factory=dict)
    way_back: str = ""
    downgrade_trusted: bool = False
    applied: list[Any] = field(default_factory=list)
    rows: dict[str, Any] = field(default_factory=dict)
    failure: dict[str, Any] = field(default_factory=dict)
    decision: dict[str, Any] = field(default_factory=dict)
    undoes: str = ""
    undone_by: str = ""
    warnings: list[str] = field(default_factory=list)
    timeline: list[Any] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    batches: list[Any] = field(default_factory=list)
    batches_begun: int = 0
    fleet: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def is_open(self) -> bool:
        return self.status not in CLOSED

    def as_dict(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}


_FIELDS = {item.name: item for item in fields(Record)}
#: Ends the files beside the records that hold what a deployment came to, for machines; they are no records.
RESULT = ".result.json"
#: What others wrote, in which a secret is masked and not refused.
_FREE = ("failure", "warnings", "applied", "decision", "doubted")
_TYPES = {"str": str, "int": int, "bool": bool, "list[str]": list, "list[Any]": list, "dict[str, Any]": dict}
#: What the operations below write themselves.
MANAGED = frozenset(
    ("id", "kind", "owner", "status", "step", "created_at", "updated_at", "closed_at", "timeline", "schema_version")
)


def record_from(data: Any, source: str) -> Record:
    """Read a record from plain data; whatever is not understood in full is ``record_unreadable``, naming ``source``."""
    if not isinstance(data, dict):
        raise _unreadable(source, "it is not a JSON object")
    if data.get("schema_version") != SCHEMA_VERSION:
        raise _unreadable(source, f"its schema_version is {data.get('schema_version')!r} and this release reads {SCHEMA_VERSION}")
    for name in ("id", "application", "kind", "owner"):
        if name not in data:
            raise _unreadable(source, f"{name} is missing")
    for name, value in data.items():
        if name not in _FIELDS:
            raise _unreadable(source, f"the key {name!r} is unknown")
        if not isinstance(value, _TYPES[str(_FIELDS[name].type)]):
            raise _unreadable(source, f"{name} is {type(value).__name__}, not {_FIELDS[name].type}")
    record = Record(**data)
    for name, allowed in (("kind", KINDS), ("status", STATUSES), ("step", tuple(STEPS))):
        if getattr(record, name) not in allowed:
            raise _unreadable(source, f"{name} is {getattr(record, name)!r}, not one of {', '.join(allowed)}")
    return record


def parse(text: str, source: str) -> Record:
    """Read a record from the text of its file."""
    try:
        return record_from(json.loads(text), source)
    except ValueError as exc:
        raise _unreadable(source, f"it is not JSON ({exc})") from exc


def serialise(record: Record) -> str:
    """Return the text of the record's file."""
    return json.dumps(record.as_dict(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def begin(identity: Mapping[str, str], facts: Mapping[str, Any], step: str, now: str) -> Record:
    """Return a new open record. ``identity`` holds id, kind and owner; ``facts`` what the deployment set out to do."""
    if not _ID.fullmatch(identity["id"]) or identity["id"].endswith(".result"):
        raise MigrationError(
            f"{identity['id']!r} can not be the name of a deployment record.",
            "options_invalid",
            "Use letters, digits, '.', '_' and '-', and another end than .result, which the results of deployments have.",
        )
    data = {**_changes(facts), **identity, "created_at": now, "updated_at": now, "step": step, "schema_version": SCHEMA_VERSION}
    data["timeline"] = [{"step": step, "at": now}]
    return record_from(data, "the new record")


def advance(record: Record, owner: str, step: str, facts: Mapping[str, Any], now: str) -> Record:
    """Return ``record`` at ``step``. Only its owner may move it, and only to a step that can follow."""
    check_writer(record, owner)
    if step != record.step and step not in STEPS[record.step].successors:
        raise MigrationError(
            f"Deployment {record.id} stands at {record.step!r}, from where it can not go to {step!r}.", "record_conflict"
        )
    return _changed(record, facts, now, status="open", step=step, timeline=[*record.timeline, {"step": step, "at": now}])


def close(record: Record, owner: str, status: str, facts: Mapping[str, Any], now: str) -> Record:
    """Return ``record`` ended as ``status``; ``halted`` stays in the way of other deployments until `recover` ends it."""
    check_writer(record, owner)
    closed_at = now if status in CLOSED else ""
    return _changed(
        record, facts, now, status=status, closed_at=closed_at, timeline=[*record.timeline, {"step": status, "at": now}]
    )


def take_over(record: Record, owner: str, facts: Mapping[str, Any], now: str, from_owner: str | None = None) -> Record:
    """Return ``record`` owned by another run; the run that had it, ``from_owner`` where that matters, can not write it any more."""
    if from_owner is not None:
        check_writer(record, from_owner)
    if not record.is_open:
        raise MigrationError(f"Deployment {record.id} is {record.status}; there is nothing to take over.", "record_conflict")
    return _changed(record, facts, now, owner=owner, timeline=[*record.timeline, {"step": "taken_over", "at": now}])


def annotate(record: Record, facts: Mapping[str, Any], now: str) -> Record:
    """Return ``record``, closed or not, with more facts and otherwise as it is."""
    return _changed(record, facts, now)


def check_writer(record: Record, owner: str) -> None:
    """Refuse, as ``record_conflict``, a run that may not write ``record``: it is closed, or another run has taken it over."""
    if not record.is_open:
        raise MigrationError(
            f"Deployment {record.id} was {record.status} at {record.closed_at}; a closed record is not changed.", "record_conflict"
        )
    if record.owner != owner:
        raise MigrationError(
            f"Deployment {record.id} was taken over by another run"
            f" ({record.controller or 'unknown controller'}, {record.updated_at}).",
            "record_conflict",
            "This run stops here and touches nothing more; follow the other one.",
        )


def _changed(record: Record, facts: Mapping[str, Any], now: str, **managed: Any) -> Record:
    changed = replace(record, **_changes(facts), **managed, updated_at=now)
    return record_from(changed.as_dict(), f"the record {record.id}")


def _changes(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``facts`` fit for a record: known keys only, free text redacted, and a secret anywhere else refused."""
    for name in facts:
        if name not in _FIELDS or name in MANAGED:
            raise MigrationError(f"{name!r} is not a fact of a deployment record.", "options_invalid")
    free = {name: Redactor().clean(facts[name]) for name in _FREE if name in facts}
    for name in set(facts) - set(free):
        _refuse_secret(name, facts[name])
    return {**facts, **free}


def _refuse_secret(path: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if _SECRET_KEY.search(str(key)) and not isinstance(item, dict):  # tables and hosts have such names too
                raise MigrationError(f"{path}.{key} would put a secret into the deployment record.", "options_invalid")
            _refuse_secret(f"{path}.{key}", item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_secret(path, item)
    elif isinstance(value, str) and Redactor().mask(value) != value:
        raise MigrationError(f"{path} holds a URL with a password; the deployment record must not.", "options_invalid")


def _unreadable(source: str, why: str) -> MigrationError:
    return MigrationError(
        f"The deployment record {source} can not be understood: {why}.",
        "record_unreadable",
        "Nothing was touched. Mend the file or move it away, once you know how that deployment ended.",
    )
