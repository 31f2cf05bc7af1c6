# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The migration as files, used as those would who deploy by other means: applied, patched in, run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster import Cluster, wait_until
from images import REPOSITORY
from stage import Stage

from support.postgres import Postgres

pytestmark = [pytest.mark.timeout(900), pytest.mark.needs_root]
HEAD = "c64b2e98d075"  # of release 1.1


@pytest.fixture
def stage(cluster: Cluster, server: Postgres, python: Path, tmp_path: Path) -> Iterator[Stage]:
    """Release 1.1 on one pod, on an empty database; the manifests of its migration in the folder `rendered`."""
    made = Stage(cluster, server, tmp_path / "s", python, replicas=1, migrator=False, jobs=True, release="1.1")
    try:
        run = made.play("render", release_version="1.1", schema_render_directory=str(tmp_path / "rendered"))
        assert run.status == 0, run.output
        assert made.database.password not in "".join(path.read_text() for path in rendered(made).iterdir())
        yield made
    finally:
        made.close()


def rendered(stage: Stage) -> Path:
    return stage.folder.parent / "rendered"


def load(stage: Stage, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((rendered(stage) / name).read_text())
    return found


def revision(stage: Stage) -> str:
    return stage.contents()[0]


def test_the_cluster_takes_them_and_rendering_again_changes_nothing(stage: Stage) -> None:
    for name in ("job.yaml", "helm-hook.yaml"):
        assert "server dry run" in stage.kubectl("apply", "--dry-run=server", "--filename", str(rendered(stage) / name))
    patch = str(rendered(stage) / "init-container-patch.yaml")
    assert "patched" in stage.kubectl("patch", "deployment", "shop", "--dry-run=server", f"--patch-file={patch}")
    hook = load(stage, "helm-hook.yaml")["metadata"]["annotations"]
    assert hook["helm.sh/hook"] == "pre-install,pre-upgrade"
    again = stage.play("render", release_version="1.1", schema_render_directory=str(rendered(stage)))
    assert (again.status, again.changed) == (0, 0), again.output
    assert revision(stage) == ""


def test_the_job_migrates(stage: Stage) -> None:
    stage.kubectl("apply", "--filename", str(rendered(stage) / "job.yaml"))
    name = load(stage, "job.yaml")["metadata"]["name"]
    stage.kubectl("wait", "--for=condition=complete", f"job/{name}", "--timeout=120s")
    assert revision(stage) == HEAD
    assert HEAD in stage.kubectl("logs", f"job/{name}")


def test_of_five_pods_that_start_at_once_one_migrates(stage: Stage) -> None:
    """On an empty database, with an unmodified project: the others wait, look again and serve."""
    stage.kubectl("scale", "deployment", "shop", "--replicas=0")
    wait_until(lambda: not stage.pods(), what="no pod is left")
    stage.kubectl("patch", "deployment", "shop", f"--patch-file={rendered(stage) / 'init-container-patch.yaml'}")
    stage.kubectl("scale", "deployment", "shop", "--replicas=5")
    stage.kubectl("rollout", "status", "deployment/shop", "--timeout=240s")
    assert revision(stage) == HEAD
    names = [pod["metadata"]["name"] for pod in stage.pods()]
    logs = [stage.kubectl("logs", name, "--container=dbops-migrate") for name in names]
    assert len(logs) == 5 and all("dbops.alembic: done" in log for log in logs), logs
    assert len([log for log in logs if HEAD in log]) == 1, logs
    assert not [pod for pod in stage.pods() for status in pod["status"]["initContainerStatuses"] if status["restartCount"]]
    wait_until(lambda: stage.serves("1.1", 5), what="all five serve")


def in_a_pod(stage: Stage, *command: str, given: str = "") -> str:
    """Run it in a pod of the application that has nothing but the URL of the database."""
    return stage.kubectl("exec", "--stdin", "deployment/shop", "--", *command, given=given)


def test_the_entrypoint_migrates_and_becomes_its_command(stage: Stage) -> None:
    stage.kubectl("rollout", "status", "deployment/shop", "--timeout=120s")
    script = (rendered(stage) / "entrypoint.sh").read_text()
    said = in_a_pod(stage, "sh", "-s", "--", "sh", "-c", "echo served by $0; env", given=script)
    assert f"{HEAD}" in said and "served by sh" in said and "DBOPS_WORKER" not in said.partition("served by")[2]
    assert revision(stage) == HEAD


def test_the_service_of_compose_migrates(stage: Stage) -> None:
    """Docker is not needed to know what Docker Compose would run."""
    stage.kubectl("rollout", "status", "deployment/shop", "--timeout=120s")
    found = load(stage, "compose.yaml")["services"]
    service = found["migrations"]
    assert found["shop"]["depends_on"] == {"migrations": {"condition": "service_completed_successfully"}}
    assert (service["image"], service["read_only"], service["cap_drop"]) == (f"{REPOSITORY}:1.1", True, ["ALL"])
    environment = [f"{name}={value.replace('${DATABASE_URL:?}', stage.url)}" for name, value in service["environment"].items()]
    assert "dbops.alembic: done" in in_a_pod(stage, "env", *environment, *service["command"])
    assert revision(stage) == HEAD


def test_the_hook_of_a_chart_migrates_the_database_of_its_release(stage: Stage, helm: Path) -> None:
    """One chart, two releases in two namespaces, a database each; the files were made for the first."""
    chart, other = stage.folder.parent / "chart", f"{stage.namespace}-b"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    shutil.copy(rendered(stage) / "helm-hook.yaml", chart / "templates")
    database = stage.server.database()
    secret = {"url": database.url().replace("127.0.0.1", stage.cluster.host)}
    stage.cluster.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop-database", "namespace": other}, "stringData": secret},
    )
    try:
        command = [str(helm), "install", "shop", str(chart), "--namespace", other, "--timeout", "120s"]
        environment = {**os.environ, "KUBECONFIG": stage.cluster.kubeconfig, "HOME": str(stage.folder)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert (database.fetch("select version_num from alembic_version"), revision(stage)) == ([(HEAD,)], "")
        command[1] = "upgrade"  # the hook once more, with nothing pending
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    finally:
        stage.cluster.kubectl("delete", "namespace", other, "--wait=false")
        database.drop()
