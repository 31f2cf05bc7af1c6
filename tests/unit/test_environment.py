# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._environment import wanted

LISTED, PROJECT, BOTH = ["requirements.txt"], ["pyproject.toml"], ["requirements.txt", "setup.py"]


@pytest.mark.parametrize(
    ("names", "install", "requirements", "wheel", "expected"),
    [
        ([], "auto", [], "", []),
        (LISTED, "auto", [], "", ["--requirement=requirements.txt"]),
        (PROJECT, "auto", [], "", ["."]),
        (BOTH, "auto", [], "", ["--requirement=requirements.txt"]),
        (BOTH, "project", [], "", ["."]),
        (BOTH, "requirements", [], "", ["--requirement=requirements.txt"]),
        (
            PROJECT,
            "auto",
            ["deploy/base.txt", "deploy/live.txt"],
            "",
            ["--requirement=deploy/base.txt", "--requirement=deploy/live.txt"],
        ),
        (PROJECT, "project", ["base.txt"], "", ["."]),
        ([], "auto", ["absent.txt"], "", ["--requirement=absent.txt"]),  # pip says that it is not there
        (["shop-1.whl", *LISTED], "auto", [], "shop-1.whl", ["./shop-1.whl"]),
        (["shop-1.whl"], "auto", ["pins.txt"], "shop-1.whl", ["--requirement=pins.txt", "./shop-1.whl"]),
        (["shop-1.whl"], "project", ["pins.txt"], "shop-1.whl", ["./shop-1.whl"]),
    ],
)
def test_what_is_installed(names: list[str], install: str, requirements: list[str], wheel: str, expected: list[str]) -> None:
    assert wanted(names, install, requirements, wheel) == expected
