# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a Job may be kept from starting, for who follows it in several calls. The clock is a number."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError
from ansible_collections.dbops.alembic.plugins.module_utils._jobs import Unfinished
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.cluster import Cluster
from ansible_collections.dbops.alembic.plugins.module_utils._kubernetes.runner import JobBridge

OPTIONS: dict[str, Any] = {
    "application": "shop", "namespace": "shop", "image": "shop:1", "secret": "s", "secret_key": "url", "deadline": 3600.0,
    "patience": 20.0, "keep_count": 5, "labels": {}, "annotations": {}, "resources": {},
}  # fmt: skip
FOLLOW = (2.0, 15.0, 15.0, 15.0)  # the waits of the calls that follow a migration


class Api:
    """A cluster that makes the Job, and no pod for as long as ``refused`` says."""

    def __init__(self, refused: float) -> None:
        self.now, self.refused, self.deleted = 0.0, refused, False

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def answer(self, method: str, path: str, body: Any, content_type: str, query: Any) -> str:
        self.deleted = self.deleted or method == "DELETE"
        name = path.rsplit("/", 1)[-1]
        job = {"metadata": {"name": name, "creationTimestamp": "2026-03-01T22:00:00Z"}, "spec": {}, "status": {}}
        event = {"involvedObject": {"name": name}, "reason": "FailedCreate", "message": "exceeded quota: none"}
        lists = {"pods": [] if self.now < self.refused else [_pod()], "events": [event]}
        return json.dumps({"items": lists[name]} if name in lists else job)


def _pod() -> dict[str, Any]:
    waiting = {"name": "dbops-worker", "state": {"waiting": {"reason": "ContainerCreating"}}}
    return {
        "metadata": {"name": "p", "creationTimestamp": "2026-03-01T22:00:00Z"},
        "status": {"phase": "Pending", "containerStatuses": [waiting]},
    }


def followed(api: Api) -> list[Any]:
    """What the calls of one migration give."""
    bridge = JobBridge("", lambda text: None, Cluster(api.answer), OPTIONS, api.sleep, lambda: api.now)
    found: list[Any] = []
    for wait in FOLLOW:
        try:
            found.append(bridge.follow({"operation": "upgrade"}, "j" * 32, found[-1].cursor if found else None, wait))
        except MigrationError as exc:
            return [*found, exc]
    return found


def test_a_pod_that_can_not_be_made_ends_the_job_after_the_patience_whatever_the_calls_wait() -> None:
    api = Api(refused=1000.0)
    end = followed(api)[-1]
    assert isinstance(end, MigrationError), f"still waiting after {api.now} s"
    assert end.kind == "job_failed" and "exceeded quota" in end.msg and api.deleted
    assert 20 <= api.now < 25


@pytest.mark.parametrize("refused", [0.0, 10.0])
def test_a_pod_that_comes_within_the_patience_is_followed_on(refused: float) -> None:
    api = Api(refused)
    assert all(isinstance(found, Unfinished) for found in followed(api)) and not api.deleted
