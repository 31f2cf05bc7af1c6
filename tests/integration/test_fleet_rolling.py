# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling deployments of an application with a database for each customer: what is expanded and contracted, and when it waits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flows.customers import NAMES, Customers, Places, deployed
from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(3600), pytest.mark.slow]
SOON = {"deployment_rolling_retries": 1, "deployment_rolling_lock_timeout_seconds": 1}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Customers]:
    """A stage where release 1.1 serves on two hosts, and all databases are at its revision."""
    answers = {"health_release_key": "release"}
    with deployed(
        tmp_path_factory.mktemp("rolled") / "s", postgres, "1.1", "1.2", "2.0", "2.1", count=2, variables=answers
    ) as made:
        yield made


def busy(shop: Customers, name: str) -> object:
    """A reader of that customer's database who keeps each change of its table waiting."""
    return shop.databases[name].holding("select * from customers limit 1", application_name="night report")


def places_of(shop: Customers, revision: str) -> Places:
    return dict.fromkeys(NAMES, revision)


def test_what_a_host_has_to_keep_is_not_asked_of_a_cluster(shop: Customers) -> None:
    records = len(shop.records())
    for given, told in (
        ({"schema_runner": "kubernetes_job"}, "set schema_runner to host"),
        ({"deployment_record_store": "configmap"}, "set deployment_record_store to directory"),
    ):
        refused = shop.play("rolling", release_version="1.2", **given)
        assert refused.status == 2 and told in refused.output and "No host was touched" in refused.output, refused.output
    assert len(shop.records()) == records and shop.serves("1.1")


def test_one_that_fails_takes_all_back_and_no_host_is_touched(shop: Customers) -> None:
    before, copies = shop.places(), shop.snapshots()
    with busy(shop, "globex"):
        run = shop.play("rolling", release_version="1.2", **SOON)
    assert run.status == 2 and run.result["outcome"] == "reverted" and "night report" in run.output, run.output
    assert shop.records()[-1]["batches_begun"] == 0 and shop.places() == before and shop.serves("1.1")
    assert shop.snapshots() == copies  # an old copy would lose what is written meanwhile
    assert "halt" not in run.result["failure"]["message"] + run.result["message"], run.result
    assert [(line["count"], line["remark"]) for line in run.result["databases"]] == [(3, "")], run.result["databases"]


def test_halt_leaves_each_where_it_is_until_somebody_decides(shop: Customers) -> None:
    before = shop.places()
    with busy(shop, "globex"):
        run = shop.play("rolling", release_version="1.2", fleet_on_failure="halt", **SOON)
    left = shop.places()
    assert run.status == 2 and run.result["outcome"] == "halted" and "fleet_on_failure=halt" in run.output, run.output
    assert left["globex"] == before["globex"] and left["acme"] != before["acme"] and shop.serves("1.1")
    for direction in ("finish", "revert"):
        assert f"deployment_recover_direction={direction}" in run.output
    refused = shop.play("rolling", release_version="1.2")
    assert refused.status == 2 and shop.places() == left, refused.output
    still = shop.play("recover", release_version="1.2")
    assert still.status == 2 and still.result["outcome"] == "halted" and shop.places() == left, still.output
    back = shop.play("recover", release_version="1.2", deployment_recover_direction="revert")
    assert back.status == 0 and back.result["outcome"] == "reverted" and shop.places() == before, back.output
    assert shop.records()[-1]["batches_begun"] == 0 and shop.serves("1.1")


def test_a_run_that_was_killed_in_the_expand_part_is_finished(shop: Customers) -> None:
    """From here on release 1.2 serves."""
    before = shop.places()
    shop.killed_at("rolling", "Upgrade the databases", "after", 2, release_version="1.2")
    record = shop.records()[-1]
    assert (record["status"], record["step"], record["batches_begun"]) == ("open", "expanding", 0) and shop.serves("1.1")
    run = shop.play("recover", release_version="1.2")
    assert run.status == 0 and run.result["outcome"] == "finished" and shop.serves("1.2"), run.output
    assert len(set(shop.places().values())) == 1 and shop.places() != before
    assert [line["step"] for line in shop.ledger() if line["target"] == "acme"] == ["upgrading", "upgraded"]
    again = shop.play("rolling", release_version="1.2")
    assert (again.status, again.changed, again.result["outcome"]) == (0, 0, "nothing_to_do"), again.output


def test_the_former_release_comes_back_on_the_databases_as_they_are(shop: Customers) -> None:
    before = shop.places()
    back = shop.play("rollback")
    assert back.status == 0 and shop.records()[-1]["undoes"] and shop.serves("1.1") and shop.places() == before, back.output
    again = shop.play("rolling", release_version="1.2")
    assert again.status == 0 and shop.serves("1.2"), again.output


def test_one_that_is_behind_keeps_none_from_the_release(shop: Customers) -> None:
    """From here on release 2.0 serves."""
    before = shop.places()
    told = {"fleet_on_failure": "one", "fleet_max_failures": "1"}
    with busy(shop, "globex"):
        run = shop.play("rolling", release_version="2.0", **SOON, **told)
    assert run.status == 2 and run.result["outcome"] == "finished" and shop.serves("2.0"), run.output
    now = shop.places()
    assert now["globex"] == before["globex"] and now["acme"] == now["hooli"] != before["acme"]
    assert shop.records()[-1]["fleet"]["behind"] == ["globex"]
    assert [line["targets"] for line in run.result["databases"]] == [["acme", "hooli"], ["globex"]]
    with busy(shop, "globex"):
        halted = shop.play("rolling", release_version="2.0", fleet_on_failure="halt", **SOON)
    assert halted.status == 2 and halted.result["outcome"] == "halted" and shop.places() == now and shop.serves("2.0"), (
        halted.output
    )
    rest = shop.play("recover", release_version="2.0", deployment_recover_direction="finish")
    assert rest.status == 0 and shop.places() == places_of(shop, now["acme"]) and shop.serves("2.0"), rest.output
    assert shop.play("rolling", release_version="2.0", **told).result["outcome"] == "nothing_to_do"


def archives(shop: Customers) -> set[str]:
    return {path.name for path in (shop.folder / "archives").glob("*.pgc")}


def test_the_contract_part_follows_when_every_database_is_through(shop: Customers) -> None:
    """Last, since what is contracted is gone. One can not be contracted, and then the run that does the rest is killed."""
    run = shop.play("rolling", release_version="2.1")
    before = shop.places()
    assert run.status == 0 and shop.serves("2.1") and len(set(before.values())) == 1 and "waits" in run.output, run.output
    with busy(shop, "globex"):
        run = shop.play("rolling", release_version="2.1", deployment_rolling_contract="now", **SOON)
    assert run.status == 2 and run.result["outcome"] == "finished" and "After the rollout" in run.output, run.output
    now = shop.places()
    assert now["globex"] == before["globex"] and now["acme"] != before["acme"] and shop.serves("2.1")
    assert "globex (lock_timeout)" in run.output and "halt" not in run.result["failure"]["message"], run.output
    assert archives(shop) == {f"{base.name}-{run.result['id']}-{name}.pgc" for name, base in shop.databases.items()}
    shop.killed_at("rolling", "Upgrade the databases", "before", 2, release_version="2.1", deployment_rolling_contract="now")
    assert shop.records()[-1]["step"] == "contracting" and shop.places() == now and len(archives(shop)) == 6
    written = archives(shop)
    rest = shop.play("recover", release_version="2.1", deployment_rolling_contract="now")
    assert rest.status == 0 and len(set(shop.places().values())) == 1 and shop.places()["globex"] != before["globex"], rest.output
    assert archives(shop) == written, "one of what was contracted meanwhile would say that it is of before"
    refused = shop.play("rollback")
    assert refused.status == 2 and "the former release can not serve" in refused.output and shop.serves("2.1"), refused.output
