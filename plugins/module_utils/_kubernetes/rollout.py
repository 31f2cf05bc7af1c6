# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Follows a rollout to its end, and tells one that is broken from one that only needs longer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping, Protocol

from .._errors import MigrationError
from .._worker.redaction import Redactor
from .cluster import Cluster, Object, events_of, log_of, pod_events
from .pods import (
    KILLING,
    LATE,
    UNHEALTHY,
    Problem,
    advance,
    deadline_of,
    liveness,
    migrating,
    pod_problems,
    progress,
    restarts,
    rolled_out,
    running,
    settling,
    workload_problems,
)

#: Seconds between two looks.
PAUSE = 1.0
#: Seconds for which the workload itself may be the first to say that its own deadline is over.
GRACE = 15.0
MORE_TIME = "application_start_timeout_seconds"


class Rolling(Protocol):
    """What a rollout is followed of; :class:`Workload` is one."""

    @property
    def cluster(self) -> Cluster: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def sleep(self) -> Callable[[float], None]: ...
    @property
    def now(self) -> Callable[[], float]: ...
    def read(self) -> Object: ...
    def pods(self, found: Object) -> list[Object]: ...


@dataclass(frozen=True)
class Limits:
    """How long a rollout is waited for.

    :param wait: seconds in all. None follows the workload: ``progressDeadlineSeconds``, which begin anew with each step forward.
    :param patience: seconds that a problem may last before it counts.
    :param lines: how many lines of the failing pod's log a failure shows.
    """

    wait: float | None
    patience: float
    lines: int


@dataclass
class _Clock:
    """Since when what is so, and until when it is waited for."""

    now: Callable[[], float]
    wait: float | None
    until: float = 0.0
    furthest: tuple[int, ...] = (0, 0, 0)
    up: float = 0.0
    ended: int = 0
    since: dict[tuple[str, str], float] = field(default_factory=dict)
    #: What was said before this rollout.
    former: set[tuple[Any, ...]] | None = None

    def look(self, found: Object, pods: list[Object]) -> None:
        """Set the limit where it is not set yet, or begins anew."""
        here = advance(found)
        forward = self.wait is None and any(now > before for now, before in zip(here, self.furthest))
        # How long a migration may take is the worker's to say.
        if not self.until or forward or any(migrating(pod) for pod in pods):
            self.until = max(self.until, self.now() + (deadline_of(found) + GRACE if self.wait is None else self.wait))
        self.furthest = tuple(max(pair) for pair in zip(here, self.furthest))
        before, self.ended = self.ended, restarts(pods)
        self.up = (self.up if self.up and before == self.ended else self.now()) if rolled_out(found) else 0.0

    @property
    def late(self) -> bool:
        return self.now() > self.until

    def lasting(self, problems: list[Problem], patience: float) -> list[Problem]:
        """Return the problems that count."""
        self.since = {problem.key: self.since.get(problem.key, self.now()) for problem in problems}
        return [item for item in problems if item.certain or self.now() - self.since[item.key] >= patience]


def followed(workload: Rolling, limits: Limits) -> Object:
    """Wait until the rollout is done and return the workload.

    :raises MigrationError: ``rollout_failed``; its ``reason`` is ``timeout`` for one that might only need longer.
    """
    clock, served = _Clock(workload.now, limits.wait), False
    while True:
        found = workload.read()
        status = found.get("status") or {}
        served = served or bool(status.get("readyReplicas") and status.get("updatedReplicas"))
        pods = workload.pods(found)
        clock.look(found, pods)
        failing, problems = _probed(workload, found, pods) if clock.up else (False, [])
        undecided = failing and not (
            clock.late and not clock.ended
        )  # a probe that failed and ended nothing is no reason to go back
        if clock.up and not problems and workload.now() - clock.up >= settling(found, undecided):
            return found
        # Who was given more time than the workload gives itself is not stopped by the workload's word.
        problems += [item for item in workload_problems(found) if limits.wait is None or item.reason != LATE]
        problems += _not_made(workload, found, pods, clock)
        problems += [problem for pod in pods for problem in pod_problems(pod)]
        lasting = clock.lasting(problems, limits.patience)
        if lasting or clock.late:
            raise _failed(workload, found, pods, lasting, limits, served)
        workload.sleep(PAUSE)


def _probed(workload: Rolling, found: Object, pods: list[Object]) -> tuple[bool, list[Problem]]:
    """Return what liveness probes have said of pods whose readiness nobody asks for."""
    events = pod_events(workload.cluster, workload.namespace, (UNHEALTHY, KILLING)) if settling(found) else []
    return liveness(pods, events)


def _not_made(workload: Rolling, found: Object, pods: list[Object], clock: _Clock) -> list[Problem]:
    """Return why a StatefulSet has too few pods, which its status never says. While a pod is not ready it may make no other."""
    if found.get("kind") == "Deployment":
        return []
    path = f"/api/v1/namespaces/{workload.namespace}/events"
    events = workload.cluster.items(path, fieldSelector=f"involvedObject.name={workload.name},reason=FailedCreate")
    said = {(event["metadata"].get("uid"), event.get("count")): str(event.get("message")) for event in events}
    clock.former = set(said) if clock.former is None else clock.former
    fresh = [text for key, text in said.items() if key not in clock.former]
    living = running(pods)
    missing = len(living) < found["spec"].get("replicas", 1) and all(_ready(pod) for pod in living)
    return [Problem("", "", "FailedCreate", Redactor().text(fresh[-1]))] if fresh and missing else []


def _failed(
    workload: Rolling, found: Object, pods: list[Object], problems: list[Problem], limits: Limits, served: bool
) -> MigrationError:
    """Return the failure with what an operator would look at next: events, and the failing pod's last words."""
    waiting = [pod for pod in running(pods) if not _ready(pod)]
    worst = next((item for item in problems if item.pod), None)
    pod = worst.pod if worst else next((item["metadata"]["name"] for item in waiting), "")
    object_ = next((item for item in pods if item["metadata"]["name"] == pod), None)
    container = (worst.container if worst else "") or (object_ and object_["spec"]["containers"][0]["name"]) or ""
    log = log_of(workload.cluster, workload.namespace, pod, container, limits.lines) if pod and limits.lines else ""
    names = [workload.name, *_replica_sets(workload.name, pods), *([pod] if pod else [])]
    events = events_of(workload.cluster, workload.namespace, names)
    slow = all(item.reason == LATE for item in problems) and not restarts(pods)
    parts = [_slow(workload, found, limits) if slow else _broken(workload, found, problems, limits)]
    parts += _advice(events)
    parts += ["Events:", *events] if events else []
    parts += [f"The end of the log of {pod}:", log] if log else []
    reason = "timeout" if slow or not problems else problems[0].reason
    facts = {"reason": reason, "pod": pod, "events": events, "log": log, "served": served}
    return MigrationError("\n".join(parts), "rollout_failed", None, facts)


def _broken(workload: Rolling, found: Object, problems: list[Problem], limits: Limits) -> str:
    why = "; ".join(item.text for item in problems) or f"{_after(found, limits)} {progress(found)}, and containers ended meanwhile"
    return f"{workload.label} did not come up: {why}."


def _slow(workload: Rolling, found: Object, limits: Limits) -> str:
    own = "" if limits.wait is not None else ", and so does progressDeadlineSeconds of the workload"
    return (
        f"{workload.label} is not ready yet: {_after(found, limits)} {progress(found)}. No container has ended, so it may only be"
        f" slow to start; {MORE_TIME} gives it more time{own}."
    )


def _after(found: Object, limits: Limits) -> str:
    return f"{deadline_of(found):g} s after its last step" if limits.wait is None else f"after {limits.wait:g} s"


def _advice(events: Iterable[str]) -> list[str]:
    """Return what helps a container that its own probes ended while it was starting."""
    ended = [text.lower() for text in events if f": {KILLING}: " in text]
    if any("liveness probe" in text for text in ended):
        return [
            "Its liveness probe ended it. One that only starts slowly needs a startupProbe, which the liveness probe waits for."
        ]
    if any("startup probe" in text for text in ended):
        return ["Its startup probe ended it; failureThreshold and periodSeconds of the probe say how long a start may take."]
    return []


def _replica_sets(name: str, pods: list[Object]) -> list[str]:
    owners = {owner["name"] for pod in pods for owner in pod["metadata"].get("ownerReferences") or ()}
    return sorted(owners - {name})


def _ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
