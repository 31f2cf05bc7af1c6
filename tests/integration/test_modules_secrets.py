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


@pytest.mark.parametrize("way", [name if name == "environment" else pytest.param(name, marks=pytest.mark.slow) for name in WAYS])
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


PASSWORDS = [f"{CORE} two words 'and' \"quotes\" 100% @é/\\", f"\\'{CORE}\n%40%%:?#&+"]
# An application that reads its database's password from a file of its own, and shows it in every way at every turn.
TELLS = """
import base64, json, os, shlex, sys
from urllib.parse import quote
from alembic import context
import sqlalchemy
password = open({path!r}, newline="").read()
url = sqlalchemy.engine.URL.create("postgresql+{driver}", {role!r}, password, "127.0.0.1", {port}, {name!r})
engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.pool.NullPool)
text = url.render_as_string(hide_password=False)
dsn = "password='%s'" % password.replace("\\\\", "\\\\\\\\").replace("'", "\\\\'")
forms = [
    password, quote(password), repr(password), json.dumps(password), json.dumps(json.dumps(password)), shlex.quote(password), text,
    repr(url.translate_connect_args()), dsn, base64.b64encode(password.encode()).decode(),
    base64.b64encode(text.encode()).decode(),
]
for form in forms:
    print("shown", form, "\\x1b]0;title\\x07\\x1b[31mred\\r\\u202e")
    print("shown", form, file=sys.stderr)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
    raise RuntimeError(" | ".join(forms) + " \\x1b[2J\\u202egone")
"""


@pytest.mark.parametrize("number", [pytest.param(0, marks=pytest.mark.slow), 1])
@pytest.mark.parametrize("lets_in", [True, False], ids=["let in", "refused"])
def test_a_project_that_tells_its_own_password(
    newest: Application, postgres: Postgres, tmp_path: Path, number: int, lets_in: bool
) -> None:
    database = postgres.database(PASSWORDS[number])
    project = newest.project("linear")
    (tmp_path / "password").write_text(PASSWORDS[number], newline="")
    facts = {
        "path": str(tmp_path / "password"),
        "driver": "psycopg2",
        "role": database.role if lets_in else "nobody",
        "port": postgres.port,
        "name": database.name,
    }
    env = project.folder / "migrations" / "env.py"
    env.write_text(TELLS.format(**facts))
    revision = next((project.folder / "migrations" / "versions").glob("r001*"))
    revision.write_text(revision.read_text().replace("create users", "create \x1b]0;owned\x07\u202eusers", 1))
    log = tmp_path / "ansible.log"
    done = play(
        newest.folder, [upgrade(newest, project.folder, tmp_path / "state")], "-vvv", environment={"ANSIBLE_LOG_PATH": str(log)}
    )
    assert done.status == 2 and done.result()["error_kind"] == ("environment_failed" if lets_in else "authentication_failed"), (
        done.printed
    )
    assert done.result()["output"].count("shown") >= 22
    planned = [step["message"] for entry in done.result()["databases"] for step in entry["planned"]]
    assert not lets_in or planned[0] == r"create \x1b]0;owned\x07\u202eusers"
    assert_hidden(done, tmp_path / "state")
    assert CORE not in log.read_text()
    (tmp_path / "password").unlink()
    for text in (done.printed, log.read_text(), json.dumps(done.results, ensure_ascii=False)):
        assert not [command for command in "\x1b\x07\r\u202e" if command in text]
    database.drop()


@pytest.mark.parametrize("status", [pytest.param(0, marks=pytest.mark.slow), 1])
def test_the_index_of_pip_shows_no_password(newest: Application, tmp_path: Path, status: int) -> None:
    """pip is a program here that tells all that it knows, once ending well."""
    release = tmp_path / "release"
    release.mkdir()
    (release / "requirements.txt").touch()
    (release / "venv" / "bin").mkdir(parents=True)
    (release / "venv" / "bin" / "pip").touch()  # so the environment is there
    pip, index = release / "venv" / "bin" / "python", f"https://ci:{quote(PASSWORD, safe='')}@index.example.com/simple"
    pip.write_text(
        f'#!/bin/sh\npwd >{tmp_path}/where\nenv >{tmp_path}/told\nenv\necho "Looking in $PIP_INDEX_URL" >&2\nexit {status}\n'
    )
    pip.chmod(0o755)
    given = {
        "_release_path": str(release),
        "release_pip_environment": {"PIP_INDEX_URL": index, "PIP_PROXY": f"http://me:{quote(PASSWORD)}@proxy", "API_TOKEN": CORE},
    }
    install = {
        "name": "install",
        "ansible.builtin.include_role": {"name": "dbops.alembic.release", "tasks_from": "install"},
        "vars": given,
    }
    done = play(newest.folder, [install], "-vvvv")
    assert index in (tmp_path / "told").read_text() and (tmp_path / "where").read_text().strip() == str(release)
    assert done.status == 2 * status, done.printed
    assert ("ended with status 1" in done.result().get("msg", "")) is bool(status)
    assert_hidden(done, tmp_path / "state")
