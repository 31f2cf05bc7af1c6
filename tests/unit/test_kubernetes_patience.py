# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a Job may be kept from starting, and what is said of one whose pod is gone. The clock is a number."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._jobs import Unfinished
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.cluster import Cluster, Refused
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.jobs_info import run_job_info
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import JobBridge
from ansible_collections.dbops.alembic.plugins.module_utils._worker.pod import frame
from ansible_collections.dbops.alembic.plugins.module_utils._worker.protocol import PROTOCOL

OPTIONS: dict[str, Any] = {
    "application": "shop", "namespace": "shop", "image": "shop:1", "secret": "s", "secret_key": "url", "deadline": 3600.0,
    "patience": 20.0, "keep_count": 5, "labels": {}, "annotations": {}, "resources": {},
}  # fmt: skip
FOLLOW = (2.0, 15.0, 15.0, 15.0)  # the waits of the calls that follow a migration
MARK = "0f3a9c1d2b4e5f60"
BEGIN, LATER = "2026-03-01T22:00:00Z", "2026-03-01T22:05:00Z"


def pod(name: str = "p", state: str = "waiting", created: str = BEGIN) -> dict[str, Any]:
    worker = {"name": "dbops-worker", "state": {state: {"reason": "ContainerCreating"} if state == "waiting" else {}}}
    return {
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": created},
        "status": {"phase": "Pending", "containerStatuses": [worker]},
    }


@dataclass
class Api:
    """A cluster whose Job has these pods from a moment on, and these events."""

    pods: list[dict[str, Any]]
    since: float = 0.0
    events: tuple[tuple[str, str], ...] = (("FailedCreate", "exceeded quota: none"),)
    status: dict[str, Any] = field(default_factory=dict)
    operation: str = "upgrade"
    #: The pods that are there while the Job ends, when it is deleted.
    ending: list[dict[str, Any]] = field(default_factory=list)
    #: From when on the Job itself is gone, and from when on its pods are.
    gone: float | None = None
    over: float | None = None
    log: str = ""
    now: float = 0.0
    deleted: int = 0
    made: int = 0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def answer(self, method: str, path: str, body: Any, content_type: str, query: Any) -> str:
        self.deleted += method == "DELETE"
        self.made += method == "POST"
        name = path.rsplit("/", 1)[-1]
        if name == "log":
            return self.log
        if name == "pods":
            return json.dumps({"items": self._pods()})
        if name == "events":
            about = dict(query)["fieldSelector"].partition("=")[2]
            mine = self.events if about.startswith("shop-") else ()
            return json.dumps(
                {"items": [{"involvedObject": {"name": about}, "reason": reason, "message": text} for reason, text in mine]}
            )
        if method == "GET" and self.gone is not None and self.now >= self.gone:
            raise Refused(404, f"{name} not found")
        meta = {
            "name": name,
            "namespace": "shop",
            "creationTimestamp": BEGIN,
            "labels": {"dbops.alembic/operation": self.operation},
            "annotations": {"dbops.alembic/mark": MARK},
        }
        return json.dumps({"metadata": meta, "spec": {}, "status": self.status})

    def _pods(self) -> list[dict[str, Any]]:
        if self.deleted:
            return [self.ending.pop()] if self.ending else []
        if self.over is not None and self.now >= self.over:
            return []
        return self.pods if self.now >= self.since else []


def followed(api: Api) -> list[Any]:
    """What the calls of one migration give."""
    bridge = JobBridge("", lambda text: None, Cluster(api.answer), OPTIONS, api.sleep, lambda: api.now)
    found: list[Any] = []
    for wait in FOLLOW:
        try:
            found.append(bridge.follow({"operation": "upgrade"}, "j" * 32, found[-1].cursor if found else None, wait))
        except MigrationError as exc:
            return [*found, exc]
        if not isinstance(found[-1], Unfinished):
            break
    return found


@pytest.mark.parametrize(
    ("events", "text", "option"),
    [
        (
            (("FailedCreate", "exceeded quota: none"),),
            "exceeded quota",
            "Look at resources (or make room in the quota) in the option",
        ),
        ((("FailedCreate", "error looking up service account shop/x"),), "looking up", "Look at service_account in the option"),
        ((), "no event says why", ""),
        ((("Scaled", "something else"),), "no event says why", ""),
    ],
)
def test_a_pod_that_can_not_be_made_ends_the_job_after_the_patience_whatever_the_calls_wait(
    events: Any, text: str, option: str
) -> None:
    api = Api([], events=events)
    end = followed(api)[-1]
    assert isinstance(end, MigrationError), f"still waiting after {api.now} s"
    assert end.kind == "job_failed" and text in end.msg and api.deleted
    assert end.hint and "nothing was touched" in end.hint and "kubernetes.patience" in end.hint
    assert option in end.hint and ("Look at" in end.hint) is bool(option)
    assert 20 <= api.now < 25


@pytest.mark.parametrize("refused", [0.0, 10.0])
def test_a_pod_that_comes_within_the_patience_is_followed_on(refused: float) -> None:
    api = Api([pod()], refused)
    assert all(isinstance(found, Unfinished) for found in followed(api)) and not api.deleted


def test_a_pod_that_begins_while_its_job_is_given_up_is_not_called_one_that_touched_nothing() -> None:
    api = Api([], ending=[pod(state="terminated"), pod(state="running")])
    assert died(api) == "worker_died"


@pytest.mark.parametrize("reason", ["StartError", "ContainerCannotRun"])
def test_a_command_that_the_image_does_not_have_never_ran(reason: str) -> None:
    found = pod()
    found["status"] = {
        "phase": "Failed",
        "containerStatuses": [{"name": "dbops-worker", "state": {"terminated": {"reason": reason}}}],
    }
    found["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = 'exec: "python3": not found'
    end = followed(Api([found], events=()))[-1]
    assert isinstance(end, MigrationError) and end.kind == "job_failed" and 'exec: "python3": not found' in end.msg
    assert end.hint and "nothing was touched" in end.hint and "schema_python" in end.hint and "patience" not in end.hint


GONE: list[tuple[tuple[tuple[str, str], ...], dict[str, Any]]] = [
    (
        (("SuccessfulCreate", "Created pod: p"),),
        {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
    ),
    ((), {"failed": 1, "conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}]}),
    ((("SuccessfulCreate", "Created pod: p"),), {}),
]


@pytest.mark.parametrize(("events", "status"), GONE)
def test_a_call_that_finds_the_pod_gone_does_not_say_that_it_never_ran(events: Any, status: dict[str, Any]) -> None:
    """The call that saw it is over, and its log is gone. A Job that could still make another one is deleted."""
    api = Api([], events=events, status=status)
    assert died(api) == "worker_died" and bool(api.deleted) == ("conditions" not in status)


def died(api: Api) -> str:
    """The kind of the worker's death, and nothing was called untouched."""
    last = followed(api)[-1]
    assert not isinstance(last, (MigrationError, Unfinished)), last
    assert last.death is not None and "ended without an answer" in last.death.msg and "untouched" not in str(last.death.hint)
    return str(last.death.kind)


TWICE = (("SuccessfulCreate", "Created pod: p"), ("SuccessfulCreate", "Created pod: q"))


@pytest.mark.parametrize(
    ("operation", "state", "goes_on"),
    [("upgrade", "waiting", False), ("upgrade", "running", True), ("database_snapshot", "running", False)],
)
def test_a_second_pod_is_ended_before_it_begins_and_a_migration_that_has_begun_goes_on(
    operation: str, state: str, goes_on: bool
) -> None:
    """It takes the lock and looks anew; killed in the middle it would only leave more to be looked at."""
    api = Api([pod("q", state, LATER)], events=TWICE, status={"startTime": BEGIN, "active": 1}, operation=operation)
    if goes_on:
        assert all(isinstance(found, Unfinished) for found in followed(api)) and not api.deleted
    else:
        assert died(api) == "worker_died" and api.deleted == 1


def test_a_second_pod_has_ended_before_anybody_looks_where_the_database_stands() -> None:
    """Else it could go on behind the back of whoever has looked. What it said of its sessions is known to them."""
    ending = [marked("running", deletionTimestamp=LATER) for _second in range(20)]
    status = {"startTime": BEGIN, "active": 1}
    api = Api([pod("q", "waiting", LATER)], events=TWICE, status=status, log=frame(BACKEND, MARK, 0), ending=ending)
    last = followed(api)[-1]
    assert last.death.kind == "worker_died" and api.ending == [] and last.journal.backends == [BACKEND]


def test_a_pod_beyond_its_deadline_has_ended_before_anybody_looks() -> None:
    late = {"conditions": [{"type": "Failed", "status": "True", "reason": "DeadlineExceeded"}], "startTime": BEGIN}
    api = Api([marked("running", deletionTimestamp=LATER)], over=9.0, status=late)
    assert died(api) == "worker_died" and api.now >= 9 and not api.deleted


def marked(state: str, **meta: Any) -> dict[str, Any]:
    """A pod of the Job, which has its labels and annotations."""
    found = pod(state=state)
    found["metadata"].update(labels={"dbops.alembic/operation": "upgrade"}, annotations={"dbops.alembic/mark": MARK}, **meta)
    return found


BACKEND = {"event": "backend", "pid": 4711, "started": BEGIN}
REPLY = {"event": "reply", "ok": True, "protocol": PROTOCOL, "error": None, "facts": {}}


def test_what_a_deleted_job_had_said_is_known_to_whoever_looks_after_its_sessions() -> None:
    """Its pod is still there for a while. The next call makes no Job anew."""
    api = Api([marked("running")], gone=5.0, over=8.0, log=frame(BACKEND, MARK, 0))
    assert died(api) == "worker_died" and api.made == 1
    last = followed(Api([marked("running")], gone=5.0, over=8.0, log=frame(BACKEND, MARK, 0)))[-1]
    assert last.death.facts["reason"] == "JobGone" and "somebody deleted it" in last.death.msg
    assert last.journal.backends == [BACKEND]


@pytest.mark.parametrize("events", [(), (("SuccessfulCreate", "Created pod: p"),)])
@pytest.mark.parametrize("said", [0, 1])
def test_a_job_that_is_gone_between_two_calls_is_not_made_anew_and_not_called_one_that_never_ran(said: int, events: Any) -> None:
    """With its pod, its log, its answer and, after an hour, its events: by a time to live, for one."""
    log = frame({"event": "revision_start", "revision": "a1"}, MARK, 0) * said
    api = Api([marked("running")], log=log, events=events)
    bridge = JobBridge("", lambda text: None, Cluster(api.answer), OPTIONS, api.sleep, lambda: api.now)
    first = bridge.follow({"operation": "upgrade"}, "j" * 32, None, 2.0)
    assert isinstance(first, Unfinished) and first.cursor == said
    api.gone = api.over = api.now
    last = bridge.follow({"operation": "upgrade"}, "j" * 32, first.cursor, 15.0)
    assert not isinstance(last, Unfinished) and last.death is not None and api.made == 1
    assert (
        last.death.kind == "worker_died" and "a rule of the cluster" in last.death.msg and "untouched" not in str(last.death.hint)
    )


def test_a_migration_whose_job_is_gone_while_recover_reads_it_is_known_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api([])

    def answer(method: str, path: str, *rest: Any) -> str:
        if not path.endswith("/jobs"):
            return api.answer(method, path, *rest)
        found = json.loads(api.answer(method, f"{path}/shop-1", *rest))
        api.gone = 0.0
        return json.dumps({"items": [found]})

    monkeypatch.setattr(Cluster, "connect", lambda params: Cluster(answer))
    told = run_job_info({"namespace": "shop", "application": "shop", "deployment": "1", "wait": 0})
    assert told["migration"] == {"state": "unknown", "databases": []} and told["jobs"][0]["operation"] == "upgrade"
    assert told["jobs"][0]["status"] == "died"


def test_an_answer_of_a_pod_whose_job_was_deleted_counts() -> None:
    api = Api([marked("running")], gone=0.0, log=frame(BACKEND, MARK, 0) + frame(REPLY, MARK, 1))
    assert followed(api)[-1].reply["ok"]


@pytest.mark.parametrize("state", ["waiting", "running"])
def test_a_pod_that_does_not_end_after_its_job_was_deleted_is_not_waited_for_for_ever(state: str) -> None:
    api = Api([marked(state, deletionTimestamp=LATER)], gone=0.0)
    last = followed(api)[-1]
    told = last.death if not isinstance(last, MigrationError) else last
    assert told.kind == ("worker_died" if state == "running" else "job_failed") and "somebody deleted it" in told.msg
    assert api.now < 60
