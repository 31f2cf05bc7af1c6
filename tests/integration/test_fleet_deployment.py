# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows of an application with a database for each customer: the playbooks as they are, on real services."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows.customers import NAMES, Customers, deployed
from flows.hooks import BACK, SERVED, THERE, Hooks
from flows.stage import Stage
from support.fleet import of_guide
from support.postgres import Postgres

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Customers]:
    """A stage where release 1.1 serves, and all databases are at its revision."""
    with deployed(tmp_path_factory.mktemp("customers") / "s", postgres, "1.1", "1.2", "2.0", "wont_start", count=1) as made:
        yield made


def test_a_first_deployment_makes_all_and_a_second_run_changes_nothing(shop: Customers) -> None:
    assert shop.serves("1.1") and len(set(shop.places().values())) == 1
    record = shop.records()[-1]
    assert record["status"] == "finished" and record["fleet"]["counts"]["targets"] == 3 and record["fleet"]["behind"] == []
    again = shop.play("maintenance_window", release_version="1.1")
    assert again.status == 0 and again.changed == 0 and again.result["outcome"] == "nothing_to_do", again.output


@pytest.mark.slow
def test_what_differs_is_told_and_refused_where_that_is_wanted(shop: Customers) -> None:
    before, records = shop.places(), len(shop.records())
    shop.databases["globex"].fetch("alter table customers add column country text")
    try:
        looked = shop.play("status")
        assert "3 databases, nothing is pending; 1 is not as the others" in looked.output, looked.output
        assert "globex: unlike acme: extra column public.customers.country" in looked.output, looked.output
        for told in ({"fleet_drift": "refuse"}, {"deployment_rehearsal_binding_enabled": "true"}):
            refused = shop.play("maintenance_window", release_version="1.2", **told)
            assert refused.status == 2 and "Nothing was touched" in refused.output, refused.output
        checked = shop.play("maintenance_window", "--check", release_version="1.2")
        assert checked.status == 0 and checked.output.count("-- Running run c64b2e98d075") == 1, checked.output
        assert shop.places() == before and len(shop.records()) == records and shop.serves("1.1")
    finally:
        shop.databases["globex"].fetch("alter table customers drop column country")


def test_playbooks_that_know_one_database_say_so(shop: Customers) -> None:
    records = len(shop.records())
    refused = shop.play("restore", release_version="1.2")
    assert refused.status == 2 and "No host was touched" in refused.output and "say which one" in refused.output, refused.output
    refused = shop.play("prune")
    assert refused.status == 2 and "fleet_snapshot_keep" in refused.output and "No host was touched" in refused.output, (
        refused.output
    )
    assert len(shop.records()) == records and shop.serves("1.1")


@pytest.mark.slow
def test_each_may_be_a_host_of_the_inventory_that_nobody_connects_to(shop: Customers) -> None:
    of_each, of_all = yaml.safe_load(of_guide("groups.customers")).values()
    hosts = {
        name: {"ansible_connection": "ssh", "customer_url": f"{{{{ lookup('ansible.builtin.env', 'SHOP_OF_{name.upper()}') }}}}"}
        for name in NAMES
    }
    inventory = shop.folder / "customers.json"
    inventory.write_text(json.dumps({"customers": {"hosts": hosts, "vars": {"customer_database": of_each}}}))
    looked = shop.play("status", "-i", str(inventory), fleet_databases=of_all)
    assert looked.status == 0 and "3 databases, nothing is pending" in looked.output, looked.output
    again = shop.play("maintenance_window", "-i", str(inventory), fleet_databases=of_all, release_version="1.1")
    assert again.status == 0 and again.result["outcome"] == "nothing_to_do", again.output
    assert [line["targets"] for line in again.result["databases"]] == [list(NAMES)]


@pytest.mark.slow
def test_the_plan_of_a_release(shop: Customers) -> None:
    planned = shop.play("plan", release_version="1.2")
    assert planned.status == 0 and "acme, globex, hooli" in planned.output and "Customers have a country" in planned.output, (
        planned.output
    )


@pytest.mark.slow
def test_each_has_an_archive_and_one_is_restored(shop: Customers) -> None:
    """One that can not be archived keeps none of the others from it, and what is restored of one is of that alone."""
    assert shop.play("backup").status == 0
    archives = {
        database.name: list((shop.folder / "archives").glob(f"{database.name}*.pgc")) for database in shop.databases.values()
    }
    assert all(len(found) == 1 for found in archives.values()), archives
    looked = shop.play("status")
    assert looked.status == 0 and "3 of 3 databases have one; the newest of each is" in " ".join(looked.output.split()), (
        looked.output
    )
    assert all(str(found[0]) in looked.output for found in archives.values()), looked.output
    odd = [{"name": "nobody", "url": "postgresql+psycopg://nobody@127.0.0.1:1/nothing"}]
    partly = shop.play("backup", fleet_databases=[*odd, *shop.variables["fleet_databases"][:1]])
    assert partly.status == 2 and "1 of 2 databases were not archived: nobody" in partly.output, partly.output
    assert len(list((shop.folder / "archives").glob(f"{shop.database.name}*.pgc"))) == 2

    hidden = shop.play("backup", schema_database_url="{{ lookup('ansible.builtin.env', 'SHOP_DATABASE_URL') }}")
    assert hidden.status == 2 and "wins over the URL of each" in hidden.output and "No host was touched" in hidden.output
    assert len(list((shop.folder / "archives").glob(f"{shop.database.name}*.pgc"))) == 2

    globex, acme = shop.databases["globex"], shop.databases["acme"]
    for database in (globex, acme):
        database.fetch("insert into customers (name, email) values ('late', 'late@example.org')")
    only = yaml.safe_load(of_guide("only_acme.yml"))
    assert only.pop("schema_database_url") == "{{ shop_url_of_acme }}"
    given = {**only, "schema_database_url": "{{ lookup('ansible.builtin.env', 'SHOP_OF_GLOBEX') }}"}
    chosen = {"deployment_restore_from": str(archives[globex.name][0])}
    asked = shop.play("restore", **chosen, **given)
    assert asked.status == 2 and "Nothing was touched" in asked.output and shop.serves("1.1"), asked.output
    run = shop.play("restore", **chosen, **given, deployment_rows_given_up=-1)
    assert run.status == 0 and shop.serves("1.1"), run.output
    late = "select count(*) from customers where name = 'late'"
    assert globex.fetch(late) == [(0,)] and acme.fetch(late) == [(1,)]
    acme.fetch("delete from customers where name = 'late'")


def test_one_that_fails_takes_all_back(shop: Customers, tmp_path: Path) -> None:
    hooks, before = Hooks(tmp_path / "hooks"), shop.places()
    shop.databases["globex"].fetch("alter table customers add column country text")
    shop.databases["hooli"].fetch("insert into customers (name, email) values ('stays', 'stays@example.org')")
    try:
        run = shop.play("maintenance_window", release_version="1.2", deployment_hooks=hooks.files())
        assert run.status == 2 and run.result["outcome"] == "reverted" and "globex" in run.result["failure"]["message"], run.output
        assert shop.places() == before and shop.serves("1.1")
        # The call that upgrades them puts them back too.
        assert set(hooks.order) == {*THERE, *BACK} - {"after_snapshot", "after_upgrade", "before_restore", "after_restore"}
        assert shop.databases["hooli"].fetch("select count(*) from customers where name = 'stays'") == [(1,)]
        assert {line["step"] for line in shop.ledger() if line["target"] == "acme"} >= {"saving"}
        assert shop.records()[-1]["status"] == "reverted"
    finally:
        shop.databases["globex"].fetch("alter table customers drop column country")


@pytest.mark.slow
def test_a_release_that_does_not_start_takes_all_back(shop: Customers) -> None:
    before = shop.places()
    run = shop.play("maintenance_window", release_version="wont_start")
    assert run.status == 2 and run.result["outcome"] == "reverted", run.output
    assert shop.places() == before and shop.serves("1.1")
    last = {line["target"]: line["step"] for line in shop.ledger()}
    assert last == dict.fromkeys(NAMES, "returned") and {"upgraded"} <= {line["step"] for line in shop.ledger()}


@pytest.mark.slow
def test_halt_leaves_all_where_they_are_until_somebody_decides(shop: Customers) -> None:
    before = shop.places()
    shop.databases["hooli"].fetch("alter table customers add column country text")
    try:
        run = shop.play("maintenance_window", release_version="1.2", fleet_on_failure="halt", fleet_parallel=1)
        assert run.status == 2 and run.result["outcome"] == "halted" and shop.serving() == {("1.1", 0, "")}, run.output
        assert "deployment_recover_direction=finish" in run.output and "deployment_recover_direction=revert" in run.output
        still = shop.play("recover", release_version="1.2")
        assert still.status == 2 and still.result["outcome"] == "halted", still.output
        back = shop.play("recover", release_version="1.2", deployment_recover_direction="revert")
        assert back.status == 0 and back.result["outcome"] == "reverted", back.output
        assert shop.places() == before and shop.serves("1.1")
    finally:
        shop.databases["hooli"].fetch("alter table customers drop column country")


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_that_was_killed_in_the_upgrade_can_be_taken_back(shop: Customers, moment: str) -> None:
    before = shop.places()
    killed = shop.killed_at("maintenance_window", "Upgrade the databases", moment, 2, release_version="1.2")
    assert shop.records()[-1]["step"] == "upgrading" and shop.serving() == {("1.1", 0, "")}, killed.output
    if moment == "after":
        assert len(set(shop.places().values()) - set(before.values())) == 1
    back = shop.play("recover", release_version="1.2", deployment_recover_direction="revert")
    assert back.status == 0 and back.result["outcome"] == "reverted", back.output
    assert shop.places() == before and shop.serves("1.1")


@pytest.mark.slow  # test_fleet_ledger kills the module every day
def test_a_run_that_was_killed_in_the_upgrade_is_finished(shop: Customers) -> None:
    """From here on release 1.2 serves."""
    before = shop.places()
    shop.killed_at("maintenance_window", "Upgrade the databases", "before", 2, release_version="1.2")
    run = shop.play("recover", release_version="1.2")
    assert run.status == 0 and run.result["outcome"] == "finished", run.output
    assert shop.serves("1.2") and len(set(shop.places().values())) == 1 and set(shop.places().values()).isdisjoint(before.values())
    assert [line["step"] for line in shop.ledger() if line["target"] == "acme"] == ["saving", "upgrading", "upgraded"]
    assert shop.records()[-1]["fleet"]["counts"]["changed"] == 3


@pytest.mark.slow
def test_a_finished_deployment_is_undone_where_each_can_go_back(shop: Customers) -> None:
    """Release 1.2 serves before and after."""
    before, records = shop.places(), len(shop.records())
    shop.databases["hooli"].fetch("insert into customers (name, email) values ('late', 'late@example.org')")
    refused = shop.play("rollback")
    assert refused.status == 2 and "Nothing was touched. hooli: 1 rows written since" in refused.output, refused.output
    assert shop.places() == before and len(shop.records()) == records and shop.serves("1.2")
    shop.killed_at("rollback", "Bring the databases back to where they were", "before", 1, fleet_rows_given_up=1)
    assert shop.records()[-1]["kind"] == "rollback" and shop.records()[-1]["step"] == "restoring"
    back = shop.play("recover", fleet_rows_given_up=1)
    assert back.status == 0 and back.result["outcome"] == "finished" and shop.serves("1.1"), back.output
    assert len(set(shop.places().values())) == 1 and set(shop.places().values()).isdisjoint(before.values())
    assert shop.databases["hooli"].fetch("select count(*) from customers where name = 'late'") == [(0,)]
    again = shop.play("rollback")
    assert again.status == 2 and "is a rollback" in again.output, again.output
    forward = shop.play("maintenance_window", release_version="1.2")
    assert forward.status == 0 and shop.places() == before and shop.serves("1.2"), forward.output


@pytest.mark.slow
def test_one_that_fails_goes_back_alone_and_the_release_serves_without_it(shop: Customers, tmp_path: Path) -> None:
    hooks = Hooks(tmp_path / "hooks")
    before = shop.places()
    shop.databases["globex"].fetch("alter table customers add column full_name text")
    told = {"fleet_on_failure": "one", "fleet_max_failures": "1"}
    run = shop.play("maintenance_window", release_version="2.0", **told)
    assert run.status == 2 and run.result["outcome"] == "finished" and shop.serves("2.0"), run.output
    assert "1 of 3 databases is not at the release: globex (migration_failed)" in run.output
    now = shop.places()
    assert now["globex"] == before["globex"] and now["acme"] == now["hooli"] != before["acme"]
    assert shop.records()[-1]["fleet"]["behind"] == ["globex"] and shop.records()[-1]["status"] == "finished"
    looked = shop.play("status")
    assert "3 databases, 1 with something pending" in looked.output, looked.output

    shop.databases["globex"].fetch("alter table customers drop column full_name")
    rest = shop.play("maintenance_window", release_version="2.0", deployment_hooks=hooks.files(), **told)
    assert set(hooks.order) == {*THERE, *SERVED}
    assert rest.status == 0 and len(set(shop.places().values())) == 1 and shop.serves("2.0"), rest.output
    assert shop.records()[-1]["fleet"]["behind"] == [] and shop.snapshots() <= 2 * len(NAMES)


@pytest.mark.slow
def test_schemas_of_one_database(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> None:
    """A schema cannot be copied, so each goes back by its downgrades; the one that the application serves from is among them."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    names = ["public", "acme", "globex"]
    given = {
        "fleet_databases": [{"name": name, "schema": name} for name in names],
        "fleet_schema_search_path_enabled": True,
        "fleet_rows_given_up": 0,
    }
    made = Stage(tmp_path_factory.mktemp("schemas") / "s", postgres, count=1, variables=given)
    for name in names[1:]:
        made.database.fetch(f"create schema {name} authorization {made.database.role}")
    made.archive("1.1", "1.2")

    def places() -> list[str]:
        return [made.database.fetch(f"select version_num from {name}.alembic_version")[0][0] for name in names]

    try:
        first = made.play("maintenance_window", release_version="1.1")
        assert first.status == 0 and len(set(places())) == 1, first.output
        before = places()
        made.database.fetch("alter table globex.customers add column country text")
        run = made.play("maintenance_window", release_version="1.2")
        assert run.status == 2 and run.result["outcome"] == "reverted" and places() == before, run.output
        assert made.serving() == {("1.1", 200, "1.1")}
        made.database.fetch("alter table globex.customers drop column country")
        done = made.play("maintenance_window", release_version="1.2")
        assert done.status == 0 and len(set(places())) == 1 and places() != before, done.output
        assert "3 databases, nothing is pending" in made.play("status").output
    finally:
        made.close()
