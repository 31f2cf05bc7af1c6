# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The worker's main process: one child for each attempt, so that a crash, a kill or an os._exit is a reported fact."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any

from . import attempt as attempts
from .channel import Receiver, Sender, is_abandoned, readable
from .failure import RETRYABLE
from .journal import Journal
from .protocol import MIGRATIONS, OUTLIVING, PROTOCOL, READ
from .redaction import MARGIN, Redactor, cut, redactor_for

MAXIMUM_OUTPUT = 20000
MAXIMUM_DELAY = 30.0
OBSERVE_TIMEOUT = 120.0
CLEAN_TIMEOUT = 20.0
#: Descriptors of the worker that are no business of the processes in which a project runs.
OWN: list[int] = []


@dataclass
class _Child:
    """The process of an attempt, and its pipes."""

    pid: int
    receiver: Receiver
    printed: int
    lifeline: int
    commands: int

    def end(self) -> None:
        """Let a process end that waits for requests."""
        os.close(self.commands)
        os.waitpid(self.pid, 0)

    def close(self) -> None:
        for descriptor in (self.receiver.descriptor, self.printed, self.lifeline, self.commands):
            os.close(descriptor)


#: A process that has read a database, and is as it was before.
KEPT: list[_Child] = []


def _kept(request: dict[str, Any]) -> _Child | None:
    """Hand ``request`` to the process that is kept, if there is one; whatever does more than a look has one of its own."""
    if not KEPT:
        return None
    child = KEPT.pop()
    if request["operation"] == READ and not os.waitpid(child.pid, os.WNOHANG)[0]:
        with contextlib.suppress(BrokenPipeError):
            os.write(child.commands, (json.dumps(request) + "\n").encode())
            return child
    child.close()
    return None


def serve(request: dict[str, Any], descriptor: int) -> None:
    """Carry out ``request`` and write events and one reply, redacted, to ``descriptor``."""
    supervisor = Supervisor(request, Sender(descriptor), redactor_for(request, os.environ))
    try:
        reply = supervisor.run()
    except Exception as exc:  # ours: say so instead of dying silently
        import traceback

        reply = {
            "ok": False,
            "error": {"kind": "internal_error", "message": f"{type(exc).__name__}: {exc}", "traceback": traceback.format_exc()},
        }
    supervisor.tell(dict(reply, event="reply", protocol=PROTOCOL))


class Supervisor:
    def __init__(self, request: dict[str, Any], sender: Sender, redactor: Redactor) -> None:
        self.request, self.sender, self.redactor = request, sender, redactor
        self.journal = Journal()
        self.output = b""
        self.stays = False  # the child takes another request
        self.attempts: list[dict[str, Any]] = []
        limit = float(request.get("timeout") or 0)
        self.deadline = time.monotonic() + limit if limit > 0 else None
        self.abandoned = False

    def tell(self, message: dict[str, Any]) -> None:
        """The way out: everything that leaves the worker is redacted here."""
        self.sender(self.redactor.clean(message))

    def run(self) -> dict[str, Any]:
        retries, changed = self.request.get("retries") or {}, set()
        while True:
            started = time.monotonic()
            self._attempt(self.request, self.deadline)
            error = self.journal.error
            url = self.journal.use_url
            what = url and ("spelling" if _driver(url) == _driver(self.request["url"]) else "driver")
            if error and what and what not in changed:  # each once: an env.py that ignores the URL fails with each driver
                self.request = dict(self.request, url=url)
                changed.add(what)
                continue
            self._note(started, error)
            if self.abandoned:
                return self._reply(error)
            if not error or not self._may_retry(error, int(retries.get("count") or 0)):
                return self._reply(error)
            self._pause(float(retries.get("delay") or 0), error)

    def _note(self, started: float, error: dict[str, Any] | None) -> None:
        found = error or {}
        self.attempts.append(
            {
                "number": len(self.attempts) + 1,
                "seconds": round(time.monotonic() - started, 3),
                "error_kind": found.get("kind"),
                "sqlstate": found.get("sqlstate"),
                "revision": found.get("revision"),
                "blockers": found.get("blockers") or [],
            }
        )

    def _may_retry(self, error: dict[str, Any], count: int) -> bool:
        return error["kind"] in RETRYABLE and not self.journal.dirty and len(self.attempts) <= count

    def _pause(self, delay: float, error: dict[str, Any]) -> None:
        seconds = min(MAXIMUM_DELAY, delay * 2 ** (len(self.attempts) - 1)) * random.uniform(0.5, 1.5)
        self.tell(
            {
                "event": "retry",
                "attempt": len(self.attempts),
                "error_kind": error["kind"],
                "revision": error.get("revision"),
                "blockers": error.get("blockers") or [],
                "delay": round(seconds, 2),
            }
        )
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._is_abandoned():
            time.sleep(min(0.2, max(0.0, until - time.monotonic())))

    def _is_abandoned(self) -> bool:
        """Tell, from the first time on, that the caller is gone and that this is nothing to be brought to its end without it."""
        if not self.abandoned and self.request["operation"] not in OUTLIVING:
            self.abandoned = is_abandoned(self.sender.descriptor)
        return self.abandoned

    def _reply(self, error: dict[str, Any] | None) -> dict[str, Any]:
        journal = self.journal
        if self.request["operation"] == "plan" and not journal.done:
            self._clean()
        if self.request["operation"] in MIGRATIONS and journal.observed is None and journal.by_number:
            error = self._observe(error)
        return journal.reply(error, self.attempts, cut(self.output.decode("utf-8", "replace"), -MAXIMUM_OUTPUT))

    def _clean(self) -> None:
        """Drop, in a new process, the copies of one that died; if that fails too, the next plan does it."""
        running, error = self.journal.running, self.journal.error
        seconds = CLEAN_TIMEOUT if self.abandoned else OBSERVE_TIMEOUT
        self._attempt(dict(self.request, operation="plan_clean"), time.monotonic() + seconds)
        self.journal.running, self.journal.error = running, error

    def _observe(self, error: dict[str, Any] | None) -> dict[str, Any] | None:
        """Look in a new process where the database stands, after one that died or used up its attempts."""
        running, done = self.journal.running, self.journal.facts
        request = dict(
            self.request,
            operation="observe",
            verb=self.request["operation"],
            orphans=[] if self.journal.done else self.journal.backends,
        )
        self._attempt(request, time.monotonic() + OBSERVE_TIMEOUT)
        self.journal.running, self.journal.facts = running, done
        if self.journal.error and error:
            return dict(error, observing=self.journal.error["message"])
        return error or self.journal.error

    def _attempt(self, request: dict[str, Any], deadline: float | None) -> None:
        """Run one child to its end and fill the journal; a child that ends without saying so has died."""
        by_number = self.journal.by_number
        self.journal.begin_attempt()
        child = _kept(request) or self._fork(request)
        self.stays = False
        status, late = self._listen(child, deadline)
        if self.stays and not late:
            KEPT.append(child)
        else:
            child.close()
        if not self.journal.done:
            self.journal.error = self._death(status, late)
        if request["operation"] == "observe":
            self.journal.by_number = by_number

    def _fork(self, request: dict[str, Any]) -> _Child:
        messages, message_end = os.pipe()
        printed, output_end = os.pipe()
        lifeline, own_end = os.pipe()
        more, commands = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            for descriptor in (messages, printed, own_end, commands, self.sender.descriptor, *OWN):
                os.close(descriptor)
            attempts.child(request, message_end, output_end, lifeline, more)
        for descriptor in (message_end, output_end, lifeline, more):
            os.close(descriptor)
        return _Child(pid, Receiver(messages), printed, own_end, commands)

    def _listen(self, child: _Child, deadline: float | None) -> tuple[int, bool]:
        """Take messages and output until the child is done; a process that it left behind does not keep us."""
        receiver, printed = child.receiver, child.printed
        late, was_abandoned = False, self.abandoned  # then this cleans up, and has a deadline
        sources = [receiver.descriptor, printed]
        while True:
            over = deadline is not None and time.monotonic() > deadline
            if (over or (not was_abandoned and self._is_abandoned())) and not late:
                late = True
                _kill(child.pid)
            ready = readable(sources, 0.2)
            for descriptor in ready:
                if not (self._take(receiver) if descriptor == receiver.descriptor else self._print(printed)):
                    sources.remove(descriptor)
            if self.stays and not late:
                self._drain(receiver, sources, printed)
                return 0, late
            ended, status = os.waitpid(child.pid, 0 if not sources or self.journal.done else os.WNOHANG)
            if ended:
                self._drain(receiver, sources, printed)
                return status, late

    def _drain(self, receiver: Receiver, sources: list[int], printed: int) -> None:
        """Read what the child had written before it ended."""
        for _round in range(1000):  # a process that it left behind may print forever
            ready = readable(sources, 0) if sources else []
            if not ready:
                return
            for descriptor in ready:
                if not (self._take(receiver) if descriptor == receiver.descriptor else self._print(printed)):
                    sources.remove(descriptor)

    def _take(self, receiver: Receiver) -> bool:
        for message in receiver.read():
            if message["event"] == "secret":
                self._learn(message)
                continue
            self.journal.take(message)
            if message["event"] == "done":
                self.stays = bool(message["stays"])
            else:
                self.tell(message)
        return not receiver.ended

    def _learn(self, message: dict[str, Any]) -> None:
        for url in message["urls"]:
            self.redactor.add_url(url)
        self.redactor.add(message["secrets"])

    def _print(self, descriptor: int) -> bool:
        data = os.read(descriptor, 65536)
        self.output = (self.output + data)[-4 * (MAXIMUM_OUTPUT + 2 * MARGIN) :]  # bytes: a character may arrive in two parts
        return bool(data)

    def _death(self, status: int, late: bool) -> dict[str, Any]:
        running = self.journal.running or {}
        where = f" while revision {running['revision']} was running" if running else ""
        facts = {"revision": running.get("revision"), "statement": (running.get("sql") or [None])[-1]}
        if late:
            return dict(
                facts,
                kind="worker_timeout",
                message=f"The operation was stopped after {float(self.request['timeout']):g} s (timeout){where}.",
                hint="Raise timeout if it may take longer.",
            )
        if os.WIFSIGNALED(status):
            how = f"was killed by signal {int(os.WTERMSIG(status))} ({signal.Signals(os.WTERMSIG(status)).name})"
        else:
            how = f"ended with status {int(os.WEXITSTATUS(status))}"
        hint = "The kernel's log says whether memory ran out." if "SIGKILL" in how else "The project's own output is in 'output'."
        return dict(facts, kind="worker_died", message=f"The process of the worker {how}{where}.", hint=hint)


def _driver(url: str) -> str:
    return url.partition("://")[0]


def _kill(child: int) -> None:
    """Kill the child and what it started; its group may not be there yet."""
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        os.kill(child, signal.SIGKILL)
