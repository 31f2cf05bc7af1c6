# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules as tasks of real plays: check mode and diff, module defaults, idempotence, messages, async, become, loops."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.application import Application, revisions
from support.plays import Play, play, task
from support.sqlite import SqliteDatabase

REVISIONS = ["r001", "r002", "r003", "r004", "r005"]
TITLES = {
    "r001": "create users",
    "r002": "add users.email",
    "r003": "create orders",
    "r004": "index users.email",
    "r005": "first user",
}


def group(app: Application, folder: Path, **more: Any) -> dict[str, Any]:
    return {"group/dbops.alembic.alembic": {"chdir": str(folder), "python": str(app.python), **more}}


def progress(printed: str) -> list[str]:
    """The lines of revisions, without their seconds."""
    return [line.rpartition(" … ")[0] for line in printed.splitlines() if " … " in line]


def test_check_and_diff_show_the_sql_and_write_nothing(newest: Application, sqlite: SqliteDatabase) -> None:
    project = newest.project("linear", sqlite)
    done = play(newest.folder, [task("alembic_upgrade")], "--check", "--diff", module_defaults=group(newest, project.folder)).ok()
    assert done.result()["changed"] and done.result()["applied"] == []
    assert revisions(done.result()["planned"]) == REVISIONS
    for number, title in TITLES.items():
        assert f"-- {number} {title}" in done.stdout
    assert "ALTER TABLE users ADD COLUMN email VARCHAR(100);" in done.stdout
    assert "-base\n+r001 create users" in done.stdout
    assert progress(done.printed) == []
    assert sqlite.dump() == ""


def test_a_revision_that_reads_the_database_is_marked_and_no_failure(newest: Application, sqlite: SqliteDatabase) -> None:
    project = newest.project("data_migration", sqlite)
    done = play(newest.folder, [task("alembic_upgrade")], "--check", "--diff", module_defaults=group(newest, project.folder)).ok()
    marked = {step["revision"]: step["previewable"] for step in done.result()["planned"]}
    assert marked["h001"] and not marked["h003"] and marked["h005"]
    assert "-- not previewable:" in done.stdout


def test_a_second_run_changes_nothing(newest: Application, sqlite: SqliteDatabase) -> None:
    project = newest.project("linear", sqlite)
    done = play(
        newest.folder, [task("alembic_upgrade"), task("alembic_upgrade")], module_defaults=group(newest, project.folder)
    ).ok()
    first, second = done.result(0), done.result(1)
    assert first["changed"] and revisions(first["applied"]) == REVISIONS and first["after"] == ["r005"]
    assert not second["changed"] and second["applied"] == [] and second["before"] == second["after"] == ["r005"]
    assert progress(done.stderr) == [f"[{place}/5] {name} {title}" for place, (name, title) in enumerate(TITLES.items(), 1)]


def test_the_result_tells_nothing_of_how_it_was_followed(newest: Application, sqlite: SqliteDatabase) -> None:
    project = newest.project("linear", sqlite)
    result = play(newest.folder, [task("alembic_upgrade")], module_defaults=group(newest, project.folder)).ok().result()
    assert not {"job", "cursor", "progress", "finished", "wait"} & (set(result) | set(result["invocation"]["module_args"]))
    assert result["invocation"]["module_args"]["reconnect"] == 300.0


def test_the_action_group_reaches_all_modules(newest: Application, sqlite: SqliteDatabase) -> None:
    project = newest.project("models", sqlite)
    tasks = [
        task("alembic_upgrade"),
        task("alembic_info"),
        task("alembic_check"),
        task("alembic_revision", title="by hand", revision_id="byhand"),
        task("alembic_stamp", revision="byhand"),
        task("alembic_downgrade", revision="base"),
    ]
    done = play(newest.folder, tasks, "--diff", module_defaults=group(newest, project.folder)).ok()
    upgrade, info, check, revision, stamp, downgrade = (entry["result"] for entry in done.results)
    assert upgrade["after"] == ["i001"]
    assert info["status"] == "at_target" and info["current"] == info["heads"] == ["i001"] and not info["changed"]
    assert check["in_sync"] and check["differences"] == [] and not check["changed"]
    assert revision["changed"] and Path(revision["revisions"][0]["path"]).read_text().startswith('"""by hand')
    assert stamp["before"] == ["i001"] and stamp["after"] == ["byhand"]
    assert downgrade["after"] == [] and revisions(downgrade["applied"]) == ["byhand", "i001"]
    assert sqlite.tables() == ["alembic_version"]


FAILURES: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("linear", {"chdir": None}, None, "one of the following is required: chdir, config"),
    ("linear", {"virtualenv": "/x"}, None, "parameters are mutually exclusive: python|virtualenv"),
    ("linear", {"initialise": "command"}, None, "initialise is command but all of the following are missing: initialise_command"),
    ("linear", {"python": "/no/such/python"}, "python_missing", "There is no Python that can be run at /no/such/python."),
    ("linear", {"chdir": "/no/such/folder"}, "config_missing", "The folder /no/such/folder can not be entered"),
    ("linear", {"max_pending": 3}, "too_many_pending", "5 revisions would run; max_pending allows 3."),
    ("linear", {"expect_current": ["r001"]}, "unexpected_revision", "The database is at base; expect_current names r001."),
    ("linear", {"revision": "zzz"}, "revision_unknown", "zzz"),
    ("two_heads", {}, "multiple_heads", "The scripts have 2 heads (t002a, t002b) and the target is 'head'."),
    ("raises_midway", {}, "migration_failed", "Revision m002 (fails after a table) failed:"),
]


def test_messages(newest: Application) -> None:
    tasks = []
    for number, (name, options, _kind, _message) in enumerate(FAILURES):
        project = newest.project(name, f"sqlite:///{newest.folder}/{number}.db")
        given = {"chdir": str(project.folder), "python": str(newest.python), **options}
        named = {key: value for key, value in given.items() if value is not None}
        tasks.append(task("alembic_upgrade", **named) | {"ignore_errors": True})
    done = play(newest.folder, tasks).ok()
    found = [(entry["status"], entry["result"].get("error_kind")) for entry in done.results]
    assert found == [("failed", kind) for _name, _options, kind, _message in FAILURES]
    for entry, (_name, _options, _kind, message) in zip(done.results, FAILURES, strict=True):
        assert message in entry["result"]["msg"] and message in done.printed


def test_the_failing_revision_is_in_the_result(newest: Application, sqlite: SqliteDatabase) -> None:
    project = newest.project("raises_midway", sqlite)
    done = play(newest.folder, [task("alembic_upgrade")], module_defaults=group(newest, project.folder))
    result = done.result()
    assert result["failed_revision"]["revision"] == "m002" and result["failed_revision"]["line"] > 0
    assert "missing_table" in result["failed_revision"]["statement"]
    assert result["after"] == ["m001"] and result["state"] == "dirty"


def test_async_is_followed_by_ansible(newest: Application, sqlite: SqliteDatabase) -> None:
    project = newest.project("linear", sqlite)
    done = play(
        newest.folder, [task("alembic_upgrade") | {"async": 60, "poll": 1}], module_defaults=group(newest, project.folder)
    ).ok()
    assert done.results[-1]["result"]["after"] == ["r005"]
    assert progress(done.stderr) == []


def test_a_loop_and_no_log(newest: Application, sqlite: SqliteDatabase) -> None:
    folders = [str(newest.project("linear", f"sqlite:///{newest.folder}/{name}.db").folder) for name in ("a", "b")]
    looped = task("alembic_upgrade", chdir="{{ item }}", python=str(newest.python)) | {"loop": folders}
    done = play(newest.folder, [looped]).ok()
    assert [item["after"] for item in done.result()["results"]] == [["r005"], ["r005"]]
    assert len(progress(done.stderr)) == 10
    down = task("alembic_downgrade", chdir="{{ item }}", python=str(newest.python), revision="r002") | {
        "loop": folders,
        "no_log": True,
    }
    assert progress(play(newest.folder, [down]).ok().printed) == []


def test_each_line_names_its_host_when_there_are_several(newest: Application) -> None:
    hosts = {
        name: {"folder": str(newest.project("linear", f"sqlite:///{newest.folder}/{name}.db").folder)} for name in ("one", "two")
    }
    done = play(newest.folder, [task("alembic_upgrade", chdir="{{ folder }}", python=str(newest.python))], hosts=hosts).ok()
    assert sorted(progress(done.stderr)) == [
        f"[{host}] [{n}/5] {name} {TITLES[name]}" for host in hosts for n, name in enumerate(TITLES, 1)
    ]


def test_each_line_names_its_database_when_there_are_several(newest: Application) -> None:
    urls = {name: f"sqlite:///{newest.folder}/{name}.db" for name in ("engine1", "engine2")}
    project = newest.project("multidb")
    done = play(newest.folder, [task("alembic_upgrade", urls=urls)], module_defaults=group(newest, project.folder)).ok()
    names = [entry["database"]["name"] for entry in done.result()["databases"]]
    assert len(names) == 2 and all(name.startswith(engine) for name, engine in zip(names, urls, strict=True))
    found = [line.rsplit(" ", line.count(" ") - 2)[0] for line in progress(done.stderr)]
    assert found == [f"{name}: {step}" for name in names for step in ("[1/2] w001", "[2/2] w002")]


def test_delegated_and_on_another_connection(newest: Application, sqlite: SqliteDatabase) -> None:
    project = newest.project("linear", sqlite)
    hosts = {"nowhere": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}}
    here = {"delegate_to": "localhost", "vars": {"ansible_connection": "local"}}
    done = play(newest.folder, [task("alembic_upgrade") | here], hosts=hosts, module_defaults=group(newest, project.folder)).ok()
    assert done.result()["after"] == ["r005"]


def test_progress_is_shown_while_it_runs(newest: Application, sqlite: SqliteDatabase) -> None:
    project = newest.project("slow", sqlite)
    slow = group(newest, project.folder, environment={"SLOW_SECONDS": "4"})
    running = Play(newest.folder, [task("alembic_upgrade")], module_defaults=slow)
    running.wait_for("[2/3] n002 takes its time …")
    assert "others" not in sqlite.tables() and "[3/3]" not in running.shown()
    done = running.outcome().ok()
    assert progress(done.stderr)[-1] == "[3/3] n003 create others"
    assert done.result()["after"] == ["n003"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may write to; pytest keeps its own to their owner, each time that one starts."""
    with tempfile.TemporaryDirectory(prefix="dbops-open-") as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.mark.needs_root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_become_keeps_the_job_with_the_user_who_runs_it(open_folder: Path) -> None:
    newest, sqlite = Application("alembic120", open_folder), SqliteDatabase(open_folder / "data.sqlite")
    project = newest.project("linear", sqlite)
    for folder in [Path("/"), *reversed(newest.python.parents)]:
        if not os.stat(folder).st_mode & stat.S_IXOTH:
            pytest.skip(f"{folder} can not be entered by another user")
    become = {"become": True, "become_user": "nobody", "become_method": "ansible.builtin.su", "become_flags": "-s /bin/sh"}
    environment = {"ANSIBLE_PIPELINING": "1"}
    done = play(
        newest.folder, [task("alembic_upgrade") | become], environment=environment, module_defaults=group(newest, project.folder)
    ).ok()
    assert done.result()["after"] == ["r005"] and len(progress(done.stderr)) == 5
    assert sqlite.path.owner() == "nobody"
