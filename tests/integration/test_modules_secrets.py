# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password is nowhere but where it was written: not on the terminal at -vvvv, in a result, in an argument or in a file."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import quote

import pytest

from support.application import Application, ok
from support.plays import Outcome, Play, play, task
from support.postgres import Postgres, PostgresDatabase

CORE = "hidden-wOrd"  # in every spelling of the passwords here
PASSWORD = f"%/{CORE}@:#'\" é"


@pytest.fixture
def guarded(postgres: Postgres) -> Iterator[PostgresDatabase]:
    database = postgres.database(PASSWORD)
    yield database
    database.drop()


def upgrade(app: Application, folder: Path, state: Path, **parameters: Any) -> dict[str, Any]:
    given = {"chdir": str(folder), "python": str(app.python), **parameters}
    return task("alembic_upgrade", **given) | {"environment": {"XDG_STATE_HOME": str(state)}}


def processes() -> Iterator[str]:
    """Arguments and environment of every process that may be looked into."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            yield "".join((folder / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ"))


def assert_hidden(done: Outcome, state: Path) -> None:
    assert CORE not in done.printed, next(line for line in done.printed.splitlines() if CORE in line)
    assert CORE not in json.dumps(done.results)
    for path in state.rglob("*"):
        assert path.is_dir() or CORE not in path.read_text(), path


WAYS: dict[str, dict[str, Any]] = {
    "url": {"url": "{url}"},
    "urls": {"urls": {"alembic": "{url}"}},
    "environment": {"url": "{url}", "environment": {"DATABASE_URL": "{url}", "API_TOKEN": CORE, "DB_PASS": PASSWORD}},
    "x_arguments": {"url": "{url}", "x_arguments": ["url={url}", f"password={CORE}"]},
}


def filled(value: Any, url: str) -> Any:
    if isinstance(value, dict):
        return {key: filled(item, url) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, url) for item in value]
    return value.replace("{url}", url)


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_succeeds_shows_no_password(newest: Application, guarded: PostgresDatabase, tmp_path: Path, way: str) -> None:
    project = newest.project("linear")
    given = filled(WAYS[way], guarded.url())
    done = play(newest.folder, [upgrade(newest, project.folder, tmp_path / "state", **given)], "-vvvv", "--diff").ok()
    assert ok(done.result())["after"] == ["r005"]
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in done.stdout
    assert_hidden(done, tmp_path / "state")


def test_while_it_runs_no_process_has_the_password(newest: Application, guarded: PostgresDatabase, tmp_path: Path) -> None:
    project = newest.project("slow")
    given = {"url": guarded.url(), "environment": {"SLOW_SECONDS": "4", "DATABASE_URL": guarded.url()}}
    running = Play(newest.folder, [upgrade(newest, project.folder, tmp_path / "state", **given)])
    running.wait_for("[2/3] n002 takes its time …")
    seen = list(processes())
    assert any("dbops.alembic:upgrade" in text for text in seen)
    assert not [text for text in seen if CORE in text]
    assert_hidden(running.outcome().ok(), tmp_path / "state")


PRELUDES = {
    "raises it": "import os; raise RuntimeError('can not connect to ' + os.environ['DATABASE_URL'])",
    "prints it and ends": "import os, sys; print(os.environ['DATABASE_URL'], os.environ['API_TOKEN']); sys.exit(3)",
}


@pytest.mark.parametrize("what", PRELUDES)
def test_a_project_that_shows_it_itself(newest: Application, guarded: PostgresDatabase, tmp_path: Path, what: str) -> None:
    project = newest.project("linear")
    given = {"prelude": PRELUDES[what], "environment": {"DATABASE_URL": guarded.url(), "API_TOKEN": CORE}}
    done = play(newest.folder, [upgrade(newest, project.folder, tmp_path / "state", **given)], "-vvvv")
    assert done.status == 2 and done.result()["error_kind"] == "environment_failed"
    assert_hidden(done, tmp_path / "state")


def test_a_wrong_password(newest: Application, guarded: PostgresDatabase, tmp_path: Path) -> None:
    project = newest.project("linear")
    url = guarded.url(password=f"not-{CORE}")
    done = play(newest.folder, [upgrade(newest, project.folder, tmp_path / "state", url=url)], "-vvvv")
    assert done.result()["error_kind"] == "authentication_failed" and guarded.role in done.result()["msg"]
    assert_hidden(done, tmp_path / "state")


def test_a_url_from_a_vault_is_read_by_the_filter(newest: Application, tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text(f"postgresql://app:{quote(PASSWORD, safe='')}@db/orders")
    steps = {
        "encrypt": {"url": f"{{{{ lookup('file', '{secret}') | vault('key') }}}}"},
        "read": {"url": "{{ url | unvault('key') }}"},
        "parts": {"parts": "{{ url | dbops.alembic.database_url }}"},
    }
    tasks = [{"name": name, "ansible.builtin.set_fact": facts, "no_log": name != "encrypt"} for name, facts in steps.items()]
    shown = {"name": "shown", "ansible.builtin.debug": {"msg": "{{ parts.redacted }} {{ parts.password | length }}"}}
    wrong = {"name": "wrong", "ansible.builtin.debug": {"msg": "{{ url | replace('%', '@') | dbops.alembic.database_url }}"}}
    done = play(newest.folder, [*tasks, shown, wrong], "-vvvv")
    assert done.results[3]["result"]["msg"] == f"postgresql://app:***@db/orders {len(PASSWORD)}"
    assert done.status == 2 and "database_url: the URL can not be used: there is an '@' too many" in done.result()["msg"]
    assert CORE not in done.printed
