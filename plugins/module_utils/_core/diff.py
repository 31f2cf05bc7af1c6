# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The one formatter of diffs."""

from __future__ import annotations

from typing import Any, Mapping, Sequence


def migration_diff(databases: Sequence[Mapping[str, Any]], dry: bool) -> list[dict[str, str]]:
    """Return Ansible's diff: the heads before and after of each database, and in check mode the SQL of each revision."""
    found: list[dict[str, str]] = []
    for entry in databases:
        label = _label(entry["database"])
        before, after = _heads(entry["before"]), _heads(entry["after"]) if not dry else _planned(entry)
        if before != after:
            found.append(
                {"before_header": f"{label} (revision)", "after_header": f"{label} (revision)", "before": before, "after": after}
            )
        found += [{"prepared": _revision(step)} for step in entry["planned"] if dry]
    return found


def _label(database: Mapping[str, Any]) -> str:
    parts = [database.get("name"), database.get("database"), database.get("version_table_schema")]
    return " ".join(str(part) for part in parts if part)


def _heads(revisions: Sequence[str] | None) -> str:
    return "".join(f"{revision}\n" for revision in (["unknown"] if revisions is None else sorted(revisions) or ["base"]))


def _planned(entry: Mapping[str, Any]) -> str:
    if not entry["planned"]:
        return _heads(entry["before"])
    return "".join(f"{step['revision']} {step['message']}".rstrip() + "\n" for step in entry["planned"])


def _revision(step: Mapping[str, Any]) -> str:
    title = f"-- {step['revision']} {step['message']}".rstrip()
    if step.get("sql"):
        return f"{title}\n{step['sql']}\n"
    reason = step.get("reason") or "no SQL is rendered for it"
    return f"{title}\n-- not previewable: {reason}\n"


def text_diff(path: str, before: str, after: str) -> dict[str, str]:
    """Return Ansible's diff of a file that is made or changed."""
    return {"before_header": path, "after_header": path, "before": before, "after": after}
