# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every playbook under ansible-runner, by its name and from a private data directory: events, statistics and report are artefacts.

A plan, a window, the status, a backup and what else can be done on the stage is done for real; of what is left, RUNS says how
far it is taken: in check mode, or to what it refuses.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import environments
from flows.stage import Stage
from support import guide
from support.awx import Awx
from support.paths import CACHE, ROOT, TREE
from support.playbook import command as ansible_playbook
from support.postgres import Postgres

pytestmark = pytest.mark.timeout(1800)

GUIDE = guide.section(ROOT / "docs" / "docsite" / "rst" / "guide_awx.rst", "Under ansible-runner")


@dataclass(frozen=True)
class Ended:
    """A run, by what it left in its folder."""

    folder: Path

    @property
    def status(self) -> int:
        return int((self.folder / "rc").read_text())

    @property
    def output(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in (self.folder / "job_events").glob("*-*.json")]

    @property
    def statistics(self) -> dict[str, Any]:
        """What the playbook handed over by set_stats."""
        (last,) = [event for event in self.events if event["event"] == "playbook_on_stats"]
        return dict(last["event_data"]["artifact_data"])


@dataclass
class Private:
    """A private data directory, as the guide has it."""

    stage: Stage
    folder: Path
    count: int = field(default=0)

    def __post_init__(self) -> None:
        secret = self.stage.folder / "url"  # what is in the environment or on the command line is in the artefacts
        secret.write_text(self.stage.database.url())
        given = {"schema_database_url": f"{{{{ lookup('ansible.builtin.file', '{secret}') }}}}"}
        settings = {"ANSIBLE_HOME": str(CACHE / "ansible"), "ANSIBLE_NOCOLOR": "1"}
        for name, content in {"env/extravars": given, "env/envvars": settings}.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        (self.folder / "inventory").mkdir()
        shutil.copy(self.stage.folder / "inventory.json", self.folder / "inventory" / "hosts.json")
        shown = {path for path in guide.tree(GUIDE) if not path.endswith("/")}
        assert shown == {"env/envvars", "env/extravars", "inventory/hosts.yml"}
        program = self.folder.parent / "bin" / "ansible-playbook"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shlex.join(ansible_playbook())} "$@"\n')
        program.chmod(0o755)

    def run(self, playbook: str, *arguments: str, environment: dict[str, str] | None = None, **extra: Any) -> Ended:
        self.count += 1
        runner = environments.virtual_environment("delivery", environments.controller_python()).parent / "ansible-runner"
        command = [str(runner), "run", str(self.folder), "--playbook", f"dbops.alembic.{playbook}", "--ident", str(self.count)]
        told = [*arguments, *(["--extra-vars", json.dumps(extra)] if extra else [])]
        dropped = ("ANSIBLE_", "PYTHON", "PG", "AWX_", "RUNNER_")
        ours = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        ours["ANSIBLE_COLLECTIONS_PATH"] = str(TREE)
        places = [self.folder.parent / "bin", Path(sys.executable).parent][playbook == "awx" :]  # that one with a collection more
        path = os.pathsep.join([*map(str, places), ours["PATH"]])
        subprocess.run(
            [*command, *([f"--cmdline={shlex.join(told)}"] if told else [])],
            env={**ours, "PATH": path, "LC_ALL": "C.UTF-8", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        ended = Ended(self.folder / "artifacts" / str(self.count))
        kept = [path.read_text(errors="replace") for path in ended.folder.rglob("*") if path.is_file()]
        assert len(kept) > 3 and not any(self.stage.database.password in text for text in kept)
        return ended


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Private]:
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    stage = Stage(tmp_path_factory.mktemp("runner") / "s", postgres)
    stage.archive("1.0", "1.1")
    try:
        yield Private(stage, tmp_path_factory.mktemp("private") / "shop")
    finally:
        stage.close()


@pytest.fixture(scope="module")
def window(private: Private) -> Ended:
    return private.run("maintenance_window", release_version="1.0")


@pytest.mark.slow
def test_a_window_leaves_events_statistics_and_a_report(private: Private, window: Ended) -> None:
    assert window.status == 0, window.output
    assert {status for _, status, _ in private.stage.serving()} == {200}
    deployment = window.statistics["dbops_deployment"]
    assert (deployment["outcome"], deployment["to_release"]) == ("finished", "1.0")
    kinds = {event["event"] for event in window.events}
    assert {"playbook_on_start", "playbook_on_task_start", "runner_on_ok", "playbook_on_stats"} <= kinds
    assert "release 1.0 serves" in window.output
    assert "<html" in (window.folder / "shop.html").read_text()
    assert json.loads((window.folder / "shop.result.json").read_text())["outcome"] == "finished"
    assert (window.folder / "shop.junit.xml").exists()


@pytest.mark.slow
def test_a_plan_and_the_status(private: Private, window: Ended) -> None:
    plan = private.run("plan", release_version="1.1")
    assert plan.status == 0, plan.output
    assert plan.statistics["dbops_plan"]["route"] in ("rolling", "window") and not (plan.folder / "shop.html").exists()
    status = private.run("status")
    assert status.status == 0 and status.statistics["dbops_status"]["application"] == "shop", status.output


def plan_check(private: Private) -> Ended:
    project = private.stage.hosts[0].root / "current"
    told = {"plan_check_path": str(project), "plan_check_python": str(private.stage.app), "plan_check_reports": str(private.folder)}
    given = {"DATABASE_URL": f"sqlite:///{private.folder}/empty.db"}
    return private.run("plan_check", plan_check_environment=given, **told)


def awx(private: Private) -> Ended:
    made = Awx()
    try:
        told = {"awx_application": "shop", "awx_project_url": "https://git.example.com/x.git", "awx_environment_image": "x"}
        path = f"{TREE}:{environments.apart('awx.awx')}"
        asks = {"CONTROLLER_HOST": made.url, "CONTROLLER_OAUTH_TOKEN": "token", "ANSIBLE_COLLECTIONS_PATH": path}
        return private.run("awx", "--check", environment=asks, **told)
    finally:
        made.close()


#: Playbook → how it is run, the status, what the output has, and what it hands over.
RUNS: dict[str, tuple[Any, int, str, str]] = {
    "backup": (lambda on: on.run("backup"), 0, "", "dbops_archive"),
    "prune": (lambda on: on.run("prune"), 0, "", ""),
    "render": (
        lambda on: on.run("render", release_version="1.0", schema_render_directory=str(on.folder / "rendered"), **RENDERED),
        0,
        "",
        "",
    ),
    "plan_check": (plan_check, 0, "rolling: ", ""),
    "recover": (lambda on: on.run("recover"), 0, "nothing to do", "dbops_deployment"),
    "rolling": (lambda on: on.run("rolling", "--check", release_version="1.1"), 0, "check mode", "dbops_deployment"),
    "rollback": (lambda on: on.run("rollback", "--check"), 0, "check mode", "dbops_deployment"),
    "restore": (lambda on: on.run("restore"), 2, "deployment_restore_from", ""),
    "awx": (awx, 0, "Job templates, schedules and the workflow would be made too", ""),
}
RENDERED = {
    "schema_chdir": "/app",
    "release_image": "registry.example.com/shop:1.0",
    "schema_kubernetes": {"secret": "shop-database"},
}
REAL = {"maintenance_window", "plan", "status"}


@pytest.mark.slow
@pytest.mark.parametrize("playbook", RUNS)
def test_the_other_playbooks(playbook: str, private: Private, window: Ended) -> None:
    run, status, says, hands = RUNS[playbook]
    ended = run(private)
    assert ended.status == status, ended.output
    assert says in " ".join(ended.output.split()), ended.output
    assert not hands or hands in ended.statistics


def test_there_is_a_run_of_each_playbook() -> None:
    assert {*RUNS, *REAL} == {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
