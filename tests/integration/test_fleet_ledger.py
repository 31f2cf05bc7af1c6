# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many databases with a ledger: each ends where it was or where it should be, which the ledger says; a second run does the rest."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any, Iterator

import pytest

from support.application import Application, failed, ok
from support.fleet import Fleet, databases, entry, outcomes, schemas
from support.postgres import Postgres, PostgresDatabase
from support.quick import some
from support.runner import process_tree
from support.sqlite import SqliteDatabase
from support.waiting import Gate, until

pytestmark = pytest.mark.timeout(1800)


def heads(database: Any, schema: str = "public") -> str:
    table = "alembic_version" if database.dialect == "sqlite" else f"{schema}.alembic_version"
    return ",".join(row[0] for row in database.fetch(f"select version_num from {table}"))


def being_copied(database: Any) -> bool:
    """Whether nobody may connect, for the copy that was cut off; the database says so itself, and the next run opens it."""
    if database.dialect == "sqlite":
        return False
    asked = "select datallowconn, shobj_description(oid, 'pg_database') from pg_database where datname = %s"
    [(opened, mark)] = database.server.fetch(asked, [database.name])
    assert opened or "dbops.alembic" in mark, mark
    return not opened


def clash(database: Any, table: str = "users") -> None:
    database.fetch(f"insert into {table} (id, name) values (1, 'somebody')")


def steps(path: Path) -> dict[str, str]:
    return {line["target"]: line["step"] for line in map(json.loads, path.read_text().splitlines())}


@pytest.fixture
def four(postgres: Postgres) -> Iterator[list[PostgresDatabase]]:
    with databases(postgres, 4) as made:
        for database in made:
            postgres.fetch(f"alter role {database.role} createdb")
        yield made
        for database in made:
            for (name,) in postgres.fetch("select datname from pg_database where datname like %s", [f"{database.name}\\_\\_%"]):
                postgres.fetch(f'drop database "{name}"')


def fleet_of(app: Application, made: list[Any], home: Path, project: str = "linear", **more: Any) -> Fleet:
    targets = [{"name": chr(97 + number), "url": database.url()} for number, database in enumerate(made)]
    given = {"ledger": str(home / "20261129T080000Z.targets.jsonl"), "way_back": ["snapshot"], "parallel": 2, **more}
    return Fleet(app, app.project(project), targets, home, **given)


def before(fleet: Fleet, revision: str = "r003") -> None:
    ok(fleet.run(revision=revision, ledger=None, way_back=["none"], on_failure="halt"))


@pytest.mark.parametrize("kind", ["postgresql", pytest.param("sqlite", marks=pytest.mark.slow)])
def test_one_that_fails_goes_back_by_itself(newest: Application, four: list[PostgresDatabase], tmp_path: Path, kind: str) -> None:
    """Two revisions: the first one of them is committed when the second fails."""
    made: list[Any] = four if kind == "postgresql" else [SqliteDatabase(tmp_path / f"{name}.sqlite") for name in "abcd"]
    fleet = fleet_of(newest, made, tmp_path, on_failure="one", max_failures="1")
    before(fleet)
    clash(made[1])
    result = failed(fleet.run(), "targets_failed")
    assert result["verdict"] == "finish" and "have gone back" in result["verdict_reason"], result["verdict_reason"]
    assert [heads(database) for database in made] == ["r005", "r003", "r005", "r005"]
    one = entry(result, "b")
    assert (
        one["went_back"]
        and (one["state"], one["after"]) == ("from_revision", ["r003"])
        and "gone back" in one["failure"]["message"]
    )
    assert made[1].fetch("select name from users where id = 1") == [("somebody",)]
    assert steps(Path(fleet.parameters["ledger"])) == {"a": "upgraded", "b": "returned", "c": "upgraded", "d": "upgraded"}
    made[1].fetch("delete from users")
    second = ok(fleet.run())
    assert second["verdict"] == "finish" and "".join(outcome[0] for outcome in outcomes(second).values()) == "ucuu"


@pytest.mark.parametrize(
    ("policy", "verdict"), some([("all", "revert"), ("one", "revert"), ("halt", "halt")], ("all", "revert"), ("halt", "halt"))
)
def test_what_all_do_when_one_fails(
    newest: Application, four: list[PostgresDatabase], tmp_path: Path, policy: str, verdict: str
) -> None:
    """With ``one`` it is one more than may fail."""
    fleet = fleet_of(newest, four, tmp_path, on_failure=policy, parallel=1)
    before(fleet)
    clash(four[2])
    result = failed(fleet.run(), "targets_failed")
    assert result["verdict"] == verdict, result["verdict_reason"]
    wanted = ["r005", "r005", "r004", "r003"] if verdict == "halt" else ["r003"] * 4
    assert [heads(database) for database in four] == wanted
    assert [item["after"] for item in result["targets"]] == [[name] for name in wanted[:3]] + [None]
    if verdict == "halt":
        back = ok(fleet.run("returned"))
        assert back["verdict"] == "revert" and [heads(database) for database in four] == ["r003"] * 4
        assert back["counts"]["changed"] == 3 and not ok(fleet.run("returned"))["changed"]
    four[2].fetch("delete from users")
    assert ok(fleet.run())["verdict"] == "finish" and [heads(database) for database in four] == ["r005"] * 4


def test_rows_that_were_written_since_are_not_lost_unasked(
    newest: Application, four: list[PostgresDatabase], tmp_path: Path
) -> None:
    fleet = fleet_of(newest, four[:2], tmp_path)
    before(fleet)
    ok(fleet.run())
    four[0].fetch("insert into users (id, name) values (77, 'new')")
    ledger = Path(fleet.parameters["ledger"])
    written = ledger.read_bytes()
    looked = failed(fleet.run("returned", check=True), "targets_failed")
    assert looked["verdict"] == "halt" and "1 rows" in entry(looked, "a")["failure"]["message"] and entry(looked, "b")["changed"]
    assert ledger.read_bytes() == written and [heads(database) for database in four[:2]] == ["r005", "r005"]
    for _time in range(2):  # asking again is no consent
        result = failed(fleet.run("returned"), "targets_failed")
        assert result["verdict"] == "halt" and "1 rows" in entry(result, "a")["failure"]["message"]
        assert [heads(database) for database in four[:2]] == ["r005", "r003"]
    assert ok(fleet.run("returned", rows_given_up=1))["verdict"] == "revert" and heads(four[0]) == "r003"


def test_schemas_go_back_by_their_downgrades(newest: Application, pg: PostgresDatabase, tmp_path: Path) -> None:
    names = schemas(pg, 3)
    given: dict[str, Any] = {"url": pg.url(), "url_x_argument": "url", "schema_x_argument": "tenant", "on_failure": "all"}
    ledger = {"ledger": str(tmp_path / "one.jsonl"), "way_back": ["snapshot", "downgrade"], "parallel": 1}
    pg.fetch(f"alter role {pg.role} createdb")
    targets = [{"name": name, "schema": name} for name in names]
    fleet = Fleet(newest, newest.project("x_args"), targets, tmp_path, **given, **ledger)
    before(fleet)
    clash(pg, f"{names[1]}.users")
    result = failed(fleet.run(), "targets_failed")
    assert result["verdict"] == "revert" and [item["snapshot"] for item in result["targets"]] == [None] * 3
    assert [heads(pg, name) for name in names] == ["r003"] * 3
    refused = failed(fleet.run(ledger=str(tmp_path / "two.jsonl"), way_back=["snapshot"]), "targets_failed")
    assert entry(refused, names[0])["failure"]["kind"] == "archive_required" and heads(pg, names[0]) == "r003"


def test_a_ledger_that_is_not_understood_or_in_use_is_left_alone(newest: Application, tmp_path: Path) -> None:
    files = [SqliteDatabase(tmp_path / "a.sqlite")]
    fleet = fleet_of(newest, files, tmp_path)
    before(fleet)
    path = Path(fleet.parameters["ledger"])
    path.write_text('{"target": "a", "step": "dancing"}\n')
    assert "dancing" in failed(fleet.run(), "record_unreadable")["msg"] and path.read_text().count("\n") == 1
    path.write_text('{"target": "a", "step": "upgr')  # a line that was cut off
    assert ok(fleet.run())["verdict"] == "finish"
    import fcntl

    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        failed(fleet.run(lock_wait=0.1), "lock_unavailable")


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["all", "one"])
def test_a_server_that_goes_away_and_stays_away(newest: Application, tmp_path: Path, policy: str) -> None:
    """Nobody can put back what can not be read; when the server is there again they go back, or on, as somebody says."""
    server = Postgres().create().start()
    try:
        made, gate = [server.database(attributes="CREATEDB") for _ in range(5)], Gate(tmp_path / "open")
        fleet = fleet_of(newest, made, tmp_path, "slow", on_failure=policy, max_failures="100%")
        before(fleet, "n001")
        run = fleet.start(environment=gate.environment)
        asleep = "select count(*) from pg_stat_activity where query ilike 'select pg_sleep%' and state = 'active'"
        until(lambda: server.fetch(asleep) == [(2,)], "two that are in the middle")  # one that is copied lets nobody in
        server.stop(signal.SIGQUIT)
        gate.open()
        result = failed(run.result(), "targets_failed")
        assert result["verdict"] == "halt" and result["counts"]["failed"] == 5, result["verdict_reason"]
        assert "".join(step[0] for step in steps(Path(fleet.parameters["ledger"])).values()) == "ssrrr"  # stuck, refused
        server.start()
        assert [heads(database) for database in made] == ["n001"] * 5
        if policy == "all":
            assert ok(fleet.run("returned"))["verdict"] == "revert" and [heads(database) for database in made] == ["n001"] * 5
        assert ok(fleet.run(environment=gate.environment))["verdict"] == "finish"
        assert [heads(database) for database in made] == ["n003"] * 5
        assert ok(fleet.run("returned"))["verdict"] == "revert" and [heads(database) for database in made] == ["n001"] * 5
    finally:
        server.remove()


def killed(fleet: Fleet, state: str, chance: random.Random) -> None:
    """Kill all processes of a run; where that strikes does not matter, whatever the machine."""
    run = fleet.start(state)
    time.sleep(chance.uniform(0.3, 2.5))
    for pid in process_tree(run.process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    run.process.wait()


@pytest.mark.slow  # test_killed_at_some_moments is quick
@pytest.mark.parametrize("way", ["snapshot", "downgrade"])
def test_killed_on_the_way_back_at_some_moments(
    newest: Application, four: list[PostgresDatabase], tmp_path: Path, way: str
) -> None:
    """None is lost, and none goes further back than it came from."""
    fleet, chance = fleet_of(newest, four, tmp_path, way_back=[way]), random.Random(11)
    before(fleet)
    for _attempt in range(4):
        assert ok(fleet.run())["verdict"] == "finish" and [heads(database) for database in four] == ["r005"] * 4
        killed(fleet, "returned", chance)
        assert ok(fleet.run("returned"))["verdict"] == "revert" and [heads(database) for database in four] == ["r003"] * 4
        assert set(steps(Path(fleet.parameters["ledger"])).values()) == {"returned"}


def test_killed_while_nobody_may_connect(
    newest: Application, four: list[PostgresDatabase], tmp_path: Path, postgres: Postgres
) -> None:
    """Where a target stands can not be read then; that it was on its way back is in the ledger."""
    fleet = fleet_of(newest, four, tmp_path, way_back=["snapshot"])
    before(fleet)
    ok(fleet.run())
    with Path(fleet.parameters["ledger"]).open("a") as ledger:
        ledger.write(json.dumps({"target": "c", "step": "returning", "clean": False}) + "\n")
    postgres.fetch(f'alter database "{four[2].name}" allow_connections false')
    assert ok(fleet.run("returned"))["verdict"] == "revert" and [heads(database) for database in four] == ["r003"] * 4


CUT_OFF = [("saving", "upgraded"), ("saving", "returned"), ("refused", "upgraded")]


@pytest.mark.parametrize(("step", "state"), some(CUT_OFF, *CUT_OFF[:2]))
def test_a_copy_that_was_cut_off_keeps_nobody_out(
    newest: Application, four: list[PostgresDatabase], tmp_path: Path, postgres: Postgres, step: str, state: str
) -> None:
    """Nobody may connect while it is made, so what was killed then left the application outside."""
    fleet = fleet_of(newest, four, tmp_path, way_back=["snapshot"])
    before(fleet)
    name, half = four[2].name, f"{four[2].name}__snapshot_20261129t080000z"
    mark = {"kind": "at_work", "by": "gone", "closed": True, "making": half, "allow_connections": True, "comment": None}
    postgres.fetch(f'create database "{half}" owner "{four[2].role}"')
    postgres.fetch(f"""comment on database "{name}" is '{json.dumps({"dbops.alembic": mark})}'""")
    postgres.fetch(f'alter database "{name}" allow_connections false')
    line = {"target": "c", "step": "saving", "snapshot": half, "from_revision": ["r003"], "clean": False}
    lines = [line, *([{"target": "c", "step": step}] if step != "saving" else [])]
    Path(fleet.parameters["ledger"]).write_text("".join(json.dumps(item) + "\n" for item in lines))
    aim = {"upgraded": "r005", "returned": "r003"}[state]
    ok(fleet.run(state))
    assert heads(four[2]) == aim and not being_copied(four[2])
    assert half not in [row[0] for row in postgres.fetch("select datname from pg_database")]


def cut_off(fleet: Fleet, database: Any) -> None:
    """Leave the target c as one that was killed in r005: its row is there, and in the snapshot it is not."""
    clash(database)
    failed(fleet.run(on_failure="halt", max_failures="1"), "targets_failed")
    assert heads(database) == "r004"
    with Path(fleet.parameters["ledger"]).open("a") as ledger:
        ledger.write(json.dumps({"target": "c", "step": "upgrading", "clean": False, "failure": None}) + "\n")


def test_cut_off_in_the_middle_of_what_is_no_transaction(newest: Application, tmp_path: Path) -> None:
    """What is there of that revision would be in its own way, so the target begins again from its snapshot."""
    made = [SqliteDatabase(tmp_path / f"{name}.sqlite") for name in "abcd"]
    fleet = fleet_of(newest, made, tmp_path, on_failure="one")
    before(fleet)
    cut_off(fleet, made[2])
    copy = next(path for path in tmp_path.glob("c.sqlite__snapshot_*") if path.read_bytes().startswith(b"SQLite format 3"))
    SqliteDatabase(copy).fetch("delete from users")
    result = ok(fleet.run())
    assert result["verdict"] == "finish" and [heads(database) for database in made] == ["r005"] * 4
    assert made[2].fetch("select name from users") == made[1].fetch("select name from users")


#: The way back, the step that is left, and where the database stands.
AGAIN = [("snapshot", "returned", "r003"), ("downgrade", "stuck", "r004")]


@pytest.mark.parametrize(("way", "step", "at"), some(AGAIN, AGAIN[0]))
def test_cut_off_and_then_failed_in_the_same_revision(
    newest: Application, four: list[PostgresDatabase], tmp_path: Path, way: str, step: str, at: str
) -> None:
    """That nothing of it is left can be said of the last attempt, and not of the one that was cut off."""
    fleet = fleet_of(newest, four, tmp_path, on_failure="one", max_failures="1", way_back=[way])
    before(fleet)
    cut_off(fleet, four[2])
    failed(fleet.run(), "targets_failed")
    assert steps(Path(fleet.parameters["ledger"]))["c"] == step and heads(four[2]) == at


@pytest.mark.slow
def test_four_of_twenty_fail_in_their_data_while_it_is_killed(newest: Application, tmp_path: Path) -> None:
    made = [SqliteDatabase(tmp_path / f"{number:02}.sqlite") for number in range(20)]
    fleet, chance = fleet_of(newest, made, tmp_path, on_failure="one", max_failures="20%"), random.Random(5)
    before(fleet)
    for database in made[::5]:
        clash(database)
    for _attempt in range(3):
        killed(fleet, "upgraded", chance)
        assert {heads(database) for database in made} <= {"r003", "r004", "r005"}
    result = failed(fleet.run(), "targets_failed")
    assert result["verdict"] == "finish" and result["failed_targets"] == ["a", "f", "k", "p"], result["verdict_reason"]
    assert [heads(database) for database in made] == ["r003", *["r005"] * 4] * 4
    said = steps(Path(fleet.parameters["ledger"]))
    assert [said[chr(97 + number)] for number in range(20)] == ["returned", *["upgraded"] * 4] * 4
    assert all(database.fetch("select name from users") == [("somebody",)] for database in made[::5])


def killed_somewhere(app: Application, made: list[Any], home: Path, times: int) -> None:
    """Kill all processes of a run at random moments, until it is through; nothing runs twice, and each end is written."""
    fleet = fleet_of(app, made, home, on_failure="one")
    before(fleet)
    for database in made:
        database.fetch("create table counted (n integer)")
        if database.dialect == "postgresql":
            database.fetch(f"alter table counted owner to {database.role}")
    revision = fleet.project.versions() / "r006.py"
    revision.write_text(
        'from alembic import op\nrevision, down_revision = "r006", "r005"\n'
        'def upgrade():\n    op.execute("insert into counted values (1)")\ndef downgrade():\n    pass\n'
    )
    chance = random.Random(7)
    for _attempt in range(times):
        killed(fleet, "upgraded", chance)
        assert {heads(database) for database in made if not being_copied(database)} <= {"r003", "r004", "r005", "r006"}
    done = ok(fleet.run())
    assert done["verdict"] == "finish" and set(steps(Path(fleet.parameters["ledger"])).values()) == {"upgraded"}
    assert [heads(database) for database in made] == ["r006"] * len(made)
    assert [database.fetch("select count(*) from counted") for database in made] == [[(1,)]] * len(made)


def test_killed_at_some_moments(newest: Application, tmp_path: Path) -> None:
    killed_somewhere(newest, [SqliteDatabase(tmp_path / f"{number}.sqlite") for number in range(6)], tmp_path, 3)


@pytest.mark.slow
def test_killed_at_twenty_moments(newest: Application, four: list[PostgresDatabase], tmp_path: Path) -> None:
    killed_somewhere(newest, four, tmp_path, 20)


@pytest.mark.slow
def test_twenty_of_two_hundred_go_back_by_themselves(newest: Application, tmp_path: Path) -> None:
    """Two revisions, of which the first is committed when the second fails; the ledger says of each where it is."""
    files = [SqliteDatabase(tmp_path / f"{number:03}.sqlite") for number in range(200)]
    found, ledger = {"list": "files", "match": [f"{tmp_path}/???.sqlite"]}, tmp_path / "20261129T080000Z.targets.jsonl"
    for file in files:
        file.fetch("create table mine (id integer)")
    fleet = Fleet(newest, newest.project("linear"), None, tmp_path, query=found, parallel=6)
    ok(fleet.run(revision="r003"))
    for file in files[::10]:
        clash(file)
    given = {"ledger": str(ledger), "way_back": ["snapshot"], "on_failure": "one", "max_failures": "10%"}
    result = failed(fleet.run(**given), "targets_failed")
    bad = [file.path.stem for file in files[::10]]
    assert result["verdict"] == "finish" and sorted(result["failed_targets"]) == bad and result["stopped"] is None
    assert {file.path.stem: heads(file) for file in files} == {
        file.path.stem: "r003" if file in files[::10] else "r005" for file in files
    }
    assert steps(ledger) == {file.path.stem: "returned" if file in files[::10] else "upgraded" for file in files}
    for file in files[::10]:
        assert file.fetch("select name from users where id = 1") == [("somebody",)]
        file.fetch("delete from users")
    second = ok(fleet.run(**given))
    assert second["verdict"] == "finish" and second["counts"]["changed"] == 20 and {heads(file) for file in files} == {"r005"}
