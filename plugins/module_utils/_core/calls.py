# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a flow does on a host and with the database, as calls that are as few as the operator's own tasks between them allow."""

from __future__ import annotations

from typing import Any, Collection, Iterator, Mapping, Sequence

#: In these orders; a name that begins with before_ or after_ is a hook.
DATABASE = (
    "prove",
    "before_snapshot",
    "copy",
    "archive",
    "after_snapshot",
    "upgrading",
    "before_upgrade",
    "upgrade",
    "verify",
    "count",
    "after_upgrade",
    "starting",
)
#: On the way back, from a copy inside the server or by the revisions' own downgrades.
DATABASE_BACK = {
    "restore": ("recount", "restoring", "before_restore", "restore", "stand", "after_restore", "restarting"),
    "downgrade": ("restoring", "before_restore", "downgrade", "after_restore", "restarting"),
}
_DRAIN = ("before_drain", "drain", "after_drain")
_ACTIVATE = ("before_activate", "init_container", "activate", "after_activate")
_START = ("before_start", "start", "after_start")
_UNDRAIN = ("before_undrain", "undrain", "after_undrain")
HOST: dict[str, tuple[str, ...]] = {
    "stop": (*_DRAIN, "before_stop", "stop", "after_stop"),
    "start": (*_ACTIVATE, *_START),
    "undrain": _UNDRAIN,
    "exchange": (*_DRAIN, *_ACTIVATE, *_START, *_UNDRAIN),
    "exchange_workload": (*_ACTIVATE, *_START),
}


def database_calls(
    move: str, hooks: Collection[str], pending: bool = True, way_back: str = "", counted: bool = False, stays: bool = False
) -> list[dict[str, Any]]:
    """Return what is to be done one after the other: ``kind`` steps (with the ``steps``), hook (with its ``hook``), or archive.

    The last one has steps, and says that the database is ``there``.

    :param move: upgrade, restore or downgrade.
    :param hooks: names of those that the operator has defined.
    :param pending: of an upgrade, whether any revision is.
    :param way_back: of an upgrade: snapshot, archive, or what takes no step.
    :param counted: of a restore, whether the rows that would be lost are counted once more.
    :param stays: on the way back, whether the new release is what starts.
    """
    order: Collection[str] = DATABASE_BACK.get(move, DATABASE)
    left_out = {"snapshot": {"archive"}, "archive": {"copy"}}.get(way_back, {"copy", "archive"})
    if not pending:
        left_out = {name for name in DATABASE if not _is_hook(name)} - {"starting"}
    if not counted:
        left_out |= {"recount"}
    found: list[dict[str, Any]] = []
    for call in _taken(order, hooks, left_out):
        if stays and call["kind"] == "restarting":
            call = {"kind": "starting"}
        if call["kind"] in ("hook", "archive"):
            found.append(call)
        elif found and found[-1]["kind"] == "steps":
            found[-1]["steps"].append(call["kind"])
        else:
            found.append({"kind": "steps", "steps": [call["kind"]]})
    return [*found[:-1], {**found[-1], "there": True}]


def hosts_of_step(
    step: str, run: str, decision: Mapping[str, Any], ready: bool, reached: Mapping[str, Collection[str]], serving: Collection[str]
) -> list[str]:
    """Return the hosts that take a step of a pass.

    Where nothing was changed, nothing is stopped for the way back, and nothing twice; else a host starts only what it stopped, and
    all only what the database was made ready for. A new release gets its traffic only when every host serves: where something
    holds the traffic, nobody writes before that. On the way back each host gets its own.

    :param step: stop, start or undrain.
    :param run: the pass, as it is in ``reached``.
    :param decision: of the pass: whether to ``stop``, and the ``action``.
    :param ready: whether the database was brought where this pass needs it.
    :param reached: host of the application → what it has taken, each a pass and a step.
    :param serving: hosts whose stop failed before anything was stopped: what was there serves on.
    """
    stops = bool(decision.get("stop"))
    if step == "stop":
        return [host for host in reached if f"{run} stop" not in reached[host]] if stops else []
    if step == "start":
        left = serving if run == "second" else ()
        stopped = [host for host in reached if host not in left and (not stops or f"{run} stop" in reached[host])]
        return stopped if ready else []
    started = [host for host in reached if f"{run} start" in reached[host]]
    if len(started) < len(reached) and decision.get("action") != "revert":
        return []
    return [host for host in reached if host in started or host in serving]


def host_calls(
    step: str,
    hooks: Collection[str],
    balanced: bool,
    released: bool,
    alone: Collection[str],
    drained: bool = False,
    returns: bool = False,
    took: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Return what a step of the flow does on a host: each with its ``kind``, a hook with its ``hook``. Others are one call.

    :param step: of the flow.
    :param hooks: names of those that the operator has defined.
    :param balanced: whether something is told to take the traffic away and to give it back.
    :param released: whether the host has a release to go to; without one nothing starts, and what is exchanged is stopped.
    :param alone: what of init_container and activate takes a call of its own.
    :param drained: whether the traffic was taken away before, and nobody has given it back.
    :param returns: whether a host on which the start fails goes back. It ``stops`` at once what failed, where nobody is served by
        it and the operator has no tasks around a stop: the way back has nothing left to stop there.
    :param took: what is said of the host at the end: by a stop or a start that is the last call, of a host that is no workload,
        as its ``note``; else by a call of kind ``took``.
    """
    calls = _host_calls(step, set(hooks), balanced, released, set(alone), drained, returns)
    if not took:
        return calls
    if calls and calls[-1]["kind"] in ("stop", "start") and "activate" not in alone:
        return [*calls[:-1], {**calls[-1], "note": list(took)}]
    return [*calls, {"kind": "took"}]


def _host_calls(
    step: str, hooks: set[str], balanced: bool, released: bool, alone: set[str], drained: bool, returns: bool
) -> list[dict[str, Any]]:
    if step not in HOST:
        return [{"kind": step}]
    order = HOST[step]
    left_out = {"init_container", "activate"} - alone
    if not balanced:
        left_out |= {"drain", "undrain"}
    if drained:
        left_out |= {"drain"}
    if not released:
        left_out |= set(_START) if step == "start" else {"undrain"}
    calls = list(_taken(order, hooks, left_out))
    if step.startswith("exchange") and not released:
        return [{"kind": "stop"} if call["kind"] == "start" else call for call in calls]
    if returns and step == "start" and balanced and not {"before_stop", "after_stop"} & hooks:
        return [{**call, "stops": True} if call["kind"] == "start" else call for call in calls]
    return calls


def _taken(order: Collection[str], hooks: Collection[str], left_out: Collection[str]) -> Iterator[dict[str, Any]]:
    for name in order:
        if name in left_out:
            continue
        if not _is_hook(name):
            yield {"kind": name}
        elif name in hooks:
            yield {"kind": "hook", "hook": name}


def _is_hook(name: str) -> bool:
    return name.startswith(("before_", "after_"))
