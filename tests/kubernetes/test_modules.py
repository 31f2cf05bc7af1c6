# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules with the option kubernetes: how a Job can fail, each told apart from a migration that failed."""

from __future__ import annotations

import json
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

    def start(self, module: str, *arguments: str, job: dict[str, Any] | None = None, **options: Any) -> Play:
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
        given = {"chdir": "/app", "python": "/app/venv/bin/python", "kubernetes": kubernetes, **options}
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


@pytest.mark.parametrize(("module", "patience"), [("alembic_info", 4), ("alembic_upgrade", 20)])
def test_a_quota_is_told(lab: Lab, module: str, patience: int) -> None:
    """Also by a module that follows its Job in calls that are shorter than the patience."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    lab.stage.apply(quota)
    try:
        failed = lab.fails(module, job={"patience": patience})
    finally:
        lab.stage.kubectl("delete", "resourcequota", "none")
    assert failed["error_kind"] == "job_failed" and "exceeded quota" in failed["msg"]


def test_a_service_account_that_is_missing_is_told(lab: Lab) -> None:
    failed = lab.fails("alembic_upgrade", job={"service_account": "nobody-here", "patience": 20})
    assert failed["error_kind"] == "job_failed" and 'serviceaccount "nobody-here" not found' in failed["msg"], failed["msg"]
    assert lab.revision == BASE


def test_a_quota_on_everything_accepts_the_job(lab: Lab) -> None:
    hard = {"pods": "20", "requests.cpu": "4", "requests.memory": "8Gi", "limits.cpu": "8", "limits.memory": "16Gi"}
    lab.stage.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "usual"}, "spec": {"hard": hard}})
    try:
        assert lab.run("alembic_info").ok().result()["current"] == [BASE]
    finally:
        lab.stage.kubectl("delete", "resourcequota", "usual")


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


def test_a_pod_that_is_deleted_while_it_migrates_is_told_and_the_database_looked_at(lab: Lab) -> None:
    with lab.stage.database.holding("lock table orders"):
        running = lab.start("alembic_upgrade", lock_timeout=0, statement_timeout=0)
        waiting = "wait_event_type = 'Lock'"
        wait_until(lambda: lab.stage.database.sessions(waiting), what="the migration waits for the table")
        pods = [
            pod
            for pod in lab.stage.get("pods", "--selector=dbops.alembic/operation=upgrade")["items"]
            if pod["status"]["phase"] == "Running"
        ]
        deleting = threading.Thread(target=lab.stage.kubectl, args=("delete", "pod", pods[0]["metadata"]["name"]))
        deleting.start()
        done = running.outcome(300)
        deleting.join()
    assert done.status == 2, done.printed
    failed = done.result()
    assert failed["error_kind"] == "worker_died" and "ended without an answer" in failed["msg"], failed["msg"]
    # The log is gone with the pod: only a call that saw it before can say at which revision it began.
    assert failed["state"] in ("from_revision", "unknown") and lab.revision == BASE


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
