# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that is a wheel, with a driver that the wheel does not ask for."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from support import venvs
from support.plays import Outcome, play


def wheel(folder: Path, name: str, version: str) -> Path:
    """A wheel with one module that says its version."""
    folder.mkdir(parents=True, exist_ok=True)
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    for version in ("1.0", "2.0"):
        wheel(tmp_path / "index", "orders_driver", version)
    return {
        "application_name": "orders",
        "release_source": "wheel",
        "release_version": "1.4.0",
        "release_root": str(tmp_path / "orders"),
        "release_wheel": str(wheel(tmp_path / "dist", "orders", "1.4.0")),
        "release_virtualenv_command": [str(venvs.interpreter()), "-m", "venv"],
        "release_pip_arguments": ["--no-index", f"--find-links={tmp_path}/index"],
    }


def prepared(folder: Path, variables: dict[str, Any], *arguments: str) -> Outcome:
    role = {"name": "Prepare", "ansible.builtin.include_role": {"name": "dbops.alembic.release", "tasks_from": "prepare"}}
    return play(folder / "plays", [role], *arguments, hosts={"here": variables})


def versions(root: Path) -> dict[str, str]:
    pip = [str(root / "releases" / "1.4.0" / "venv" / "bin" / "python"), "-m", "pip", "list", "--format=json"]
    found = json.loads(subprocess.run(pip, check=True, capture_output=True, text=True).stdout)
    return {item["name"].replace("-", "_"): item["version"] for item in found}


def test_what_the_release_does_not_ask_for_is_installed_beside_it(tmp_path: Path, given: dict[str, Any]) -> None:
    with_driver = {**given, "release_extra_requirements": ["orders-driver==1.0"]}
    prepared(tmp_path, with_driver).ok()
    found = versions(tmp_path / "orders")
    assert (found["orders"], found["orders_driver"]) == ("1.4.0", "1.0")
    again = prepared(tmp_path, with_driver).ok()
    assert "changed=0" in again.stdout
    for other in ({**given, "release_extra_requirements": ["orders-driver==2.0"]}, given):
        refused = prepared(tmp_path, other)
        assert refused.status != 0 and "was made from" in refused.printed, refused.printed
    assert versions(tmp_path / "orders")["orders_driver"] == "1.0"


@pytest.mark.slow
def test_a_release_from_before_there_were_any_is_still_the_same(tmp_path: Path, given: dict[str, Any]) -> None:
    """Its marker says nothing of them."""
    prepared(tmp_path, given).ok()
    assert "orders_driver" not in versions(tmp_path / "orders")
    marker = json.loads((tmp_path / "orders" / "releases" / "1.4.0" / ".dbops-release.json").read_text())
    assert set(marker) == {"version", "source", "from", "install"}
    assert "changed=0" in prepared(tmp_path, given).ok().stdout
