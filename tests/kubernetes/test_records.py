# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployment records in a ConfigMap: the same guarantees as in a folder, and nobody overwrites what somebody else wrote."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster

from support.plays import Outcome, play, task

pytestmark = [pytest.mark.timeout(1200), pytest.mark.needs_root]


class Records:
    def __init__(self, cluster: Cluster, folder: Path, python: Path):
        self.cluster, self.folder, self.python = cluster, folder, python
        self.namespace = "records-" + secrets.token_hex(3)
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})

    def run(self, module: str, folder: str = "a", **options: Any) -> Outcome:
        place = {"namespace": self.namespace, "name": "shop-deployments", "kubeconfig": self.cluster.kubeconfig}
        hosts = {"here": {"ansible_python_interpreter": str(self.python)}}
        return play(self.folder / folder, [task(module, kubernetes=place, **options)], hosts=hosts)

    def begin(self, name: str, folder: str = "a") -> Outcome:
        return self.run("deployment_record", folder, id=name, state="begun", owner=name, facts={"application": "shop"})

    @property
    def texts(self) -> dict[str, str]:
        return dict(self.cluster.get("configmap", "shop-deployments", "--namespace", self.namespace)["data"])


@pytest.fixture
def records(cluster: Cluster, tmp_path: Path, python: Path) -> Iterator[Records]:
    made = Records(cluster, tmp_path, python)
    yield made
    cluster.kubectl("delete", "namespace", made.namespace, "--wait=false")


def test_a_record_is_begun_advanced_and_closed(records: Records) -> None:
    assert records.begin("one").ok().result()["changed"]
    assert records.begin("two").result()["error_kind"] == "record_conflict"
    step = {"id": "one", "owner": "one", "step": "upgrading"}
    assert records.run("deployment_record", **step).ok().result()["record"]["step"] == "upgrading"
    refused = records.run("deployment_record", **{**step, "owner": "somebody"}).result()
    assert refused["error_kind"] == "record_conflict"
    found = records.run("deployment_record_info").ok().result()
    assert found["open"]["id"] == "one"
    records.run("deployment_record", id="one", owner="one", state="closed", status="finished").ok()
    found = records.run("deployment_record_info").ok().result()
    assert (
        found["open"] is None
        and found["last_finished"]["id"] == "one"
        and json.loads(records.texts["one.json"])["status"] == "finished"
    )


def test_of_two_that_begin_at_once_one_begins(records: Records) -> None:
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda name: records.begin(name, name), ["one", "two", "three"]))
    assert [outcome.status for outcome in ended].count(0) == 1
    assert {outcome.result()["error_kind"] for outcome in ended if outcome.status} == {"record_conflict"}
    assert len(records.texts) == 1


def test_a_configmap_of_somebody_else_is_left_alone(records: Records) -> None:
    """The settings of the application, say, whose name was given."""
    data, meta = {"settings.ini": "[shop]"}, {"name": "shop-deployments", "namespace": records.namespace}
    records.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    for outcome in (records.begin("one"), records.run("deployment_record_info")):
        assert outcome.result()["error_kind"] == "not_ours" and "settings.ini" in outcome.result()["msg"]
    assert records.texts == data


def test_records_of_another_application_are_not_taken_for_ones_own(records: Records) -> None:
    records.begin("one").ok()
    records.run("deployment_record", id="one", owner="one", state="closed", status="finished").ok()
    assert records.run("deployment_record_info", application="shop").ok().result()["last_finished"]["id"] == "one"
    refused = [
        records.run("deployment_record_info", application="blog"),
        records.run("deployment_record", id="two", state="begun", owner="two", facts={"application": "blog"}),
    ]
    for outcome in refused:
        assert outcome.result()["error_kind"] == "record_conflict"
        assert (
            f"The deployments in configmap shop-deployments in {records.namespace} are of shop, and this" in outcome.result()["msg"]
        )
    assert list(records.texts) == ["one.json"]


def test_a_record_that_can_not_be_understood_stops_everything(records: Records) -> None:
    data = {"one.json": "{"}
    meta = {"name": "shop-deployments", "namespace": records.namespace}
    records.cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
    assert records.begin("two").result()["error_kind"] == "record_unreadable"
    assert records.texts == data
