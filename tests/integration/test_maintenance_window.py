# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole deployments, judged by what the database holds and what the hosts answer."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from flows.stage import Stage
from support.postgres import Postgres
from support.runner import process_tree
from support.waiting import until

pytestmark = pytest.mark.timeout(1800)

#: A hook of an operator whose application takes an order until the last moment.
ORDER = """
- name: Take an order
  ansible.builtin.uri:
    url: "http://127.0.0.1:{{ shop_port }}/orders"
    method: POST
    body_format: json
    body: {customer_id: 1, amount_cents: 5}
    status_code: 201
"""


#: A hook after which nobody can ask supervisor any more.
CUT_OFF = """
- name: Take the socket of supervisor away
  ansible.builtin.command: mv supervisor.sock supervisor.gone
  args: {chdir: FOLDER, removes: supervisor.sock}
"""

#: A hook after which there is a row that the upgrade did not bring.
WRITE = """
- name: Write a row
  ansible.builtin.command:
    argv:
      - PYTHON
      - -c
      - |
        import os, sqlalchemy
        with sqlalchemy.create_engine(os.environ["SHOP_DATABASE_URL"]).begin() as connection:
            connection.execute(sqlalchemy.text("insert into orders (customer_id, amount_cents) values (1, 7)"))
"""

#: A revision that is fine until two customers share a name.
CLASHING = """
from alembic import op

revision = "9a5be013fd74"
down_revision = "c64b2e98d075"


def upgrade():
    op.create_unique_constraint("names", "customers", ["name"])


def downgrade():
    op.drop_constraint("names", "customers")
"""


#: A revision that takes its time.
SLOW = """
from alembic import op

revision = "9a5be013fd74"
down_revision = "c64b2e98d075"


def upgrade():
    op.execute("select pg_sleep(6)")
    op.execute("create table slow (id int)")
    raise ValueError("too late")


def downgrade():
    op.drop_table("slow")
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stage]:
    """A stage where release 1.1 serves 500 orders."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Stage(tmp_path_factory.mktemp("stage") / "s", postgres)
    made.archive("1.0", "1.1", "1.2", "broken_migration", "broken_autocommit", "unhealthy")
    try:
        first = made.play("maintenance_window", release_version="1.0")
        assert first.status == 0, first.output
        made.seed(500)
        (made.folder / "metrics").mkdir()
        second = made.play(
            "maintenance_window",
            release_version="1.1",
            deployment_report_junit_path=f"{made.folder}/shop.junit.xml",
            deployment_report_metrics_directory=f"{made.folder}/metrics",
            deployment_report_fetch_directory=f"{made.folder}/artefacts",
        )
        assert second.status == 0, second.output
        yield made
    finally:
        made.close()


#: What runs on the server while the database is copied, and while the release ``slow`` migrates.
COPYING, MIGRATING = "create database%%snapshot%%", "select pg_sleep(6)%%"


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def starve(pid: int) -> None:
    """Let a process open no file any more."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, 1))


def harm(stage: Stage, while_it_runs: str, chosen: Callable[[], list[int]], how: Callable[[int], None] = kill) -> None:
    """Wait until the server runs such a statement, and do that to the processes that are chosen."""
    until(lambda: stage.server.fetch(f"select 1 from pg_stat_activity where query like '{while_it_runs}' and state = 'active'"))
    found: list[int] = []
    until(lambda: found.extend(chosen()) or found)
    for pid in found:
        how(pid)


def of_release(root: Path) -> list[int]:
    """The processes of the release that take the steps."""
    return [pid for pid in every() if b"dbops.alembic" in words(pid) and Path(f"/proc/{pid}/cwd").resolve().is_relative_to(root)]


def of_module() -> list[int]:
    """The module that follows the steps; between two looks there is none."""
    return [pid for pid in process_tree(os.getpid()) if b"AnsiballZ_database_steps" in words(pid)]


def every() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def serves(stage: Stage, release: str) -> bool:
    return stage.serving() == {(release, 200, release)}


def test_a_finished_deployment_leaves_a_record_an_archive_and_a_report(stage: Stage) -> None:
    assert serves(stage, "1.1")
    record = stage.records()[-1]
    assert (record["status"], record["from_release"], record["to_release"]) == ("finished", "1.0", "1.1")
    assert [step["revision"] for step in record["applied"]] == ["a3f07d5e1c92", "c64b2e98d075"]
    archive = Path(record["archive"]["path"])
    assert archive.stat().st_mode & 0o777 == 0o600
    assert not list(archive.parent.glob(".dbops-partial*"))
    report = (stage.folder / "records" / "shop.html").read_text()
    assert "<script" not in report and "src=" not in report and "http" not in report.replace("http://127.0.0.1", "")
    for told in (
        "Deployed: release 1.1 serves.",
        "Release 1.1 serves on shop1, shop2.",
        "No data was given up",
        "At c64b2e98d075.",
        '<td>public.payments</td><td class="number">new</td>',
        "locks <b>public.orders</b> in AccessExclusive",
        f"{archive.name}</a>",
    ):
        assert told in report, report
    everything = [
        path
        for folder in ("records", "archives", "metrics", "artefacts")
        for path in (stage.folder / folder).rglob("*")
        if path.is_file()
    ]
    assert not [path for path in everything if stage.database.password.encode() in path.read_bytes()]


def test_the_result_is_there_for_machines_and_on_the_controller(stage: Stage) -> None:
    record = stage.records()[-1]
    result = json.loads((stage.folder / "records" / "shop.result.json").read_text())
    assert (result["id"], result["outcome"], result["database_revision"]) == (record["id"], "finished", ["c64b2e98d075"])
    assert {host["state"] for host in result["host_states"].values()} == {"serves"}
    assert result["by"]["user"] and result["downtime"]["to"] and result["data"]["lost"] == "no"
    cases = list(ElementTree.parse(stage.folder / "shop.junit.xml").iter("testcase"))
    assert len(cases) == 1 + 2 + 2 * 3
    metrics = (stage.folder / "metrics" / "dbops_shop_deployment.prom").read_text()
    told = re.search(r'^dbops_deployment_downtime_seconds\{application="shop"\} (\S+)$', metrics, re.M)
    assert told and float(told[1]) == result["downtime_seconds"] > 0, metrics
    assert "dbops_backup_created_timestamp_seconds" in (stage.folder / "metrics" / "dbops_shop_backup.prom").read_text()
    here = stage.folder / "artefacts"
    assert sorted(path.name for path in here.iterdir()) == ["shop.html", "shop.junit.xml", "shop.result.json"]
    assert (here / "shop.html").read_text() == (stage.folder / "records" / "shop.html").read_text()


def test_room_that_is_known_to_be_too_little_makes_an_archive_the_way_back(stage: Stage) -> None:
    """The server of a database is mostly another host, where nothing measures it."""
    run = stage.play("maintenance_window", "--check", release_version="1.2", backup_free_bytes=1000)
    assert run.status == 0 and "archive" in run.result["way_back"], run.output
    assert "are free" in run.output and "is not known" not in run.output, run.output


def test_a_second_run_changes_nothing(stage: Stage) -> None:
    before, records = stage.contents(), len(stage.records())
    run = stage.play("maintenance_window", release_version="1.1")
    assert run.status == 0, run.output
    assert (run.changed, run.result["outcome"]) == (0, "nothing_to_do")
    assert stage.contents() == before and len(stage.records()) == records and serves(stage, "1.1")


def test_check_mode_shows_the_sql_and_touches_nothing(stage: Stage) -> None:
    before, records, releases = stage.contents(), len(stage.records()), sorted(stage.hosts[0].root.glob("releases/*"))
    run = stage.play("maintenance_window", "--check", "--diff", release_version="1.2")
    assert run.status == 0, run.output
    assert run.result["outcome"] == "checked"
    assert [step["revision"] for step in run.result["pending"]] == ["e17d5a40b3c6", "f90c3b6d2e18"]
    assert "ALTER TABLE customers ADD COLUMN country" in run.output, run.output
    assert stage.contents() == before and len(stage.records()) == records and serves(stage, "1.1")
    assert sorted(stage.hosts[0].root.glob("releases/*")) == releases


def test_the_plan_says_how_the_database_would_be_put_back(stage: Stage) -> None:
    told = stage.play("plan", release_version="1.2").ok().output
    assert (
        "A maintenance window would put the database back by a copy inside its server." in told and "It would not begin" not in told
    )
    stage.server.fetch(f"alter role {stage.database.role} nocreatedb")
    stage.database.fetch("create table private (n int)")
    try:
        told = stage.play("plan", release_version="1.2", schema_max_pending=1, schema_expect_current=["e17d"]).ok().output
    finally:
        stage.database.fetch("drop table private")
        stage.server.fetch(f"alter role {stage.database.role} createdb")
    assert "It would not begin: 2 revisions are pending and schema_max_pending allows 1." in told, told
    assert "It would not begin: The database is at c64b2e98d075, and schema_expect_current is e17d." in told, told
    assert "It would not begin: Only an archive could put the database back" in told and "may not read public.private" in told, told


@pytest.mark.parametrize(
    ("release", "step", "why"),
    [
        ("broken_migration", "upgrading", "customers_name_key"),
        pytest.param("broken_autocommit", "upgrading", "", marks=pytest.mark.slow),
        # test_hooks has unhealthy, test_configurations wont_start
    ],
)
def test_a_bad_release_is_put_back(stage: Stage, release: str, step: str, why: str) -> None:
    before = stage.contents()
    run = stage.play("maintenance_window", release_version=release)
    assert run.status == 2, run.output
    record = stage.records()[-1]
    assert (record["status"], record["failure"]["step"], record["to_release"]) == ("reverted", step, release), run.output
    assert serves(stage, "1.1") and stage.contents() == before
    assert why in record["failure"]["message"]
    assert run.result["outcome"] == "reverted"


def test_an_archive_that_can_not_be_written_is_told_with_what_writes_one(stage: Stage) -> None:
    """The release serves, and the copy in the server is there."""
    archives, away = stage.folder / "archives", stage.folder / "away"
    hook = stage.folder / "hook.yml"
    hook.write_text(yaml.safe_dump([{"ansible.builtin.shell": f"mv {archives} {away} && touch {archives}"}]))
    try:
        run = stage.play(
            "maintenance_window",
            release_version="1.1",
            deployment_force_enabled=True,
            deployment_hooks={"before_archive": str(hook)},
        )
    finally:
        if away.exists():
            archives.unlink()
            away.rename(archives)
    (warning,) = stage.records()[-1]["warnings"]
    assert run.status == 2 and serves(stage, "1.1") and stage.records()[-1]["status"] == "finished", run.output
    assert warning.startswith("The archive was not written: ") and "the playbook dbops.alembic.backup writes one" in warning, (
        warning
    )
    assert ".. " not in warning, warning


def test_what_fails_without_traffic_is_stopped_by_its_own_start(stage: Stage) -> None:
    """Nobody is served by it, so the way back has nothing left to stop."""
    told = stage.folder / "traffic"
    for name in ("drain", "undrain"):
        tasks = [{"name": name, "ansible.builtin.shell": {"cmd": f"echo {name} >> {told}"}}]
        (stage.folder / f"{name}.yml").write_text(json.dumps(tasks))
    look = {"url": "http://127.0.0.1:{{ shop_port }}/health", "status_code": [-1]}
    hook = stage.folder / "looks.yml"
    hook.write_text(json.dumps([{"name": "Hear that nobody answers", "ansible.builtin.uri": look}]))
    before = stage.contents()
    run = stage.play(
        "maintenance_window",
        release_version="unhealthy",
        health_failing_seconds=1,
        traffic_method="tasks",
        traffic_drain_tasks=f"{stage.folder}/drain.yml",
        traffic_undrain_tasks=f"{stage.folder}/undrain.yml",
        deployment_hooks={"after_failure": str(hook)},
    )
    assert run.status == 2, run.output
    assert "Hear that nobody answers" in run.output and run.result["warnings"] == [], run.output
    assert run.output.count("Stop all services of the host") == 1, run.output
    assert run.result["outcome"] == "reverted" and stage.records()[-1]["failure"]["step"] == "starting"
    assert told.read_text().split() == ["drain", "drain", "undrain", "undrain"], "two hosts, each once"
    assert serves(stage, "1.1") and stage.contents() == before


def test_a_release_that_the_rehearsal_refuses_is_not_tried_where_that_is_binding(stage: Stage) -> None:
    """It fails on rows only, so it is the read-only checks of the real rows that know."""
    stage.altered("clashing", "1.1", {"shop/migrations/versions/9a5be013fd74.py": CLASHING})
    before, records = stage.contents(), len(stage.records())
    run = stage.play("maintenance_window", release_version="clashing", deployment_rehearsal_binding_enabled=True)
    assert run.status == 2 and "Nothing was touched. Revision 9a5be013fd74: It will fail on customers.names" in run.output, (
        run.output
    )
    assert serves(stage, "1.1") and stage.contents() == before and len(stage.records()) == records


def test_a_foreign_session_that_stays_keeps_the_window_shut(stage: Stage) -> None:
    """ "Stopped" is proved, not believed: with somebody still connected nothing is upgraded, and the old release serves."""
    before = stage.contents()
    with stage.database.holding("select 1", application_name="night job"):
        run = stage.play("maintenance_window", release_version="1.2")
    assert run.status == 2 and "night job" in run.output
    assert serves(stage, "1.1") and stage.contents() == before
    assert (stage.records()[-1]["status"], stage.records()[-1]["failure"]["step"]) == ("reverted", "stopping")


@pytest.mark.slow
def test_a_run_that_stopped_nothing_closes_its_record_and_claims_no_downtime(stage: Stage) -> None:
    """Nobody can ask supervisor, so no stop begins, and no start would be possible: what serves is left alone."""
    hook = stage.folder / "cut_off.yml"
    hook.write_text(CUT_OFF.replace("FOLDER", str(stage.folder)))
    before = stage.contents()
    run = stage.play("maintenance_window", release_version="1.2", deployment_hooks={"before_stop": str(hook)})
    (stage.folder / "supervisor.gone").rename(stage.folder / "supervisor.sock")
    assert run.status == 2, run.output
    assert (run.result["outcome"], run.result["downtime_seconds"], run.result["next"]) == ("reverted", 0, []), run.output
    assert "shop: nothing was stopped; release 1.1 serves on." in run.output, run.output
    told = "\n".join(line for line in run.output.splitlines() if not line.startswith("TASK ["))
    for never in ("Downtime  ", "did not go through: ", "waiting for you", "was put back"):
        assert never not in told, told
    assert stage.records()[-1]["status"] == "reverted" and serves(stage, "1.1") and stage.contents() == before


@pytest.mark.slow
def test_a_halted_run_prints_the_commands_that_go_on(stage: Stage) -> None:
    hook = stage.folder / "write.yml"
    hook.write_text(WRITE.replace("PYTHON", str(stage.app)))
    before = stage.contents()
    run = stage.play("maintenance_window", release_version="unhealthy", deployment_hooks={"before_start": str(hook)})
    assert run.status == 2 and run.result["outcome"] == "halted", run.output
    assert "did not go through: " not in run.output and "waiting for you" not in run.output, run.output
    told = {step["command"]: step["does"] for step in run.result["next"]}
    prefix = f"ansible-playbook -i {stage.folder}/inventory.json dbops.alembic."
    said = " ".join(run.output.split())
    assert all(command.startswith(prefix) and command in run.output and told[command] in said for command in told), run.output
    (gives_up,) = [command for command in told if "deployment_rows_given_up=" in command]
    assert told[gives_up] == f"gives up {gives_up.rpartition('=')[2]} rows, puts the backup back and starts release 1.1."
    rows = gives_up.rpartition("=")[2]
    assert "What failed: " in run.output, run.output
    assert {(host["state"], host["release"]) for host in run.result["host_states"].values()} == {("failed", "unhealthy")}
    assert run.result["data"]["text"].endswith(f"putting the backup back would give up {rows} rows.")
    assert run.result["downtime"]["from"] and not run.result["downtime"]["to"]
    playbook, *arguments = gives_up.removeprefix(prefix).split()
    recovered = stage.play(playbook, *arguments)
    assert recovered.status == 0, recovered.output
    now = recovered.result
    assert now["verdict"]["text"] == "Not deployed: it was put back, and release 1.1 serves again."
    assert (now["data"]["lost"], now["data"]["rows"], now["database_revision"]) == ("yes", int(rows), run.result["from_revision"])
    assert now["downtime"]["to"] and now["downtime"]["from"] <= run.result["downtime"]["from"]
    assert serves(stage, "1.1") and stage.contents() == before


def test_a_run_that_was_killed_before_the_upgrade_is_recovered_with_everything_stopped(stage: Stage) -> None:
    """Somebody has started a host by hand meanwhile: nothing may run while it is found out where the database stands."""
    before, hook = stage.contents(), stage.folder / "die.yml"
    hook.write_text(f"- name: Die\n  ansible.builtin.shell: pkill -KILL -f '{stage.folder}/inventory.json dbops[.]'\n")
    killed = stage.play("maintenance_window", release_version="1.2", deployment_hooks={"before_upgrade": str(hook)})
    assert killed.status < 0 and stage.records()[-1]["step"] == "upgrading", killed.output
    subprocess.run([*stage.ctl, "start", "shop1"], check=True, capture_output=True)
    run = stage.play("recover", release_version="1.2")
    assert run.status == 0 and run.result["outcome"] == "reverted" and "fatal: [" not in run.output, run.output
    stopping = run.output.split("PLAY [Stop what may run in the middle of a change]")[1].split("PLAY [")[0]
    assert "changed: [shop1]" in stopping, stopping
    assert serves(stage, "1.1") and stage.contents() == before


@pytest.mark.slow  # test_database_interrupted kills a copy, and test_database_steps what a window runs
def test_a_copy_whose_process_is_killed_keeps_nobody_out(stage: Stage) -> None:
    """Nobody may connect while it is made, the application neither."""
    before = stage.contents()
    grow(stage)
    try:
        with ThreadPoolExecutor() as other:
            killer = other.submit(harm, stage, COPYING, partial(of_release, stage.hosts[0].root))
            run = stage.play("maintenance_window", release_version="1.2")
        killer.result()
        assert run.status == 2 and run.result["outcome"] == "reverted", run.output
        assert stage.records()[-1]["failure"]["step"] == "stopping" and serves(stage, "1.1"), run.output
        left = stage.server.fetch("select datname from pg_database where datconnlimit = -2 or not datallowconn")
        assert left == [("template0",)] and (run.result["snapshot"],) not in stage.server.fetch("select datname from pg_database")
    finally:
        stage.database.fetch("drop table ballast")
    assert stage.contents() == before


def grow(stage: Stage) -> None:
    """Give the database what takes a moment to be copied."""
    stage.database.fetch("create table ballast as select repeat(md5(g::text), 30) from generate_series(1, 150000) g")
    stage.database.fetch(f"alter table ballast owner to {stage.database.role}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "how", "why"),
    [
        pytest.param(COPYING, kill, "too late", id="killed while it is copied"),
        pytest.param(MIGRATING, kill, "too late", id="killed while it is migrated"),
        pytest.param(COPYING, starve, "Too many open files", id="broken while it is copied"),
        pytest.param(MIGRATING, starve, "Too many open files", id="broken while it is migrated"),
    ],
)
def test_a_module_that_ends_early_leaves_nothing_halfway(
    stage: Stage, moment: str, how: Callable[[int], None], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes the steps goes on without it: another one hears the end; where none is sent, they are taken over and put back."""
    before = stage.contents()
    grow(stage)
    release = f"slow_{moment == COPYING}_{how.__name__}"
    stage.altered(release, "1.1", {"shop/migrations/versions/9a5be013fd74_slow.py": SLOW})
    # tests fork modules, which so are no processes of their own
    monkeypatch.setattr(stage, "programs", Path(sys.executable).parent)
    try:
        with ThreadPoolExecutor() as other:
            killer = other.submit(harm, stage, moment, of_module, how)
            run = stage.play("maintenance_window", release_version=release, schema_rehearsal_mode="static")
        killer.result()
        assert run.status == 2 and run.result["outcome"] == "reverted", run.output
        assert why in run.result["failure"]["message"] and serves(stage, "1.1"), run.output
        left = stage.server.fetch("select datname from pg_database where datconnlimit = -2 or not datallowconn")
        assert left == [("template0",)]
    finally:
        stage.database.fetch("drop table ballast")
    assert stage.contents() == before


@pytest.mark.slow
def test_a_host_that_came_with_the_release_has_none_after_its_rollback(tmp_path: Path, postgres: Postgres) -> None:
    stage = Stage(tmp_path / "s", postgres)
    try:
        stage.archive("1.0", "1.1")
        inventory = stage.folder / "inventory.json"
        both = inventory.read_text()
        one = json.loads(both)
        del one["all"]["children"]["application"]["hosts"]["shop2"]
        inventory.write_text(json.dumps(one))
        first = stage.play("maintenance_window", release_version="1.0")
        inventory.write_text(both)
        second = stage.play("maintenance_window", release_version="1.1")
        assert (first.status, second.status) == (0, 0), first.output + second.output
        assert stage.serving() == {("1.1", 200, "1.1")}
        back = stage.play("rollback", deployment_rows_given_up=-1)
        assert back.status == 0, back.output
        old, new = stage.hosts
        assert (old.active, old.health()[0]) == ("1.0", 200) and (new.active, new.health()[0]) == ("", 0)
        # In one run the stop of the first would count as that of the second.
        again = stage.play("maintenance_window", "dbops.alembic.rollback", release_version="1.1")
        assert again.status == 2 and "Another deployment of this run of Ansible has worked on shop1, shop2" in again.output
        assert [record["status"] for record in stage.records()][-1] == "finished", again.output
        assert stage.serving() == {("1.1", 200, "1.1")}, again.output
    finally:
        stage.close()


def test_new_rows_are_not_lost_unless_they_are_given_up(stage: Stage) -> None:
    """Last, since it deploys: 1.2 serves, an order comes in, and a rollback must say what it would cost."""
    before = stage.contents()
    stage.play("maintenance_window", release_version="1.2", release_keep_count=1, release_protected=["1.0"]).ok()
    assert serves(stage, "1.2")
    kept = {path.name for host in stage.hosts for path in (host.root / "releases").glob("[!.]*")}
    assert kept - {"unhealthy"} == {"1.0", "1.1", "1.2"}, "the way back too; that one is kept where it is the newest"
    stage.hosts[0].order()
    after = stage.contents()
    refused = stage.play("rollback")
    assert refused.status == 2 and "deployment_rows_given_up=" in refused.output, refused.output
    assert serves(stage, "1.2") and stage.contents() == after
    hook = stage.folder / "order.yml"
    hook.write_text(ORDER)
    late = stage.play("rollback", deployment_rows_given_up=1, deployment_hooks={"before_stop": str(hook)})
    assert late.status == 2 and "3 rows written since the upgrade would be lost" in late.output, late.output
    assert serves(stage, "1.2") and stage.database.fetch("select count(*) from orders") == [(503,)]
    allowed = stage.play("rollback", deployment_rows_given_up=3)
    assert allowed.status == 0, allowed.output
    assert serves(stage, "1.1") and stage.contents() == before
