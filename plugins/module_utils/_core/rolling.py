# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a rolling deployment does: which hosts at a time, and which revisions before and after the rollout."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

from .._errors import MigrationError

_PERCENTAGE = re.compile(r"(\d+(?:\.\d+)?) *%")


@dataclass(frozen=True)
class Split:
    """The revisions before and after the rollout. ``refused`` says why there can be none, ``accepted`` what was overridden."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    refused: str = ""
    accepted: tuple[str, ...] = ()


def batches(hosts: Sequence[str], size: Any) -> list[list[str]]:
    """Return the hosts in batches of ``size``: a number, a percentage, or a list of them, as Ansible's ``serial`` understands them.

    The last size of a list goes on; a percentage is rounded down, to one host at least. Anything else is ``options_invalid``.
    """
    sizes = list(size) if isinstance(size, (list, tuple)) else [size]
    if not sizes:
        raise _wrong(size)
    counts = [_count(item, len(hosts)) for item in sizes]
    found: list[list[str]] = []
    rest = list(hosts)
    while rest:
        count = counts[min(len(found), len(counts) - 1)]
        found.append(rest[:count])
        rest = rest[count:]
    return found


def _count(size: Any, total: int) -> int:
    text = str(size).strip()
    percentage = _PERCENTAGE.fullmatch(text)
    if percentage and 0 < float(percentage.group(1)) <= 100:
        return max(1, int(total * float(percentage.group(1)) / 100))
    if not text.isdecimal() or int(text) < 1 or isinstance(size, bool):
        raise _wrong(size)
    return int(text)


def _wrong(size: Any) -> MigrationError:
    return MigrationError(
        f"{size!r} is no size of a batch.",
        "options_invalid",
        "Give a number of hosts such as 2, a percentage such as 25%, or a list of these such as [1, 25%].",
    )


def way(
    plan: Mapping[str, Any], hosts: Sequence[str], batch: Any, current: Sequence[str], override: Mapping[str, str]
) -> dict[str, Any]:
    """Return the batches, and the revisions before and after the rollout with where they leave the database.

    :param plan: the result of alembic_plan. ``current`` is where the database is, and ``override`` as :func:`split` has it.
    :raises MigrationError: ``options_invalid``, the size of a batch.
    """
    found, revisions = split(plan, override), plan["revisions"]
    return {
        "refused": found.refused,
        "batches": batches(hosts, batch),
        "before": list(found.before),
        "after": list(found.after),
        "before_targets": leaves(revisions, found.before),
        "after_targets": leaves(revisions, found.after),
        "expand_revision": reached(current, revisions, found.before),
        "to_revision": reached(current, revisions, (*found.before, *found.after)),
        "accepted": list(found.accepted),
        "downgrade_proved": downgrade_proved(revisions, found.before),
    }


def split(plan: Mapping[str, Any], override: Mapping[str, str]) -> Split:
    """Return which revisions run before and after the rollout.

    :param plan: the result of alembic_plan: its route and its revisions with their phases.
    :param override: revision → reason for which it runs before the rollout, whatever the plan says of it.
    """
    unreasoned = without_reason(override)
    if unreasoned:
        return Split(refused=unreasoned)
    named = [item["revision"] for item in plan["revisions"] if item["revision"] in override]
    if plan["route"] == "rolling" and not named:
        return Split(tuple(plan["before"]), tuple(plan["after"]))
    if not named:
        return Split(refused=_refusal(plan))
    phases = {item["revision"]: "expand" if item["revision"] in named else item["phase"] for item in plan["revisions"]}
    order = list(phases)
    if set(phases.values()) - {"expand", "contract"}:
        left = next(revision for revision in order if phases[revision] not in ("expand", "contract"))
        return Split(refused=f"{_refusal(plan)} (deployment_rolling_override does not name {left}.)")
    cut = next((number for number, revision in enumerate(order) if phases[revision] == "contract"), len(order))
    behind = next((revision for revision in order[cut:] if phases[revision] == "expand"), None)
    if behind:
        return Split(
            refused=f"Revision {behind}, which has to run before the new code, follows {order[cut]}, which has to wait for it."
        )
    return Split(tuple(order[:cut]), tuple(order[cut:]), accepted=tuple(f"{name}: {override[name]}" for name in named))


def without_reason(override: Mapping[str, Any]) -> str:
    """Return what is said where a revision is to run before the rollout and nobody says why; else nothing."""
    nameless = sorted(str(revision) for revision, reason in override.items() if not str(reason or "").strip())
    return f"deployment_rolling_override gives no reason for {', '.join(nameless)}. Write yours beside it." if nameless else ""


def _refusal(plan: Mapping[str, Any]) -> str:
    ways = {
        "maintenance_window": "Deploy it with the playbook dbops.alembic.maintenance_window, change it as the plan says,",
        "refuse": "Change it as the plan says,",
    }
    way = ways.get(plan["route"], ways["refuse"])
    return (
        f"The plan's route is {plan['route']} and not rolling. {plan['reason']} {way} "
        "or name the revision with your reason in deployment_rolling_override."
    )


def leaves(revisions: Sequence[Mapping[str, Any]], chosen: Iterable[str]) -> list[str]:
    """Return the ends of the ``chosen`` revisions: those that none of the others follows. Upgrading to each of them runs all."""
    wanted = set(chosen)
    followed: set[str] = set()
    for item in revisions:
        if item["revision"] in wanted:
            followed |= set(_downs(item))
    return [item["revision"] for item in revisions if item["revision"] in wanted - followed]


def reached(current: Sequence[str], revisions: Sequence[Mapping[str, Any]], chosen: Iterable[str]) -> list[str]:
    """Return the heads of the database once the ``chosen`` revisions ran on ``current``."""
    wanted = set(chosen)
    left = {down for item in revisions if item["revision"] in wanted for down in _downs(item)}
    return sorted((set(current) | wanted) - left)


def downgrade_proved(revisions: Sequence[Mapping[str, Any]], chosen: Iterable[str]) -> bool:
    """Return whether the rehearsal proved that all of ``chosen`` can be undone, as long as nobody has written to what they made."""
    wanted = set(chosen)
    return all(bool((item.get("reversible") or {}).get("proved")) for item in revisions if item["revision"] in wanted)


def _downs(item: Mapping[str, Any]) -> list[str]:
    down = item.get("down_revision")
    return [down] if isinstance(down, str) else list(down or ())
