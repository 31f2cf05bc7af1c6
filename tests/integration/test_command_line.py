# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables as a command line or a job template gives them: every switch and number is a string."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.plugin_utils._variables import known_options

from environments import CORES, DEV_CORE, core_programs
from flows.stage import Stage
from support.paths import ROOT
from support.postgres import Postgres
from support.venvs import NoInterpreter

pytestmark = pytest.mark.timeout(1800)


def given() -> dict[str, str]:
    """Every switch and number of every role, at its default, as `-e name=value` gives it; not what the playbooks tell the role."""
    found = {}
    told = {
        name
        for play in (ROOT / "playbooks").rglob("*.yml")
        for name in re.findall(r"^    (deployment_\w+):", play.read_text(), re.M)
    }
    for name, option in known_options().items():
        if name in told:
            continue
        value: Any = option.get("default")
        if option["type"] in ("bool", "int", "float") and not isinstance(value, str) and value is not None:
            found[name] = str(value).lower()
    return found


CORES_TRIED = [
    pytest.param(core, id=f"core-{core}", marks=pytest.mark.slow)  # five playbooks; a unit test finds each use that forgets
    for core in dict.fromkeys((DEV_CORE, min(CORES), max(CORES)))
]


@pytest.fixture(params=CORES_TRIED)
def stage(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres) -> Iterator[Stage]:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    try:
        programs = core_programs(request.param)
    except NoInterpreter as problem:
        pytest.skip(str(problem))
    made = Stage(tmp_path / "s", postgres, programs=programs)
    made.archive("1.0", "1.1", "1.2", "unhealthy")
    try:
        yield made
    finally:
        made.close()


def test_every_switch_and_number_may_be_a_string(stage: Stage) -> None:
    """A good release, a bad one that is put back, a second run and a rollback; "false" is false."""
    words = {**given(), "health_retries": "30", "schema_sessions_wait_seconds": "5"}
    assert {"true", "false"} <= set(words.values()) and len(words) > 40
    off = {**words, "deployment_rehearsal_enabled": "false", "deployment_report_enabled": "false"}
    report = stage.folder / "records" / "shop.html"
    for release, variables, reported in (("1.0", off, False), ("1.1", words, True)):
        run = stage.play("maintenance_window", release_version=release, **variables)
        assert run.status == 0, run.output
        assert stage.serving() == {(release, 200, release)}
        assert report.exists() is reported, run.output
        later = stage.play("maintenance_window", "--check", release_version="1.2", **variables)
        found = [revision["locks"] for revision in later.result["revisions"] if revision.get("locks")]
        assert later.status == 0 and bool(found) is reported, later.output  # which only a rehearsal knows
    before = stage.contents()
    run = stage.play("maintenance_window", release_version="1.1", **words)
    assert (run.status, run.changed) == (0, 0), run.output
    assert stage.play("maintenance_window", release_version="unhealthy", **words).status == 2
    assert (stage.records()[-1]["status"], stage.contents()) == ("reverted", before)
    assert stage.play("rollback", **words).status == 2  # the database was put back, so nobody knows what was written since
    run = stage.play("rollback", **{**words, "deployment_rows_given_up": "-1"})
    assert run.status == 0, run.output
    assert stage.serving() == {("1.0", 200, "1.0")}


@pytest.mark.parametrize(
    ("playbook", "limit", "refused"),
    [
        ("maintenance_window", "shop1", "leaves out shop2"),
        pytest.param("maintenance_window", "shop2", "leaves out shop1", marks=pytest.mark.slow),
        pytest.param("maintenance_window", "elsewhere", "leaves out shop1, shop2", marks=pytest.mark.slow),
        ("rolling", "shop1", "leaves out shop2"),
        pytest.param("rollback", "shop1", "leaves out shop2", marks=pytest.mark.slow),
        pytest.param("recover", "shop2", "leaves out shop1", marks=pytest.mark.slow),
        pytest.param("restore", "shop2", "leaves out shop1", marks=pytest.mark.slow),
        pytest.param("status", "shop2", "leaves out shop1", marks=pytest.mark.slow),
        ("status", "shop1", None),
        ("backup", "elsewhere", "leaves out shop1"),
    ],
)
def test_a_limit_that_leaves_out_what_takes_part_is_refused(bare: Stage, playbook: str, limit: str, refused: str | None) -> None:
    """An empty play ends with status 0, so a deployment of nothing, or of a half, would be green."""
    run = bare.play(playbook, "--limit", limit, release_version="1.0")
    if refused:
        assert run.status == 2 and refused in run.output and "No host was touched" in run.output, run.output
        assert not (bare.folder / "records").exists() and not list(bare.hosts[0].root.iterdir())
    else:
        assert run.status == 0 and "left out by --limit" in run.output, run.output


def test_a_run_that_begins_in_the_middle_is_refused(bare: Stage) -> None:
    """What was decided, and what was refused, is known only to the tasks before."""
    run = bare.play("maintenance_window", "--start-at-task", "Begin the record", release_version="1.0")
    assert run.status != 0 and "--start-at-task leaves out" in run.output and "PLAY RECAP" not in run.output, run.output
    assert not (bare.folder / "records").exists() and not list(bare.hosts[0].root.iterdir())


def test_a_group_that_is_misspelt_is_told_with_those_that_there_are(bare: Stage) -> None:
    path = bare.folder / "inventory.json"
    kept = path.read_text()
    inventory = json.loads(kept)
    inventory["all"]["children"]["aplication"] = inventory["all"]["children"].pop("application")
    inventory["all"]["children"]["aplication"].setdefault("vars", {}).update(inventory["all"].pop("vars"))
    path.write_text(json.dumps(inventory))
    try:
        run = bare.play("maintenance_window", release_version="1.0")
    finally:
        path.write_text(kept)
    assert run.status == 2 and "no hosts in the group application" in run.output and "There are: aplication" in run.output, (
        run.output
    )
    assert "No host was touched" in run.output and "is undefined" not in run.output


def test_a_group_that_nobody_is_in_is_told_where_the_controller_knows_the_variables(bare: Stage) -> None:
    """Variables of all hosts are those of the controller too, which deploys by itself what runs in a cluster."""
    for playbook in ("maintenance_window", "recover"):
        run = bare.play(playbook, release_version="1.0", deployment_application_group="nobody")
        assert run.status == 2 and "The inventory has no hosts in the group nobody" in run.output, run.output
        assert "undefined" not in run.output.lower(), run.output
    assert not (bare.folder / "records").exists() and not list(bare.hosts[0].root.iterdir())


def test_a_variable_that_the_url_is_made_of_and_that_is_not_there_is_named(bare: Stage) -> None:
    run = bare.play(
        "maintenance_window", release_version="1.0", schema_database_url="postgresql://shop:{{ vault_pasword }}@db/shop"
    )
    assert run.status == 2 and "there is no variable vault_pasword" in run.output and "No host was touched" in run.output, (
        run.output
    )


def test_all_slips_of_the_pen_are_told_at_once(bare: Stage) -> None:
    wrong = {"schema_databse_url": "x", "health_retries": "many", "application_manager": "upstart", "application_port": 1}
    wrong |= {"rolling_batch": "half", "deployment_rolling_override": {"abc": ""}, "application_services": "shop"}
    run = bare.play("rolling", release_version="1.0", **wrong)
    for said in (
        "Did you mean schema_database_url?",
        "health_retries is 'many'",
        "application_manager: ",
        "application_port is no variable",
        "application_services: it is a text, and has to be a list.",
        "rolling_batch: 'half' is no size of a batch. Give a number of hosts",
        "deployment_rolling_override gives no reason for abc.",
    ):
        assert said in run.output, run.output
    assert run.status == 2 and "No host was touched" in run.output, run.output
    assert not (bare.folder / "records").exists() and not list(bare.hosts[0].root.iterdir())


def test_what_would_only_show_in_the_window_is_told_before(bare: Stage) -> None:
    """What is needed late is looked at first: an open window is the wrong moment to find a typing error."""
    wrong: dict[str, Any] = {
        "schema_database_url": "postgresql://shop:hot@potato@127.0.0.1/shop",
        "health_url": "127.0.0.1:8000/health",
        "deployment_hooks": {"before_upgrade": f"{bare.folder}/hooks/upgrade.yml", "after_lunch": "tea.yml"},
        "traffic_method": "tasks",
        "traffic_drain_tasks": f"{bare.folder}/hooks/drain.yml",
        "release_links": {"uploads": ""},
    }
    run = bare.play("maintenance_window", release_version="1.0", **wrong)
    for said in (
        "schema_database_url can not be used: there is an '@' too many",
        "health_url holds '127.0.0.1:8000/health'",
        f"{bare.folder}/hooks/upgrade.yml for before_upgrade, and there is no such file",
        "deployment_hooks names after_lunch; there are before_deployment",
        "traffic_undrain_tasks is empty, and traffic_method is tasks.",
        f"traffic_drain_tasks names {bare.folder}/hooks/drain.yml, and there is no such file on the controller.",
        "release_links says nothing of where 'uploads' leads to",
    ):
        assert said in run.output, run.output
    assert run.status == 2 and "No host was touched" in run.output and "potato" not in run.output, run.output
    assert not (bare.folder / "records").exists() and not list(bare.hosts[0].root.iterdir())


def test_what_each_step_says_itself_is_refused_where_it_would_win(bare: Stage) -> None:
    """The command line wins over what a task gives a role, so every copy would have that name, and the way back take that one."""
    run = bare.play("maintenance_window", release_version="1.0", backup_archive_name="mine", backup_restore_archive={"path": "/x"})
    assert run.status == 2 and "backup_archive_name, backup_restore_archive: given with --extra-vars" in run.output, run.output
    assert "No host was touched" in run.output and not (bare.folder / "records").exists()


def test_a_database_in_the_folder_of_a_release_is_refused(bare: Stage) -> None:
    """The next release would begin without it, and pruning would remove it."""
    run = bare.play("maintenance_window", release_version="1.0", schema_database_url="sqlite:///shop.db")
    assert run.status == 2 and "schema_database_url is the SQLite file 'shop.db' in the folder of a release" in run.output, (
        run.output
    )
    assert not (bare.folder / "records").exists() and not list(bare.hosts[0].root.iterdir())
    many = {"fleet_databases": [{"name": "acme", "url": "sqlite:///acme.db"}], "schema_database_url": None}
    inside = {"backup_archive_directory": "{{ release_root }}/current/backups"}
    assert "backup_archive_directory is" in bare.play("plan", release_version="1.0", **inside).output
    assert "fleet_databases: url of acme is the SQLite file" in bare.play("plan", release_version="1.0", **many).output


def test_only_the_migrator_has_to_know_the_database(bare: Stage) -> None:
    run = bare.play("maintenance_window", "--check", release_version="1.0", schema_database_url=None)
    assert run.status == 0 and "CREATE TABLE customers" in run.output, run.output
    inventory = bare.folder / "inventory.json"
    kept = inventory.read_text()
    inventory.write_text(kept.replace('"schema_database_url"', '"shop_database_url"'))
    try:
        run = bare.play("maintenance_window", release_version="1.0", schema_database_url=None)
    finally:
        inventory.write_text(kept)
    assert run.status == 2 and "schema_database_url is empty. Set it to the URL" in run.output, run.output


def test_a_release_that_was_never_built_is_told_before_anything_is_made(bare: Stage) -> None:
    run = bare.play("maintenance_window", release_version="1.41")
    assert run.status == 2 and f"There is no file {bare.folder}/shop-1.41.tar.gz on the controller" in run.output, run.output
    assert not (bare.folder / "records").exists() and not any((host.root / "releases").exists() for host in bare.hosts)


def test_hosts_without_pods_are_refused_where_the_pods_upgrade_as_they_start(bare: Stage) -> None:
    run = bare.play("maintenance_window", release_version="1.0", schema_runner="init_container")
    assert run.status == 2 and "No host was touched" in run.output, run.output
    assert "shop1, shop2 would start before the pods have upgraded the database" in run.output, run.output
    assert not (bare.folder / "records").exists() and not list(bare.hosts[0].root.iterdir())


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stage]:
    """A stage on which nothing was deployed, with a host besides that takes no part."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Stage(tmp_path_factory.mktemp("bare") / "s", postgres)
    made.archive("1.0")
    inventory = json.loads((made.folder / "inventory.json").read_text())
    inventory["all"]["hosts"] = {"elsewhere": {}}
    inventory["all"]["children"]["application"]["hosts"]["shop1"]["schema_database_url"] = made.database.url()
    (made.folder / "inventory.json").write_text(json.dumps(inventory))
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"application_kubernetes_namespace": "Shop", "application_kubernetes_name": "deployment/{{ inventory_hostname }}"},
            ["application_kubernetes_namespace holds 'Shop'", "application_kubernetes_name holds 'deployment/shop1'"],
        ),
        pytest.param(
            {"application_kubernetes_namespace": ""}, ["application_kubernetes_namespace is empty"], marks=pytest.mark.slow
        ),
        (
            {"schema_kubernetes": {"secret": ""}, "deployment_record_configmap": "My records"},
            ["schema_kubernetes names no secret", "deployment_record_configmap holds 'My records'"],
        ),
        ({"schema_kubernetes": {"secert": "x", "deadline": 0}}, ["Did you mean secret?", "schema_kubernetes.deadline is 0"]),
        pytest.param(
            {"schema_runner": "host", "backup_kubernetes_claim": "archives", "schema_kubernetes": {}},
            ["neither schema_kubernetes nor backup_kubernetes names a secret"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"backup_kubernetes_claim": "Shop archives"}, ["backup_kubernetes_claim holds 'Shop archives'"], marks=pytest.mark.slow
        ),
        (
            {"schema_database_url": "sqlite:////srv/shop.sqlite", "backup_kubernetes_claim": "archives"},
            [
                "schema_runner is kubernetes_job, and schema_database_url is a SQLite database",
                "backup_kubernetes_claim is for PostgreSQL and backup_archive_format custom or directory, and not for sqlite.",
            ],
        ),
        ({"release_source": "archive"}, ["release_source is archive, and application_manager is kubernetes"]),
        (
            {"application_manager": "supervisor", "schema_runner": "host", "deployment_record_store": "directory"},
            ["release_source is image, and application_manager is supervisor"],
        ),
    ],
)
def test_what_no_cluster_could_do_is_told_without_one(bare: Stage, wrong: dict[str, Any], said: list[str]) -> None:
    right: dict[str, Any] = {"release_source": "image", "release_image": "shop:1.0", "deployment_record_store": "configmap"}
    right |= {"application_manager": "kubernetes", "schema_runner": "kubernetes_job", "schema_kubernetes": {"secret": "shop"}}
    right["application_kubernetes_name"] = "{{ inventory_hostname }}"
    run = bare.play("maintenance_window", release_version="1.0", **{**right, **wrong})
    assert run.status == 2 and all(text in run.output for text in [*said, "No host was touched"]), run.output
    assert not (bare.folder / "records").exists() and not list(bare.hosts[0].root.iterdir())


def test_a_database_without_a_version_table_is_refused_before_the_window(bare: Stage) -> None:
    """Behind those that find nothing built."""
    run = bare.play("maintenance_window", release_version="1.0", schema_initialise="refuse")
    assert run.status == 2 and "no version table, and schema_initialise is refuse" in run.output, run.output
    assert not (bare.folder / "records").exists() and "Open the window" not in run.output


@pytest.mark.slow
def test_a_deployment_that_nobody_asks_whether_it_serves_says_so(bare: Stage) -> None:
    """Last, since it deploys."""
    lacking = bare.play("plan", release_version="9.9")
    assert lacking.status == 2 and "There is no file" in lacking.output and "release 9.9 is to be made from it" in lacking.output
    rendered = bare.play("render")
    assert rendered.status == 2 and "Set release_image, or image in schema_kubernetes" in rendered.output, rendered.output
    assert "Neither schema_chdir nor schema_config is set" in rendered.output, rendered.output
    plan = bare.play("plan", release_version="1.0", health_url="")
    assert plan.status == 0 and "Nobody will look whether the new release serves on shop1, shop2" in plan.output, plan.output
    checked = bare.play("maintenance_window", "--check", release_version="1.0", health_url="")
    assert checked.status == 0 and "nobody will look whether it serves on shop1, shop2" in checked.output, checked.output
    run = bare.play("maintenance_window", release_version="1.0", health_url="")
    assert run.status == 0 and run.result["unasked_hosts"] == ["shop1", "shop2"], run.output
    assert "nobody looked whether it serves on shop1, shop2" in run.output, run.output
    again = bare.play("maintenance_window", release_version="1.0")
    assert again.status == 0 and again.result["unasked_hosts"] == [], again.output
    bare.archive("1.1")
    elsewhere = bare.play("maintenance_window", release_version="1.1", schema_expect_current=["abc"])
    assert elsewhere.status == 2 and "schema_expect_current is abc. Somebody else has migrated it" in elsewhere.output, (
        elsewhere.output
    )
    assert "Open the window" not in elsewhere.output and bare.hosts[0].active == "1.0"
