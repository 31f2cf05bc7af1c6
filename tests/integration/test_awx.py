# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWX set up by the playbook, with the modules of awx.awx, against as much of its API as they use (support/awx.py).

With DBOPS_AWX, the URL of a real AWX with user and password in it, against that too: https://admin:password@awx.example.com.
What is made there is removed again. DBOPS_AWX_PROJECT is the URL of a repository that it can read, with a playbook for each
job template in its folder playbooks.
"""

from __future__ import annotations

import ast
import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jinja2.sandbox
import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

import environments
from support import guide, sources
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
TITLES = ("plan", "deploy", "deploy host by host", "roll back", "recover", "status", "backup", "prune", "restore")
HOSTS = {
    "awx_inventory_hosts": {"app1.example.com": {}, "app2.example.com": {"application_port": 8001}},
    "awx_inventory_variables": {"application_services": ["shop"], "health_url": "http://127.0.0.1/health"},
}
PARTS = {"host": "db.example.com", "name": "shop", "user": "shop", "password": PASSWORD}


@pytest.fixture
def awx() -> Iterator[Awx]:
    made = Awx()
    yield made
    made.close()


def play(awx: Awx | str, folder: Path, *arguments: str, **more: Any) -> tuple[int, dict[str, int], str]:
    """The status, the numbers of the recap, and the output."""
    place = urlsplit(awx if isinstance(awx, str) else awx.url)
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": f"{TREE}:{environments.apart('awx.awx')}",
        "ANSIBLE_STDOUT_CALLBACK": "default",
        "CONTROLLER_HOST": place._replace(netloc=place.netloc.rpartition("@")[2]).geturl(),
    }
    if place.username:
        environment |= {"CONTROLLER_USERNAME": unquote(place.username), "CONTROLLER_PASSWORD": unquote(place.password or "")}
    else:
        environment["CONTROLLER_OAUTH_TOKEN"] = "token"
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
    assert awx.named("schedules") == {"shop backup", "shop prune"}
    assert awx.linked("job_templates", "shop plan", "labels") == {"shop"}
    assert awx.linked("workflow_job_templates", "shop plan, approve, deploy", "labels") == {"shop"}
    deploy = awx.one("job_templates", "shop deploy")
    assert deploy["playbook"] == "playbooks/maintenance_window.yml"
    assert not deploy["ask_limit_on_launch"] and not deploy["ask_tags_on_launch"] and not deploy["ask_variables_on_launch"]
    assert deploy["ask_job_type_on_launch"] and deploy["ask_diff_mode_on_launch"] and deploy["ask_verbosity_on_launch"]
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


def names_in_json(awx: str, kind: str, folder: Path) -> dict[str, int]:
    """What there is of a kind, by its name."""
    said = api(awx, folder, "get", f"{kind}/?page_size=200")
    return {entry.get("name") or entry["identifier"]: entry["id"] for entry in said["results"]}


def api(awx: str, folder: Path, method: str, path: str) -> Any:
    place = urlsplit(awx)
    user = f"{unquote(place.username or '')}:{unquote(place.password or '')}"
    url = f"{place._replace(netloc=place.netloc.rpartition('@')[2]).geturl().rstrip('/')}/api/v2/{path}"
    (folder / "curl").write_text(f'user = "{user}"\n')  # no password in an argument
    command = ["curl", "--silent", "--fail", "--config", str(folder / "curl"), "--request", method.upper(), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout) if done.stdout else {}


@pytest.mark.slow
@pytest.mark.skipif("DBOPS_AWX" not in os.environ, reason="DBOPS_AWX names no AWX to set up")
def test_a_real_awx_takes_it_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    awx, name = os.environ["DBOPS_AWX"], f"dbops-test-{secrets.token_hex(3)}"
    notified = [{**entry, "name": f"{name} operators"} for entry in VARIABLES["awx_notifications"]]
    notified[0]["configuration"] |= {"headers": {}, "username": "", "password": "", "disable_ssl_verification": False}
    given = {
        **HOSTS,
        "awx_application": name,
        "awx_notifications": notified,
        "awx_database_url": "",
        "awx_database_parts": PARTS,
        "awx_project_url": os.environ.get("DBOPS_AWX_PROJECT", VARIABLES["awx_project_url"]),
    }
    try:
        status, recap, output = play(awx, tmp_path, "--check", **given)
        assert status == 0 and recap["changed"] > 0, output
        assert name not in names_in_json(awx, "projects", tmp_path)
        status, _, output = play(awx, tmp_path, **given)
        assert status == 0 and PASSWORD not in output, output
        assert {f"{name} {title}" for title in TITLES} <= set(names_in_json(awx, "job_templates", tmp_path))
        for arguments in ((), ("--check",)):
            status, recap, output = play(awx, tmp_path, *arguments, **given)
            assert (status, recap["changed"]) == (0, 0), output
    finally:
        for kind in REMOVED:
            for found, number in names_in_json(awx, kind, tmp_path).items():
                if found.startswith(name):
                    api(awx, tmp_path, "delete", f"{kind}/{number}/")


#: What is removed from a real AWX, in this order. A label goes with the last that bears it.
REMOVED = (
    *("workflow_job_templates", "job_templates", "inventories", "projects", "credentials", "execution_environments"),
    "notification_templates",
)


@pytest.mark.slow
def test_an_inventory_of_its_own_and_a_database_in_parts(awx: Awx, tmp_path: Path) -> None:
    status, _, output = play(awx, tmp_path, awx_database_url="", awx_database_parts=PARTS, **HOSTS)
    assert status == 0, output
    assert awx.named("hosts") == {"app1.example.com", "app2.example.com"} and not awx.objects["inventory_sources"]
    assert awx.linked("groups", "application", "hosts") == {"app1.example.com", "app2.example.com"}
    assert json.loads(awx.one("groups", "application")["variables"]) == HOSTS["awx_inventory_variables"]
    assert awx.one("credentials", "shop database")["inputs"] == PARTS
    assert "schema_database_url" in json.loads(awx.one("job_templates", "shop plan")["extra_vars"])


@pytest.mark.parametrize(
    ("inputs", "url"),
    [
        ({"url": "sqlite:////srv/shop.db"}, "sqlite:////srv/shop.db"),
        (PARTS, "postgresql://shop:s3cr%2Fet%40word@db.example.com/shop"),
        (
            {**PARTS, "driver": "postgresql+psycopg", "port": "5433"},
            "postgresql+psycopg://shop:s3cr%2Fet%40word@db.example.com:5433/shop",
        ),
        ({"user": "a b", "name": "shop", "host": "db"}, "postgresql://a%20b@db/shop"),
    ],
)
def test_what_a_credential_holds_becomes_a_url(inputs: dict[str, str], url: str) -> None:
    """As AWX fills it in: in a sandbox, strictly, and without what was left empty."""
    template = sources.read(ROOT / "roles" / "awx" / "vars" / "main.yml")["_awx_url_file"]
    sandbox = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    assert sandbox.from_string(template).render(inputs) == url


def tasks_of_awx() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in sorted((ROOT / "roles" / "awx" / "tasks").glob("*.yml")):
        for task in sources.read(path):
            found += [(name.rpartition(".")[2], given) for name, given in task.items() if name.startswith("awx.awx.")]
    return found


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


def test_the_variables_of_the_guide_are_those_of_the_role() -> None:
    files = guide.files(guide.section(ROOT / "docs" / "docsite" / "rst" / "guide_awx.rst", "AWX as code"))
    options = yaml.safe_load((ROOT / "roles" / "awx" / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"][
        "options"
    ]
    told = ArgumentSpecValidator({name: {"type": option["type"]} for name, option in options.items()})
    found = told.validate(yaml.safe_load(files["awx.yml"]))
    assert found.error_messages == [] and {name for name, option in options.items() if option.get("required")} <= set(VARIABLES)
    (play,) = yaml.safe_load(files["playbooks/maintenance_window.yml"])
    assert play["ansible.builtin.import_playbook"] == "dbops.alembic.maintenance_window"


def test_every_playbook_that_a_job_template_names_is_there() -> None:
    templates = sources.read(ROOT / "roles" / "awx" / "vars" / "main.yml")["_awx_templates"]
    assert [entry["title"] for entry in templates.values()] == list(TITLES)
    assert all((ROOT / "playbooks" / f"{name}.yml").exists() for name in templates)
