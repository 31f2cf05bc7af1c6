# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The options of ``alembic_fleet``: those of the modules on one database, and which databases, in which order."""

from __future__ import annotations

from typing import Any

from .._argspec import ArgumentSpec, follow_spec, kubernetes_spec, plan_spec, project_spec, upgrade_request_spec
from .._core.fleet_ledger import POLICIES, WAYS

OPERATIONS = {
    "current": "info",
    "planned": "plan",
    "upgraded": "upgrade",
    "downgraded": "downgrade",
    "stamped": "stamp",
    "returned": "downgrade",
    "pruned": "database_snapshot",
}
LISTS = ("schemas", "databases", "rows", "files")


def _target() -> dict[str, Any]:
    return dict(
        name=dict(type="str", required=True),
        url=dict(type="str", no_log=True),
        environment=dict(type="dict", default={}, no_log=False),
        x_arguments=dict(type="list", elements="str", default=[]),
        schema=dict(type="str"),
        labels=dict(type="list", elements="str", default=[]),
    )


def _query() -> dict[str, Any]:
    options = dict(
        list=dict(type="str", choices=list(LISTS), required=True),
        url=dict(type="str", no_log=True),
        match=dict(type="list", elements="str", default=[]),
        exclude=dict(type="list", elements="str", default=[]),
        sql=dict(type="str"),
    )
    return dict(type="dict", options=options, required_if=[["list", "rows", ["sql"]], ["list", "files", ["match"]]])


def rehearsal_options() -> dict[str, Any]:
    """Return the options of ``alembic_plan`` that say how it rehearses and judges."""
    common = (*project_spec().options, "revision")
    return {name: option for name, option in plan_spec().options.items() if name not in common}


def fleet_spec() -> ArgumentSpec:
    """The options of ``alembic_fleet``."""
    one = upgrade_request_spec()
    options = {name: option for name, option in one.options.items() if name not in (*kubernetes_spec().options, "revision")}
    own = ArgumentSpec(
        options=dict(
            state=dict(type="str", choices=["listed", *OPERATIONS], required=True),
            revision=dict(type="str"),
            targets=dict(type="list", elements="dict", options=_target()),
            query=_query(),
            compare=dict(type="bool", default=False),
            rehearsal=dict(type="dict", options=rehearsal_options(), apply_defaults=True),
            url_variable=dict(type="str"),
            url_x_argument=dict(type="str"),
            schema_variable=dict(type="str"),
            schema_x_argument=dict(type="str"),
            schema_search_path=dict(type="bool", default=False),
            parallel=dict(type="int", default=4),
            parallel_per_server=dict(type="int"),
            max_failures=dict(type="str", default="0"),
            canary=dict(type="list", elements="str", default=[]),
            batches=dict(type="list", elements="str", default=[]),
            ledger=dict(type="path"),
            way_back=dict(type="list", elements="str", default=["none"], choices=list(WAYS)),
            on_failure=dict(type="str", default="halt", choices=list(POLICIES)),
            rows_given_up=dict(type="int", default=0),
            keep_count=dict(type="int"),
        ),
        required_one_of=(("targets", "query"),),
        mutually_exclusive=(("targets", "query"),),
        required_if=(
            ("state", "downgraded", ("revision",)),
            ("state", "stamped", ("revision",)),
            ("state", "returned", ("ledger",)),
            ("state", "pruned", ("keep_count",)),
            ("on_failure", "one", ("ledger",)),
            ("on_failure", "all", ("ledger",)),
        ),
    )
    rules = ArgumentSpec(options, one.mutually_exclusive, one.required_together, one.required_one_of, one.required_if)
    return rules + follow_spec() + own
