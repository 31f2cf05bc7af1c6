# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX set up by the playbook, with the modules of awx.awx, against as much of its API as they use (support/awx.py)."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import environments
from support.awx import Awx
from support.paths import ROOT, TREE

PASSWORD = "s3cr/et@word"
VARIABLES = {
    "awx_application": "shop",
    "awx_project_url": "https://git.example.com/shop.git",
    "awx_environment_image": "images.example.com/dbops:1",
    "awx_database_url": f"postgresql://shop:{PASSWORD}@db.example.com/shop",
    "awx_notifications": [
        {
            "name": "shop operators",
            "type": "webhook",
            "configuration": {"url": "https://chat.example.com/hook", "http_method": "POST"},
        }
    ],
}
TITLES = ("plan", "deploy", "deploy host by host", "roll back", "recover", "status", "backup", "restore")


@pytest.fixture
def awx() -> Iterator[Awx]:
    made = Awx()
    yield made
    made.close()


def play(awx: Awx, folder: Path, *arguments: str, **more: Any) -> tuple[int, dict[str, int], str]:
    """The status, the numbers of the recap, and the output."""
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": f"{TREE}:{environments.apart('awx.awx')}",
        "ANSIBLE_STDOUT_CALLBACK": "default",
        "CONTROLLER_HOST": awx.url,
        "CONTROLLER_OAUTH_TOKEN": "token",
    }
    command = ["ansible-playbook", "-i", "localhost,", "dbops.alembic.awx", "-e", json.dumps({**VARIABLES, **more}), *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    recap = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", done.stdout.split("PLAY RECAP")[-1])}
    return done.returncode, recap, done.stdout + done.stderr


@pytest.mark.slow  # four runs of forty modules
def test_everything_is_made_once(awx: Awx, tmp_path: Path) -> None:
    status, recap, output = play(awx, tmp_path, "--check")
    assert status == 0 and recap["changed"] > 0, output
    assert awx.writes == [], "check mode wrote"

    status, _, output = play(awx, tmp_path, "-vv")
    assert status == 0, output
    assert PASSWORD not in output
    assert awx.named("job_templates") == {f"shop {title}" for title in TITLES}
    assert awx.named("workflow_job_template_nodes") == {"plan", "approval", "window", "status"}
    assert awx.named("workflow_approval_templates") == {"shop approve the plan"}
    for node, kind, following in (
        ("plan", "success", "approval"),
        ("approval", "success", "window"),
        ("window", "failure", "status"),
    ):
        assert awx.linked("workflow_job_template_nodes", node, f"{kind}_nodes") == {following}
    assert awx.named("schedules") == {"shop backup"}
    deploy = awx.one("job_templates", "shop deploy")
    assert deploy["playbook"] == "playbooks/maintenance_window.yml"
    assert not deploy["ask_limit_on_launch"] and not deploy["ask_tags_on_launch"]
    assert awx.linked("job_templates", "shop deploy", "credentials") == {"shop database"}
    assert awx.linked("job_templates", "shop deploy", "notification_templates_error") == {"shop operators"}
    asked = {question["variable"] for question in awx.surveys["job_templates", deploy["id"]]["spec"]}
    assert "release_version" in asked

    # The URL is in the credential and nowhere else; a job reads it from a file.
    assert awx.one("credentials", "shop database")["inputs"] == {"url": VARIABLES["awx_database_url"]}
    kept = {kind: objects for kind, objects in awx.objects.items() if kind != "credentials"}
    assert PASSWORD not in json.dumps(kept)
    told = json.loads(deploy["extra_vars"])
    assert told["schema_database_url"].startswith("{{ lookup(") and told["application_name"] == "shop"
    (kind,) = awx.objects["credential_types"].values()
    assert kind["injectors"]["env"] == {"DBOPS_DATABASE_URL_FILE": "{{ tower.filename.url }}"}

    awx.writes.clear()
    for arguments in ((), ("--check",)):
        status, recap, output = play(awx, tmp_path, *arguments)
        assert (status, recap["changed"]) == (0, 0), output
        assert awx.writes == []


def tasks_of_awx() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in sorted((ROOT / "roles" / "awx" / "tasks").glob("*.yml")):
        for task in yaml.load(path.read_text(), Unsafe):
            found += [(name.rpartition(".")[2], given) for name, given in task.items() if name.startswith("awx.awx.")]
    return found


class Unsafe(yaml.SafeLoader):
    """Reads !unsafe as the text that it is."""


Unsafe.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


@pytest.mark.parametrize(("module", "given"), tasks_of_awx(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_task_gives_a_module_what_it_knows(module: str, given: dict[str, Any]) -> None:
    plugins = environments.apart("awx.awx") / "ansible_collections" / "awx" / "awx" / "plugins"
    source = ast.parse((plugins / "modules" / f"{module}.py").read_text())
    texts = {
        node.targets[0].id: node.value.value
        for node in source.body
        if isinstance(node, ast.Assign) and hasattr(node.value, "value")
    }
    options = yaml.safe_load(texts["DOCUMENTATION"])["options"]
    assert set(given) <= set(options)
    assert {name for name, option in options.items() if option.get("required")} <= set(given)
    for name, value in given.items():
        if "choices" in options[name] and "{{" not in str(value):
            assert value in options[name]["choices"], name


def test_every_playbook_that_a_job_template_names_is_there() -> None:
    templates = yaml.load((ROOT / "roles" / "awx" / "vars" / "main.yml").read_text(), Unsafe)["_awx_templates"]
    assert [entry["title"] for entry in templates.values()] == list(TITLES)
    assert all((ROOT / "playbooks" / f"{name}.yml").exists() for name in templates)
