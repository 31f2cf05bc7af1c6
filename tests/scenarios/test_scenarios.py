# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each scenario of molecule/ on real hosts; what they prove stands in their playbooks."""

from __future__ import annotations

import re

import pytest

from support.paths import CACHE, ROOT

#: Those of many cases first, so that two workers are done at about the same time.
LONG = ("faults", "killed_controller")
NAMES = sorted((path.parent.name for path in (ROOT / "molecule").glob("*/converge.yml")), key=lambda name: (name not in LONG, name))


@pytest.mark.needs_root
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("name", NAMES)
def test_scenario(molecule, name: str) -> None:
    done = molecule("test", "--scenario-name", name)
    problems = re.findall(r'"stderr": "(.*?[^\\])"|"msg": "(.*?[^\\])"', done.stdout)
    said = "\n".join(text.replace("\\n", "\n")[:4000] for pair in problems for text in pair if text)
    assert done.returncode == 0, f"{said or done.stdout[-4000:]}\nwhat the playbooks printed: {CACHE / 'results' / 'molecule'}"
    assert f"{name}" in done.stdout and "successful=" in done.stdout, done.stdout[-2000:]
