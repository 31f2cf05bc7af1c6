# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several steps on a database in one call: what one process finds and writes down, and what is left when it is killed anywhere."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, ok, revisions
from support.mariadb import MariaDB
from support.postgres import Postgres
from support.quick import some
from support.runner import Run, run
from support.sqlite import SqliteDatabase
from support.waiting import PATIENCE
from support.whole_database import made

#: Imported by the Python of the module: kills the process that takes the steps, before or after one of them.
KILLER = """
import builtins, os, signal, sys
real, name = builtins.__import__, "ansible_collections.dbops.alembic.plugins.module_utils._steps.kinds"

def load(*arguments, **options):
    module = real(*arguments, **options)
    steps = getattr(sys.modules.get(name), "STEPS", None)
    if steps and "killer" not in os.environ:
        os.environ["killer"] = "is here"
        number = {"number": 0}
        for kind, take in list(steps.items()):
            def taking(run, options, take=take):
                number["number"] += 1
                at = number["number"] == int(os.environ["KILL_AT"])
                if at and os.environ["KILL_WHEN"] == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
                take(run, options)
                if at:
                    os.kill(os.getpid(), signal.SIGKILL)
            steps[kind] = taking
    return module

builtins.__import__ = load
"""
#: Imported by the application's Python: a line for each time that it is started.
STARTS = "with open({path!r}, 'a') as log:\n    log.write('started\\n')\n"


class Window:
    """A database at the first revision of `linear`, its record, and the steps that bring it to the last one."""

    def __init__(self, app: Application, database: Any, copies: bool) -> None:
        self.app, self.database, self.copies = app, database, copies
        self.folder = app.folder / "home"
        self.folder.mkdir()
        self.project = app.project("linear", database)
        ok(app.upgrade(self.project, "r001"))
        self.place = {"directory": str(self.folder / "records"), "id": "20260101T000000Z-2", "owner": "me"}
        # what a database is called, or a file beside the database
        self.snapshot = f"{Path(database.name).stem}_taken" if copies else ""
        facts = {
            "application": "shop",
            "from_revision": ["r001"],
            "to_revision": self.head,
            "snapshot": self.snapshot,
            "hosts": {"one": {"from_release": "1", "to_release": "2"}},
            "way_back": "snapshot" if copies else "none",
        }
        ok(run("deployment_record", {**self.place, "state": "begun", "facts": facts}))
        copy = [{"copy": {"name": self.snapshot, "revisions": ["r001"], "note": "2"}}] if copies else []
        self.steps: list[dict[str, Any]] = [
            {"prove": {"wait": 1}},
            *copy,
            {"record": {"step": "upgrading"}},
            {"upgrade": {"expect_current": ["r001"]}},
            {"verify": {}},
            {"count": {}},
            {"record": {"step": "starting"}},
        ]

    @property
    def head(self) -> list[str]:
        return sorted(ok(self.app.info(self.project))["heads"])

    @property
    def at(self) -> list[str]:
        return ok(self.app.info(self.project))["current"]  # type: ignore[no-any-return]

    @property
    def record(self) -> dict[str, Any]:
        return json.loads(Path(self.place["directory"], self.place["id"] + ".json").read_text())  # type: ignore[no-any-return]

    def take(self, check: bool = False, variables: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        given = {"python": str(self.app.python), **self.project.parameters(), "url": self.database.url(), "record": self.place}
        given = {**given, "steps": self.steps, **more}
        home = {"HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder)}
        return Run("database_steps", given, check, False, {**home, **(variables or {})}).result()

    def job(self, **more: Any) -> dict[str, Any]:
        return self.take(job=os.urandom(16).hex(), wait=PATIENCE, **more)

    def decision(self) -> dict[str, Any]:
        """What `recover` would decide of what is found now."""
        listed = ok(run("database_snapshot_info", self.server_place))["snapshots"]
        there = any(entry["name"] == self.snapshot and entry["usable"] for entry in listed)
        observed = {"revisions": self.at, "dirty": None, "snapshot": "complete" if there else "absent"}
        rows = self.record["rows"]
        if rows:
            since = {**self.server_place, "count": "written", "checksum": True, "since": rows["tables"]}
            observed["new_rows"] = ok(run("database_rows", since))["rows_written"]
        given = {"directory": self.place["directory"], "id": self.place["id"], "observed": observed}
        return ok(run("deployment_record_info", given))["decision"]  # type: ignore[no-any-return]

    @property
    def server_place(self) -> dict[str, Any]:
        return {"python": str(self.app.python), "url": self.database.url()}


@pytest.fixture
def window(newest: Application, postgres: Postgres) -> Iterator[Window]:
    with made(postgres) as database:
        yield Window(newest, database, copies=True)


def finished(window: Window, result: dict[str, Any]) -> None:
    assert window.at == window.head == result["migration"]["after"]
    record = window.record
    assert record["step"] == "starting" and record == result["record"]
    assert revisions(record["applied"]) == revisions(result["applied"]) != []
    assert record["rows"] == result["rows"] and record["rows"]["tables"]


def test_all_steps_in_one_call(window: Window, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(STARTS.format(path=str(tmp_path / "starts")))
    result = ok(window.job(environment={"PYTHONPATH": str(tmp_path)}))
    finished(window, result)
    assert result["snapshot"]["name"] == window.snapshot and result["snapshot"]["usable"] and result["changed"]
    names = ["prove", "copy", "upgrading", "upgrade", "verify", "count", "starting"]
    assert [step["name"] for step in result["steps"]] == names
    assert [step["ago"] for step in result["steps"]] == sorted((step["ago"] for step in result["steps"]), reverse=True)
    assert (tmp_path / "starts").read_text() == "started\n", "the application's Python is started once"
    everything = [path for path in window.folder.rglob("*") if path.is_file()]
    assert everything and not [path for path in everything if window.database.password.encode() in path.read_bytes()]


def test_sqlite(newest: Application, tmp_path: Path) -> None:
    window = Window(newest, SqliteDatabase(tmp_path / "shop.sqlite"), copies=True)
    finished(window, ok(window.job()))


def test_mariadb(newest: Application, mariadb: MariaDB) -> None:
    database = mariadb.database()
    try:
        window = Window(newest, database, copies=False)
        finished(window, ok(window.job()))
    finally:
        database.drop()


def test_check_mode_touches_nothing(window: Window) -> None:
    before, record = window.database.dump(), window.record
    result = ok(window.take(check=True))
    assert result["changed"] and len(result["steps"]) == len(window.steps)
    assert window.database.dump() == before and window.record == record and window.at == ["r001"]
    assert not ok(run("database_snapshot_info", window.server_place))["snapshots"]


def test_a_session_that_stays_ends_it_before_anything_is_done(window: Window) -> None:
    with window.database.holding("select 1", application_name="night job"):
        result = failed(window.job(), "database_busy")
    assert result["failed_step"] == "prove" and "night job" in result["msg"] and result["sessions"]
    assert window.record["step"] == "stopping" and window.at == ["r001"]


def test_a_revision_that_fails(window: Window) -> None:
    """The result says all that the upgrade alone says, and the record that it had begun."""
    bad = window.project.versions() / "bad.py"
    bad.write_text(f"revision = 'bad'\ndown_revision = '{window.head[0]}'\n\n\ndef upgrade():\n    raise ValueError('no')\n")
    result = failed(window.job(), "migration_failed")
    assert result["failed_step"] == "upgrade" and result["failed_revision"]["revision"] == "bad"
    assert result["migration"]["state"] == "between" and result["record"]["step"] == window.record["step"] == "upgrading"


def test_a_run_whose_record_was_taken_over_does_not_go_on(window: Window) -> None:
    ok(run("deployment_record", {**window.place, "state": "taken_over", "owner": "somebody else"}))
    with window.database.holding("select 1", application_name="it serves again"):
        result = failed(window.job(), "record_conflict")
        assert window.database.sessions() != [], "it was disturbed"
    assert result["failed_step"] == "prove" and window.at == ["r001"]


#: One for each of the ends that there are stands for all; make test-all takes every step, before and after it.
STEPS = some(range(1, 8), 4, 7)


@pytest.mark.parametrize("when", some(["after", "before"], "after"))
@pytest.mark.parametrize("number", STEPS)
def test_killed_at_every_step(window: Window, tmp_path: Path, number: int, when: str) -> None:
    """Whenever it dies, record and database fit together: a recovery goes back to what was there, or finishes what is done."""
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    path = os.pathsep.join([str(tmp_path), os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")])
    before = window.database.dump()
    result = failed(window.job(variables={"PYTHONPATH": path, "KILL_AT": str(number), "KILL_WHEN": when}), "worker_died")
    assert result["record"] == window.record
    taken = number if when == "after" else number - 1
    assert window.record["step"] == ("stopping" if taken < 3 else "upgrading" if taken < 7 else "starting")
    assert window.at == (window.head if taken >= 4 else ["r001"])
    assert window.database.sessions() == [], "somebody is still at work"
    decision = window.decision()
    if taken < 3:
        assert (decision["action"], decision["database"]) == ("revert", "keep"), decision
        assert window.database.dump() == before
        return
    if taken > 3:  # nothing has failed, so what is done is done
        assert decision["action"] == "finish", decision
        failure = {"failure": {"step": window.record["step"], "message": "no"}}
        ok(run("deployment_record", {**window.place, "step": window.record["step"], "facts": failure}))
        decision = window.decision()
    assert (decision["action"], decision["database"], decision["source"]) == ("revert", "restore", "snapshot"), decision
    ok(run("database_snapshot", {**window.server_place, "state": "restored", "name": window.snapshot}))
    assert window.at == ["r001"] and window.database.dump() == before


@pytest.mark.parametrize("number", [0, -1], ids=["worker", "its child"])
def test_the_worker_alone_is_killed(window: Window, tmp_path: Path, number: int) -> None:
    """The process that takes the steps says so itself, with where the database stands."""
    which = "os.getppid()" if number == 0 else "os.getpid()"
    script = next(path for path in window.project.versions().glob("*.py") if "r002" in path.name)
    begin = "def upgrade():\n"
    deadly = f"{begin}    import os\n\n    os.kill({which}, 9)\n    os.read(os.pipe()[0], 1)\n"
    script.write_text(script.read_text().replace(begin, deadly))
    result = failed(window.job(), "worker_died")
    assert result["failed_step"] == "upgrade" and result["migration"]["after"] == window.at
    assert window.record["step"] == "upgrading"


BACK = ["recount", "restoring", "restore", "stand", "restarting"]


class WayBack(Window):
    """The same database after the steps, with those that put it back."""

    def __init__(self, app: Application, database: Any, copies: bool) -> None:
        super().__init__(app, database, copies)
        self.before = database.dump()
        rows = ok(self.job())["rows"]
        self.steps = [
            {"recount": {"since": rows["tables"]}},
            {"record": {"step": "restoring", "facts": {"decision": {"database": "restore", "source": "snapshot"}}}},
            {"restore": {"name": self.snapshot}},
            {"stand": {"revisions": ["r001"]}},
            {"record": {"step": "restarting"}},
        ]


@pytest.fixture
def way_back(newest: Application, postgres: Postgres) -> Iterator[WayBack]:
    with made(postgres) as database:
        yield WayBack(newest, database, copies=True)


def put_back(window: WayBack, result: dict[str, Any]) -> None:
    assert result["changed"] and [step["name"] for step in result["steps"]] == BACK
    assert window.at == ["r001"] == result["current"] and window.database.dump() == window.before
    assert window.record["step"] == "restarting" and result["rows_written"] == 0
    assert revisions(window.record["applied"]) != [], "what was undone stays written down"


def test_all_is_put_back_in_one_call(way_back: WayBack) -> None:
    put_back(way_back, ok(way_back.job()))


def test_sqlite_is_put_back(newest: Application, tmp_path: Path) -> None:
    window = WayBack(newest, SqliteDatabase(tmp_path / "shop.sqlite"), copies=True)
    put_back(window, ok(window.job()))


def test_rows_that_were_written_since_are_not_lost(way_back: WayBack) -> None:
    with contextlib.closing(way_back.database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("insert into journal (revision) values ('a customer')")
        connection.commit()
    after = way_back.database.dump()
    result = failed(way_back.job(), "rows_written")
    assert result["failed_step"] == "recount" and "deployment_rows_given_up=1" in result["msg"], result["msg"]
    assert way_back.database.dump() == after and way_back.record["step"] == "starting"
    way_back.steps[0]["recount"]["given_up"] = 1
    assert ok(way_back.job())["rows_written"] == 1 and way_back.database.dump() == way_back.before


def test_a_database_that_is_elsewhere_afterwards_is_told(way_back: WayBack) -> None:
    way_back.steps[3]["stand"]["revisions"] = ["r002"]
    result = failed(way_back.job(), "verification_failed")
    assert result["failed_step"] == "stand" and "at r001 and not at r002" in result["msg"]
    assert way_back.record["step"] == "restoring"


@pytest.mark.parametrize("check", [False, True])
def test_what_a_way_back_has_to_know_is_found_in_one_call(way_back: WayBack, check: bool) -> None:
    since = way_back.steps[0]["recount"]["since"]
    with contextlib.closing(way_back.database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("insert into journal (revision) values ('a customer')")
        connection.commit()
    before, record = way_back.database.dump(), way_back.record
    for snapshot, copied in ((way_back.snapshot, "complete"), ("another", "absent"), ("", "unknown")):
        way_back.steps = [{"look": {"snapshot": snapshot, "since": since, "maintenance_database": ""}}]
        found = ok(way_back.take(check=True) if check else way_back.job())
        assert (found["current"], found["copied"], found["rows_written"]) == (way_back.head, copied, 1)
        assert not found["changed"]
    way_back.steps = [{"look": {"snapshot": way_back.snapshot}}]
    assert ok(way_back.take(check=check))["rows_written"] is None, "nobody asked"
    assert way_back.database.dump() == before and way_back.record == record


def test_what_can_not_be_found_out_is_unknown(way_back: WayBack) -> None:
    url = way_back.database.url(port=1)
    way_back.steps = [{"look": {"snapshot": way_back.snapshot, "since": {}, "retries": 0}}]
    found = ok(way_back.take(url=url))
    assert (found["current"], found["copied"], found["rows_written"], found["changed"]) == (None, "unknown", None, False)


@pytest.mark.parametrize("written", [0, 1])
def test_what_failed_is_written_down_and_decided_in_the_call_that_looks(way_back: WayBack, written: int) -> None:
    """The same decision as that of the module which only decides; in check mode nothing is written."""
    since, failure = way_back.record["rows"]["tables"], {"message": "it does not answer"}
    if written:
        with contextlib.closing(way_back.database.connect()) as connection:  # it hands its counters in when it ends
            connection.cursor().execute("insert into journal (revision) values ('a customer')")
            connection.commit()
    way_back.steps = [
        {"record": {"step": "starting", "facts": {"failure": failure}}},
        {"look": {"snapshot": way_back.snapshot, "since": since, "maintenance_database": ""}},
        {"decide": {"dirty": False}},
    ]
    before = way_back.record
    ok(way_back.take(check=True))
    assert way_back.record == before
    found = ok(way_back.job())
    assert found["record"] == way_back.record and way_back.record["failure"]["message"] == failure["message"]
    observed = {"revisions": way_back.head, "snapshot": "complete", "new_rows": written, "dirty": False}
    place = {name: way_back.place[name] for name in ("directory", "id")}
    assert found["decision"] == ok(run("deployment_record_info", {**place, "observed": observed}))["decision"]
    assert found["decision"]["action"] == ("halt" if written else "revert")
    way_back.steps = [{"decide": {}}]
    assert failed(way_back.take(record=None), "options_invalid")


def test_the_way_back_in_check_mode_touches_nothing(way_back: WayBack) -> None:
    before, record = way_back.database.dump(), way_back.record
    assert ok(way_back.take(check=True))["changed"]
    assert way_back.database.dump() == before and way_back.record == record


def test_downgrades_are_steps_too(newest: Application, postgres: Postgres) -> None:
    with made(postgres) as database:
        window = WayBack(newest, database, copies=True)
        window.steps = [
            {"record": {"step": "restoring"}},
            {"downgrade": {"revisions": ["r001"]}},
            {"record": {"step": "restarting"}},
        ]
        applied = window.record["applied"]
        result = ok(window.job())
        assert window.at == ["r001"] == result["migration"]["after"] and window.record["step"] == "restarting"
        assert result["applied"] == [] and window.record["applied"] == applied


@pytest.mark.parametrize("when", some(["after", "before"], "after"))
@pytest.mark.parametrize("number", some(range(1, 6), 3))
def test_killed_at_every_step_of_the_way_back(way_back: WayBack, tmp_path: Path, number: int, when: str) -> None:
    """Whenever it dies, what is decided from what is found brings the database back."""
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    path = os.pathsep.join([str(tmp_path), os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")])
    result = failed(way_back.job(variables={"PYTHONPATH": path, "KILL_AT": str(number), "KILL_WHEN": when}), "worker_died")
    taken = number if when == "after" else number - 1
    assert result["record"] == way_back.record
    assert way_back.record["step"] == ("starting" if taken < 2 else "restoring" if taken < 5 else "restarting")
    assert way_back.at == (["r001"] if taken >= 3 else way_back.head)
    if taken < 2:
        failure = {"failure": {"step": "starting", "message": "no"}}
        ok(run("deployment_record", {**way_back.place, "step": "starting", "facts": failure}))
    decision = way_back.decision()
    assert decision["action"] == "revert", decision
    if decision["database"] == "restore":
        assert taken < 3, "it was put back already"
        ok(run("database_snapshot", {**way_back.server_place, "state": "restored", "name": way_back.snapshot}))
    assert way_back.at == ["r001"] and way_back.database.dump() == way_back.before
