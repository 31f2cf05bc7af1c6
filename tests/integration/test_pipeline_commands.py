# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the pipelines in the guide, as a shell reads them there: a tag is deployed, backed up, and taken back.

What installs collections is run against a Galaxy server (tests/packaging). GitHub is a stand-in, to which its own program gh talks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import yaml

import environments
from flows.stage import Stage, write_tree
from support import guide
from support.paths import ROOT, TREE
from support.postgres import Postgres
from support.receiver import GitHub, Receiver

GUIDE = ROOT / "docs" / "docsite" / "rst" / "guide_pipelines.rst"
#: Pipeline → the variable that has the tag there.
TAGS = {"GitHub Actions": "GITHUB_REF_NAME", "GitLab CI": "CI_COMMIT_TAG"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def scripts(title: str) -> dict[str, str]:
    """Playbook → the line that runs it."""
    lines = [line for line in guide.pipeline(GUIDE, title) if line.startswith("ansible-playbook ")]
    return {line.split("dbops.alembic.")[1].split()[0]: line for line in lines}


#: How a line of a pipeline begins → what runs it, here and in tests/packaging/test_galaxy_server.py.
RUN = {
    "ansible-playbook ": "test_the_commands_do_what_the_pipeline_says",
    "python3 -m venv .venv": "test_the_plan_of_a_merge_request",
    ".venv/bin/pip install ": "test_the_plan_of_a_merge_request",
    "gh pr comment ": "test_the_plan_becomes_a_comment_on_github",
    'printf "header': "test_the_plan_becomes_a_comment_on_gitlab",
    "python3 -m pip install ansible-core": "test_it_is_installed_as_a_pipeline_of_the_guide_does_it",
    "ansible-galaxy collection install ": "test_it_is_installed_as_a_pipeline_of_the_guide_does_it",
}


@pytest.mark.parametrize("title", TAGS)
def test_each_command_of_a_pipeline_is_run_by_a_test(title: str) -> None:
    lines = guide.pipeline(GUIDE, title)
    assert len(lines) > 7 and [line for line in lines if not line.startswith(tuple(RUN))] == []
    tests = Path(__file__).read_text() + (ROOT / "tests" / "packaging" / "test_galaxy_server.py").read_text()
    assert [name for name in RUN.values() if f"def {name}(" not in tests] == []


def sh(line: str, folder: Path, **variables: str) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(TREE), "PWD": str(folder), **variables, "PATH": path}
    done = subprocess.run(["bash", "-euc", line], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("title", TAGS)
def test_the_commands_do_what_the_pipeline_says(title: str, tmp_path: Path, postgres: Postgres) -> None:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    given = {"schema_database_url": "{{ lookup('ansible.builtin.env', 'SHOP_DATABASE_URL') }}"}
    stage, run = Stage(tmp_path / "s", postgres, variables=given), scripts(title)
    assert set(run) == {"plan_check", "maintenance_window", "rollback", "backup"}
    try:
        stage.archive("1.0", "1.1")
        shutil.copy(stage.folder / "inventory.json", stage.folder / "inventory.yml")
        for tag in ("1.0", "1.1"):
            sh(run["maintenance_window"], stage.folder, **{**stage.environment, TAGS[title]: tag})
            assert {(active, status) for active, status, _ in stage.serving()} == {(tag, 200)}
        before = set((stage.folder / "archives").glob("*.pgc"))
        sh(run["backup"], stage.folder, **stage.environment)
        assert set((stage.folder / "archives").glob("*.pgc")) - before
        sh(run["rollback"], stage.folder, **stage.environment)
        assert {(active, status) for active, status, _ in stage.serving()} == {("1.0", 200)}
    finally:
        stage.close()


@pytest.mark.parametrize("title", TAGS)
def test_the_plan_of_a_merge_request(title: str, tmp_path: Path, postgres: Postgres) -> None:
    """Of a checkout whose env.py finds the database by itself, with nothing migrated yet."""
    checkout, database = write_tree("1.1", tmp_path / "checkout"), postgres.database(attributes="CREATEDB")
    installs = [line for line in guide.pipeline(GUIDE, title) if ".venv" in line and not line.startswith("ansible-playbook ")]
    assert installs
    try:
        for line in installs:
            sh(line, checkout)
        said = sh(scripts(title)["plan_check"], checkout, DATABASE_URL=database.url())
        assert database.password not in said and "rolling" in (checkout / "plan.md").read_text()
        assert (checkout / "plan.sarif").exists() and (checkout / "plan.xml").exists() and (checkout / "plan.html").exists()
    finally:
        database.drop()


def test_the_plan_becomes_a_comment_on_gitlab(tmp_path: Path, receiver: Receiver) -> None:
    """As it hands a job its variables; with the token in no argument."""
    (text,) = (body for language, body in guide.blocks(guide.section(GUIDE, "GitLab CI")) if language == "yaml")
    plan = yaml.safe_load(text)["plan"]
    (line,), notes = plan["after_script"], plan["variables"]["NOTES"]
    given = {"CI_API_V4_URL": f"{receiver.url}/api/v4", "CI_PROJECT_ID": "7", "CI_MERGE_REQUEST_IID": "3"}
    report = "# Plan\n\n| a & b | c=d |\n"
    (tmp_path / "plan.md").write_text(report)
    token = "s3cret"
    assert "NOTES_TOKEN" not in line.partition(" | ")[2]  # printf is the shell's own, and has no arguments that others see
    sh(f"NOTES={notes}; {line}", tmp_path, NOTES_TOKEN=token, **given)
    (post,) = receiver.received
    assert (post.path, post.headers["PRIVATE-TOKEN"]) == ("/api/v4/projects/7/merge_requests/3/notes", token)
    assert parse_qs(post.body.decode()) == {"body": [report]}


def test_the_plan_becomes_a_comment_on_github(tmp_path: Path) -> None:
    """By GitHub's own program, in a checkout as the action makes it."""
    if not shutil.which("gh"):
        pytest.skip("gh is not installed")
    (line,) = [line for line in guide.pipeline(GUIDE, "GitHub Actions") if line.startswith("gh ")]
    line = line.replace("${{ github.event.pull_request.number }}", "7")
    assert "${{" not in line
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "init", "--quiet", str(checkout)], check=True)
    subprocess.run(["git", "remote", "add", "origin", "https://github.com/shop/orders.git"], cwd=checkout, check=True)
    report = "# Plan\n\n| a & b | c=d |\n"
    (checkout / "plan.md").write_text(report)
    with GitHub(tmp_path / "github.sock") as github:
        (tmp_path / "config.yml").write_text(f"http_unix_socket: {tmp_path / 'github.sock'}\n")
        said = sh(line, checkout, GH_TOKEN="s3cret", GH_CONFIG_DIR=str(tmp_path), GITHUB_ACTIONS="true")
    *_, (token, comment) = github.received
    assert token == "token s3cret" and comment["variables"] == {"input": {"body": report, "subjectId": "PR_7"}}
    assert said.strip() == "https://github.com/shop/orders/pull/7#issuecomment-1"


def test_the_traces_of_a_run(tmp_path: Path, postgres: Postgres, receiver: Receiver) -> None:
    """As the configuration of the guide has it, to what receives OTLP: a span for each task, and no password."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    section = guide.section(GUIDE, "Traces")
    (tmp_path / "ansible.cfg").write_text(guide.files(section)["ansible.cfg"])
    programs = environments.virtual_environment("opentelemetry", environments.controller_python()).parent
    stage = Stage(tmp_path / "s", postgres, programs=programs)
    try:
        stage.archive("1.0")
        stage.more = {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        run = stage.play("maintenance_window", release_version="1.0")
        assert run.status == 0, run.output
        assert "shop: release 1.0 serves." in run.output and "PLAY RECAP" not in run.output, run.output
    finally:
        stage.close()
    sent = b"".join(post.body for post in receiver.received if post.path == "/v1/traces")
    assert b"service.name" in sent and b"orders" in sent and b"shop1" in sent
    assert stage.database.password.encode() not in sent
