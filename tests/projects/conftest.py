# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers for the projects from PyPI, and their environments in .cache/venvs/project-<name>."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support import venvs
from support.paths import ROOT, VENVS
from support.services import mariadb, postgres  # noqa: F401


@pytest.fixture(scope="session")
def python_of() -> Callable[[str], Path]:
    """The Python of a project's environment; the first time this installs it."""

    def make(name: str) -> Path:
        return venvs.environment(VENVS / f"project-{name}", ROOT / "tests" / "projects" / "requirements" / f"{name}.txt")

    return make
