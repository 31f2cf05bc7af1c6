# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""For all tests: which of them stay on one process of pytest-xdist, and which belong to a shard."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

import shards
from support.paths import ROOT

SHARED = re.compile(r"""scope=["'](module|class)["']""")
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
settings.load_profile("tests")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else what tests start ignores it too


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file on one process where they share a fixture; marks do not say so with this pytest and pytest-xdist."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadGroupScheduling

    class Grouped(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group(nodeid)

    return Grouped(config, log)


def group(nodeid: str) -> str:
    """The file of a test that has fixtures which live as long as it, else the test."""
    path = nodeid.split("::")[0]
    return path if SHARED.search((ROOT / path).read_text()) else nodeid


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
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
