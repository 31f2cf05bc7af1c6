# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Staging beside production, as the guide has it: each gets its own hosts, password and policy, and what both have in common."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.dbops.alembic.plugins.plugin_utils import _variables

from support import guide
from support.paths import ROOT

SECTION = guide.section(ROOT / "docs" / "docsite" / "rst" / "guide_maintenance_window.rst", "Staging beside production")
FILES, COMMANDS = guide.files(SECTION), guide.commands(SECTION)
ENCRYPT, DEPLOY = [line for line in COMMANDS if "vault encrypt" in line], [line for line in COMMANDS if "playbook" in line]
WHICH = {
    "staging": ({"staging.example.com"}, "staging.example.com", {"deployment_downgrade_trusted": True}),
    "production": (
        {"app1.example.com", "app2.example.com"},
        "db.example.com",
        {"deployment_rehearsal_binding_enabled": True, "backup_archive_keep_days": 30},
    ),
}


@pytest.fixture(scope="module")
def deploy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("deploy")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for place in WHICH:
        (folder / f".vault-{place}").write_text(f"of {place}\n")
    for line in ENCRYPT:
        run(folder, shlex.split(line))
    return folder


def run(folder: Path, command: list[str], status: int = 0) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_what_is_installed_is_what_the_commands_ask_for() -> None:
    """The command is the one that tests/packaging runs against a Galaxy server."""
    assert "ansible-galaxy collection install -r requirements.yml" in COMMANDS
    wanted = yaml.safe_load(FILES["requirements.yml"])["collections"]
    assert {word.rpartition(".")[0] for line in DEPLOY for word in line.split() if word.startswith("dbops.")} == set(wanted)


def test_the_picture_shows_the_files_that_are_given() -> None:
    assert {path for path in guide.tree(SECTION) if not path.endswith("/")} == set(FILES)


@pytest.mark.parametrize("place", WHICH)
def test_each_has_what_is_its_own(place: str, deploy: Path) -> None:
    hosts, server, policy = WHICH[place]
    (line,) = (line for line in DEPLOY if f"inventories/{place} " in line)
    options = line.split("ansible-playbook ")[1].split(" dbops.")[0]
    listed: dict[str, Any] = json.loads(run(deploy, ["ansible-inventory", *shlex.split(options), "--list"]))
    assert (
        set(listed["application"]["hosts"]) == hosts
        and (deploy / f"inventories/{place}/group_vars/all/vault.yml").read_text()[:14] == "$ANSIBLE_VAULT"
    )
    for host in hosts:
        found = listed["_meta"]["hostvars"][host]
        assert found["orders_password"] == f"the password of {place}" and found["orders_database_host"] == server
        assert policy.items() <= found.items() and found["application_name"] == "orders"
        assert _variables.refusals({host: {name: value for name, value in found.items() if "{{" not in str(value)}}) == []
    other = next(name for name in WHICH if name != place)
    run(deploy, ["ansible-inventory", *shlex.split(options.replace(f"vault-{place}", f"vault-{other}")), "--list"], status=4)
