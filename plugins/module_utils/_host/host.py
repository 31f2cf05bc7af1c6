# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Brings a host to a state: all services stopped, or a release served. Looks, decides, acts, and looks again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Mapping, Sequence

from .._errors import MigrationError
from .health import Answer, Health, ask, is_final, judge, release_of, run_command
from .link import Link, plan_link
from .services import Manager, Service, Turn, described, down, problems, recorded_from, turns

#: How often the application is asked, and how often the manager, in seconds.
ASK_SECONDS, LOOK_SECONDS = 0.1, 0.5


@dataclass(frozen=True)
class Clock:
    """Seconds that only go forward, seconds of the epoch, and a sleep."""

    now: Callable[[], float] = time.monotonic
    epoch: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Wish:
    """What a host shall serve."""

    services: Sequence[str]
    link: str | None
    release: str | None
    recorded: Sequence[Mapping[str, Any]]
    restart: str
    settle: float
    log_lines: int
    health: Health = field(default_factory=Health)
    on_failure: str = "leave"


def stop_host(manager: Manager, services: Sequence[str], dry: bool) -> dict[str, Any]:
    """Stop everything, wait until it has ended, and return what there was before and is now."""
    before = [_comes_back(item) if item.restarting and not item.ended else item for item in _found(manager)]
    running = [item for item in before if item.runs and item.part != "neighbour"]
    if dry or not running:
        after = [_stopped(item) if dry and item in running else item for item in before]
        return _result(bool(running), before, after, _neighbours(after))
    manager.stop(before)
    after = manager.look()
    left = [item for item in after if item.runs and item.part != "neighbour"]
    if left:
        raise MigrationError(
            f"Stopped, and there again: {described(left)}.",
            "not_stopped",
            "Something else starts it: a dependency of another unit, a health check, a person.",
        )
    return _result(True, before, after, _neighbours(after))


def serve(manager: Manager, wish: Wish, dry: bool, clock: Clock = Clock()) -> dict[str, Any]:
    """Make the host serve a release, and wait until it does."""
    before = _found(manager)
    link = plan_link(wish.link, wish.release or "") if wish.link else Link("", "", "")
    plan = turns(wish.services, before, recorded_from(wish.recorded))
    runs = {item.name for item in before if item.runs}
    anew = wish.restart == "always" or (wish.restart == "changed" and link.changed)
    stopping = anew and bool(runs & {name for turn in plan for name in (*turn.must, *turn.may)})
    missing = [name for turn in plan for name in turn.must if name not in runs]
    starting = bool(missing) or stopping or (anew and any(turn.may for turn in plan))
    warnings = _empty(plan)
    if dry:
        names = {name for turn in plan for name in (*turn.must, *turn.may)} if starting else set()
        after = [_started(item) if item.name in names else item for item in before]
        answered = {} if link.changed or starting else wait_until_good(manager, wish, (), clock)
        return {**_result(link.changed or starting, before, after, warnings), "link": _link(link), "health": answered}
    since = clock.epoch()
    try:
        if stopping:
            manager.stop(before)
            runs = {item.name for item in manager.look() if item.runs}
        link.apply()
        if starting:
            _start(manager, plan, runs, wish)
        must = [name for turn in plan for name in turn.must]
        answered = wait_until_good(manager, wish if starting else replace(wish, settle=0), must, clock)
    except MigrationError as exc:
        failed = _with_logs(exc, manager, wish, since if starting else 0, before)
        stops = wish.on_failure == "stop" and exc.kind in ("start_failed", "unhealthy")
        raise (_stopped_again(failed, manager, wish) if stops else failed) from exc
    after = manager.look()
    tried = {name for turn in plan for name in turn.may}
    again = [item for item in after if item.name in tried and item.failed]
    warnings += [f"{described(again)}, as before."] if again else []
    return {**_result(link.changed or starting, before, after, warnings), "link": _link(link), "health": answered}


def _start(manager: Manager, plan: Sequence[Turn], runs: set[str], wish: Wish) -> None:
    """Start turn by turn. The last one is not waited for where the watch that follows waits for it anyway."""
    for number, turn in enumerate(plan):
        names = [name for name in (*turn.must, *turn.may) if name not in runs]
        if names:
            manager.start(names, wait=number + 1 < len(plan))
        fallen = down(manager.look(), turn.must) if names and number + 1 < len(plan) else []
        if fallen:
            raise _fallen(fallen)


def wait_until_good(manager: Manager, wish: Wish, must: Sequence[str], clock: Clock) -> dict[str, Any]:
    """Ask until the answer is right and everything that must run has stayed up, and return the last answer.

    The operator's ``retries`` and ``delay`` say for how long, as they always did: in between it is asked more often, and what
    is asked early does not count as a try. What its manager has given up ends the wait at once.
    """
    watch = Watch(manager, must, _settles(wish, must), clock)
    begun = clock.now()
    answer = _ask_until(wish.health, lambda: _url(wish.health), watch, clock) if wish.health.url else Answer(-1)
    if wish.health.command:
        _ask_until(wish.health, lambda: (Answer(-1), run_command(wish.health)), watch, clock)
    watch.until_steady(max(wish.health.retries * wish.health.delay, wish.settle))
    if not wish.health.url:
        return {}
    return {"status": answer.status, "release": release_of(wish.health, answer), "waited_seconds": round(clock.now() - begun, 1)}


def _settles(wish: Wish, must: Sequence[str]) -> float:
    """A right answer is the proof for the one service that there is; where there are more, or no answer, it has to stay up."""
    return 0 if wish.health.url and len(must) == 1 else wish.settle


def _url(health: Health) -> tuple[Answer, str]:
    answer = ask(health)
    return answer, judge(health, answer)


def _ask_until(health: Health, look: Callable[[], tuple[Answer, str]], watch: Watch, clock: Clock) -> Answer:
    tries, counted = 0, clock.now() - health.delay
    status, since = -1, counted
    while True:
        begun = clock.now()
        answer, problem = look()
        ended = clock.now()
        if not problem:
            return answer
        watch.fail_if_down(problem)
        if answer.status != status:
            status, since = answer.status, begun
        if health.failing_seconds > 0 and ended - since >= health.failing_seconds and is_final(health, answer):
            raise _unhealthy(
                problem,
                f"It answered {status} for {ended - since:.0f} s, which does not mean 'not yet', so it was not asked any longer"
                " (failing_seconds, in the roles health_failing_seconds; 0 asks until all tries are used up).",
            )
        if begun - counted >= health.delay:
            tries, counted = tries + 1, ended
            if tries > health.retries:
                raise _unhealthy(problem)
        clock.sleep(
            min(max(ASK_SECONDS, ended - begun), max(health.delay, ASK_SECONDS))
        )  # at most half of the time is spent asking


def _unhealthy(problem: str, hint: str = "") -> MigrationError:
    return MigrationError(f"The application is not healthy: {problem}", "unhealthy", hint, facts={"problem": problem})


class Watch:
    """What must run, seen again and again: given up, on its way, or up and for how long."""

    def __init__(self, manager: Manager, must: Sequence[str], settle: float, clock: Clock):
        self.manager, self.must, self.settle, self.clock = manager, list(must), settle, clock
        self.looked = clock.now() - LOOK_SECONDS
        self.since: dict[str, tuple[str, float]] = {}

    def fail_if_down(self, problem: str = "") -> None:
        """Fail where something that must run was given up. Looks at most twice a second."""
        if self.must and self.clock.now() - self.looked >= LOOK_SECONDS:
            self._steady(problem)

    def until_steady(self, seconds: float) -> None:
        """Wait until everything has been up for the time that it has to; ``seconds`` after that it is too late."""
        deadline = self.clock.now() + seconds + self.settle
        while self.must and not self._steady():
            if self.clock.now() > deadline:
                late = [item for item in self.manager.look() if item.name in self.must]
                raise MigrationError(f"Started, and not all of it stays up: {described(late)}.", "start_failed")
            self.clock.sleep(ASK_SECONDS)

    def _steady(self, problem: str = "") -> bool:
        found = self.manager.look()
        self.looked = self.clock.now()
        fallen = down(found, self.must)
        if fallen:
            raise _fallen(fallen, problem)
        steady = True
        for item in found:
            if item.name in self.must:
                before = self.since.get(item.name)
                if before is None or before[0] != item.generation:
                    self.since[item.name] = (item.generation, self.looked)
                settled = item.generation == "settled" or self.looked - self.since[item.name][1] >= self.settle
                steady = steady and not item.waiting and settled
        return steady


def _fallen(items: Sequence[Service], problem: str = "") -> MigrationError:
    more = f" {problem}" if problem else ""
    return MigrationError(f"Started, and it did not stay up: {described(items)}.{more}", "start_failed")


def _with_logs(exc: MigrationError, manager: Manager, wish: Wish, since: float, before: Sequence[Service]) -> MigrationError:
    """The same failure with the end of the log, of this start where there was one, and with how each service is now."""
    found = manager.look() if exc.kind in ("start_failed", "unhealthy", "not_stopped") else list(before)
    names = [item.name for item in found if item.part in ("member", "companion")]
    log = manager.logs(names, since, wish.log_lines) if names and wish.log_lines > 0 else ""
    message = " ".join(part for part in (exc.msg, exc.hint) if part) + (
        f"\nThe end of its log:\n{log or '(none)'}" if names else ""
    )
    facts = {**exc.facts, "services": [item.as_result() for item in found], "log": log, **({"hint": exc.hint} if exc.hint else {})}
    return MigrationError(message, exc.kind, facts=facts)


def _stopped_again(failed: MigrationError, manager: Manager, wish: Wish) -> MigrationError:
    """The same failure, once what has failed does not run any more; where it can't be stopped, that is said besides."""
    try:
        stop_host(manager, wish.services, dry=False)
    except MigrationError as exc:
        return MigrationError(f"{failed.msg}\nAnd it could not be stopped: {exc.msg}", failed.kind, facts=failed.facts)
    return MigrationError(failed.msg, failed.kind, facts={**failed.facts, "stopped": True})


def _found(manager: Manager) -> list[Service]:
    """What is there before anything is done. A failure here has touched nothing, and says so to who has to put things back."""
    try:
        found = manager.look()
    except MigrationError as exc:
        exc.facts["untouched"] = True
        raise
    wrong = problems(found)
    if wrong:
        raise MigrationError(f"Nothing was touched. {' '.join(wrong)}", "service_refused", facts={"untouched": True})
    return found


def _neighbours(after: Sequence[Service]) -> list[str]:
    return [
        f"{item.name} still runs: {item.service} starts it and does not stop it. Name it among the services."
        for item in after
        if item.part == "neighbour" and item.runs
    ]


def _empty(plan: Sequence[Turn]) -> list[str]:
    return [
        f"Nothing of {turn.service} ran before, so nothing of it is started." for turn in plan if not turn.must and not turn.may
    ]


def _comes_back(item: Service) -> Service:
    return replace(item, runs=True, failed=False)


def _stopped(item: Service) -> Service:
    return Service(item.service, item.name, "stopped", item.part)


def _started(item: Service) -> Service:
    return item if item.runs else Service(item.service, item.name, "started", item.part, runs=True)


def _link(link: Link) -> dict[str, str]:
    return {"path": link.path, "before": link.before, "after": link.after} if link.path else {}


def _result(changed: bool, before: Sequence[Service], after: Sequence[Service], warnings: Sequence[str] = ()) -> dict[str, Any]:
    known = {item.name for item in after}  # systemd forgets a unit that nothing refers to and that does not run
    after = [*after, *(replace(item, state="inactive", detail="", runs=False) for item in before if item.name not in known)]
    return {
        "changed": changed,
        "before": [item.as_result() for item in before if item.part != "neighbour"],
        "services": [item.as_result() for item in after if item.part != "neighbour"],
        "warnings": [*dict.fromkeys(item.warning for item in after if item.warning), *warnings],
    }
