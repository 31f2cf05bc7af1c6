# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of the sample application beside the hosts, on their database. They are there until this process ends."""

from __future__ import annotations

import atexit
import json
import sys
from types import SimpleNamespace
from typing import Any

from expect import Expected
from paths import ROOT, RUN
from remote import address, on

#: Pods come from addresses of their own.
ADMIT = """
set -e; file=/etc/postgresql/15/main/pg_hba.conf; line='host shop shop all scram-sha-256'
grep -qxF "$line" $file || { echo "$line" >> $file; systemctl reload postgresql; }
"""
_made: list[Any] = []


def begin(release: str) -> None:
    """That release serves on two pods of the cluster that tests/kubernetes/cluster.py finds."""
    sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("", "tooling", "kubernetes")]
    import images
    from cluster import Cluster, wait_until
    from stage import Probed

    import environments

    on("db1", ADMIT)
    password = json.loads((RUN / "secrets.json").read_text())["shop_quoted"]
    url = f"postgresql+psycopg2://shop:{password}@{address('db1')}/shop"
    cluster = Cluster.find()
    atexit.register(cluster.remove)
    images.supply(cluster)
    made = Probed(
        cluster,
        server=SimpleNamespace(binaries=""),
        folder=RUN / "workload",
        python=environments.virtual_environment("kubernetes", environments.controller_python()),
        release=release,
        database=SimpleNamespace(url=lambda: url),
    )
    atexit.register(made.close, keep_database=True)
    _made[:] = [made]
    facts = {"namespace": made.namespace, "kubeconfig": str(made.kubeconfig), "address": made.address, "python": str(made.python)}
    (RUN / "workload.json").write_text(json.dumps({**facts, "repository": images.REPOSITORY}))
    wait_until(lambda: made.serves(release), 120, f"release {release} serves in {made.namespace}")


def serves(release: str) -> None:
    """Every pod is of that release, and answers."""
    if not _made[0].serves(release):
        raise Expected(f"{_made[0].health()}: {[pod['spec']['containers'][0]['image'] for pod in _made[0].pods()]}, not {release}")
