# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a deployment that is about to begin has to do: whether anything, what its record begins with, and what is refused of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Sequence

from . import rolling as revisions_and_hosts

#: What a release is called that is not built here and has no name.
SAME_CODE = "same-code"
#: What a rolling deployment does where no revision is pending.
NOTHING_PENDING: Mapping[str, Any] = {
    **{"route": "rolling", "reason": "Nothing is pending."},
    **{"before": [], "after": [], "revisions": []},
}
_WINDOW = "the playbook dbops.alembic.maintenance_window"
_HOOK = "a task file of deployment_hooks.after_deployment"


@dataclass(frozen=True)
class Host:
    """An application host before the deployment.

    :param active: the release that it has; empty where it has none. ``version`` is the one that it gets.
    :param scale: of a workload, as its record keeps it; None elsewhere.
    :param gaps: what somebody would notice of a workload's rollout.
    :param workload: whether it is one, whose pods do not stop all at once.
    """

    active: str = ""
    version: str = ""
    scale: Mapping[str, Any] | None = None
    gaps: Sequence[str] = ()
    workload: bool = False


@dataclass(frozen=True)
class Asked:
    """What the operator asks for, and what was found.

    :param stamp: the time at which the deployment begins, as its id has it. ``owner`` is who may write to its record.
    :param release: the version to deploy; empty where the code is somebody else's. ``source`` is release_source.
    :param forced: whether to deploy though there is nothing to do.
    :param plan: ``pending``, ``from_revision``, ``to_revision`` and ``database``, as alembic_info has them.
    :param services: host → the services found there. ``doubted`` is host → why what serves there would not pass the health check.
    :param trusted: whether the operator says that the downgrades bring everything back.
    :param fleet: of many databases ``targets``, how many, and ``on_failure``; empty for one.
    """

    application: str = ""
    controller: str = ""
    migrator: str = ""
    stamp: str = ""
    owner: str = ""
    release: str = ""
    source: str = "none"
    forced: bool = False
    plan: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)
    doubted: Mapping[str, str] = field(default_factory=dict)
    trusted: bool = False
    fleet: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """What is asked of a maintenance window besides.

    :param database: the name of the database that is copied; empty where it is not. ``way_back`` is how to go back from an upgrade.
    :param proved: whether the rehearsal proved that a downgrade brings everything back, whatever the new release wrote.
    """

    database: str = ""
    way_back: str = "code only"
    proved: bool = False


@dataclass(frozen=True)
class Rolling:
    """What is asked of a rolling deployment besides.

    :param rehearsal: the result of alembic_plan; empty where nothing is pending.
    :param batch: how many hosts at a time. ``override`` is revision → reason, and ``contract`` now or later.
    :param gaps_allowed: whether a rollout may be noticed.
    :param backfill: whether the operator has a command that fills rows, and ``runner`` where migrations run.
    """

    rehearsal: Mapping[str, Any] = field(default_factory=dict)
    batch: Any = 1
    override: Mapping[str, str] = field(default_factory=dict)
    contract: str = "later"
    gaps_allowed: bool = False
    backfill: bool = False
    runner: str = "host"


def window(asked: Asked, hosts: Mapping[str, Host], more: Window) -> dict[str, Any]:
    """Return what a deployment in a maintenance window has to do."""
    to = asked.release or SAME_CODE
    changes = asked.source != "none" and any(host.active != to for host in hosts.values())
    snapshot = f"{more.database}__snapshot_{asked.stamp.lower()}" if more.database else ""
    return {
        "needed": bool(asked.plan["pending"]) or changes or asked.forced,
        **_begins(asked, to, stop=True),
        "facts": {
            **_facts(asked, hosts, to),
            "to_revision": asked.plan["to_revision"],
            "snapshot": snapshot,
            "way_back": more.way_back,
            "downgrade_trusted": asked.trusted or more.proved,
        },
    }


def rolling(asked: Asked, hosts: Mapping[str, Host], more: Rolling) -> dict[str, Any]:
    """Return what a rolling deployment has to do, and in ``refused`` why it would not go without failed requests.

    :raises MigrationError: ``options_invalid``, the size of a batch.
    """
    to, elsewhere = asked.release or SAME_CODE, asked.source == "none"
    changing = [name for name, host in hosts.items() if asked.forced or elsewhere or host.active != host.version]
    plan = more.rehearsal or NOTHING_PENDING
    way = revisions_and_hosts.way(plan, changing, more.batch, asked.plan["from_revision"], more.override)
    contracts = more.contract == "now" and bool(way["after"])
    needed = bool(way["refused"] or way["before"] or contracts or asked.forced or (changing and not elsewhere))
    refused = [*([way["refused"]] if way["refused"] else []), *(_noticed(asked, hosts, more, way["batches"]) if needed else [])]
    kept = ("accepted", "before", "after", "before_targets", "after_targets", "expand_revision")
    return {
        "needed": needed,
        "refused": refused,
        **_begins(asked, to, stop=False),
        "facts": {
            **_facts(asked, hosts, to),
            "to_revision": way["to_revision" if contracts else "expand_revision"],
            "way_back": "code only",
            "downgrade_trusted": asked.trusted or way["downgrade_proved"],
            "batches": way["batches"] if needed else [],
            "plan": {
                **{"route": plan["route"], "reason": plan["reason"], "contract": more.contract},
                **{key: way[key] for key in kept},
            },
        },
    }


def _noticed(asked: Asked, hosts: Mapping[str, Host], more: Rolling, batches: Sequence[Sequence[str]]) -> Iterator[str]:
    single = {name for name, host in hosts.items() if not host.workload}
    alone = [batch for batch in batches if single <= set(batch)]
    if single and alone and any(host.active for host in hosts.values()):
        yield (
            f"A batch takes all hosts at once ({', '.join(alone[0])}), and nobody would serve meanwhile."
            f" Set a smaller rolling_batch, or deploy with {_WINDOW}."
        )
    gaps = [f"{name}: {gap}" for name, host in hosts.items() for gap in host.gaps]
    if gaps and not more.gaps_allowed:
        yield (
            f"The rollout of a workload would be noticed. {'; '.join(gaps)}. Deploy with {_WINDOW}, or set"
            " deployment_rolling_gaps_enabled where nobody waits for an answer of it."
        )
    if more.backfill and asked.fleet:
        yield f"deployment_backfill_command knows one database. Fill the rows of many in a revision, or in {_HOOK}."
    if more.backfill and more.runner == "kubernetes_job":
        yield (
            "deployment_backfill_command runs on the migrator, and with schema_runner kubernetes_job there is none. Let"
            f" {_HOOK} do it."
        )


def _begins(asked: Asked, to: str, stop: bool) -> dict[str, Any]:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", to)
    decision = {"action": "finish", "database": "upgrade", "source": "", "code": "to", "stop": stop, "reason": "", "remedies": []}
    return {"id": f"{asked.stamp}-{name}", "owner": asked.owner, "decision": decision}


def _facts(asked: Asked, hosts: Mapping[str, Host], to: str) -> dict[str, Any]:
    """What every record begins with."""
    former = dict.fromkeys(host.active for host in hosts.values() if host.active)
    return {
        "application": asked.application,
        "controller": asked.controller,
        "migrator": asked.migrator,
        "from_revision": asked.plan["from_revision"],
        "from_release": ", ".join(former),
        "to_release": to,
        "database": asked.plan["database"],
        "hosts": {name: {"from_release": host.active, "to_release": host.version} for name, host in hosts.items()},
        "workloads": {name: host.scale for name, host in hosts.items() if host.scale is not None},
        "services": asked.services,
        "doubted": asked.doubted,
        "fleet": asked.fleet,
    }
