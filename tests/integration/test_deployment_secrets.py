# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment whose env.py fails when the migrations are done and tells the password in every way: the way back is taken, and no
terminal, record, report or archive has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.stage import Stage
from support.paths import ROOT
from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(1800), pytest.mark.slow]  # two whole windows
CORE = "hidden-wOrd"
PASSWORD = f"{CORE} two words 'and' \"quotes\" 100% @é/\\"
TELLS = """
import base64, json, pathlib, shlex
from urllib.parse import quote
from sqlalchemy.engine import make_url
_failed = pathlib.Path(__file__).with_name("failed")
if "DBOPS_ALEMBIC_READ_ONLY" not in os.environ:
    _failed.touch()
if _failed.exists():
    url = make_url(database_url)
    shown = url.render_as_string(hide_password=False)
    dsn = "password='%s'" % url.password.replace("\\\\", "\\\\\\\\").replace("'", "\\\\'")
    forms = [url.password, quote(url.password), repr(url.password), json.dumps(url.password), shlex.quote(url.password), shown, dsn]
    forms += [repr(url.translate_connect_args()), *(base64.b64encode(text.encode()).decode() for text in (url.password, shown))]
    print("\\n".join(forms))
    raise RuntimeError("the cache is not reached: " + " | ".join(forms) + " \\x1b]0;owned\\x07")
"""


def test_a_failure_that_tells_the_password(tmp_path: Path, postgres: Postgres) -> None:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    stage = Stage(tmp_path / "s", postgres, count=1, database=postgres.database(PASSWORD, attributes="CREATEDB"))
    try:
        stage.archive("1.0")
        env = (ROOT / "demo" / "app" / "base" / "shop" / "migrations" / "env.py").read_text()
        stage.altered("telling", "1.1", {"shop/migrations/env.py": env + TELLS})
        first = stage.play("maintenance_window", release_version="1.0")
        assert first.status == 0, first.output
        stage.seed(50)
        before = stage.contents()
        done = stage.play("maintenance_window", "-vvv", release_version="telling")
        assert done.status != 0 and "failed after it had run the migrations: RuntimeError: the cache is not reached" in done.output
        record = stage.records()[-1]
        assert (record["status"], record["failure"]["error_kind"]) == ("reverted", "environment_failed"), record
        assert record["decision"]["database"] == "restore" and "at the to-revision" in record["decision"]["reason"], record[
            "decision"
        ]
        assert stage.contents() == before and stage.serving() == {("1.0", 200, "1.0")}
        report = (stage.folder / "records" / "shop.html").read_text()
        assert "the cache is not reached" in report and "\x1b" not in report + done.output
        texts = {
            path: path.read_bytes()
            for name in ("records", "archives")
            for path in (stage.folder / name).rglob("*")
            if path.is_file()
        }
        for where, text in {"the terminal": done.output.encode(), **texts}.items():
            assert CORE.encode() not in text, where
    finally:
        stage.close()
