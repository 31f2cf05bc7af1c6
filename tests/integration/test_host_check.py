# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts lack is found before anything is built: all of it, on all hosts, in one message."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from flows.mortal import Mortal
from flows.stage import Run, Stage
from support.postgres import Postgres
from support.processes import free_port

pytestmark = pytest.mark.timeout(1800)


@dataclass
class Watched(Stage, Mortal):
    watched: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.watched}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Watched]:
    """Hosts that lack one thing or another; nothing was deployed yet."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Watched(tmp_path_factory.mktemp("stage") / "s", postgres)
    made.archive("1.0", "1.1")
    try:
        yield made
    finally:
        made.close()


def old_programs(stage: Stage) -> Path:
    """The programs of the server, with a pg_dump that is older than it."""
    folder = stage.folder / "programs"
    folder.mkdir()
    for program in stage.server.binaries.iterdir():
        (folder / program.name).symlink_to(program)
    (folder / "pg_dump").unlink()
    (folder / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n")
    (folder / "pg_dump").chmod(0o755)
    return folder


def test_all_that_is_wrong_on_all_hosts_is_told_at_once(stage: Stage) -> None:
    (stage.folder / "file").write_text("")
    inventory = json.loads((stage.folder / "inventory.json").read_text())
    hosts = inventory["all"]["children"]["application"]["hosts"]
    hosts["shop1"] |= {"release_root": f"{stage.folder}/file/shop"}
    hosts["shop2"] |= {"application_services": ["shop2", "no-such-program"], "release_python": "python3.99"}
    hosts["gone"] = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": free_port()}
    inventory["all"]["vars"] |= {"release_install": "auto", "backup_programs_directory": str(old_programs(stage))}
    inventory["all"]["vars"] |= {"backup_restore_check_binding_enabled": True}
    inventory["all"]["vars"] |= {"backup_archive_directory": f"{stage.folder}/file/archives"}
    inventory["all"]["vars"] |= {"deployment_record_store": "configmap", "application_kubernetes_kubeconfig": "/nowhere/config"}
    inventory["all"]["vars"] |= {"health_ca_path": "/nowhere/ca.pem"}
    inventory["all"]["vars"] |= {"deployment_report_junit_path": f"{stage.folder}/file/reports/shop.xml"}
    inventory["all"]["vars"] |= {"deployment_report_metrics_directory": f"{stage.folder}/file/metrics"}
    stage_inventory = stage.folder / "inventory.json"
    kept = stage_inventory.read_text()
    stage_inventory.write_text(json.dumps(inventory))
    try:
        run = stage.play("maintenance_window", release_version="1.0")
    finally:
        stage_inventory.write_text(kept)
    assert run.status == 2, run.output
    told = run.output[run.output.index("fatal: [shop1]: FAILED!") : run.output.index("PLAY RECAP")]
    for host, text in (
        ("shop1", f"{stage.folder}/file is no folder, so {stage.folder}/file/shop can not be made."),
        ("shop1", f"{stage.folder}/file is no folder, so {stage.folder}/file/archives can not be made."),
        ("shop1", "pg_dump is of version 9 and the server of version"),
        ("shop1", f"{stage.folder}/file is no folder, so {stage.folder}/file/reports can not be made."),
        ("shop1", f"{stage.folder}/file is no folder, so {stage.folder}/file/metrics can not be made."),
        ("shop1", "deployment_record_store is configmap, and the record shop-deployments: "),
        ("shop1", "has no kubernetes client. Install the Python package"),
        ("shop1, shop2", "health_ca_path is /nowhere/ca.pem, which is not there."),
        ("shop2", "python3.99 can not be run: No such file or directory"),
        ("shop2", "no-such-program"),
        ("gone", "It can not be reached: "),
    ):
        assert any(f"{host}: " in line and text in line for line in told.splitlines()), told
    assert "\\n" not in told and told.count("no-such-program") == told.count("Nothing was touched") == 1, told
    # Its program starts from elsewhere, which is no reason to refuse.
    assert f"shop1 names {stage.folder}/file/shop/current in neither" in " ".join(run.output.split()), run.output
    assert not (stage.folder / "records").exists() and not list(stage.hosts[1].root.iterdir())


def test_one_machine_under_two_names_is_told(stage: Stage) -> None:
    """Each would remove what the other builds; elsewhere the release is the same folder of other machines."""
    path = stage.folder / "inventory.json"
    kept = path.read_text()
    inventory = json.loads(kept)
    hosts = inventory["all"]["children"]["application"]["hosts"]
    (stage.folder / "again").symlink_to(stage.hosts[0].root)
    hosts["shop1.example.com"] = {**hosts["shop1"], "release_root": f"{stage.folder}/again", "application_services": ["shop1"]}
    path.write_text(json.dumps(inventory))
    try:
        run = stage.play("maintenance_window", release_version="1.0")
    finally:
        path.write_text(kept)
    assert run.status == 2 and "shop1, shop1.example.com: These are one machine and one folder" in run.output, run.output
    assert "shop2: " not in run.output and not list(stage.hosts[0].root.iterdir())


@pytest.mark.slow
def test_a_database_that_can_not_be_reached_is_told(stage: Stage) -> None:
    away = f"postgresql://shop@/shop?host={stage.folder}"  # nobody listens there
    run = stage.play("maintenance_window", release_version="1.0", schema_database_url=away)
    assert run.status == 2, run.output
    assert f"shop1: The database at {stage.folder} can not be reached: No such file or directory." in run.output, run.output
    assert not list(stage.hosts[0].root.iterdir())


def test_a_database_that_takes_no_connection_is_told(stage: Stage) -> None:
    url, password = stage.database.url(), stage.database.password
    wrong = url.replace(f"/{stage.database.name}", "/no_such_database")
    assert wrong != url
    run = stage.play("maintenance_window", release_version="1.0", schema_database_url=wrong)
    assert run.status == 2 and "takes no connection: " in run.output and "no_such_database" in run.output, run.output
    assert password not in run.output and not list(stage.hosts[0].root.iterdir())


@pytest.fixture(scope="module")
def deployed(stage: Stage) -> Run:
    """From here on there is something to go back from; the tests above ask for hosts on which nothing was deployed."""
    return stage.play("maintenance_window", release_version="1.0")


@pytest.mark.slow
def test_what_a_deployment_needs_is_not_refused(deployed: Run) -> None:
    assert deployed.status == 0 and "in neither its command" not in deployed.output, deployed.output
    assert deployed.result["doubted_hosts"] == {} and "count as healthy" not in deployed.output, deployed.output


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1:{{ shop_port }}/helth", "/helth answered 404 and not 200"),
        pytest.param(
            "http://127.0.0.1:1/health", "http://127.0.0.1:1/health did not answer: Connection refused", marks=pytest.mark.slow
        ),
    ],
)
@pytest.mark.usefixtures("deployed")
def test_a_health_check_that_the_present_release_does_not_pass_is_told(stage: Stage, url: str, said: str) -> None:
    """Nothing is refused for it, since the next release may be the first with that path."""
    run = stage.play("maintenance_window", "--check", release_version="1.1", health_url=url)
    assert run.status == 0 and set(run.result["doubted_hosts"]) == {"shop1", "shop2"}, run.output
    assert all(said in why for why in run.result["doubted_hosts"].values()), run.result
    assert "So what serves now would not count as healthy." in " ".join(run.output.split()), run.output
    right = stage.play("maintenance_window", "--check", release_version="1.1")
    assert right.status == 0 and right.result["doubted_hosts"] == {} and "count as healthy" not in right.output, right.output


@pytest.mark.usefixtures("deployed")
def test_a_plan_says_what_a_deployment_would_doubt_and_refuse(stage: Stage) -> None:
    """And goes on, since it begins nothing."""
    url = "http://127.0.0.1:{{ shop_port }}/helth"
    (stage.folder / "file").write_text("")
    report = f"{stage.folder}/file/reports/shop.xml"
    plan = stage.play("plan", release_version="1.1", health_url=url, deployment_report_junit_path=report).ok()
    told = " ".join(plan.output.split())
    assert "/helth answered 404 and not 200. So what serves now would not count as healthy." in told, plan.output
    assert "Something is lacking, for which a deployment would be refused:" in told, plan.output
    assert "file/reports can not be made" in told, plan.output
    assert "Route: " in told and stage.serving() == {("1.0", 200, "1.0")}, plan.output
    right = stage.play("plan", release_version="1.1").ok()
    assert "count as healthy" not in right.output and "is lacking" not in right.output, right.output


@pytest.mark.usefixtures("deployed")
def test_what_was_doubted_before_is_put_back_as_it_was(stage: Stage) -> None:
    """A slip in health_url costs a deployment, and not the way back from it."""
    before = stage.contents()
    url = "http://127.0.0.1:{{ shop_port }}/helth"
    run = stage.play("maintenance_window", release_version="1.1", health_url=url, health_failing_seconds=1)
    assert run.status == 2 and run.result["outcome"] == "reverted", run.output
    assert set(run.result["doubted_hosts"]) == {"shop1", "shop2"} and "/helth answered 404" in run.output, run.output
    assert stage.serving() == {("1.0", 200, "1.0")} and stage.contents() == before


@pytest.mark.slow
@pytest.mark.usefixtures("deployed")
def test_what_was_doubted_before_is_put_back_by_another_run_too(stage: Watched) -> None:
    """The record says so, when the controller is gone."""
    before, wrong = stage.contents(), {"health_url": "http://127.0.0.1:{{ shop_port }}/helth", "health_failing_seconds": 1}
    task = "Start the services of the host, and wait until they serve"
    stage.killed_at("maintenance_window", task, release_version="1.1", **wrong)
    assert stage.records()[-1]["status"] == "open" and set(stage.records()[-1]["doubted"]) == {"shop1", "shop2"}
    run = stage.play("recover", **wrong)
    assert run.result["outcome"] == "reverted" and set(run.result["doubted_hosts"]) == {"shop1", "shop2"}, run.output
    assert stage.serving() == {("1.0", 200, "1.0")} and stage.contents() == before


@pytest.mark.usefixtures("deployed")
def test_a_health_check_of_a_host_that_has_no_address_is_refused(stage: Stage) -> None:
    run = stage.play("maintenance_window", release_version="1.1", health_url="http://shop.invalid:8000/health")
    assert run.status == 2 and "Nothing was touched, since something is lacking:" in run.output, run.output
    assert "shop1, shop2: health_url is http://shop.invalid:8000/health, and shop.invalid has no address on this host" in run.output
    assert all(host.health()[0] == 200 for host in stage.hosts)


@pytest.fixture
def lacking(stage: Stage, deployed: Run) -> Iterator[None]:
    """shop2 lacks a program, and what only builds need."""
    path = stage.folder / "inventory.json"
    kept = path.read_text()
    inventory = json.loads(kept)
    inventory["all"]["children"]["application"]["hosts"]["shop2"] |= {
        "application_services": ["shop2", "no-such-program"],
        "release_python": "python3.99",
        "release_install": "auto",
    }
    path.write_text(json.dumps(inventory))
    yield
    path.write_text(kept)


@pytest.mark.slow
@pytest.mark.parametrize("playbook", ["rollback", "restore"])
@pytest.mark.usefixtures("lacking")
def test_what_goes_back_asks_the_hosts_before(stage: Stage, playbook: str) -> None:
    records = sorted((stage.folder / "records").iterdir())
    run = stage.play(playbook, deployment_restore_from="anything")
    assert run.status == 2 and "Nothing was touched, since something is lacking:" in run.output, run.output
    assert "shop2: " in run.output and "no-such-program" in run.output and "python3.99" not in run.output, run.output
    assert sorted((stage.folder / "records").iterdir()) == records and all(host.health()[0] == 200 for host in stage.hosts)


@pytest.mark.slow
@pytest.mark.usefixtures("lacking")
def test_a_recovery_says_what_is_lacking_and_brings_back_what_it_can(stage: Stage) -> None:
    run = stage.play("recover")
    assert run.status == 0 and "Something is lacking" in run.output and "no-such-program" in run.output, run.output


@pytest.mark.slow
@pytest.mark.usefixtures("deployed")
def test_what_only_the_next_release_answers_does_not_keep_it_from_being_deployed(stage: Stage) -> None:
    """Last, since another release serves then. Where that does not answer either, what was known before is told again."""
    wrong = stage.play("maintenance_window", release_version="1.1", health_url="http://127.0.0.1:1/health", health_retries=2)
    assert wrong.status == 2 and stage.records()[-1]["status"] == "reverted", wrong.output
    known = "before anything was touched, on shop1: http://127.0.0.1:1/health did not answer: Connection refused"
    assert known in " ".join(wrong.output.split()), wrong.output
    run = stage.play("maintenance_window", release_version="1.1", health_json={"status": "ok", "release": "1.1"}).ok()
    assert set(run.result["doubted_hosts"]) == {"shop1", "shop2"}, run.output
    assert "before anything was touched" not in run.output and stage.serving() == {("1.1", 200, "1.1")}, run.output
