# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling deployments behind a real HAProxy and under steady load, judged by what the clients, the hosts and the database say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.balanced import BalancedStage
from flows.load import Load
from flows.stage import Run
from support.postgres import Postgres
from support.waiting import PATIENCE

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]

#: Release → the revision that it brings the database to.
HEAD = {"1.1": "c64b2e98d075", "1.2": "f90c3b6d2e18", "2.0": "7b1d9e52f0c8", "2.1": "c0a4f6d81e37"}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[BalancedStage]:
    """A stage where release 1.1 serves 500 orders on three hosts. The release wont_start does start on the first one."""
    for program in ("supervisord", "haproxy"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
            pytest.skip(f"{program} is not installed")
    made = BalancedStage(tmp_path_factory.mktemp("stage") / "s", postgres, 3, settings={"shop1": ',CARRIER_KEY="known"'})
    made.archive("1.1", "1.2", "2.0", "2.1", "wont_start", "broken_migration")
    try:
        first = made.play("maintenance_window", release_version="1.1")
        assert first.status == 0, first.output
        made.seed(500)
        yield made
    finally:
        made.close()


def serves(stage: BalancedStage, release: str) -> bool:
    return stage.serving() == {(release, 200, release)} and set(stage.servers().values()) == {"UP"}


def last(stage: BalancedStage) -> dict:
    return stage.records()[-1]


def back_to(stage: BalancedStage, release: str) -> None:
    """Roll the last deployment back, and its schema by hand."""
    newer = last(stage)["to_release"]
    run = stage.play("rollback")
    assert run.status == 0 and serves(stage, release), run.output
    stage.downgrade(newer, HEAD[release])


def test_an_unsafe_chain_is_refused_with_the_reason(stage: BalancedStage) -> None:
    before, records = stage.contents(), len(stage.records())
    for arguments in ([], ["--check"]):
        run = stage.play("rolling", *arguments, release_version="broken_migration")
        assert run.status == 2, run.output
        assert "and not rolling" in run.output and "2c8f5e1da6bb" in run.output and "deployment_rolling_override" in run.output
    assert stage.contents() == before and len(stage.records()) == records and serves(stage, "1.1")


@pytest.mark.parametrize(("batch", "told"), [("two", "is no size of a batch"), ("100%", "A batch takes all hosts at once")])
def test_a_batch_that_can_not_be_is_refused(stage: BalancedStage, batch: str, told: str) -> None:
    run = stage.play("rolling", release_version="1.2", rolling_batch=batch)
    assert run.status == 2 and told in run.output, run.output
    assert serves(stage, "1.1") and stage.contents()[0] == HEAD["1.1"]


def test_a_balancer_that_would_not_obey_is_told_before_anything_stops(stage: BalancedStage) -> None:
    records, nowhere = len(stage.records()), str(stage.folder / "no.sock")
    run = stage.play("rolling", release_version="1.2", traffic_haproxy_server="shop4")
    assert run.status == 2 and "Its balancer localhost: HAProxy" in run.output, run.output
    assert "knows no server shop4. It has shop/shop1, shop/shop2, shop/shop3, of_others/shop9" in run.output
    run = stage.play("maintenance_window", release_version="1.2", traffic_haproxy_socket=nowhere)
    assert run.status == 2 and f"can not be reached at {nowhere}" in run.output, run.output
    assert len(stage.records()) == records and serves(stage, "1.1")


def test_a_host_without_a_balancer_beside_those_that_have_one_lacks_nothing(stage: BalancedStage) -> None:
    path = stage.folder / "inventory.json"
    kept = path.read_text()
    inventory = json.loads(kept)
    inventory["all"]["children"]["application"]["hosts"]["shop3"]["traffic_method"] = "none"
    path.write_text(json.dumps(inventory))
    try:
        run = stage.play("maintenance_window", "--check", release_version="1.2")
    finally:
        path.write_text(kept)
    assert run.status == 0 and "Its balancer" not in run.output, run.output


def test_a_migration_that_is_blocked_gives_up_and_names_who_blocks_it(stage: BalancedStage) -> None:
    with stage.load() as load, stage.database.holding("select * from customers limit 1", application_name="night report"):
        run = stage.play("rolling", release_version="1.2", deployment_rolling_retries=2)
    assert run.status == 2 and "night report" in run.result["failure"]["message"], run.output
    assert (last(stage)["status"], last(stage)["batches_begun"]) == ("reverted", 0)
    assert load.unharmed and load.releases == {"1.1"}, load
    assert stage.contents()[0] == HEAD["1.1"] and serves(stage, "1.1")


def test_a_batch_that_fails_is_reverted_and_those_before_it_too(stage: BalancedStage) -> None:
    with stage.load() as load:
        run = stage.play("rolling", release_version="wont_start")
    assert run.status == 2, run.output
    record = last(stage)
    assert (record["status"], record["failure"]["hosts"], record["batches_begun"]) == ("reverted", ["shop2"], 2), run.output
    assert "shop2" in record["failure"]["message"]
    told = run.result
    assert told["verdict"]["text"] == "Not deployed: it was put back, and release 1.1 serves again."
    assert {(host["state"], host["release"]) for host in told["host_states"].values()} == {("serves", "1.1")}
    assert (told["database_revision"], told["data"]["lost"], told["downtime"]) == (["4ea17030c8dd"], "no", {})
    assert {"pass": "rolling", "step": "roll", "state": "failed"} in told["host_states"]["shop2"]["steps"]
    assert load.unharmed and load.releases == {"1.1", "wont_start"}, load
    assert serves(stage, "1.1") and stage.contents()[0] == "4ea17030c8dd"  # the expanded schema stays
    stage.downgrade("wont_start", HEAD["1.1"])


def test_a_host_that_is_lost_does_not_keep_the_others_from_going_back(stage: BalancedStage) -> None:
    flag = stage.folder / "lost" / "shop2"
    pull = {"ansible.builtin.file": {"path": str(flag), "state": "touch"}, "delegate_to": "localhost"}
    hook = stage.hook(
        "pull", [{"name": "Pull the cable", "when": "inventory_hostname == 'shop2' and deployment_pass == 'rolling'", **pull}]
    )
    with stage.load() as load:
        run = stage.play("rolling", release_version="1.2", deployment_hooks={"after_drain": hook})
        assert run.status == 4 and last(stage)["status"] == "halted", run.output  # Ansible's number for a lost host
        assert last(stage)["failure"]["hosts"] == ["shop2"] and "shop2: it could not be reached" in run.output
        assert [host.active for host in stage.hosts] == ["1.1", "1.1", "1.1"]
        assert stage.servers() == {"shop1": "UP", "shop2": "DRAIN", "shop3": "UP"}
        flag.unlink()
        again = stage.play("recover")
    assert again.status == 0 and last(stage)["status"] == "reverted", again.output
    assert load.unharmed and serves(stage, "1.1"), load


def test_a_good_release_and_its_rollback_fail_no_request(stage: BalancedStage) -> None:
    with stage.load() as load:
        run = stage.play("rolling", release_version="1.2", rolling_batch=[1, "67%"])
    assert run.status == 0, run.output
    assert (last(stage)["status"], last(stage)["batches"]) == ("finished", [["shop1"], ["shop2", "shop3"]])
    assert load.unharmed and load.releases == {"1.1", "1.2"}, load
    assert serves(stage, "1.2") and stage.contents()[0] == HEAD["1.2"] and Path(last(stage)["archive"]["path"]).exists()
    before, records = stage.contents(), len(stage.records())
    second = stage.play("rolling", release_version="1.2")
    assert (second.status, second.changed, second.result["outcome"]) == (0, 0, "nothing_to_do"), second.output
    assert stage.contents() == before and len(stage.records()) == records
    with stage.load() as load:
        back = stage.play("rollback")
    assert back.status == 0 and last(stage)["undoes"], back.output
    assert load.unharmed and serves(stage, "1.1") and stage.contents()[0] == HEAD["1.2"], load
    forward = stage.play("rolling", release_version="1.2")
    assert forward.status == 0 and serves(stage, "1.2"), forward.output


#: Where the controller dies (task, moment, which time), and what `recover` makes of it.
DEATHS = [
    ("Begin the record", "after", 1, "finished"),
    ("Upgrade the database", "before", 1, "finished"),
    ("Upgrade the database", "after", 1, "finished"),
    ("Tell HAProxy and wait until it is so", "after", 3, "finished"),
    ("Start the services of the host, and wait until they serve", "before", 2, "finished"),
    ("Start the services of the host, and wait until they serve", "after", 2, "finished"),
    ("Fill them in batches, until none is left", "before", 1, "finished"),
    ("Write the archive with the tool of the database", "before", 1, "finished"),
]


def names(stage: BalancedStage) -> list[tuple]:
    return stage.database.fetch("select count(*), count(full_name) from customers")


@pytest.mark.parametrize(("task", "moment", "number", "end"), DEATHS)
def test_a_deployment_whose_controller_died_is_recovered(
    stage: BalancedStage, task: str, moment: str, number: int, end: str
) -> None:
    """Release 2.0 on 1.2: expand, three batches, rows filled."""
    fill = {"deployment_backfill_command": ["python", "-m", "shop.fill", "20"]}
    with stage.load() as load:
        stage.killed_at("rolling", task, moment, number, release_version="2.0", **fill)
        assert last(stage)["status"] == "open"
        run = stage.play("recover", release_version="2.0", **fill)
    assert run.status == 0 and last(stage)["status"] == end, run.output
    assert load.unharmed and serves(stage, "2.0") and stage.contents()[0] == HEAD["2.0"], load
    assert names(stage) == [(50, 50)]
    back_to(stage, "1.2")


def test_a_way_back_that_was_cut_off_goes_on(stage: BalancedStage) -> None:
    hook = stage.hook(
        "fail", [{"name": "Fail", "ansible.builtin.fail": {"msg": "no luck"}, "when": "inventory_hostname == 'shop2'"}]
    )
    more = {"release_version": "2.0", "deployment_hooks": {"before_activate": hook}}
    with stage.load() as load:
        stage.killed_at("rolling", "Start the services of the host, and wait until they serve", "before", 2, **more)
        assert (last(stage)["status"], last(stage)["step"]) == ("open", "returning")
        run = stage.play("recover", release_version="2.0")
    assert run.status == 0 and last(stage)["status"] == "reverted", run.output
    assert load.unharmed and serves(stage, "1.2"), load
    stage.downgrade("2.0", HEAD["1.2"])


def roll(stage: BalancedStage, release: str, **more: object) -> tuple[Run, Load]:
    with stage.load() as load:
        run = stage.play("rolling", release_version=release, **more)
    return run, load


def left_behind(stage: BalancedStage, name: str, runs: str, active: str) -> None:
    """Let a host run one release while another is active on it."""
    host = next(host for host in stage.hosts if host.name == name)
    for release, action in ((runs, "restart"), (active, "status")):
        (host.root / "next").symlink_to(f"releases/{release}")
        (host.root / "next").rename(host.root / "current")
        subprocess.run([*stage.ctl, action, name], check=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    while host.health()[1].get("release") != runs:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_expand_and_contract_over_two_releases(stage: BalancedStage) -> None:
    """Last, since what is contracted is gone."""
    run, load = roll(stage, "2.0", deployment_backfill_command=["python", "-m", "shop.fill", "20"], rolling_batch="34%")
    assert run.status == 0 and load.unharmed and serves(stage, "2.0"), run.output
    assert names(stage) == [(50, 50)]
    # Where each part goes is not for the command line to say, which says where all of it goes.
    run, load = roll(stage, "2.1", schema_revision="heads", schema_models_check_enabled=True, schema_lock_timeout_seconds=60)
    assert run.status == 0 and load.unharmed and serves(stage, "2.1"), run.output
    assert stage.contents()[0] == HEAD["2.0"] and "The contract part (c0a4f6d81e37) waits" in run.output
    again = stage.play("rolling", release_version="2.1")
    assert (again.status, again.changed, again.result["outcome"]) == (0, 0, "nothing_to_do") and "waits" in again.output, (
        again.output
    )
    left_behind(stage, "shop3", "2.0", "2.1")
    refused = stage.play("rolling", release_version="2.1", deployment_rolling_contract="now")
    assert refused.status == 2 and "shop3: it runs release 2.0" in refused.output, refused.output
    assert stage.contents()[0] == HEAD["2.0"] and last(stage)["step"] == "archiving"
    left_behind(stage, "shop3", "2.1", "2.1")
    run, load = roll(stage, "2.1", deployment_rolling_contract="now")
    assert run.status == 0 and load.unharmed and serves(stage, "2.1"), run.output
    assert stage.contents()[0] == HEAD["2.1"] and Path(last(stage)["archive"]["path"]).exists()
    refused = stage.play("rollback")
    assert refused.status == 2 and serves(stage, "2.1"), refused.output


def test_no_secret_is_written_down(stage: BalancedStage) -> None:
    files = [path for folder in ("records", "archives") for path in (stage.folder / folder).rglob("*") if path.is_file()]
    assert len(files) > 5 and not [path for path in files if stage.database.password.encode() in path.read_bytes()]
