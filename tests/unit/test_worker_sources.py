# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker is sent, by a module that loads next to nothing of it itself."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._bridge import worker_sources

PARTS: dict[str, set[str]] = {
    "upgrade": set(),
    "info": set(),
    "database_snapshot": {"database"},
    "database_schema": {"database", "schema"},
    "plan": {"rehearsal"},
    "plan_fleet": {"database", "rehearsal"},
}


@pytest.mark.parametrize("operation", PARTS)
def test_it_is_sent_what_the_operation_needs(operation: str) -> None:
    sources = worker_sources(operation)
    assert {"_dbops_worker", "_dbops_worker.supervisor", "_dbops_worker.migrate", "_dbops_worker.several"} <= set(sources)
    parts = {name.split(".")[1] for name in sources if name.count(".") == 2}
    assert parts == PARTS[operation]
    assert all(f"_dbops_worker.{part}" in sources and f"_dbops_worker.{part}.operations" in sources for part in parts)
    assert "def migrate(" in sources["_dbops_worker.migrate"]


#: What a module needs of the worker to start it and to read its answer, and nothing that only the worker does.
LOADED = """
import json, sys
from ansible_collections.dbops.alembic.plugins.module_utils import _operations, _bridge
_bridge.worker_sources("upgrade")
print(json.dumps([name.rpartition("_worker.")[2] for name in sys.modules if "_worker." in name]))
"""


def test_a_module_does_not_load_what_the_worker_does() -> None:
    paths = json.dumps([path for path in sys.path if path])
    code = f"import sys; sys.path[:0] = {paths}\n{LOADED}"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True)
    assert set(json.loads(done.stdout)) <= {"boot", "channel", "journal", "printable", "protocol", "redaction", "spellings"}
