# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The options of the steps on a database: those of the modules that take them alone."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .._argspec import ArgumentSpec, downgrade_spec, follow_spec, kubernetes_spec, project_spec, upgrade_request_spec
from .._core import record as core
from .._database import database_spec, rows_spec, sessions_spec, snapshot_spec
from .._records import policy_options

KINDS = ("prove", "copy", "record", "upgrade", "verify", "count", "recount", "restore", "downgrade", "stand", "look", "decide")
_PROVE = ("users", "exclude_users", "applications", "exclude_applications", "wait", "terminate", "terminate_wait")
_COPY = ("name", "revisions", "note", "accept", "wait", "maintenance_database", "free_bytes")
_RESTORE = ("name", "accept", "wait", "terminate", "maintenance_database")
_COUNT = ("count", "checksum", "exclude", "statement_timeout", "wait")
_DOWNGRADE = ("lock", "lock_wait", "lock_timeout", "statement_timeout", "retries", "retry_delay")


def _but(spec: ArgumentSpec, *others: ArgumentSpec) -> dict[str, Any]:
    """Return the options of a module that are no options of the database or the project."""
    taken = {name for other in others for name in other.options}
    return {name: dict(option) for name, option in spec.options.items() if name not in taken}


def _step_options() -> dict[str, dict[str, Any]]:
    """Return the options of each kind of step: those of the module that takes it alone."""
    copy = _but(snapshot_spec(), database_spec())
    count = _but(rows_spec(), database_spec())
    count["count"] = dict(count["count"], default="written")
    count["checksum"] = dict(count["checksum"], default=True)
    downgrade = _but(downgrade_spec(), project_spec())
    revisions = dict(type="list", elements="str")
    return {
        "prove": dict({name: sessions_spec().options[name] for name in _PROVE}, may_be_missing=dict(type="bool", default=False)),
        "copy": {name: copy[name] for name in _COPY},
        "record": dict(step=dict(type="str", choices=list(core.STEPS), required=True), facts=dict(type="dict", default={})),
        "upgrade": _but(upgrade_request_spec(), project_spec()),
        "verify": dict(models=dict(type="bool", default=False)),
        "count": {name: count[name] for name in _COUNT},
        "recount": dict(
            {name: count[name] for name in _COUNT}, since=dict(type="dict", required=True), given_up=dict(type="int", default=0)
        ),
        "restore": dict({name: copy[name] for name in _RESTORE}, name=dict(type="str", required=True)),
        "downgrade": dict({name: downgrade[name] for name in _DOWNGRADE}, revisions=dict(revisions, required=True)),
        "stand": dict(
            revisions=dict(revisions, required=True),
            databases=dict(type="int", default=1),
            retries=dict(type="int", default=5),
            delay=dict(type="float", default=2),
        ),
        "look": dict(
            databases=dict(type="int", default=1),
            snapshot=dict(type="str"),
            maintenance_database=copy["maintenance_database"],
            since=dict(type="dict"),
            exclude=count["exclude"],
            wait=count["wait"],
            retries=dict(type="int", default=5),
            delay=dict(type="float", default=2),
        ),
        "decide": dict(policy_options(), dirty=dict(type="bool")),
    }


def steps_spec() -> ArgumentSpec:
    """The options of ``database_steps``."""
    project = project_spec()
    place = {name: option for name, option in project.options.items() if name not in kubernetes_spec().options}
    record = dict(
        directory=dict(type="path", required=True), id=dict(type="str", required=True), owner=dict(type="str", required=True)
    )
    steps: dict[str, dict[str, Any]] = {kind: dict(type="dict", options=options) for kind, options in _step_options().items()}
    steps["upgrade"]["required_if"] = [list(rule) for rule in upgrade_request_spec().required_if]
    step = dict(
        type="list", elements="dict", required=True, options=steps, mutually_exclusive=[list(KINDS)], required_one_of=[list(KINDS)]
    )
    own = ArgumentSpec(options=dict(steps=step, record=dict(type="dict", options=record), session=dict(type="str")))
    return ArgumentSpec(place, project.mutually_exclusive, required_one_of=project.required_one_of) + follow_spec() + own


def steps_of(given: Sequence[Mapping[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Return kind and options of each step."""
    return [next((kind, dict(step[kind])) for kind in KINDS if step.get(kind) is not None) for step in given]
