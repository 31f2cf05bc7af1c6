# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many databases of one application in one call: schemas, databases and files, of which some fail in their data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import quote

import pytest

from support.application import Application, failed, ok, revisions
from support.fleet import Fleet, Watch, databases, entry, outcomes, schemas
from support.mariadb import MariaDB
from support.postgres import Postgres, PostgresDatabase
from support.runner import command_lines
from support.sqlite import SqliteDatabase
from support.waiting import PATIENCE, Gate, until

BAD = ("tenant_02", "tenant_05", "tenant_11")
SLEEPING = "query like '%%pg_sleep%%' and state = 'active'"


def heads(database: Any, schema: str = "public") -> list[str]:
    """What the database itself says."""
    found = database.fetch(f"select to_regclass('{schema}.alembic_version')::text")
    return [] if found == [(None,)] else [row[0] for row in database.fetch(f"select version_num from {schema}.alembic_version")]


def clash(database: Any, schema: str = "public") -> None:
    """Make the last revision of `linear` fail: it adds a user who is there."""
    database.fetch(f"insert into {schema}.users (id, name) values (1, 'somebody')")


@pytest.fixture
def eight(postgres: Postgres) -> Iterator[list[PostgresDatabase]]:
    with databases(postgres, 8) as made:
        yield made


def fleet_of(app: Application, made: list[PostgresDatabase], home: Path, project: str = "linear", **more: Any) -> Fleet:
    """Databases that are called a, b, c …"""
    targets = [{"name": chr(97 + number), "url": database.url()} for number, database in enumerate(made)]
    return Fleet(app, app.project(project), targets, home, **more)


def test_schemas_of_which_some_fail_in_their_data(newest: Application, pg: PostgresDatabase, tmp_path: Path) -> None:
    names = schemas(pg, 12)
    targets = [{"name": name, "schema": name} for name in names]
    given = {"url": pg.url(), "url_x_argument": "url", "schema_x_argument": "tenant", "parallel": 3, "max_failures": "100%"}
    fleet = Fleet(newest, newest.project("x_args"), targets, tmp_path, **given)
    assert ok(fleet.run(revision="r002"))["counts"]["changed"] == 12
    for name in BAD:
        clash(pg, name)

    with Watch(pg.server, pg.role) as watch:
        result = failed(fleet.run(), "targets_failed")
    assert 2 <= watch.most <= 6, "two connections for each of three targets"
    assert {name: heads(pg, name) for name in names} == {name: ["r004"] if name in BAD else ["r005"] for name in names}
    assert [item["name"] for item in result["targets"]] == names and result["failed_targets"] == list(BAD)
    assert result["counts"] == {"targets": 12, "changed": 9, "unchanged": 0, "failed": 3, "not_begun": 0} and result["changed"]
    one = entry(result, BAD[0])
    assert (one["before"], one["after"], one["state"], one["pending"]) == (["r002"], ["r004"], "between", ["r005"])
    assert revisions(one["applied"]) == ["r003", "r004"] and one["schema"] == BAD[0] and one["changed"]
    assert one["failure"]["kind"] == "migration_failed" and one["failure"]["revision"] == "r005"
    assert "INSERT INTO users" in one["failure"]["statement"] and one["failure"]["file"].endswith("r005_first_user.py")
    assert [(group["at"], group["count"]) for group in result["groups"]] == [(["r005"], 9), (["r004"], 3)]
    assert all(name in result["msg"] for name in BAD) and result["stopped"] is None

    for name in BAD:
        pg.fetch(f"delete from {name}.users")
    second = ok(fleet.run())
    assert [name for name, outcome in outcomes(second).items() if outcome == "changed"] == list(BAD)
    assert all(heads(pg, name) == ["r005"] for name in names)
    third = ok(fleet.run())
    assert third["changed"] is False and set(outcomes(third).values()) == {"unchanged"}


def test_no_further_one_is_begun_when_too_many_have_failed(
    newest: Application, eight: list[PostgresDatabase], tmp_path: Path
) -> None:
    fleet = fleet_of(newest, eight, tmp_path, parallel=1)
    ok(fleet.run(revision="r004"))
    for number in (1, 3, 4):
        clash(eight[number])
    result = failed(fleet.run(max_failures="25%"), "targets_failed")  # of 8: two may fail
    assert "".join(outcome[0] for outcome in outcomes(result).values()) == "cfcffnnn" and result["stopped"] == "max_failures"
    assert result["not_begun"] == ["f", "g", "h"] and "max_failures" in result["msg"]
    assert [heads(database) for database in eight[5:]] == [["r004"]] * 3
    assert entry(result, "f")["after"] is None and entry(result, "f")["failure"] is None
    for number in (1, 3, 4):
        eight[number].fetch("delete from users")
    rest = ok(fleet.run())
    assert "".join(outcome[0] for outcome in outcomes(rest).values()) == "ucuccccc"
    assert [heads(database) for database in eight] == [["r005"]] * 8


def test_a_canary_that_fails_keeps_all_others_where_they_are(
    newest: Application, eight: list[PostgresDatabase], tmp_path: Path
) -> None:
    fleet = fleet_of(newest, eight, tmp_path, parallel=8)
    fleet.targets[6]["labels"] = ["first"]
    ok(fleet.run(revision="r004"))
    clash(eight[6])
    result = failed(fleet.run(canary=["first", "c"], max_failures="100%"), "targets_failed")
    assert "".join(outcome[0] for outcome in outcomes(result).values()) == "nncnnnfn" and result["stopped"] == "canary"
    assert [number for number, database in enumerate(eight) if heads(database) == ["r005"]] == [2]
    assert [item["name"] for item in result["targets"] if item["canary"]] == ["c", "g"] and "a canary failed" in result["msg"]
    eight[6].fetch("delete from users")
    assert ok(fleet.run(canary=["first", "c"]))["counts"]["changed"] == 7


@pytest.mark.parametrize("per_server", [None, 1])
def test_no_more_at_a_time_than_may_be(
    newest: Application, eight: list[PostgresDatabase], tmp_path: Path, per_server: int | None
) -> None:
    """All that run wait in their second revision, so that nobody has to be quick to count them."""
    gate = Gate(tmp_path / "open")
    fleet = fleet_of(newest, eight, tmp_path, "slow", parallel=3, parallel_per_server=per_server, environment=gate.environment)
    for target in fleet.targets[4:]:  # by this name it is another server
        target["url"] = target["url"].replace("127.0.0.1", "localhost")
    most = 2 if per_server else 3
    where = "usename in ({})".format(", ".join(f"'{database.role}'" for database in eight))
    run = fleet.start()

    def count(more: str = "true") -> int:
        return int(eight[0].server.fetch(f"select count(*) from pg_stat_activity where {where} and {more}")[0][0])

    until(lambda: count(SLEEPING.replace("%%", "%")) == most, f"{most} migrations")
    assert count() == 2 * most, "one for the migration and one for the lock"
    running = [number for number, database in enumerate(eight) if database.sessions()]
    assert running == ([0, 4] if per_server else [0, 1, 2])
    gate.open()
    assert ok(run.result())["counts"]["changed"] == 8 and not count()


def test_check_mode_changes_nothing_and_shows_each_move_once(
    newest: Application, eight: list[PostgresDatabase], tmp_path: Path
) -> None:
    fleet = fleet_of(newest, eight, tmp_path)
    ok(fleet.run(revision="r003"))
    fleet.targets, rest = fleet.targets[:2], fleet.targets
    ok(fleet.run())
    fleet.targets = rest
    before = [database.dump() for database in eight[1:3]]
    result = ok(fleet.run(check=True, diff=True))
    assert [database.dump() for database in eight[1:3]] == before
    assert [heads(database) for database in eight] == [["r005"]] * 2 + [["r003"]] * 6
    assert result["changed"] and "".join(outcome[0] for outcome in outcomes(result).values()) == "uucccccc"
    assert entry(result, "c")["after"] == ["r003"] and entry(result, "c")["pending"] == ["r004", "r005"]
    shown = [item.get("before_header") or item["prepared"].splitlines()[0] for item in result["diff"]]
    assert shown == ["c, d, e, f, g and 1 more (revision)", "-- r004 index users.email", "-- r005 first user"]
    assert "CREATE INDEX users_email" in result["diff"][1]["prepared"]
    told = ok(fleet.run(diff=True))
    assert [item["before_header"] for item in told["diff"]] == ["c, d, e, f, g and 1 more (revision)"]
    assert ok(fleet.run(check=True))["changed"] is False


def test_reading_tells_where_each_stands_and_goes_on_whatever_fails(
    newest: Application, eight: list[PostgresDatabase], tmp_path: Path
) -> None:
    fleet = fleet_of(newest, eight, tmp_path)
    fleet.targets = fleet.targets[:2]
    ok(fleet.run())
    fleet.targets = fleet_of(newest, eight, tmp_path).targets[:5]
    eight[1].fetch("update alembic_version set version_num = 'f00d'")
    fleet.targets[2]["url"] = eight[2].url(password="wrong")
    before = [database.dump() for database in eight[:3]]
    result = failed(fleet.run("current"), "targets_failed")
    assert [database.dump() for database in eight[:3]] == before and not result["changed"]
    states = [(item["state"], item["after"]) for item in result["targets"]]
    assert states[:2] == [("at_target", ["r005"]), ("unknown_revision", ["f00d"])]
    assert states[2:] == [("unknown", None), ("uninitialised", []), ("uninitialised", [])]
    assert entry(result, "c")["failure"]["kind"] == "authentication_failed" and result["stopped"] is None
    fleet.targets = [fleet.targets[0]]
    assert ok(fleet.run("current", revision="r003"))["targets"][0]["state"] == "ahead"


@pytest.mark.core
def test_stamping_and_going_back(app: Application, eight: list[PostgresDatabase], tmp_path: Path) -> None:
    fleet = fleet_of(app, eight[:3], tmp_path)
    ok(fleet.run())
    assert ok(fleet.run("downgraded", revision="r002"))["counts"]["changed"] == 3
    assert [heads(database) for database in eight[:3]] == [["r002"]] * 3 and "orders" not in eight[0].tables()
    assert ok(fleet.run("stamped", revision="r003"))["counts"]["changed"] == 3
    assert [heads(database) for database in eight[:3]] == [["r003"]] * 3 and "orders" not in eight[0].tables()
    assert ok(fleet.run("stamped", revision="r003"))["changed"] is False


@pytest.mark.core(quick=True)
def test_a_target_takes_two_sessions(app: Application, eight: list[PostgresDatabase], tmp_path: Path) -> None:
    """That of the migration, and that of the lock, which looks afterwards what has become of it."""

    server, names = eight[0].server, [database.name for database in eight[:4]]

    def sessions() -> list[int]:
        open_still = "select from pg_stat_activity where datname = any(%s)"
        until(lambda: not server.fetch(open_still, [names]), "the end of the sessions")
        found = dict(server.fetch("select datname, sessions from pg_stat_database where datname = any(%s)", [names]))
        return [found[name] for name in names]

    fleet = fleet_of(app, eight[:4], tmp_path, parallel=2)
    assert ok(fleet.run(revision="r002"))["counts"]["changed"] == 4
    before = sessions()
    assert ok(fleet.run())["counts"]["changed"] == 4
    assert [now - then for now, then in zip(sessions(), before)] == [2] * 4


def test_one_dies_and_the_others_arrive(newest: Application, eight: list[PostgresDatabase], tmp_path: Path) -> None:
    fleet = fleet_of(newest, eight[:3], tmp_path, "dies", max_failures="1")
    for target, how in zip(fleet.targets, ("SIGKILL", "SIGCONT", "SIGCONT")):  # the latter is nothing to a process that runs
        target["environment"] = {"DIES_HOW": how}
    result = failed(fleet.run(), "targets_failed")
    assert "".join(outcome[0] for outcome in outcomes(result).values()) == "fcc"
    one = entry(result, "a")
    assert (
        one["failure"]["kind"] == "worker_died" and one["failure"]["revision"] == "d002" and "SIGKILL" in one["failure"]["message"]
    )
    assert (one["after"], one["state"]) == (["d001"], "between") and heads(eight[0]) == ["d001"]
    assert [heads(database)[0] for database in eight[1:3]] == [entry(result, name)["after"][0] for name in "bc"] != ["d001"] * 2


def test_two_targets_that_are_one_database_are_a_mistake(
    newest: Application, eight: list[PostgresDatabase], tmp_path: Path
) -> None:
    """The project reads its URL from the ini, so that the variable of a target changes nothing."""
    fleet = Fleet(newest, newest.project("linear", eight[0]), [], tmp_path, max_failures="100%")
    fleet.targets = [{"name": name, "environment": {"TENANT": name}} for name in ("a", "b", "c")]
    for state in ("current", "upgraded"):
        result = failed(fleet.run(state), "targets_failed")
        kinds = [item["failure"]["kind"] for item in result["targets"] if item["failure"]]
        assert kinds == ["wrong_database"] * 2 and "environment" in str([item["failure"] for item in result["targets"]])


def test_one_database_by_two_addresses_is_a_mistake_too(newest: Application, eight: list[PostgresDatabase], tmp_path: Path) -> None:
    """What the options say is different; the server says that it is the same."""
    fleet = fleet_of(newest, eight[:3], tmp_path, max_failures="100%", parallel=1)
    fleet.targets.append({"name": "d", "url": eight[1].url().replace("127.0.0.1", "localhost")})
    for state in ("current", "upgraded"):
        result = failed(fleet.run(state), "targets_failed")
        assert [item["failure"] and item["failure"]["kind"] for item in result["targets"]] == [None] * 3 + ["wrong_database"]
        assert "target b" in entry(result, "d")["failure"]["message"] and "served_by" not in str(result)


def test_a_url_that_nobody_has_given_is_told_as_that(newest: Application, tmp_path: Path) -> None:
    result = failed(Fleet(newest, newest.project("linear"), [{"name": "a"}], tmp_path).run("current"), "targets_failed")
    assert "no other was given" in result["targets"][0]["failure"]["hint"]


def test_schemas_by_the_search_path_of_their_sessions(newest: Application, pg: PostgresDatabase, tmp_path: Path) -> None:
    """A project that knows nothing of schemas; one of them has a name that has to be quoted."""
    names = [*schemas(pg, 2), 'Müller & "Sons"']
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    pg.fetch(f"create schema {quoted[-1]} authorization {pg.role}".replace("%", "%%"))
    targets = [{"name": name, "schema": name} for name in names]
    fleet = Fleet(newest, newest.project("linear"), targets, tmp_path, url=pg.url(), schema_search_path=True)
    assert ok(fleet.run(check=True, diff=True))["counts"]["changed"] == 3 and pg.tables(names[0]) == []
    assert ok(fleet.run())["counts"]["changed"] == 3
    assert [heads(pg, name) for name in quoted] == [["r005"]] * 3 and pg.tables() == []
    fleet.targets.append({"name": "gone", "schema": "gone"})
    result = failed(fleet.run(), "targets_failed")
    assert list(outcomes(result).values()) == ["unchanged"] * 3 + ["failed"] and pg.tables() == []


def test_files(newest: Application, tmp_path: Path) -> None:
    files = [SqliteDatabase(tmp_path / f"{number}.sqlite") for number in range(5)]
    targets = [{"name": f"file {number}", "url": file.url()} for number, file in enumerate(files)]
    fleet = Fleet(newest, newest.project("linear"), targets, tmp_path, parallel=5, parallel_per_server=1, batches=["1", "100%"])
    assert ok(fleet.run(check=True))["changed"] and not any(file.path.exists() and file.tables() for file in files)
    result = ok(fleet.run())
    assert [file.fetch("select version_num from alembic_version") for file in files] == [[("r005",)]] * 5
    assert {item["server"] for item in result["targets"]} == {""} and not ok(fleet.run())["changed"]


@pytest.mark.slow
def test_databases_of_mariadb(newest: Application, mariadb: MariaDB, tmp_path: Path) -> None:
    made = [mariadb.database() for _ in range(3)]
    try:
        targets = [{"name": database.name, "url": database.url()} for database in made]
        fleet = Fleet(newest, newest.project("linear"), targets, tmp_path, max_failures="1")
        ok(fleet.run(revision="r004"))
        made[1].fetch("insert into users (id, name) values (1, 'somebody')")
        result = failed(fleet.run(), "targets_failed")
        assert list(outcomes(result).values()) == ["changed", "failed", "changed"]
        assert [database.fetch("select version_num from alembic_version")[0][0] for database in made] == ["r005", "r004", "r005"]
    finally:
        for database in made:
            database.drop()


def test_no_password_of_any_target_is_anywhere(newest: Application, eight: list[PostgresDatabase], tmp_path: Path) -> None:
    """One can not be let in, and one gets the URL in a variable and in an argument; the run is a job, whose files are looked at."""
    gate = Gate(tmp_path / "open")
    fleet = fleet_of(newest, eight[:4], tmp_path, "slow", parallel=4, max_failures="100%")
    wrong = "wrOng-pass%/wOrd"
    fleet.targets[1].update(url=eight[1].url(password=wrong), labels=["second"])
    fleet.targets[2].update(
        environment={"TENANT_URL": eight[2].url(), "TENANT_PASSWORD": "of-the-thIrd"}, x_arguments=["token=of-x"]
    )
    run = fleet.start(job="0123456789abcdef", wait=PATIENCE, environment=gate.environment, url_variable="DATABASE_URL")
    eight[0].wait_for_session(SLEEPING)
    arguments = command_lines([int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()])
    gate.open()
    result = failed(run.result(), "targets_failed")
    files = [path for path in tmp_path.rglob("*") if "0123456789abcdef" in path.name]
    shown = json.dumps(result, ensure_ascii=False) + arguments + "".join(path.read_text() for path in files)
    secrets = [wrong, quote(wrong, safe=""), "of-the-thIrd", "of-x", *(database.password for database in eight[:4])]
    assert len(files) == 2 and [secret for secret in secrets if secret in shown] == []
    assert entry(result, "b")["failure"]["kind"] == "authentication_failed" and result["counts"]["changed"] == 3
