# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as text: lines from what alembic_plan or alembic_fleet found out. Plain Python."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.dbops.alembic.plugins.module_utils._core import fleet_plan

from ._text import WIDTH, part, wrapped

Plan = Mapping[str, Any]
#: Characters of a statement that are shown; the report has all of it.
STATEMENT = 200


def plan(found: Plan, width: int = WIDTH) -> list[str]:
    """Return the lines of a plan, that of many databases too."""
    if "plans" in found:
        return [line for text in fleet_plan.text(found) for line in _indented(text, width)]
    lines = wrapped("Route: {}. {}".format(str(found.get("route")).replace("_", " "), found.get("reason") or ""), width)
    for step in found.get("revisions") or ():
        lines += ["", *(line for text in _revision(step) for line in _indented(text, width))]
    return [*lines, "", *wrapped(_rollback(part(found.get("rollback"))), width)] if found.get("revisions") else lines


def _indented(text: str, width: int) -> list[str]:
    """Break a line, and keep what stands before it."""
    first = text[: len(text) - len(text.lstrip())]
    return wrapped(text.strip(), width, first, first + "  ")


def _revision(step: Plan) -> Iterable[str]:
    yield "{} {}".format(step["revision"], str(step.get("message") or "").split("\n", 1)[0]).rstrip()
    yield f"  {step['phase']}; downgrade {_way_back(part(step.get('reversible')))}"
    for statement in step.get("statements") or ():
        sql = " ".join(str(statement["sql"]).split())
        yield "  " + (sql if len(sql) <= STATEMENT else sql[:STATEMENT] + " …")
        for table, lock in sorted(part(statement.get("locks")).items()):
            read = next((f", {word}" for word in ("rewritten", "scanned") if table in (statement.get(word) or ())), "")
            yield f"    {lock} on {table}{read}"
    for finding in step.get("findings") or ():
        allowed = f" (allowed: {finding['allowed']})" if finding.get("allowed") is not None else ""
        yield f"  {finding['rule']} {finding['class']}{allowed}: {finding['message']}"
        yield f"    fix: {finding['fix']}"


def _way_back(reversible: Plan) -> str:
    if reversible.get("schema_restored") is None:
        return "not rehearsed"
    return "proved" if reversible.get("proved") else "not proved"


def _rollback(rollback: Plan) -> str:
    if rollback.get("proved_after_traffic"):
        return "Rolling back by downgrade: proved to lose nothing."
    told = "loses nothing until the new code has written." if rollback.get("proved") else "not proved."
    return f"Rolling back by downgrade: {told} {rollback.get('reason') or ''}".rstrip()
