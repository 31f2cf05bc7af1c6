# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that can not be built: which command failed, what it said, and what to do, once, before anything is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.stage import Stage
from support.postgres import Postgres

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Stage]:
    """Hosts on which nothing was deployed yet."""
    if not shutil.which("supervisord"):
        pytest.skip("supervisor is not installed")
    made = Stage(tmp_path_factory.mktemp("stage") / "s", postgres, variables={"release_links": {}})
    made.archive("1.0")
    made.altered("odd", "1.0", {"requirements.txt": "no-such-thing-at-all==9\n"})
    try:
        yield made
    finally:
        made.close()


def python_without_ensurepip(folder: Path) -> str:
    """A Python as Debian ships it without python3-venv: its standard library has no ensurepip."""
    real, library = Path(os.path.realpath(sys.executable)), Path(sysconfig.get_path("stdlib"))
    copy = folder / "lib" / library.name
    for made in (copy, folder / "bin"):
        made.mkdir(parents=True)
    for entry in library.iterdir():
        if entry.name != "ensurepip":
            (copy / entry.name).symlink_to(entry)
    return str(shutil.copy(real, folder / "bin" / real.name))


def without_package(stage: Stage) -> dict[str, Any]:
    return {"release_version": "odd", "release_install": "auto", "release_pip_arguments": ["--no-index"]}


def without_reference(stage: Stage) -> dict[str, Any]:
    repository = stage.folder / "shop.git"
    for arguments in (
        ["init", "-q"],
        ["-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "x", "--allow-empty"],
    ):
        repository.mkdir(exist_ok=True)
        subprocess.run(["git", *arguments], cwd=repository, check=True)
    return {"release_version": "v9.9", "release_source": "git", "release_git_repository": f"file://{repository}"}


def test_a_python_that_makes_no_environment_is_told_of_before_anything_is_built(stage: Stage) -> None:
    python = python_without_ensurepip(stage.folder / "home")
    run = stage.play("maintenance_window", release_version="1.0", release_python=python, release_install="auto")
    assert run.status == 2, run.output
    assert f"shop1, shop2: {python} has no ensurepip, so it can make no virtual environment. Install python3." in run.output
    assert not any(list(host.root.iterdir()) for host in stage.hosts)


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (
            without_package,
            [
                "Install the packages: /",
                "-m pip install",
                "No matching distribution found",
                "What to do: the package index of that",
            ],
        ),
        (without_reference, ["Check the code out: ", "git", "did not match", "What to do: release_git_reference"]),
    ],
)
def test_a_release_that_can_not_be_built_says_why_and_what_to_do(stage: Stage, broken: Any, told: list[str]) -> None:
    run = stage.play("maintenance_window", **broken(stage))
    assert run.status == 2, run.output
    said = run.output[run.output.index("TASK [dbops.alembic.deployment : Say which host is not ready") :]
    lines = said[: said.index("TASK [dbops.alembic.deployment : Refuse to begin")]
    for text in told:
        assert text in lines, said
    assert "non-zero return code" not in said and "\\n" not in said, said
    together = "shop1, shop2: " in lines  # where their paths do not differ
    assert lines.count("shop2: ") == 1 and lines.count(told[-1]) == (1 if together else 2), said
    refusal = said[said.index("TASK [dbops.alembic.deployment : Refuse to begin") :]
    assert "Nothing was touched. shop1" in refusal and told[-1] in refusal, said
    assert not (stage.folder / "records").exists() and not any(host.active for host in stage.hosts)
