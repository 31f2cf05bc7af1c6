# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow a job over several module calls: what to send, when to try again, what to print. Plain Python."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, Mapping, Sequence

from ansible_collections.dbops.alembic.plugins.module_utils._core.fleet_outcome import STATUSES
from ansible_collections.dbops.alembic.plugins.module_utils._worker.printable import printable

from ._text import size

Event = Mapping[str, Any]
Call = Callable[[Dict[str, Any]], Dict[str, Any]]

#: Seconds that a call waits for the end: the first is as long as an ordinary run takes, since another call costs half a second of
#: downtime; a longer run shows its first lines then, and the next calls come back by themselves when there is something to show.
FIRST_WAIT, NEXT_WAIT = 4.0, 15.0
#: Seconds between two attempts to reach a host again: doubled from the first to the last.
FIRST_DELAY, LAST_DELAY = 1.0, 15.0
#: What a call carries for following; the last three appear in the answer too.
INTERNAL = ("wait", "cursor", "job", "finished", "progress")


class ConnectionLost(Exception):
    """The call got no answer; what runs on the host may go on."""


class HostLost(Exception):
    """The host stayed away for longer than it may.

    :param reason: the last error.
    :param seconds: for how long it was tried.
    """

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.reason, self.seconds = reason, seconds


def was_cut_off(result: Mapping[str, Any]) -> bool:
    """Tell whether a result is no answer of the module: the host is gone, or the module was killed before it answered.

    A return code of 255 is the transport's own; for death by a signal a shell says 129 to 192, and the transport a number below 0.
    """
    if result.get("unreachable"):
        return True
    rc = result.get("rc")
    if "module_stdout" not in result or not isinstance(rc, int) or str(result["module_stdout"]).strip():
        return False
    return rc < 0 or rc == 255 or 128 < rc <= 192


def delays(limit: float) -> Iterator[float]:
    """Yield the seconds to wait before each attempt to reach a host again, ``limit`` in all."""
    delay, spent = FIRST_DELAY, 0.0
    while spent < limit:
        step = min(delay, limit - spent)
        yield step
        spent += step
        delay = min(delay * 2, LAST_DELAY)


def follow(call: Call, job: str, reconnect: float, show: Callable[[str], None], sleep: Callable[[float], None]) -> dict[str, Any]:
    """Call until the job is finished, and return its result.

    :param call: calls the module with these options more; raises :class:`ConnectionLost` when no answer comes.
    :param job: the job's id.
    :param reconnect: seconds of pauses between attempts after a lost connection.
    :param show: prints a line.
    :raises HostLost: the host did not come back in time.
    """
    options: dict[str, Any] = {"job": job, "wait": FIRST_WAIT}
    seen: list[Event] = []
    pauses: Iterator[float] | None = None
    while True:
        try:
            result = call(options)
        except ConnectionLost as exc:
            if pauses is None:
                pauses = delays(reconnect)
                show("connection lost; what runs there goes on by itself, trying to reach the host again")
            pause = next(pauses, None)
            if pause is None:
                raise HostLost(str(exc), reconnect) from exc
            sleep(pause)
            continue
        if pauses is not None:
            pauses = None
            show("connected again")
        finished = result.get("finished", True)
        events = list(result.get("progress") or ())
        seen += events
        for line in lines(events + (unseen(result, seen) if finished else [])):
            show(line)
        if finished:
            return result
        options = {"job": job, "wait": NEXT_WAIT, "cursor": int(result["cursor"])}


def public(result: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``result`` without what served the following only.

    :param asked: the options that the task itself has; those stay among the reported arguments.
    """
    cleaned = {key: value for key, value in result.items() if key not in INTERNAL}
    invocation = cleaned.get("invocation")
    if isinstance(invocation, dict) and isinstance(invocation.get("module_args"), dict):
        arguments = {key: value for key, value in invocation["module_args"].items() if key not in INTERNAL or key in asked}
        cleaned["invocation"] = {**invocation, "module_args": arguments}
    return cleaned


def lines(events: Sequence[Event]) -> Iterator[str]:
    """Yield a line for each event that is worth one.

    A revision that began and ended among the same events gets one line, its end. A database that has a name is one of
    several, and its lines begin with it.
    """
    ended = {_key(event) for event in events if event.get("event") == "revision_end"}
    for event in events:
        if event.get("event") == "revision_start" and _key(event) in ended:
            continue
        writer = _WRITERS.get(str(event.get("event")))
        if writer:
            yield printable("{}: {}".format(event["database"], writer(event)) if event.get("database") else writer(event))


def unseen(result: Mapping[str, Any], seen: Sequence[Event]) -> list[Event]:
    """Return an event for each revision that the result calls applied and whose end is not among those seen."""
    ended = {_key(event) for event in seen if event.get("event") == "revision_end"}
    found: list[Event] = []
    for context, entry in enumerate(result.get("databases") or ()):
        planned = [step["revision"] for step in entry.get("planned") or ()]
        for step in entry.get("applied") or ():
            event = {
                "event": "revision_end",
                "context": context,
                "number": planned.index(step["revision"]) + 1,
                "total": len(planned),
                "database": entry["database"].get("name"),
                **{name: step.get(name) for name in ("revision", "message", "seconds")},
            }
            if _key(event) not in ended:
                found.append(event)
    return found + _unseen_targets(result, seen)


def _unseen_targets(result: Mapping[str, Any], seen: Sequence[Event]) -> list[Event]:
    """Return an event for each of many databases whose end is not among those seen."""
    told = {event["entry"]["name"] for event in seen if event.get("event") == "target_end"}
    entries = sorted(result.get("targets") or (), key=lambda entry: not entry["canary"])
    fresh = [entry for entry in entries if entry["outcome"] != "not_begun" and entry["name"] not in told]
    total = len(result.get("targets") or ())
    return [
        {"event": "target_end", "number": number, "total": total, "entry": entry}
        for number, entry in enumerate(fresh, len(told) + 1)
    ]


def _key(event: Event) -> tuple[Any, ...]:
    return tuple(event.get(name) for name in ("context", "number", "revision"))


def _revision_start(event: Event) -> str:
    head = "[{}/{}] {}".format(event.get("number", "?"), event.get("total", "?"), str(event.get("revision", ""))[:12])
    message = str(event.get("message") or "").strip().split("\n", 1)[0]
    return f"{head} {message} …" if message else f"{head} …"


def _revision_end(event: Event) -> str:
    return _revision_start(event) if event.get("seconds") is None else f"{_revision_start(event)} {seconds(event['seconds'])}"


def _lock_wait(event: Event) -> str:
    holder = session(event.get("holder"))
    limit = ", for {} at most".format(seconds(event["wait_seconds"])) if event.get("wait_seconds") is not None else ""
    return "waiting for the migration lock{}{}".format(limit, f"; it is held by {holder}" if holder else "")


def _retry(event: Event) -> str:
    where = f" in {str(event['revision'])[:12]}" if event.get("revision") else ""
    blockers = "; ".join(session(blocker) for blocker in (event.get("blockers") or ())[:3])
    blocked = f", blocked by {blockers}" if blockers else ""
    ended = f"attempt {event.get('attempt')} ended with {event.get('error_kind')}{where}{blocked}"
    return f"{ended}; trying again in {seconds(event.get('delay'))}"


def _initialise(event: Event) -> str:
    return "the database is new: running the application's own initialisation command"


def _target_end(event: Event) -> str:
    entry = event["entry"]
    head = "[{}/{}] {}".format(event["number"], event["total"], entry["name"])
    if entry["failure"]:
        return "{} failed ({}): {}".format(head, entry["failure"]["kind"], str(entry["failure"]["message"]).split("\n", 1)[0])
    if entry["state"] in STATUSES:
        where, count = ", ".join(item[:12] for item in entry["after"]) or "base", len(entry["pending"])
        return f"{head}: {where}, {entry['state'].replace('_', ' ')}" + (f", {count} pending" if count else "")
    if entry["outcome"] == "unchanged":
        return f"{head}: nothing to do"
    before, after = (", ".join(item[:12] for item in entry[key] or ()) or "base" for key in ("before", "after"))
    return f"{head}: {before} → {after}"


def _session_wait(event: Event) -> str:
    count = "1 session" if event["count"] == 1 else "{} sessions".format(event["count"])
    who = "; ".join(session(one) for one in event["sessions"])
    return "waiting for {} to go, for {} at most: {}".format(count, seconds(event["wait_seconds"]), who)


def _archive(event: Event) -> str:
    return "the archive has {} after {}".format(size(event["bytes"]), seconds(event["seconds"]))


def _step_lasts(event: Event) -> str:
    return "{}: {} so far".format(STEPS.get(str(event["step"]), str(event["step"])), seconds(event["seconds"]))


#: Step of database_steps → what it does.
STEPS = {
    "copy": "copying the database",
    "restore": "putting the copy back",
    "count": "counting rows",
    "recount": "counting rows",
    "verify": "verifying the database",
}
_WRITERS: dict[str, Callable[[Event], str]] = {
    "revision_start": _revision_start,
    "revision_end": _revision_end,
    "lock_wait": _lock_wait,
    "retry": _retry,
    "initialise": _initialise,
    "target_end": _target_end,
    "archive": _archive,
    "session_wait": _session_wait,
    "step_lasts": _step_lasts,
}


def seconds(value: Any) -> str:
    """Return a duration as people read it: ``0.04 s``, ``2.1 s``, ``75 s``, ``12 min 5 s``."""
    if not isinstance(value, (int, float)):
        return "? s"
    if value >= 600:
        return f"{round(value) // 60} min {round(value) % 60} s"
    digits = 2 if value < 1 else 1 if value < 60 else 0
    return f"{value:.{digits}f} s"


def session(who: Any) -> str:
    """Return a database session in a few words: ``pid 4711 (deploy@10.0.0.7, gunicorn, since 12:01)``."""
    if not isinstance(who, Mapping) or not who:
        return ""
    place = "@".join(str(who[key]) for key in ("user", "client") if who.get(key))
    details = [place, str(who.get("application") or ""), "since {}".format(who["since"]) if who.get("since") else ""]
    inside = ", ".join(part for part in details if part)
    name = "pid {}".format(who["pid"]) if who.get("pid") else "a session"
    return f"{name} ({inside})" if inside else name
