# Copyright (c) 2026, dbops.alembic contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a revision says of its own deployment, read from its file without importing it.

``deploy = {"phase": "contract", "allow": {"C02:users.legacy": "unread since 4.2"}}`` stands in it; Alembic ignores that.
"""

from __future__ import annotations

import ast
from typing import Any

PHASES = ("expand", "contract")


def read(path: str | None, branch_labels: list[str]) -> dict[str, Any]:
    """Return {phase, allow, problems}: a branch label ``expand`` or ``contract`` counts as the phase."""
    found: dict[str, Any] = {"phase": None, "allow": {}, "problems": []}
    if path and path.endswith(".py"):
        with open(path, encoding="utf-8") as file:
            given = _assigned(ast.parse(file.read()), found["problems"])
        if given is not None:
            _take(given, found)
    labels = sorted(set(branch_labels) & set(PHASES))
    if len(labels) > 1:
        found["problems"].append("its branch has the labels expand and contract at the same time")
    elif labels and found["phase"] not in (None, labels[0]):
        found["problems"].append(f"deploy says {found['phase']} and its branch is labelled {labels[0]}")
    elif labels:
        found["phase"] = labels[0]
    return found


def _assigned(tree: ast.Module, problems: list[str]) -> Any:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == "deploy" for target in targets):
            try:
                return ast.literal_eval(node.value)  # type: ignore[attr-defined]
            except ValueError:
                problems.append("deploy is not a literal; only constants are read, since the file is not run")
    return None


def _take(given: Any, found: dict[str, Any]) -> None:
    problems = found["problems"]
    if not isinstance(given, dict):
        problems.append("deploy is not a dictionary")
        return
    problems += [f"deploy has no key {key!r}; it knows phase and allow" for key in given if key not in ("phase", "allow")]
    if given.get("phase") not in (None, *PHASES):
        problems.append(f"the phase is {given['phase']!r}; it is expand or contract")
    else:
        found["phase"] = given.get("phase")
    allowed = given.get("allow") or {}
    if not isinstance(allowed, dict):
        problems.append("allow is not a dictionary of RULE:object and a reason")
        return
    for name, reason in allowed.items():
        if not isinstance(reason, str) or not reason.strip():
            problems.append(f"the allowance {name} has no reason")
        else:
            found["allow"][str(name)] = reason.strip()
