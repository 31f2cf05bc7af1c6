# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The execution environment of the guide, by ansible-builder: what goes into it, and what the collection asks of it.

No image is built here, since that needs images of others; what `ansible-builder introspect` finds is what such a build installs.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from environments import controller_python, virtual_environment
from support import guide
from support.installed import Installed
from support.paths import ROOT

TEXT = guide.section(ROOT / "docs" / "docsite" / "rst" / "guide_awx.rst", "An execution environment")
FILES, COMMANDS = guide.files(TEXT), guide.commands(TEXT)


def builder(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    programs = virtual_environment("delivery", controller_python()).parent
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}/usr/bin:/bin"}
    command = [str(programs / "ansible-builder"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first command of the guide makes of its files."""
    folder = tmp_path_factory.mktemp("ee")
    for name, text in FILES.items():
        (folder / name).write_text(text)
    program, *arguments = shlex.split(COMMANDS[0])
    done = builder(folder, *arguments)
    assert program == "ansible-builder" and done.returncode == 0, done.stdout + done.stderr
    return folder / "context"


def test_the_definition_of_the_guide_is_one(context: Path) -> None:
    text = (context / "Containerfile").read_text()
    assert f'ARG EE_BASE_IMAGE="{yaml.safe_load(FILES["execution-environment.yml"])["images"]["base_image"]["name"]}"' in text
    asked = yaml.safe_load((context / "_build" / "requirements.yml").read_text())["collections"]
    assert "dbops.alembic" in asked and (context / "_build" / "bindep.txt").read_text() == FILES["bindep.txt"]
    assert "ansible-core~=2.19.0" in text and "ansible-runner~=2.4" in text


def test_one_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "execution-environment.yml").write_text(FILES["execution-environment.yml"].replace("galaxy:", "galaxie:"))
    done = builder(tmp_path, "create", "--file", "execution-environment.yml")
    assert done.returncode and "galaxie" in done.stdout + done.stderr


def test_what_the_collection_needs_is_found_in_it(installed: Installed, context: Path, tmp_path: Path) -> None:
    """From the installed collection, without anything of the checkout; and with what the definition adds and leaves out."""
    told = yaml.safe_load(FILES["execution-environment.yml"])["dependencies"]["exclude"]["python"]
    (tmp_path / "without").write_text("\n".join(told))
    written = ("--write-pip", str(tmp_path / "pip"), "--write-bindep", str(tmp_path / "bindep"))
    given = ("--user-bindep", str(context / "_build" / "bindep.txt"), "--exclude-pip-reqs", str(tmp_path / "without"))
    done = builder(tmp_path, "introspect", *given, *written, str(installed.folder))
    assert done.returncode == 0, done.stderr
    python, system = (tmp_path / "pip").read_text(), (tmp_path / "bindep").read_text()
    for name, collection in (("psycopg2-binary", "dbops.alembic"), ("kubernetes", "kubernetes.core")):
        assert re.search(rf"^{name}\b.*# from collection {collection}", python, re.M), python
    assert told and not any(name in python for name in told)
    assert re.search(r"^postgresql-client \[platform:dpkg\] +# from collection dbops.alembic", system, re.M), system
    assert re.search(r"^git\b", system, re.M)
