# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The example that the guide begins with is whole: every file that it shows is there, and none that it does not show."""

from __future__ import annotations

import pytest
import yaml

from support import guide
from support.paths import ROOT

TEXT = guide.section(ROOT / "docs" / "docsite" / "rst" / "guide_maintenance_window.rst", "A whole example to copy")


def test_the_picture_of_the_folder_shows_the_files_that_are_given() -> None:
    shown = {path for path in guide.tree(TEXT) if path.startswith(("deploy/", ".")) and not path.endswith("/")}
    given = {path[3:] if path.startswith("../") else f"deploy/{path}" for path in guide.files(TEXT)}
    assert given - shown == {"deploy/.gitignore"} and not shown - given


@pytest.mark.parametrize("name", [name for name in guide.files(TEXT) if name.endswith(".yml")])
def test_a_file_of_the_example_is_yaml(name: str) -> None:
    assert yaml.safe_load(guide.files(TEXT)[name])


def test_the_commands_are_found_in_their_order() -> None:
    programs = [command.split()[0].lstrip("(") for command in guide.commands(TEXT)]
    assert programs == [
        *("ansible-galaxy", "ansible-galaxy", "umask", "ansible-vault", "ansible-playbook"),
        *("mkdir", "git", "ansible-playbook"),
    ]
