# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps in a process that was ready before: what it saves, what it must not mix up, and what is left when it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from integration.test_database_steps import KILLER, STARTS, WayBack, Window, finished, put_back
from support.application import Application, failed, ok
from support.postgres import Postgres
from support.quick import some
from support.runner import Run
from support.waiting import until
from support.whole_database import made

AnyWindow = TypeVar("AnyWindow", bound=Window)
SESSION = "b" * 32
#: Imported by the Python of the module: it does not wait for long.
SHORT = """
import builtins, sys
real, name = builtins.__import__, "ansible_collections.dbops.alembic.plugins.module_utils._ready"

def load(*arguments, **options):
    module = real(*arguments, **options)
    if hasattr(sys.modules.get(name), "IDLE"):
        sys.modules[name].IDLE = {idle}
    return module

builtins.__import__ = load
"""


class Starts:
    """Counts how often the application's Python is started."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "starts"
        (folder / "sitecustomize.py").write_text(STARTS.format(path=str(self.log)))
        self.environment = {"PYTHONPATH": str(folder)}

    def __len__(self) -> int:
        return len(self.log.read_text().splitlines()) if self.log.exists() else 0


def holders(window: Window) -> list[int]:
    """The processes that wait."""
    return [int(path.name.split(".")[1]) for path in window.folder.rglob("*.lock") if path.name.count(".") == 2]


def ended(kind: type[AnyWindow], app: Application, server: Postgres) -> Iterator[AnyWindow]:
    """Yield a window on a new database; afterwards nothing waits for it any more."""
    with made(server) as database:
        window = kind(app, database, copies=True)
        yield window
        for pid in holders(window):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def window(newest: Application, postgres: Postgres) -> Iterator[Window]:
    yield from ended(Window, newest, postgres)


@pytest.fixture
def way_back(newest: Application, postgres: Postgres) -> Iterator[WayBack]:
    yield from ended(WayBack, newest, postgres)


@pytest.fixture
def starts(tmp_path_factory: pytest.TempPathFactory) -> Starts:
    return Starts(tmp_path_factory.mktemp("starts"))


def asked(window: Window, ready: str, variables: dict[str, str] | None = None, check: bool = False, **more: Any) -> dict[str, Any]:
    """The preflight, which leaves such a process."""
    given = {"python": str(window.app.python), **window.project.parameters(), "url": window.database.url(), "ready": ready, **more}
    home = {"HOME": str(window.folder), "XDG_STATE_HOME": str(window.folder)}
    return ok(Run("database_preflight", given, check, False, {**home, **(variables or {})}).result())


@pytest.mark.parametrize("ready", some(["libraries", "project"], "project"))
def test_the_preflight_leaves_it_and_the_steps_start_nothing(window: Window, starts: Starts, ready: str) -> None:
    session = asked(window, ready, environment=starts.environment)["session"]
    until(lambda: len(starts) == 2)  # the preflight's own, and the one that stays
    assert len(session) == 32 and len(holders(window)) == 1
    finished(window, ok(window.job(session=session, environment=starts.environment)))
    assert len(starts) == 2 and len(holders(window)) == 1
    everything = [path for path in window.folder.rglob("*") if path.is_file()]
    assert everything and not [path for path in everything if window.database.password.encode() in path.read_bytes()]


def test_it_has_nothing_open_and_has_done_nothing(window: Window) -> None:
    before, record = window.database.dump(), window.record
    assert asked(window, "project")["session"]
    assert window.database.sessions() == [] and window.database.dump() == before and window.record == record


def test_nothing_is_left_where_nothing_is_to_be_done(window: Window) -> None:
    assert asked(window, "nothing")["session"] == "" and asked(window, "project", max_pending=1)["session"] == ""
    assert asked(window, "project", check=True)["session"] == ""
    ok(window.app.upgrade(window.project))
    assert asked(window, "project")["session"] == "" and holders(window) == []


def test_it_goes_by_itself(window: Window, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(SHORT.format(idle=0.1))
    path = os.pathsep.join([str(tmp_path), os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")])
    session = asked(window, "project", variables={"PYTHONPATH": path})["session"]
    until(lambda: not holders(window))
    finished(window, ok(window.job(session=session)))


def test_one_for_there_and_back(way_back: WayBack, starts: Starts) -> None:
    """The first call makes it, where there is none; what is asked in between is asked of the same one."""
    steps = way_back.steps
    way_back.steps = [{"look": {"snapshot": way_back.snapshot, "since": steps[0]["recount"]["since"]}}]
    found = ok(way_back.job(session=SESSION, environment=starts.environment))
    assert (found["current"], found["copied"], found["rows_written"]) == (way_back.head, "complete", 0)
    way_back.steps = steps
    put_back(way_back, ok(way_back.job(session=SESSION, environment=starts.environment)))
    assert len(starts) == 1 and len(holders(way_back)) == 1


def test_another_application_is_not_served_by_it(window: Window, starts: Starts) -> None:
    session = asked(window, "project")["session"]
    result = ok(window.job(session=session, environment={**starts.environment, "ANOTHER": "one"}))
    finished(window, result)
    assert len(starts) == 1, "one that has this environment"


def test_a_name_that_is_a_path_is_refused(window: Window) -> None:
    result = failed(window.job(session="../../elsewhere"), "options_invalid")
    assert "no name" in result["msg"] and window.at == ["r001"] and window.record["step"] == "stopping"


@pytest.mark.parametrize("who", some(["holder", "worker"], "worker"))
def test_one_that_died_before_is_done_without(window: Window, starts: Starts, who: str) -> None:
    session = asked(window, "libraries", environment=starts.environment)["session"]
    until(lambda: len(starts) == 2)
    (holder,) = holders(window)
    children = Path(f"/proc/{holder}/task/{holder}/children").read_text().split()
    os.kill(holder if who == "holder" else int(children[0]), signal.SIGKILL)
    finished(window, ok(window.job(session=session, environment=starts.environment)))


#: As in the test of the process that is started for the steps.
STEPS = some(range(1, 8), 4)


@pytest.mark.parametrize("number", STEPS)
def test_killed_after_a_step(window: Window, tmp_path: Path, number: int) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    path = os.pathsep.join([str(tmp_path), os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")])
    variables = {"PYTHONPATH": path, "KILL_AT": str(number), "KILL_WHEN": "after"}
    result = failed(window.job(session=SESSION, variables=variables), "worker_died")
    assert result["record"] == window.record
    assert window.record["step"] == ("stopping" if number < 3 else "upgrading" if number < 7 else "starting")
    assert window.at == (window.head if number >= 4 else ["r001"])
    assert window.database.sessions() == [], "somebody is still at work"
    ok(window.app.upgrade(window.project))
    assert window.at == window.head


#: Where the process that passes on what the worker says is killed, and whether the worker has said anything by then.
MIDDLES = {"env.py": False, "migration": True}


@pytest.mark.parametrize("where", MIDDLES)
def test_what_it_has_begun_goes_on_when_it_is_killed_in_the_middle(window: Window, where: str) -> None:
    """As long as its worker is at the migration the call that follows it waits, and then says how far it came."""
    session = asked(window, "libraries")["session"]
    (holder,) = holders(window)
    deadly = f"import os, time\nos.path.exists('/proc/{holder}') and (os.kill({holder}, 9), time.sleep(2))\n"
    if where == "env.py":
        env = window.project.folder / "migrations" / "env.py"
        env.write_text(deadly + env.read_text())
    else:
        script = next(path for path in window.project.versions().glob("*.py") if "r002" in path.name)
        begin = "def upgrade():\n"
        told = "    import time\n\n    time.sleep(2)\n"  # until what was said is passed on
        script.write_text(script.read_text().replace(begin, begin + told + textwrap.indent(deadly, "    ")))
    result = failed(window.job(session=session), "worker_died")
    migration = result["migration"]
    assert (migration["state"], migration["after"]) == ("to_revision", window.head) == ("to_revision", window.at), migration
    assert (migration["before"] == ["r001"]) is MIDDLES[where], migration
    assert result["record"] == window.record and window.record["step"] == "upgrading"
    assert window.database.sessions() == []
