# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""release_environment: it makes what venv makes, whatever Python it is given, and says what pip says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from integration.test_release_extra import wheel
from support import venvs
from support.paths import TREE
from support.quick import some
from support.runner import Run

NOWHERE = """
import sys
if sys.prefix.endswith("/1.0/venv"):
    import ensurepip, sysconfig
    ensurepip.__file__, sysconfig.get_config_var = "/nowhere/ensurepip.py", lambda name: "/nowhere"
"""


def ran(path: Path, check: bool = False, environment: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    command = [str(venvs.interpreter()), "-m", "venv"]
    return Run("release_environment", {"path": str(path), "command": command, **options}, check, environment=environment).result()


def installed(environment: Path) -> dict[str, str]:
    pip = [str(environment / "bin" / "pip"), "list", "--format=json", "--disable-pip-version-check"]
    return {item["name"]: item["version"] for item in json.loads(subprocess.run(pip, check=True, capture_output=True).stdout)}


def files(environment: Path) -> set[str]:
    """What pip has brought, but for what is compiled and what it notes for itself."""
    everything = {str(path.relative_to(environment)) for path in environment.rglob("*") if not path.is_dir()}
    return {name for name in everything if "__pycache__" not in name and not name.endswith("/REQUESTED")}


@pytest.fixture
def release(tmp_path: Path) -> Path:
    made = tmp_path / "a folder" / "1.0"
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize("version", some([None, *venvs.OLD_AND_NEW_PYTHONS], None))
def test_it_makes_what_venv_makes(tmp_path: Path, release: Path, version: str | None) -> None:
    try:
        python = venvs.interpreter(version)
    except venvs.NoInterpreter:
        pytest.skip(f"this machine has no Python {version}")
    result = ran(release, command=[str(python), "-m", "venv"])
    assert result["changed"] and result["installed"] == []
    subprocess.run([str(python), "-m", "venv", str(tmp_path / "usual")], check=True)
    usual, made = tmp_path / "usual", release / "venv"
    assert installed(made) == installed(usual) and files(made) == files(usual)
    assert not ran(release, command=[str(python), "-m", "venv"])["changed"]
    pip = [str(made / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "check"], check=True)
    subprocess.run([*pip, "uninstall", "--yes", "--quiet", "pip"], check=True)
    assert not [name for name in files(made) if "pip" in name]


def test_where_the_python_has_no_wheels_venv_does_it(release: Path) -> None:
    """Such as one that was built without; here it does not say where they are."""
    (release.parent / "sitecustomize.py").write_text(NOWHERE)
    result = ran(release, environment={"PYTHONPATH": f"{TREE}:{release.parent}"})
    assert result["changed"] and "pip" in installed(release / "venv")


def test_pip_installs_there_and_secrets_stay_out_of_the_result(tmp_path: Path, release: Path) -> None:
    wheel(tmp_path / "index", "orders", "1.0")
    (release / "requirements.txt").write_text("orders\n")
    given = {"environment": {"PIP_FIND_LINKS": str(tmp_path / "index"), "PIP_NO_INDEX": "1"}}
    assert ran(release, check=True, **given)["changed"] and not (release / "venv").exists()
    result = ran(release, **given)
    assert result["installed"] == ["--requirement=requirements.txt"] and installed(release / "venv")["orders"] == "1.0"
    failure = ran(
        release, extra=["no-such-thing"], environment={**given["environment"], "PIP_INDEX_URL": "https://u:s3cretw0rd@x/"}
    )
    assert failure["failed"] and failure["error_kind"] == "command_failed" and failure["rc"] == 1
    assert failure["cmd"][1:4] == ["-m", "pip", "install"] and "no-such-thing" in failure["stderr"]
    assert "s3cretw0rd" not in json.dumps({name: value for name, value in failure.items() if name != "invocation"})


def test_a_python_that_is_not_there_is_told(release: Path) -> None:
    failure = ran(release, command=["/nowhere/python", "-m", "venv"])
    assert failure["failed"] and "/nowhere/python" in failure["msg"] and not (release / "venv").exists()
