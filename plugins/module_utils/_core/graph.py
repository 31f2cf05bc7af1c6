# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The graph of revisions: revision → the revisions it follows, dependencies included."""

from __future__ import annotations

from typing import Iterable, Mapping, Sequence

Graph = Mapping[str, Sequence[str]]


def ancestors(graph: Graph, revisions: Iterable[str]) -> frozenset[str]:
    """Return ``revisions`` and all that they follow; a revision that the graph does not know stands for itself."""
    todo, seen = list(revisions), set()
    while todo:
        revision = todo.pop()
        if revision not in seen:
            seen.add(revision)
            todo.extend(graph.get(revision, ()))
    return frozenset(seen)
