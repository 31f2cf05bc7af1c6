# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules with the option kubernetes: how a Job can fail, each told apart from a migration that failed."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster, wait_until
from images import NOWHERE, REPOSITORY, USER
from stage import Stage

from support.plays import Outcome, Play, task
from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(900), pytest.mark.needs_root, pytest.mark.slow]
BASE, HEAD = "8d25e9c3f6a4", "c64b2e98d075"  # of release 1.0 and of release 1.1


class Lab:
    def __init__(self, stage: Stage, folder: Path):
        self.stage, self.folder = stage, folder

    def start(
        self, module: str, *arguments: str, job: dict[str, Any] | None = None, more: dict[str, Any] | None = None, **options: Any
    ) -> Play:
        """:param job: of the option kubernetes. ``more`` are options that have the name of one of these."""
        kubernetes = {
            "kubeconfig": str(self.stage.kubeconfig),
            "namespace": self.stage.namespace,
            "application": "shop",
            "image": f"{REPOSITORY}:1.1",
            "secret": "shop-database",
            "url_variable": "DATABASE_URL",
            "user": USER,
            "patience": 4,
            **(job or {}),
        }
        project = {} if module.startswith("kubernetes_") else {"chdir": "/app", "python": "/app/venv/bin/python"}
        given = {**project, "kubernetes": kubernetes, **options, **(more or {})}
        hosts = {"here": {"ansible_python_interpreter": str(self.stage.python)}}
        return Play(self.folder, [task(module, **given)], *arguments, hosts=hosts)

    def run(self, module: str, *arguments: str, **options: Any) -> Outcome:
        return self.start(module, *arguments, **options).outcome(300)

    def fails(self, module: str, **options: Any) -> dict[str, Any]:
        done = self.run(module, **options)
        assert done.status == 2, done.printed
        assert self.stage.database.password not in done.printed + str(done.results)
        return done.result()

    @property
    def jobs(self) -> list[dict[str, Any]]:
        return list(self.stage.get("jobs")["items"])

    def pods(self, operation: str, phase: str) -> list[str]:
        found = self.stage.get("pods", f"--selector=dbops.alembic/operation={operation}")["items"]
        return [pod["metadata"]["name"] for pod in found if pod["status"]["phase"] == phase]

    @property
    def revision(self) -> str:
        return self.stage.contents()[0]


@pytest.fixture(scope="module")
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """An empty database and no pod."""
    made = Stage(cluster, server, tmp_path_factory.mktemp("modules") / "s", python, replicas=0, migrator=False, jobs=True)
    yield made
    made.close()


@pytest.fixture
def lab(stage: Stage, tmp_path: Path) -> Lab:
    """The database at release 1.0."""
    made = Lab(stage, tmp_path)
    if made.revision == "":
        made.run("alembic_upgrade", job={"image": f"{REPOSITORY}:1.0"}).ok()
    elif made.revision != BASE:  # a test that failed before this one
        made.run("alembic_downgrade", revision=BASE, job={"image": f"{REPOSITORY}:broken_migration"}).ok()
    return made


def test_check_mode_shows_the_sql_and_changes_nothing(lab: Lab) -> None:
    shown = lab.run("alembic_upgrade", "--check", "--diff").ok()
    assert shown.result()["changed"] and "CREATE TABLE payments" in shown.printed and lab.revision == BASE


@pytest.mark.parametrize(
    ("job", "text"),
    [
        ({"image": NOWHERE}, NOWHERE),
        ({"secret": "nothing"}, 'secret "nothing" not found'),
        ({"resources": {"requests": {"memory": "900Gi"}}}, "Insufficient memory"),
        ({"pod": {"volumes": [{"name": "dbops-tmp", "configMap": {"name": "nothing"}}]}}, 'configmap "nothing" not found'),
    ],
)
def test_a_worker_that_never_ran_has_touched_nothing(lab: Lab, job: dict[str, Any], text: str) -> None:
    failed = lab.fails("alembic_upgrade", job=job)
    assert failed["error_kind"] == "job_failed" and text in failed["msg"], failed["msg"]
    assert failed["events"] and lab.revision == BASE
    wait_until(
        lambda: not [item for item in lab.jobs if item["metadata"]["name"] == failed["kubernetes_job"]],
        60,
        "it can not start later",
    )


def test_a_python_that_the_image_does_not_have_is_told(lab: Lab) -> None:
    failed = lab.fails("alembic_upgrade", python="/app/venv/bin/pyhton")
    assert failed["error_kind"] == "job_failed" and "/app/venv/bin/pyhton" in failed["msg"].partition("Events:")[0], failed["msg"]
    assert "nothing was touched" in failed["hint"] and "schema_python" in failed["hint"] and lab.revision == BASE


def test_a_job_that_is_deleted_while_it_migrates_leaves_no_session_behind(lab: Lab) -> None:
    """What it had said of its sessions is read from its pod as long as that is there."""
    database, waits = lab.stage.database, "wait_event_type = 'Lock'"
    with database.holding("lock table orders"):
        running = lab.start("alembic_upgrade", lock_timeout=0, statement_timeout=0)
        wait_until(lambda: database.sessions(waits), what="the migration waits for the table")
        (job,) = [item["metadata"]["name"] for item in lab.jobs if item["status"].get("active")]
        lab.stage.kubectl("delete", "job", job, "--wait=false")
        result = running.outcome(300).result()
        # A call that begins when Job and pod are both gone knows of no session.
        assert result["state"] == "unknown" or not database.sessions(waits), result
    assert result["error_kind"] == "worker_died" and "somebody deleted it" in result["msg"], result["msg"]
    assert result["state"] in ("from_revision", "unknown") and lab.revision == BASE, result
    wait_until(lambda: not lab.stage.get("pods", f"--selector=job-name={job}")["items"], what="its pod is gone")


@pytest.mark.parametrize(
    ("module", "patience", "options"),
    [
        ("alembic_info", 4, {}),
        ("alembic_upgrade", 20, {}),
        ("alembic_plan", 20, {}),
        ("database_snapshot", 4, {"name": "before"}),
        ("kubernetes_archive_info", 4, {"claim": "archives"}),
    ],
)
def test_a_quota_is_told(lab: Lab, module: str, patience: int, options: dict[str, Any]) -> None:
    """Also by a module that follows its Job in calls that are shorter than the patience."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    lab.stage.apply(quota)
    try:
        failed = lab.fails(module, job={"patience": patience}, **options)
    finally:
        lab.stage.kubectl("delete", "resourcequota", "none")
    assert failed["error_kind"] == "job_failed" and "exceeded quota" in failed["msg"], failed["msg"]
    assert "kubernetes.patience" in failed["hint"]
    assert not [item for item in lab.jobs if item["metadata"]["name"] == failed["kubernetes_job"]], "it can not start later"


def test_a_service_account_that_is_missing_is_told(lab: Lab) -> None:
    failed = lab.fails("alembic_upgrade", job={"service_account": "nobody-here", "patience": 20})
    assert failed["error_kind"] == "job_failed" and 'serviceaccount "nobody-here" not found' in failed["msg"], failed["msg"]
    assert lab.revision == BASE


def refusing(namespace: str, group: str, resource: str) -> dict[str, Any]:
    """An admission webhook that nobody answers, so nothing of that kind is let into the namespace."""
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    webhook = {
        "name": "policy.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rule],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 2,
        "namespaceSelector": {"matchLabels": {"policy": namespace}},
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    return {**kind, "metadata": {"name": f"policy-{namespace}"}, "webhooks": [webhook]}


@pytest.mark.parametrize(
    ("group", "resource", "kind", "untouched"), [("", "pods", "job_failed", True), ("batch", "jobs", "cluster_refused", False)]
)
def test_an_admission_webhook_that_refuses_is_told(lab: Lab, group: str, resource: str, kind: str, untouched: bool) -> None:
    namespace = lab.stage.namespace
    lab.stage.cluster.kubectl("label", "--overwrite", "namespace", namespace, f"policy={namespace}")
    lab.stage.cluster.apply(refusing(namespace, group, resource))
    try:
        wait_until(lambda: _refuses(lab, resource), what="the webhook is asked")
        failed = lab.fails("alembic_upgrade", job={"patience": 20})
    finally:
        lab.stage.cluster.kubectl("delete", "validatingwebhookconfiguration", f"policy-{namespace}")
    assert failed["error_kind"] == kind and "policy.example.com" in failed["msg"], failed["msg"]
    assert ("nothing was touched" in str(failed.get("hint"))) == untouched and lab.revision == BASE


def _refuses(lab: Lab, resource: str) -> bool:
    command = ["run", "probe"] if resource == "pods" else ["create", "job", "probe"]
    made = lab.stage.cluster.try_kubectl("--namespace", lab.stage.namespace, *command, "--image=probe", "--dry-run=server")
    return "policy.example.com" in made.stderr


def test_quotas_and_limits_as_they_are_usual_accept_the_job(lab: Lab) -> None:
    """Also with resources of one's own that say something of memory alone."""
    hard = {"pods": "20", "requests.cpu": "1", "requests.memory": "2Gi", "limits.cpu": "2", "limits.memory": "4Gi"}
    most = {"type": "Container", "max": {"cpu": "1", "memory": "2Gi"}, "min": {"cpu": "10m", "memory": "16Mi"}}
    lab.stage.apply(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "usual"}, "spec": {"hard": hard}},
        {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "usual"}, "spec": {"limits": [most]}},
    )
    try:
        for job in ({}, {"resources": {"limits": {"memory": "2Gi"}}}):
            assert lab.run("alembic_info", job=job).ok().result()["current"] == [BASE]
    finally:
        lab.stage.kubectl("delete", "resourcequota/usual", "limitrange/usual")


def test_a_pod_without_enough_memory_is_told(lab: Lab) -> None:
    failed = lab.fails("alembic_info", job={"resources": {"limits": {"memory": "12Mi"}}})
    assert failed["error_kind"] == "worker_died" and failed["reason"] == "OOMKilled" and "out of memory" in failed["msg"]


def test_the_password_may_be_wrong(lab: Lab) -> None:
    url = lab.stage.database.url(password="another").replace("127.0.0.1", lab.stage.cluster.host)
    lab.stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrong"}, "stringData": {"url": url}})
    failed = lab.fails("alembic_info", job={"secret": "wrong"})
    assert failed["error_kind"] == "authentication_failed" and "another" not in str(failed)


TELLS = """
import base64, json, os, shlex, sys
from urllib.parse import quote
password, url = {password!r}, os.environ["DATABASE_URL"]
forms = [password, quote(password), repr(password), json.dumps(password), shlex.quote(password), url]
forms += [base64.b64encode(text.encode()).decode() for text in (password, url)]
for form in forms:
    print("shown", form)
    print("shown", form, file=sys.stderr)
"""


def test_a_project_that_tells_its_password_in_a_pod(lab: Lab) -> None:
    """Neither the log of the pod, which anybody may read who reads logs, nor what comes back has it."""
    core = "hidden-wOrd"
    password = f"{core} two words 'and' \"quotes\" 100% @é/\\"
    url = lab.stage.database.url(password=password).replace("127.0.0.1", lab.stage.cluster.host)
    lab.stage.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "telling"}, "stringData": {"url": url}})
    prelude = TELLS.replace("{password!r}", "''.join(map(chr, " + repr([ord(character) for character in password]) + "))")
    done = lab.run("alembic_upgrade", "-vvv", job={"secret": "telling"}, prelude=prelude)
    failed = done.result()
    assert failed["error_kind"] == "authentication_failed" and failed["output"].count("shown") >= 16
    assert core not in done.printed + str(done.results)
    pods = [pod["metadata"]["name"] for pod in lab.stage.get("pods")["items"]]
    logs = {name: lab.stage.kubectl("logs", name) for name in pods}
    assert any("authentication_failed" in text for text in logs.values()), logs
    shown = {name: text for name, text in logs.items() if core in text}
    assert not shown, shown


def test_what_killed_rehearsals_left_is_removed_by_a_job(lab: Lab) -> None:
    database, dead = lab.stage.database, "dbops_rehearsal_00000000_20200101000000_1_00000005"
    mark = json.dumps({"dbops.alembic.rehearsal": {"of": "x", "backend": 4194304, "backend_started": "1.5"}})
    database.server.fetch(f"create database {dead} owner {database.role}")
    database.server.fetch(f"comment on database {dead} is '{mark}'")
    assert lab.run("database_leftovers").ok().result()["removed"] == [dead]
    assert not database.server.fetch(f"select 1 from pg_database where datname = '{dead}'")
    assert not lab.run("database_leftovers").ok().result()["changed"]


def test_secrets_of_the_environment_are_refused(lab: Lab) -> None:
    failed = lab.fails("alembic_info", environment={"API_TOKEN": "0123456789"})
    assert failed["error_kind"] == "options_invalid" and "environment_secrets" in failed["msg"]


def test_the_worker_ends_what_takes_too_long_before_the_deadline_of_the_job(lab: Lab) -> None:
    """So the Job can still say where the database stands."""
    with lab.stage.database.holding("lock table orders"):
        failed = lab.fails("alembic_upgrade", job={"deadline": 40}, lock_timeout=0)
    assert failed["error_kind"] == "worker_timeout" and failed["state"] == "from_revision" and lab.revision == BASE


def test_a_pod_that_is_deleted_while_it_migrates_is_told_or_another_one_migrates(lab: Lab) -> None:
    """It is told where no other pod takes its place. One that does and has begun goes on under the lock."""
    database, waits = lab.stage.database, "wait_event_type = 'Lock'"
    with database.holding("lock table orders"):
        running = lab.start("alembic_upgrade", lock_timeout=0, statement_timeout=0)
        wait_until(lambda: database.sessions(waits), what="the migration waits for the table")
        wait_until(lambda: lab.pods("upgrade", "Running"), what="the kubelet has told that the pod runs")
        (first,) = lab.pods("upgrade", "Running")
        deleting = threading.Thread(target=lab.stage.kubectl, args=("delete", "pod", first))
        deleting.start()
        wait_until(
            lambda: running.process.poll() is not None or set(lab.pods("upgrade", "Running")) - {first},
            what="the end is told, or another pod migrates",
        )
    done = running.outcome(300)
    deleting.join()
    result = done.result()
    if done.status == 0:
        assert result["after"] == [HEAD] and lab.revision == HEAD
        lab.run("alembic_downgrade", revision=BASE).ok()
        return
    assert result["error_kind"] == "worker_died" and "ended without an answer" in result["msg"], result["msg"]
    assert "its pod was deleted" in result["msg"] or "its pod is gone" in result["msg"], result["msg"]
    # The log is gone with the pod: only a call that saw it before can say at which revision it began.
    assert result["state"] in ("from_revision", "unknown") and lab.revision == BASE


def end_whole(controller: Play) -> None:
    """Kill a controller with the processes that follow the migration for it."""
    children: dict[int, list[int]] = {}
    for line in subprocess.run(["ps", "-eo", "pid=,ppid="], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
        pid, parent = map(int, line.split())
        children.setdefault(parent, []).append(pid)
    family = [controller.process.pid]
    for pid in family:
        family += children.get(pid, [])
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    controller.outcome()


def test_a_pod_that_is_deleted_while_nobody_looks_migrates_once(lab: Lab) -> None:
    """Kubernetes makes another one. It waits for the lock as long as the first one lives, and who comes back gets its answer."""
    database, waits = lab.stage.database, "wait_event_type = 'Lock'"
    options: dict[str, Any] = {"lock_timeout": 0, "statement_timeout": 0, "more": {"job": "deleted-" + secrets.token_hex(6)}}
    with database.holding("lock table orders"):
        controller = lab.start("alembic_upgrade", **options)
        wait_until(lambda: database.sessions(waits), what="the migration waits for the table")
        end_whole(controller)
        (job,) = [item for item in lab.jobs if item["status"].get("active")]
        name = job["metadata"]["name"]
        (pod,) = lab.stage.get("pods", f"--selector=job-name={name}")["items"]
        lab.stage.kubectl("delete", "pod", pod["metadata"]["name"], "--wait=false")

        def decided() -> bool:
            """Another pod runs, though the first one may live on for a while, or Kubernetes has given the Job up."""
            pods = lab.stage.get("pods", f"--selector=job-name={name}")["items"]
            others = [item for item in pods if item["metadata"]["name"] != pod["metadata"]["name"]]
            failed = [item for item in lab.stage.get("job", name)["status"].get("conditions") or () if item["type"] == "Failed"]
            return bool(failed) or any(item["status"]["phase"] == "Running" for item in others)

        wait_until(decided, what="another pod migrates, or Kubernetes has given the Job up")
    done = lab.run("alembic_upgrade", **options)
    result = done.result()
    if done.status == 0:
        assert result["after"] == [HEAD] and lab.revision == HEAD
    else:
        assert result["error_kind"] == "worker_died" and "its pod is gone" in result["msg"], result["msg"]
    lab.run("alembic_downgrade", revision=BASE).ok()


def test_a_migration_that_fails_is_its_own_kind(lab: Lab) -> None:
    before = lab.stage.contents()
    lab.stage.database.fetch("insert into customers (email, name) values ('a@b', 'Ada'), ('c@d', 'Ada')")
    try:
        failed = lab.fails("alembic_upgrade", job={"image": f"{REPOSITORY}:broken_migration"})
    finally:
        lab.stage.database.fetch("delete from customers")
    assert failed["error_kind"] == "migration_failed" and "customers_name_key" in failed["msg"]
    assert failed["failed_revision"]["revision"] == "2c8f5e1da6bb"
    assert before  # the revisions before the failing one are committed, as on a host
    lab.run("alembic_downgrade", revision=BASE, job={"image": f"{REPOSITORY}:broken_migration"}).ok()


def test_who_asks_for_the_same_job_gets_its_result(lab: Lab) -> None:
    """A controller that lost its way attaches to the Job, which ran once."""
    first = lab.run("alembic_upgrade", **{"job": {}}).ok().result()
    assert first["changed"] and first["after"] == [HEAD] and lab.revision == HEAD
    again = lab.run("alembic_upgrade").ok().result()
    assert not again["changed"]
    lab.run("alembic_downgrade", revision=BASE).ok()
    assert lab.revision == BASE
