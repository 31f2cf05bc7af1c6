# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the integration tests. Which application environment a test runs in is its fixture `app`.

Every test runs with the newest Alembic; those marked `core(quick=True)` with the oldest one too. With DBOPS_TEST_ALL=1 every test
runs with all three, and all that are marked `core` with older and newer Pythons as well.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support import venvs
from support.application import Application
from support.services import database, maria, mariadb, pg, pgbouncer, pgbouncer_session, postgres, sqlite  # noqa: F401

#: Application environment → the other Pythons that it exists for.
PYTHONS = {"alembic18": ("3.8", "3.9"), "alembic113": ("3.8", "3.13"), "alembic120": ("3.12", "3.13")}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "core(quick=False): in make test-all with other Pythons too; if quick, always with the oldest Alembic"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "app_environment" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("core")
    core, oldest = marker is not None, marker is not None and marker.kwargs.get("quick", False)
    found = []
    for name in reversed(venvs.ALEMBICS):
        quick = name == venvs.ALEMBICS[-1] or (oldest and name == venvs.ALEMBICS[0])
        marks = [] if quick else [pytest.mark.slow]
        found.append(pytest.param((name, None), id=name, marks=marks))
        if core:
            found += [pytest.param((name, version), id=f"{name}-py{version}", marks=pytest.mark.slow) for version in PYTHONS[name]]
    metafunc.parametrize("app_environment", found, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("DBOPS_TEST_ALL") or config.option.markexpr:
        return
    left_out = [item for item in items if item.get_closest_marker("slow") and Path(__file__).parent in item.path.parents]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def app_environment(request: pytest.FixtureRequest) -> tuple[str, str | None]:
    return request.param


@pytest.fixture
def app(app_environment: tuple[str, str | None], tmp_path: Path) -> Application:
    name, version = app_environment
    try:
        return Application(name, tmp_path, version)
    except venvs.NoInterpreter as problem:
        pytest.skip(str(problem))


@pytest.fixture
def newest(tmp_path: Path) -> Application:
    """For what does not depend on the Alembic version."""
    return Application("alembic120", tmp_path)
