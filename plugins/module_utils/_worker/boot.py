# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Starts the worker: its source and the request come over standard input, the reply goes to a descriptor.

The bridge sends this file's text as the first line of standard input, and the sources and the request after it.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import sys
from typing import Any

PACKAGE = "_dbops_worker"


class Sources(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports the worker's files from memory; tracebacks find their lines through get_source."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if fullname not in self.sources:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, origin=f"<{fullname}>", is_package=self.is_package(fullname))

    def get_source(self, fullname: str) -> str:
        return self.sources[fullname]

    def is_package(self, fullname: str) -> bool:
        return any(name.startswith(fullname + ".") for name in self.sources)


def main() -> None:
    payload = json.loads(sys.stdin.buffer.read().decode("utf-8"))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)  # a print in env.py can not reach the reply
    sys.meta_path.insert(0, Sources(payload["sources"]))
    entry = PACKAGE + "." + payload["entry"]
    __import__(entry, fromlist=["serve"]).serve(payload["request"], payload["descriptor"])


if __name__ == "__main__":
    main()
