# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests: which of them stay on one process of pytest-xdist, and which belong to a shard."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import shards
from support.paths import ROOT

settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if shares(item):
            item.add_marker(pytest.mark.xdist_group(item.path.name))
    _, chosen = shards.asked()
    if chosen is not None:
        items[:] = [item for item in items if unit(item) in chosen]


def pytest_collection_finish(session: pytest.Session) -> None:
    file, _ = shards.asked()
    if file:
        Path(file).write_text(json.dumps(Counter(map(unit, session.items))))


def unit(item: pytest.Item) -> str:
    """The part of the whole that a test belongs to, which is in one shard."""
    path = item.path.relative_to(ROOT)
    step = path.parts[1]
    if step in shards.WHOLE:
        return f"tests/{step}"
    return f"{path}::{item.name}" if step in shards.SINGLE and not shares(item) else str(path)


def shares(item: pytest.Item) -> bool:
    """Whether a test has fixtures that live as long as its module, so that one process has to run all that share them."""
    fixtures = getattr(item, "_fixtureinfo", None)
    found = [definition for definitions in fixtures.name2fixturedefs.values() for definition in definitions] if fixtures else []
    return any(definition.scope in ("module", "class") for definition in found)
