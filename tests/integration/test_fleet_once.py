# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project imports is imported once for many databases, unless it is not the same for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.application import Application, failed, ok
from support.fleet import Fleet
from support.projects import Project
from support.sqlite import SqliteDatabase

COUNT = 5
#: In the parent, after it was tried in a process that is gone.
ONCE = 2
NOTES = """
import os as _os
with open(_os.path.join(_os.path.dirname(_os.path.abspath(__file__)), "imported"), "a") as _notes:
    _notes.write("once more\\n")
"""
SETTINGS = """
class Settings:
    url = {url}
settings = Settings()
"""
REVISION = """
import uuid
import sqlalchemy as sa
from alembic import op

revision, down_revision = "k001", None
made = str(uuid.uuid4())

def upgrade():
    op.create_table("made", sa.Column("by", sa.String(50)))
    op.execute(f"insert into made values ('{made}')")
"""


def files(folder: Path) -> list[SqliteDatabase]:
    return [SqliteDatabase(folder / f"{number}.sqlite") for number in range(COUNT)]


def fleet(app: Application, project: Project, home: Path, **more: Any) -> Fleet:
    targets = [{"name": file.path.stem, "url": file.url()} for file in files(home)]
    return Fleet(app, project, targets, home, parallel=2, **more)


def imported(project: Project, place: str = "") -> int:
    return len((project.folder / place / "imported").read_text().splitlines())


def version(file: SqliteDatabase) -> list[Any]:
    return file.fetch("select version_num from alembic_version")


@pytest.mark.core(quick=True)
def test_models_are_imported_once(app: Application, tmp_path: Path) -> None:
    project = app.project("models")
    models = project.folder / "models.py"
    models.write_text(models.read_text() + NOTES)
    many = fleet(app, project, tmp_path, environment={"APP_LEVEL": "1"})
    assert ok(many.run())["counts"]["changed"] == COUNT
    assert imported(project) == ONCE and [version(file) for file in files(tmp_path)] == [[("i001",)]] * COUNT
    assert ok(many.run("current"))["counts"]["unchanged"] == COUNT and imported(project) == 2 * ONCE


@pytest.mark.core
def test_revisions_are_loaded_once_unless_they_changed_meanwhile(app: Application, tmp_path: Path) -> None:
    project = app.project("linear")
    for path in project.versions().glob("*.py"):
        path.unlink()
    (project.versions() / "k001.py").write_text(REVISION)
    ok(fleet(app, project, tmp_path).run())
    assert len({row for file in files(tmp_path) for row in file.fetch("select by from made")}) == 1


@pytest.mark.parametrize(
    "value",
    [
        '__import__("os").environ["TENANT_URL"]',
        '__import__("os").getenv("TENANT_URL", "sqlite:///wrong")',
        'dict(__import__("os").environ)["TENANT_URL"]',
        '{key.lower(): item for key, item in __import__("os").environ.items()}["tenant_url"]',
        '"sqlite:///wrong" if "TENANT_URL" not in __import__("os").environ else __import__("os").environ["TENANT_URL"]',
    ],
)
def test_settings_that_look_at_the_variable_of_a_target_are_each_targets_own(
    newest: Application, tmp_path: Path, value: str
) -> None:
    """Imported once, they would send every target to the same database."""
    project = newest.project("settings_class")
    (project.folder / "app" / "settings.py").write_text(SETTINGS.format(url=value) + NOTES)
    many = fleet(newest, project, tmp_path, url_variable="TENANT_URL")
    result = ok(many.run())
    assert result["counts"]["changed"] == COUNT and [version(file) for file in files(tmp_path)] == [[("r005",)]] * COUNT
    assert imported(project, "app") >= COUNT


@pytest.mark.parametrize(
    "what",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n",
        "import socket\nkept = socket.socketpair()\n",
        "import sqlite3\nkept = sqlite3.connect('opened.sqlite')\nkept.execute('create table if not exists a (b)')\n",
    ],
    ids=["thread", "socket", "connection"],
)
def test_what_a_fork_would_break_is_left_to_each(newest: Application, tmp_path: Path, what: str) -> None:
    project = newest.project("models")
    models = project.folder / "models.py"
    models.write_text(models.read_text() + what + NOTES)
    assert ok(fleet(newest, project, tmp_path).run())["counts"]["changed"] == COUNT
    assert imported(project) >= COUNT


def test_what_can_not_be_imported_is_told_by_each(newest: Application, tmp_path: Path) -> None:
    project = newest.project("models")
    (project.folder / "models.py").write_text("import a_module_that_nobody_has\n")
    result = failed(fleet(newest, project, tmp_path, max_failures="100%").run(), "targets_failed")
    assert result["counts"]["failed"] == COUNT and "a_module_that_nobody_has" in result["targets"][0]["failure"]["message"]


def test_passwords_of_the_ini_are_masked_for_each(newest: Application, tmp_path: Path) -> None:
    """It was read before: whoever masks what a target says has not heard of them by that."""
    project = newest.project("models")
    ini = project.folder / "alembic.ini"
    ini.write_text(ini.read_text() + "\n[app]\napi_token = of-the-inI-x7\n")
    (project.versions() / "i002.py").write_text(
        'from alembic import context, op\nrevision, down_revision = "i002", "i001"\n'
        'def upgrade():\n    op.execute("select " + context.config.get_section_option("app", "api_token") + "_nothing")\n'
    )
    result = failed(fleet(newest, project, tmp_path, max_failures="100%").run(), "targets_failed")
    assert "nothing" in str(result["targets"]) and "of-the-inI-x7" not in str(result)


#: A revision of this text is loaded anew with every look at a database, and says which process that is.
TELLS = """
import os
revision, down_revision = "t001", None
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "looked"), "a") as notes:
    notes.write(f"{os.getpid()}\\n")
"""
DIES_THIRD = """
with open(notes.name) as notes:
    if len(notes.readlines()) == 3:
        os.kill(os.getpid(), 9)
"""
#: Both keep what they were told first, long after the imports.
KEEPS_URL = """
import functools, os
class Settings:
    @functools.cached_property
    def url(self):
        return os.environ["TENANT_URL"]
settings = Settings()
"""
KEEPS_PLACE = """
import os
from sqlalchemy import event
from sqlalchemy.engine import Engine
kept = {}
@event.listens_for(Engine, "do_connect")
def connect(dialect, record, arguments, keywords):
    arguments[0] = kept.setdefault("place", os.environ["TENANT_URL"].partition("///")[2])
"""


def at_different_revisions(app: Application, project: Project, folder: Path) -> Fleet:
    many = fleet(app, project, folder, url_variable="TENANT_URL")
    ok(many.run("stamped", revision="t001"))
    for file in files(folder):
        file.fetch(f"update alembic_version set version_num = 'at_{file.path.stem}'")
    (project.versions() / "looked").unlink()
    return many


def looked(many: Fleet) -> set[str]:
    """The processes that have looked."""
    return set((many.project.versions() / "looked").read_text().split())


def with_one_revision(app: Application, name: str) -> Project:
    project = app.project(name)
    for path in project.versions().glob("*.py"):
        path.unlink()
    (project.versions() / "t001.py").write_text(TELLS)
    return project


@pytest.mark.core(quick=True)
def test_a_process_looks_at_many_one_after_the_other(app: Application, tmp_path: Path) -> None:
    many = at_different_revisions(app, with_one_revision(app, "models"), tmp_path)
    result = many.run("current")
    assert [item["after"] for item in result["targets"]] == [[f"at_{number}"] for number in range(COUNT)]
    assert len(looked(many)) == 2, "as many as at a time"


def test_one_that_can_not_be_looked_at_is_nothing_to_the_next(newest: Application, tmp_path: Path) -> None:
    many = at_different_revisions(newest, with_one_revision(newest, "linear"), tmp_path)
    for number in (1, 3):
        many.targets[number]["url"] = f"sqlite:////nowhere/at/all/{number}.sqlite"
    result = failed(many.run("current"), "targets_failed")
    assert [item["after"] for item in result["targets"]] == [["at_0"], None, ["at_2"], None, ["at_4"]]
    assert {item["failure"]["kind"] for item in result["targets"] if item["failure"]} == {"connection_failed"}


def test_a_process_that_dies_as_it_looks_costs_one_target(newest: Application, tmp_path: Path) -> None:
    project = with_one_revision(newest, "linear")
    many = at_different_revisions(newest, project, tmp_path)
    (project.versions() / "t001.py").write_text(TELLS + DIES_THIRD)
    result = failed(many.run("current", parallel=1), "targets_failed")
    assert [item["after"] for item in result["targets"]] == [["at_0"], ["at_1"], None, ["at_3"], ["at_4"]]
    assert result["targets"][2]["failure"]["kind"] == "worker_died" and len(looked(many)) == 2


@pytest.mark.parametrize(("name", "place", "text"), [("settings_class", "app/settings.py", KEEPS_URL), ("models", "models.py", "")])
def test_what_the_application_keeps_is_kept_for_one(newest: Application, tmp_path: Path, name: str, place: str, text: str) -> None:
    project = with_one_revision(newest, name)
    file = project.folder / place
    file.write_text(text or file.read_text() + KEEPS_PLACE)
    many = at_different_revisions(newest, project, tmp_path)
    result = many.run("current")
    assert [item["after"] for item in result["targets"]] == [[f"at_{number}"] for number in range(COUNT)]
    assert len(looked(many)) == COUNT


#: A revision that says which process started the one that it runs in.
TELLS_PARENT = """
import os
revision, down_revision = "t001", None
def upgrade():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "looked"), "a+") as notes:
        notes.write(f"{os.getppid()}\\n")
        notes.seek(0)
        count = len(notes.readlines())
    if count == END:
        os.kill(os.getppid(), 9)
"""


def that_upgrades(app: Application, folder: Path, end: int) -> Fleet:
    project = with_one_revision(app, "linear")
    (project.versions() / "t001.py").write_text(TELLS_PARENT.replace("END", str(end)))
    return fleet(app, project, folder)


@pytest.mark.core(quick=True)
def test_who_watches_over_one_watches_over_the_next(app: Application, tmp_path: Path) -> None:
    many = that_upgrades(app, tmp_path, 0)
    assert ok(many.run())["counts"]["changed"] == COUNT
    assert len(looked(many)) == 2, "as many as at a time"


def test_who_watches_and_is_killed_costs_one_target(newest: Application, tmp_path: Path) -> None:
    many = that_upgrades(newest, tmp_path, 3)
    result = failed(many.run(parallel=1, max_failures="100%"), "targets_failed")
    assert "".join(item["outcome"][0] for item in result["targets"]) == "ccfcc" and len(looked(many)) == 2
    assert result["targets"][2]["failure"]["kind"] == "worker_died"
    assert [version(file) for number, file in enumerate(files(tmp_path)) if number != 2] == [[("t001",)]] * (COUNT - 1)
