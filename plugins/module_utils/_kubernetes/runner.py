# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the worker in a Job: the same calls as over the bridge to a host, the same answers."""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Sequence

from .._bridge import Bridge, Event, checked
from .._errors import ERROR_KINDS, MigrationError
from .._jobs import Followed, Unfinished
from .._worker.journal import PROGRESS, Journal
from .._worker.protocol import MIGRATIONS
from .._worker.redaction import Redactor, cut
from .cluster import Cluster, Object, Refused, events_of, refusal
from .job import (
    APPLICATION,
    MANAGED,
    MARK,
    NOT_RUN,
    OPERATION,
    answer_left,
    end_of,
    job_name,
    job_request,
    label_value,
    manifest,
    messages,
    started,
    without_frames,
)
from .pods import Problem
from .waiting import hindrances, is_second, lingering, made, newest, ran_after_all, remains

#: Seconds between two looks at a Job.
PAUSE = 0.7
#: Operations whose finished Jobs stay for a while, to be looked at.
KEPT = (*MIGRATIONS, "database_snapshot", "archive", "archive_restore")
#: What is said of the place where the worker runs, which is then the image.
OF_IMAGE = ("alembic_missing", "alembic_unsupported", "config_missing", "driver_missing", "python_missing")
#: What the cluster says of a pod that does not start → where that is told.
_OPTIONS = {
    "couldn't find key": "secret and secret_key",
    'secret "': "secret and environment_secrets",
    "service account": "service_account",
    "quota": "resources (or make room in the quota)",
    "Image": "image, image_pull_policy and image_pull_secrets",
}
#: Seconds that a log may lag behind the end of its pod.
LATE = 10.0
#: Seconds for which the pods of a Job that is given up are watched while they end.
ENDING = 60.0


@dataclass
class Seen:
    """What is known of a Job at one moment."""

    job: Object
    pod: Object | None
    messages: list[Object] = field(default_factory=list)
    printed: str = ""
    replaced: bool = False
    #: Somebody deleted the Job; its pod may still be there, and end.
    gone: bool = False
    #: What keeps its pod from starting, or from being made at all.
    problems: list[Problem] = field(default_factory=list)

    @property
    def reply(self) -> Object | None:
        return self.messages[-1] if self.messages and self.messages[-1]["event"] == "reply" else None


@dataclass(frozen=True)
class JobBridge(Bridge):
    """A way to the Python of an image, through Jobs of one namespace.

    :param options: of the module option ``kubernetes``.
    """

    cluster: Cluster = field(default_factory=lambda: Cluster.connect({}))
    options: Mapping[str, Any] = field(default_factory=dict)
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic

    @classmethod
    def for_module(cls, module: Any) -> JobBridge:
        options = module.params["kubernetes"]
        virtualenv = module.params.get("virtualenv")
        python = module.params.get("python") or (f"{virtualenv}/bin/python" if virtualenv else "")
        return cls(python, module.warn, Cluster.connect(options), options)

    @property
    def program(self) -> str:
        """What the image has to have, in words."""
        return f"{self.python or 'python3'}; the option python, in the roles schema_python, names another one"

    @property
    def jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.options['namespace']}/jobs"

    def call(self, request: Mapping[str, Any], on_event: Callable[[Event], None] = lambda event: None) -> dict[str, Any]:
        """Carry out ``request`` in a Job and return the reply.

        :raises MigrationError: ``job_failed`` where the worker never ran, ``worker_died`` where it ran and gave no answer.
        """
        name = job_name(self.options["application"], str(request["operation"]), uuid.uuid4().hex)
        self.create(name, request)
        told = 0
        for seen in self.watch(name):
            for message in seen.messages[told:]:
                if message["event"] != "reply":
                    on_event(message)
            told = len(seen.messages)
        reply = self.reply(seen, name)
        self.clean(keep=seen.job if request["operation"] in KEPT or not reply["ok"] else None, drop=seen.job)
        return reply

    def manifest(self, name: str, request: Mapping[str, Any], mark: str) -> Object:
        """Return the Job of a request.

        :raises ValueError: naming a variable of the environment whose value is a secret.
        """
        return manifest(name, job_request(request, self.options), mark, self.python, self.options)

    def create(self, name: str, request: Mapping[str, Any]) -> None:
        """Make the Job; one of that name that is there already is the same."""
        mark = secrets.token_hex(12)
        try:
            body = self.manifest(name, request, mark)
        except ValueError as exc:
            raise MigrationError(
                f"The environment of the application has secrets ({exc}), and the Job would hold them.",
                "options_invalid",
                "Put them into a Secret and name it in kubernetes.environment_secrets.",
            ) from exc
        try:
            self.cluster.ask("POST", self.jobs, body)
        except Refused as exc:
            if exc.status != 409:
                raise refusal(f"make the Job {name} in {self.options['namespace']}", exc) from exc

    def look(self, name: str) -> Seen:
        """Return how the Job is, and of one that somebody deleted what is left of it."""
        job, pod = self.cluster.get(f"{self.jobs}/{name}"), newest(self.pods(name))
        seen = Seen(job or remains(name, self.options["namespace"], pod), pod, gone=job is None)
        if seen.pod is not None and started(seen.pod):
            mark = str((seen.job["metadata"].get("annotations") or {}).get(MARK) or "")
            log = self._log(seen.pod)
            seen.messages, seen.printed = messages(log, mark), without_frames(log, mark)
        return seen

    def pods(self, name: str) -> list[Object]:
        return self.cluster.items(f"/api/v1/namespaces/{self.options['namespace']}/pods", labelSelector=f"job-name={name}")

    def _log(self, pod: Object) -> str:
        path = f"/api/v1/namespaces/{self.options['namespace']}/pods/{pod['metadata']['name']}/log"
        try:
            return self.cluster.text(path, container="dbops-worker")
        except Refused:
            return ""  # not there yet, or gone with its node; what the pod's status says counts then

    def watch(self, name: str) -> Any:
        """Yield how the Job is, again and again until it has ended: with a reply, or in another way."""
        since: dict[Any, float] = {}
        ended, last = 0.0, Seen({}, None)
        while True:
            seen = self.look(name)
            if seen.reply is None and len(seen.messages) < len(last.messages):  # the pod is gone, and its log with it
                seen.messages, seen.printed = last.messages, last.printed
            last = seen
            if seen.reply is None and self._must_not_begin(seen):
                # Its first pod was deleted; another must not begin anew, least of all behind who looks where the database stands.
                seen.messages = [*seen.messages, *self._ends(name)[1]]
                seen.pod, seen.replaced = None, True
                yield seen
                return
            if seen.reply is None:
                seen.problems = lingering(seen.pod) if seen.gone else hindrances(self.cluster, seen.job, seen.pod)
            since = {problem.key: since.get(problem.key, self.now()) for problem in seen.problems}
            yield seen
            if seen.reply is not None:
                return
            if any(self.now() - start >= self.options["patience"] for start in since.values()):
                return
            if end_of(seen.job, seen.pod) is not None:
                ended = ended or self.now()
                if self.now() - ended >= (LATE if answer_left(seen.pod) else 2 * PAUSE):
                    return
            self.sleep(PAUSE)

    def _must_not_begin(self, seen: Seen) -> bool:
        """Tell whether a pod took the place of another one and may still be ended. A migration that has begun takes the lock, looks
        anew and does what is left, so it goes on; to kill it in the middle would only do more harm."""
        goes_on = started(seen.pod) and seen.job["metadata"]["labels"].get(OPERATION) in MIGRATIONS
        return not goes_on and is_second(self.cluster, seen.job, seen.pod)

    def reply(self, seen: Seen, name: str) -> dict[str, Any]:
        """Return the reply of a Job that has ended, or raise how it ended without one."""
        if seen.reply is not None:
            return self._placed(checked(seen.reply))
        raise self.death(seen, name)

    def _placed(self, reply: dict[str, Any]) -> dict[str, Any]:
        """Return the reply, and where it says that something is not there, that this is so in the image."""
        error = reply["error"]
        if reply["ok"] or not error or error["kind"] not in OF_IMAGE:
            return reply
        return {**reply, "error": {**error, "message": f"In the image {self.options['image']}: {error['message']}"}}

    def death(self, seen: Seen, name: str) -> MigrationError:
        """Return the failure of a Job without a reply, and end it if it might still begin."""
        namespace = self.options["namespace"]
        reason, how = self._end(seen)
        begun = bool(seen.problems) and self._gives_up(name)
        if reason == "DeadlineExceeded":
            self._see_end(name)  # the cluster ends its pod, and nobody is to look where the database stands before that
        lost = seen.gone and seen.pod is None  # with all that could tell; events are kept for an hour, and may be fewer
        ran = begun or seen.replaced or lost or started(seen.pod) or bool(seen.messages) or made(self.cluster, seen.job, seen.pod)
        how += "; it began at the moment in which it was given up" if begun and not seen.gone else ""
        left = answer_left(seen.pod)
        names = [name, *([seen.pod["metadata"]["name"]] if seen.pod else [])]
        facts = {
            "reason": reason,
            "kubernetes_job": name,
            "events": events_of(self.cluster, namespace, names),
            "output": Redactor().text(cut(seen.printed, -4000)),
        }
        if left is not None and not left["ok"] and left.get("kind") in ERROR_KINDS:
            return MigrationError(f"{left['message']} (The log of the Job {name} is gone.)", left["kind"], None, facts)
        if not ran:
            hint = "The worker never ran, so nothing was touched."
            if reason in NOT_RUN:
                hint += f" The image has to have {self.program}."
            elif seen.problems:
                hint += _where(seen.problems)
                hint += f" It had {self.options['patience']:g} s to start; the option kubernetes.patience gives it more."
            return _with_events(f"The Job {name} in {namespace} did not start: {how}.", "job_failed", hint, facts)
        hint = "Look with alembic_info where the database stands."
        return _with_events(f"The Job {name} in {namespace} ended without an answer: {how}.", "worker_died", hint, facts)

    def _end(self, seen: Seen) -> tuple[str, str]:
        """Return reason and text of an end without a reply."""
        if seen.replaced:
            return (
                "PodGone",
                "its pod was deleted, and its log with it; another pod took its place and was ended, but may have begun",
            )
        if seen.gone:
            return "JobGone", "somebody deleted it, or a rule of the cluster for Jobs that have ended did"
        stuck = [(seen.problems[0].reason, "; ".join(problem.text for problem in seen.problems))] if seen.problems else []
        return end_of(seen.job, seen.pod) or next(iter(stuck), ("Unknown", "it gave no answer"))

    def _gives_up(self, name: str) -> bool:
        """End a Job that can not start, and tell whether one of its pods had begun after all."""
        return ran_after_all(self.cluster, self.options["namespace"], self._ends(name)[0])

    def _ends(self, name: str) -> tuple[list[Object], list[Object]]:
        """Delete a Job, see its pods end, and return them as they were seen, and what they said of their sessions."""
        self.delete(name)
        return self._see_end(name)

    def _see_end(self, name: str) -> tuple[list[Object], list[Object]]:
        until, seen, sessions = self.now() + ENDING, [], {}  # type: float, list[Object], dict[str, Object]
        while True:
            pods = self.pods(name)
            seen += pods
            for pod in pods:  # which may have begun before its status says so
                mark = str((pod["metadata"].get("annotations") or {}).get(MARK) or "")
                told = messages(self._log(pod), mark) if mark else []
                sessions.update((f"{item['pid']} {item['started']}", item) for item in told if item["event"] == "backend")
            if all((pod.get("status") or {}).get("phase") in ("Succeeded", "Failed") for pod in pods) or self.now() > until:
                return seen, list(sessions.values())
            self.sleep(PAUSE)

    def delete(self, name: str) -> None:
        """Delete a Job with its pods; one that is gone already is no error."""
        try:
            self.cluster.ask("DELETE", f"{self.jobs}/{name}", {"propagationPolicy": "Background"})
        except Refused as exc:
            if exc.status != 404:
                raise refusal(f"delete the Job {name}", exc) from exc

    def clean(self, keep: Object | None, drop: Object) -> None:
        """Delete the Job that is done, or keep it and delete older ones of this application, but for the last few."""
        if keep is None:
            self.delete(drop["metadata"]["name"])
            return
        selector = f"{MANAGED}=dbops.alembic,{APPLICATION}={label_value(self.options['application'])}"
        finished = [
            item
            for item in self.cluster.items(self.jobs, labelSelector=selector)
            if not (item.get("status") or {}).get("active") and (item.get("status") or {}).get("conditions")
        ]
        finished.sort(key=lambda item: (item["metadata"]["creationTimestamp"], item["metadata"]["name"]))
        names = [item["metadata"]["name"] for item in finished if item["metadata"]["name"] != keep["metadata"]["name"]]
        for name in names[: max(0, len(names) - max(int(self.options["keep_count"]) - 1, 0))]:
            self.delete(name)

    def follow(self, request: Mapping[str, Any], job: str, cursor: int | None, wait: float) -> Unfinished | Followed:
        """Start the Job, or attach to it if it was started before; as :meth:`Jobs.follow` does on a host.

        :param cursor: how many of its messages were reported already.
        :param wait: seconds; 0 waits for the end.
        """
        name = job_name(self.options["application"], str(request["operation"]), job)
        if cursor is None:  # a later call finds it, or finds that it is gone, and begins nothing anew
            self.create(name, request)
        until = self.now() + wait if wait else None
        for seen in self.watch(name):
            fresh = [message for message in seen.messages[cursor or 0 :] if message["event"] in PROGRESS]
            waited = until is not None and ((fresh and cursor is not None) or self.now() >= until)
            # While it can not start, the wait goes on in this call: the next one would begin with its patience anew.
            # So does that of a Job that was deleted: the next one would make it anew.
            lasts = seen.problems or seen.replaced or seen.gone or end_of(seen.job, seen.pod) is not None
            if waited and seen.reply is None and not lasts:
                return Unfinished(job, tuple(fresh), len(seen.messages))
        return self.ended(seen, name)

    def ended(self, seen: Seen, name: str) -> Followed:
        """Return the outcome of a Job that has ended, and clean up behind it."""
        if seen.reply is not None:
            self.clean(keep=seen.job, drop=seen.job)
            return Followed(checked(seen.reply))
        found = Followed(None, Journal())
        for message in seen.messages:
            found.journal.take(message)
        found.death = self.death(seen, name)
        if found.death.kind != "worker_died":
            raise found.death
        return found


def _where(problems: Sequence[Problem]) -> str:
    """Return which options hold what the cluster did not find, or did not let in."""
    told = [f"{problem.reason} {problem.message}" for problem in problems]
    keys = next((keys for text in told for part, keys in _OPTIONS.items() if part in text), "")
    return f" Look at {keys} in the option kubernetes, in the roles schema_kubernetes or backup_kubernetes." if keys else ""


def _with_events(text: str, kind: str, hint: str, facts: Mapping[str, Any]) -> MigrationError:
    """Return a failure that says what to do before it lists what the cluster noted."""
    return MigrationError(text, kind, "\n".join([hint, *(["Events:", *facts["events"]] if facts["events"] else [])]), facts)


def bridge_for(module: Any) -> Bridge:
    """Return the way that a module's options name: Jobs of a cluster, or a Python of this host."""
    return (JobBridge if module.params.get("kubernetes") else Bridge).for_module(module)
