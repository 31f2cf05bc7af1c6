# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each scenario of molecule/ on real hosts; what they prove stands in their playbooks."""

from __future__ import annotations

import os
import re

import pytest

from support.paths import CACHE, ROOT

#: What make test takes: a deployment that goes through, and one that loses a host. tests/integration kills the controller, looks
#: at what would happen, and deploys the same again.
QUICK = {"window_good": "^a good release$", "faults": "^host unreachable after the stop$"}
#: In make test-all a controller is killed at every point: of which playbook, and in how many tests.
KILLED = {"maintenance_window": 3, "rollback": 1, "restore": 1, "rolling": 2}
NAMES = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/converge.yml"))


def whole() -> list:
    """All scenarios; a long one in parts, each told by variables which part it is."""
    found = [pytest.param(name, {}, id=name) for name in NAMES]
    if not os.environ.get("DBOPS_TEST_ALL"):
        return found
    return [scenario for scenario in found if scenario.id != "killed_controller"] + [
        pytest.param(
            "killed_controller",
            {"DBOPS_PLAYBOOKS": playbook, "DBOPS_PART": f"{part}/{of}"},
            id=f"killed_controller-{playbook}-{part}/{of}",
        )
        for playbook, of in KILLED.items()
        for part in range(1, of + 1)
    ]


@pytest.mark.needs_root
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("name", "cases"), QUICK.items(), ids=list(QUICK))
def test_scenario(molecule, name: str, cases: str) -> None:
    _passes(molecule, name, DBOPS_CASES=cases)


@pytest.mark.slow
@pytest.mark.needs_root
@pytest.mark.timeout(8 * 3600)
@pytest.mark.parametrize(("name", "variables"), whole())
def test_whole_scenario(molecule, name: str, variables: dict[str, str]) -> None:
    if name == "hybrid" and not (os.environ.get("DBOPS_KUBE") or os.environ.get("KUBECONFIG")):
        pytest.skip("no Kubernetes: DBOPS_KUBE names a program that starts one, or KUBECONFIG one that runs")
    _passes(molecule, name, **variables)


def _passes(molecule, name: str, **variables: str) -> None:
    done = molecule("test", "--scenario-name", name, **variables)
    problems = re.findall(r'"stderr": "(.*?[^\\])"|"msg": "(.*?[^\\])"', done.stdout)
    said = "\n".join(text.replace("\\n", "\n")[:4000] for pair in problems for text in pair if text)
    assert done.returncode == 0, f"{said or done.stdout[-4000:]}\nwhat the playbooks printed: {CACHE / 'results' / 'molecule'}"
    assert f"{name}" in done.stdout and "successful=" in done.stdout, done.stdout[-2000:]
