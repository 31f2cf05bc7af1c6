# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each scenario of molecule/ on real hosts; what they prove stands in their playbooks."""

from __future__ import annotations

import os
import re

import pytest

from support.paths import CACHE, ROOT

#: What make test takes: a deployment that goes through, one that fails, one whose controller dies, one that loses a host.
QUICK = {
    "window_good": "",
    "migration_fails": "",
    "killed_controller": "^killed when all are stopped and the snapshot is complete$",
    "faults": "^host unreachable after the stop$",
}
NAMES = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/converge.yml"))


@pytest.mark.needs_root
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "cases"), QUICK.items(), ids=list(QUICK))
def test_scenario(molecule, name: str, cases: str) -> None:
    _passes(molecule, name, cases)


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.timeout(8 * 3600)
@pytest.mark.parametrize("name", [name for name in NAMES if QUICK.get(name) != ""])
def test_whole_scenario(molecule, name: str) -> None:
    if name == "hybrid" and not (os.environ.get("DBOPS_KUBE") or os.environ.get("KUBECONFIG")):
        pytest.skip("no Kubernetes: DBOPS_KUBE names a program that starts one, or KUBECONFIG one that runs")
    _passes(molecule, name)


def _passes(molecule, name: str, cases: str = "") -> None:
    done = molecule("test", "--scenario-name", name, cases=cases)
    problems = re.findall(r'"stderr": "(.*?[^\\])"|"msg": "(.*?[^\\])"', done.stdout)
    said = "\n".join(text.replace("\\n", "\n")[:4000] for pair in problems for text in pair if text)
    assert done.returncode == 0, f"{said or done.stdout[-4000:]}\nwhat the playbooks printed: {CACHE / 'results' / 'molecule'}"
    assert f"{name}" in done.stdout and "successful=" in done.stdout, done.stdout[-2000:]
