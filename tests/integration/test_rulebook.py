# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebook of the guide: it is as its schema wants it, and an alert becomes a backup, by ansible-rulebook itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import environments
from flows.stage import Stage
from support import guide
from support.paths import ROOT
from support.postgres import Postgres
from support.processes import Daemon, free_port
from support.waiting import PATIENCE, until

SECTION = guide.section(ROOT / "docs" / "docsite" / "rst" / "guide_pipelines.rst", "Event-Driven Ansible")
RULEBOOK = guide.files(SECTION)["rulebook.yml"]
VALIDATE = """
import json, pathlib, sys, ansible_rulebook, jsonschema, yaml
schema = json.loads((pathlib.Path(ansible_rulebook.__file__).parent / "schema" / "ruleset_schema.json").read_text())
jsonschema.validate(yaml.safe_load(sys.stdin), schema)
"""
TOKEN = "s3cret-t0ken"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def programs() -> Path:
    return environments.virtual_environment("rulebook", environments.controller_python()).parent


def test_the_rulebook_is_as_its_schema_wants_it() -> None:
    for text, status in ((RULEBOOK, 0), (RULEBOOK.replace("condition:", "conditoin:"), 1)):
        done = subprocess.run([str(programs() / "python"), "-c", VALIDATE], input=text.encode(), capture_output=True, check=False)
        assert done.returncode == status, done.stderr.decode()


def tell(port: int, alert: str, token: str = TOKEN) -> int:
    body = json.dumps({"alert": alert, "application": "shop"}).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_an_alert_becomes_a_backup_and_another_one_a_status(
    tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("supervisord") or not shutil.which("java"):
        pytest.skip("supervisor or java is not installed")
    secret = tmp_path / "url"
    told = {"schema_database_url": f"{{{{ lookup('ansible.builtin.file', '{secret}') }}}}"}
    stage = Stage(tmp_path / "s", postgres, variables=told)
    secret.write_text(stage.database.url())
    port, said = free_port(), tmp_path / "rulebook.out"
    (tmp_path / "rulebook.yml").write_text(RULEBOOK.replace("port: 5000", f"port: {port}"))
    options = ("--rulebook", str(tmp_path / "rulebook.yml"), "--inventory", str(stage.folder / "inventory.json"))
    rules = Daemon([str(programs() / "ansible-rulebook"), *options, "--env-vars", "WEBHOOK_TOKEN"], None, said)
    try:
        stage.archive("1.0")
        stage.play("maintenance_window", release_version="1.0").ok()
        before = set((stage.folder / "archives").glob("*.pgc"))
        for name, value in {**stage.environment, "WEBHOOK_TOKEN": TOKEN}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("SHOP_DATABASE_URL")
        monkeypatch.setenv("PATH", f"{programs()}{os.pathsep}{os.environ['PATH']}")
        rules.start(lambda: tell(port, "nothing that a rule knows", "wrong") == 401)
        assert tell(port, "dbops_backup_old") == 200
        until(lambda: set((stage.folder / "archives").glob("*.pgc")) - before, "an archive")
        assert tell(port, "dbops_deployment_halted") == 200
        until(lambda: "shop: release 1.0" in said.read_text() or "Show the status" in said.read_text(), "the status")
        assert stage.database.password not in said.read_text()
    finally:
        rules.stop()
        stage.close()
