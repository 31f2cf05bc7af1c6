# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password works whatever is in it, and is nowhere to be seen: not in a process list, a file, a result or a log."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from support.application import Application, failed, ok
from support.quick import some
from support.runner import Run, command_lines

PASSWORDS = ["p%40@:/ ?#x'\"", "100%sure&a=b", "%%%(here)s", "back\\slash$HOME;`id`", "schön-geheim-Ω"]
SLEEPING = "query like '%%pg_sleep%%' and state = 'active'"


def spellings(secret: str) -> set[str]:
    """Each way in which it could be written down."""
    encoded = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    return encoded | {text.replace("%", "%%") for text in encoded}


def assert_unseen(secret: str, *texts: str) -> None:
    for text in texts:
        for spelling in spellings(secret):
            assert spelling not in text, f"{spelling!r} in ...{text[max(0, text.find(spelling) - 200) :][:400]}"


def everything_processes_say() -> str:
    return command_lines([int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()])


def initial_environment(run: Run) -> str:
    texts = []
    for pid in run.descendants():
        try:
            texts.append(Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(texts)


def new_files(since: float, *folders: Path) -> str:
    """Names and contents of the files there that were written since; others may be removing theirs meanwhile."""
    texts = []
    for folder, _folders, names in (entry for top in folders for entry in os.walk(top)):
        for path in (Path(folder, name) for name in names):
            with contextlib.suppress(OSError):
                if path.is_file() and not path.is_symlink() and path.stat().st_mtime >= since and path.stat().st_size < 10_000_000:
                    texts.append(f"{path}\n{path.read_bytes().decode(errors='replace')}")
    return "\n".join(texts)


@pytest.mark.parametrize("password", some(PASSWORDS, *PASSWORDS[::2]))
def test_in_the_url_parameter(app: Application, postgres: Any, password: str) -> None:
    database = postgres.database(password)
    project = app.project("linear")
    result = ok(app.upgrade(project, url=database.url()))
    assert result["after"] == ["r005"]
    assert_unseen(password, json.dumps(result), json.dumps(result, ensure_ascii=False))
    database.drop()


@pytest.mark.parametrize("password", some(PASSWORDS, *PASSWORDS[::2]))
def test_in_the_ini(app: Application, maria: Any, postgres: Any, mariadb: Any, password: str) -> None:
    for server, driver in ((postgres, "psycopg" if app.knows("psycopg") else "psycopg2"), (mariadb, "pymysql")):
        if server is mariadb and not password.isascii():
            continue  # PyMySQL encodes passwords as Latin-1
        database = server.database(password)
        result = ok(app.upgrade(app.project("linear", database, driver=driver)))
        assert result["after"] == ["r005"]
        assert_unseen(password, json.dumps(result), json.dumps(result, ensure_ascii=False))
        database.drop()


@pytest.mark.parametrize("how", some(["url", "environment", "x_arguments", "ini", "settings"], "environment", "x_arguments", "ini"))
def test_nowhere_while_it_runs(app: Application, postgres: Any, tmp_path: Path, how: str) -> None:
    """Looks at each process's arguments and first environment, and at each file that was written meanwhile."""
    password = PASSWORDS[0] + token_hex(4)  # other tests, which run at the same time, write theirs down
    database = postgres.database(password)
    names = {"url": "slow", "environment": "env_var_url", "x_arguments": "x_args", "ini": "slow", "settings": "settings_class"}
    project = app.project(names[how], database if how == "ini" else None, versions="slow")
    address = {"HOST": "127.0.0.1", "PORT": str(postgres.port), "NAME": database.name, "USER": database.role, "PASSWORD": password}
    given: dict[str, Any] = {
        "url": {"url": database.url()},
        "environment": {"environment": {"DATABASE_URL": database.url()}},
        "x_arguments": {"x_arguments": [f"url={database.url()}"]},
        "ini": {},
        "settings": {"environment": {f"APP_DB_{name}": value for name, value in address.items()}},
    }[how]
    given["environment"] = {**given.get("environment", {}), "SLOW_SECONDS": "2"}
    started = time.time()
    run = app.start("upgrade", project, revision="head", diff=True, **given)
    database.wait_for_session(SLEEPING)
    seen, variables = everything_processes_say(), initial_environment(run)
    files = new_files(started, Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path.home() / ".local")
    result = ok(run.result())
    assert_unseen(password, seen, variables, json.dumps(result), json.dumps(result, ensure_ascii=False))
    if how != "ini":
        assert_unseen(password, files.replace(str(project.folder / "alembic.ini"), ""))
    database.drop()


@pytest.mark.parametrize("driver", some(["psycopg2", "psycopg", "asyncpg"], "psycopg2", "asyncpg"))
def test_in_failures(app: Application, pg: Any, driver: str) -> None:
    secret = "Wr0ng:p@ss%word"
    app.needs(driver)
    project = app.project("async_env" if driver == "asyncpg" else "linear")
    for url in (pg.url(driver, password=secret), pg.url(driver, password=secret).replace(f":{pg.server.port}/", ":1/")):
        result = app.upgrade(project, url=url)
        assert result["failed"]
        assert_unseen(secret, json.dumps(result))


def test_in_what_the_project_prints(app: Application, pg: Any) -> None:
    project = app.project("linear", pg)
    env = project.folder / "migrations" / "env.py"
    added = 'url = config.get_main_option("sqlalchemy.url")\nprint("connected to", url)\nraise RuntimeError(f"bad {url}")\n'
    env.write_text(f"{env.read_text()}\n{added}")
    result = app.upgrade(project)
    assert "connected to" in result["output"]
    assert_unseen(pg.password, json.dumps(result))


def test_parameters_of_statements_are_not_shown(app: Application, pg: Any) -> None:
    """The failing statement is in the result, the values that were bound to it are not."""
    secret = "robot-key-4711-XYZ"
    result = failed(
        app.upgrade(app.project("secret_in_sql", pg), environment={"ROBOT_SECRET": secret}, diff=True), "migration_failed"
    )
    assert "missing_table" in result["failed_revision"]["statement"]
    assert_unseen(secret, json.dumps(result))


def test_parameters_that_nobody_called_secret_are_not_shown_either(app: Application, pg: Any) -> None:
    """Here nobody told the module what the secret is."""
    secret = "robot-key-4711-XYZ"
    project = app.project("secret_in_sql", pg)
    result = failed(app.upgrade(project, variables={"ROBOT_SECRET": secret}, diff=True), "migration_failed")
    shown = {key: value for key, value in result.items() if key != "output"}
    assert_unseen(secret, json.dumps(shown))


def test_the_whole_parameter_list(app: Application, pg: Any) -> None:
    """The invocation that Ansible shows at -vvv."""
    given = {
        "url": pg.url(),
        "environment": {"DATABASE_URL": pg.url(), "API_TOKEN": "tok-en-123456"},
        "x_arguments": [f"password={pg.password}"],
    }
    result = ok(app.info(app.project("linear"), **given))
    assert_unseen(pg.password, json.dumps(result))
    assert_unseen("tok-en-123456", json.dumps(result))
