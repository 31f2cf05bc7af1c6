# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a deployment writes for machines, read by those who will read it: Prometheus' own client, and a reader of JUnit XML."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.deployment_outcome import deployment_outcome
from ansible_collections.dbops.alembic.plugins.filter.deployment_report import deployment_report
from ansible_collections.dbops.alembic.plugins.plugin_utils import _times

from support import deployments, venvs

CASES = {case.__name__: case for case in deployments.CASES}
PROMETHEUS = """
import json, sys
from prometheus_client.parser import text_string_to_metric_families as families
print(json.dumps([[s.name, s.labels, s.value] for f in families(sys.stdin.read()) for s in f.samples]))
"""
JUNIT = """
import json, sys
from junitparser import JUnitXml
found = JUnitXml.fromstring(sys.stdin.buffer.read())
found.update_statistics()
print(json.dumps([[s.name, s.tests, s.failures, s.skipped, [[c.classname, c.name, c.is_passed] for c in s]] for s in found]))
"""


def read(program: str, text: str) -> Any:
    python = venvs.application("parsers")
    done = subprocess.run([str(python), "-c", program], input=text.encode(), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def completed(name: str) -> dict[str, Any]:
    return deployment_outcome(*CASES[name]())


def samples(found: dict[str, Any], format: str = "prometheus") -> dict[tuple[str, ...], float]:
    every = read(PROMETHEUS, deployment_report(found, format))
    assert all(labels.pop("application") == found["application"] for name, labels, value in every)
    return {(name, *(labels[label] for label in sorted(labels))): value for name, labels, value in every}


def test_metrics_of_a_good_deployment() -> None:
    found = samples(completed("good"))
    assert found["dbops_deployment_outcome", "finished"] == 1 and found["dbops_deployment_outcome", "halted"] == 0
    assert found["dbops_deployment_downtime_seconds",] == 12.3 and found["dbops_deployment_downtime_lasts",] == 0
    assert found["dbops_deployment_info", "maintenance_window", "1.4", "b2"] == 1
    backup = samples(completed("good"), "prometheus_backup")
    assert backup["dbops_backup_created_timestamp_seconds",] == _times.seconds("2026-11-28T21:44:46Z")
    assert backup["dbops_backup_proved",] == 1 and backup["dbops_backup_bytes",] == deployments.ARCHIVE["bytes"]


def test_metrics_of_a_halted_deployment_and_of_an_archive_that_was_not_proved() -> None:
    older = {**deployments.ARCHIVE, "proof": {}}
    halted = {**completed("halted"), "archive": older, "application": 'a "quoted\\ \n name', "database_revision": None}
    found = samples(halted)
    assert found["dbops_deployment_outcome", "halted"] == 1 and found["dbops_deployment_downtime_lasts",] == 1
    assert found["dbops_deployment_info", "maintenance_window", "", "unknown"] == 1
    assert samples(halted, "prometheus_backup")["dbops_backup_proved",] == 0
    assert samples(completed("halted"), "prometheus_backup") == {}


@pytest.mark.parametrize(("name", "failed"), [("good", []), ("unhealthy", ["deployment", "shop1", "shop2"])])
def test_a_reader_of_junit_finds_every_case(name: str, failed: list[str]) -> None:
    found = completed(name)
    suites = read(JUNIT, deployment_report(found, "junit"))
    assert [suite[0] for suite in suites] == ["shop: deployment", "shop: revisions", "shop: hosts"]
    assert [suite[1] for suite in suites] == [1, 2, sum(len(host["steps"]) for host in found["host_states"].values())]
    assert sum(suite[2] for suite in suites) == len(failed)
    not_passed = [case for suite in suites for *case, passed in suite[4] if not passed]
    assert {group for group, title in not_passed} >= set(failed)
