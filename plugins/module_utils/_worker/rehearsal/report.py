# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is told of one revision that ran on the copy, in one direction; of tables those that something is said of."""

from __future__ import annotations

from typing import Any, Iterator

from .step import STORED, Step

_OIDS = ("locks", "scanned", "rewritten", "written", "touched", "read", "procedural_writes")
_UNKNOWN = {"rows": 0, "bytes": 0}  # made by a pending revision, so there is nothing in it yet


def reported(step: Step, changes: list[dict[str, Any]], sizes: Any, refused: list[str]) -> dict[str, Any]:
    """:param changes: what became of the objects.
    :param sizes: OID of a table, as the catalogue before the step has it → {rows, bytes} of the real database.
    """
    there = ((oid, step.before.get(("relation", oid))) for oid in dict.fromkeys(_named(step.watch.statements, changes)))
    return {
        "revision": step.move.revision,
        "error": step.error,
        "refused": list(refused) if step.error else [],
        "statements": step.watch.statements,
        "strange": step.watch.strange,
        "changes": changes,
        "tables": {
            oid: {
                "name": entry["name"],
                "stored": entry["relkind"] == "m",
                "partitioned": entry["relkind"] == "p",
                **sizes.get(oid, _UNKNOWN),
            }
            for oid, entry in there
            if entry is not None and entry["relkind"] in STORED
        },
        "downgrade": None,
        "checks": [],
        "roles": None,
        "lost": [],
        "calls": {},
        "today": None,
    }


def _named(statements: list[dict[str, Any]], changes: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the OIDs that the report has, of relations and maybe of other objects."""
    for statement in statements:
        for name in _OIDS:
            yield from statement[name]
    for change in changes:
        for entry in (change["before"], change["after"], change["named"]):
            for name in ("oid", "relation", "foreign", "parent"):
                value = (entry or {}).get(name)
                if isinstance(value, str):
                    yield value
