# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hook for a chart, as helm itself renders it: in the release's namespace, and with nothing that is taken for a template."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.helm import helm
from support.processes import Unavailable
from support.runner import Run

#: What a chart's templates would be read as, in what a user gives.
POD = {"nodeSelector": {"example.com/zone": "{{ .Values.zone }} {{/* none */}}"}}
PRELUDE = 'text = "{{ .Values.secret }} {{/* none */}} {{- .Release.Name -}}"\nother = "}} {{"\n'


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return helm()
    except Unavailable as problem:
        pytest.skip(str(problem))


def manifests(folder: Path, **more: Any) -> dict[str, str]:
    options = {
        "directory": str(folder),
        "forms": ["job", "helm_hook"],
        "chdir": "/app",
        "python": "/app/venv/bin/python",
        "prelude": PRELUDE,
        "x_arguments": ["tenant={{ .Release.Namespace }}"],
        "kubernetes": {"application": "shop", "namespace": "a", "image": "shop:1.1", "secret": "shop-database", "pod": POD},
        **more,
    }
    result = Run("migration_manifests", options).result()
    assert not result.get("failed"), result
    return {Path(name).name: Path(name).read_text() for name in result["files"]}


def rendered(program: Path, chart: Path, *arguments: str) -> list[dict[str, Any]]:
    command = [str(program), "template", "shop", str(chart), *arguments]
    environment = {**os.environ, "HOME": str(chart.parent), "KUBECONFIG": str(chart.parent / "none")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def test_the_hook_is_rendered_as_it_was_meant(program: Path, tmp_path: Path) -> None:
    files = manifests(tmp_path / "rendered")
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (chart / "templates" / "helm-hook.yaml").write_text(files["helm-hook.yaml"])
    (found,) = rendered(program, chart, "--namespace", "b", "--is-upgrade")
    job = yaml.safe_load(files["job.yaml"])
    assert found["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "namespace" not in found["metadata"] and job["metadata"]["namespace"] == "a"
    assert found["spec"] == job["spec"] and found["spec"]["template"]["spec"]["nodeSelector"] == POD["nodeSelector"]
    variables = {item["name"]: item.get("value") for item in found["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert PRELUDE in asked(variables)["prelude"] and asked(variables)["x_arguments"] == ["tenant={{ .Release.Namespace }}"]
    assert rendered(program, chart, "--namespace", "b", "--no-hooks") == []


def asked(variables: dict[str, Any]) -> dict[str, Any]:
    """The request that the container would carry out."""
    text = "".join(str(value) for name, value in sorted(variables.items()) if name.startswith("DBOPS_WORKER_"))
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text)))["request"]
    return found


def test_what_an_application_may_be_called_becomes_a_name_that_kubernetes_takes(tmp_path: Path) -> None:
    options = {"application": "Shop_2.eu", "namespace": "a", "image": "shop:1.1", "secret": "s", "labels": {"team": 5}}
    files = manifests(tmp_path / "rendered", kubernetes=options)
    hook, job = (yaml.safe_load(files[name])["metadata"] for name in ("helm-hook.yaml", "job.yaml"))
    assert hook["name"] == "shop-2-eu-upgrade" and job["name"].startswith("shop-2-eu-upgrade-")
    assert hook["labels"]["team"] == job["labels"]["team"] == "5"
