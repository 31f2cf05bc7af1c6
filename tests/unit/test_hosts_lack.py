# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told of hosts that lack something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.filter.hosts_lack import hosts_lack
from ansible_collections.dbops.alembic.plugins.module_utils._host import needs

GOOD: dict[str, Any] = {"problems": []}
BALANCED, CLUSTERS = "_deployment_balanced_by", "_deployment_clusters_bring"
WITHOUT_PODS: dict[str, Any] = {
    "item": {"kind": "deployment", "name": "web", "namespace": "shop", "builds": True},
    **{"missing_rights": [], "replicas": 0, "before_stop": {}, "scale": {"replicas": 0, "scaled_objects": []}},
}
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({"_deployment_brings": GOOD}, []),
    "all of it": ({"_deployment_brings": {"problems": ["a", "b"]}}, ["a", "b"]),
    "it is away": ({"_deployment_brings": {"unreachable": True, "msg": "no route"}}, ["It can not be reached: no route"]),
    "it never came so far": ({}, ["It can not be reached: no reason given"]),
    "its Python is too old": (
        {"_deployment_brings": {"failed": True, "msg": "SyntaxError"}},
        ["It could not be looked at. SyntaxError"],
    ),
    "a balancer that answers": ({"_deployment_brings": GOOD, BALANCED: {"results": [{"item": "lb", "servers": []}]}}, []),
    "no balancer": ({"_deployment_brings": GOOD, BALANCED: {"skipped": True}}, []),
    "balancers of others": ({"_deployment_brings": GOOD, BALANCED: {"results": [{"item": "lb", "skipped": True}]}}, []),
    "clusters that have all": ({"_deployment_brings": GOOD, CLUSTERS: {"results": [{"item": {}, "missing_rights": []}]}}, []),
    "clusters that have not": (
        {
            "_deployment_brings": GOOD,
            CLUSTERS: {
                "results": [
                    {"item": {"why": "schema_runner is kubernetes_job"}, "msg": "No rights.", "failed": True},
                    {"item": {"why": ""}, "missing_rights": [], "error_kind": "gone", "msg": "No Deployment."},
                ]
            },
        },
        ["schema_runner is kubernetes_job: No rights.", "No Deployment."],
    ),
    "a workload without pods": (
        {"_deployment_brings": GOOD, CLUSTERS: {"results": [WITHOUT_PODS]}},
        [
            "The deployment web in shop has 0 replicas, so no pod would run the release and nobody could see whether it serves."
            " Scale it up before, as with kubectl scale deployment web --namespace shop --replicas 1."
        ],
    ),
    **{
        f"a workload without pods, {why}": ({"_deployment_brings": GOOD, CLUSTERS: {"results": [{**WITHOUT_PODS, **more}]}}, [])
        for why, more in {
            "that a deployment stopped": {"before_stop": {"replicas": 2}},
            "that KEDA scales": {"scale": {"scaled_objects": [{"name": "web"}]}},
            "where nothing is built": {"item": {"kind": "deployment", "name": "web", "namespace": "shop"}},
        }.items()
    },
    "clusters of one that is away": (
        {"_deployment_brings": {"unreachable": True, "msg": "gone"}, CLUSTERS: {"results": [{"item": {}, "msg": "gone"}]}},
        ["It can not be reached: gone"],
    ),
    "balancers that do not": (
        {
            "_deployment_brings": GOOD,
            BALANCED: {
                "results": [
                    {"ansible_loop_var": "lb", "lb": "lb1", "unreachable": True, "msg": "gone"},
                    {"item": "lb2", "msg": "No socket."},
                ]
            },
        },
        ["Its balancer lb1: it can not be reached: gone", "Its balancer lb2: No socket."],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_host_lacks(case: str) -> None:
    variables, expected = CASES[case]
    found = hosts_lack({"a": variables, "other": {}}, ["a"])
    assert [line.split("\nKind: ")[0] for line in found.get("a", [])] == expected and set(found) <= {"a"}


def test_hosts_that_build_in_one_folder_are_told() -> None:
    places = {"a": "1 2 3 .", "b": "1 2 3 .", "c": "1 2 3 shop", "d": "", "e": ""}
    found = hosts_lack({host: {"_deployment_brings": {**GOOD, "place": place}} for host, place in places.items()}, list(places))
    assert sorted(found) == ["a", "b"] and "one machine and one folder" in found["a"][0] == found["b"][0]


def test_one_folder_has_one_place(tmp_path: Path) -> None:
    (tmp_path / "srv").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "srv")
    same = [needs._place(str(tmp_path / name)) for name in ("srv/shop", "link/shop", "srv/./shop")]
    others = [needs._place(str(tmp_path / name)) for name in ("srv/other", "srv", "shop")]
    assert len(set(same)) == 1 and same[0] and not set(same) & set(others) and len(set(others)) == 3
