# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules say of themselves."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from support.paths import ROOT


def options_of(module: str) -> dict[str, Any]:
    """The documented options of a module; of the group those that its seven have in common."""
    path = ROOT / "plugins" / "modules" / f"{'alembic_info' if module == 'alembic' else module}.py"
    found = documented(path, "DOCUMENTATION")
    options = dict(found.get("options") or {})
    for fragment in found.get("extends_documentation_fragment") or ():
        name, _, part = fragment.partition("dbops.alembic.")[2].partition(".")
        options |= (
            documented(path.parents[1] / "doc_fragments" / f"{name}.py", part.upper() or "DOCUMENTATION").get("options") or {}
        )
    return options


def documented(path: Path, name: str) -> dict[str, Any]:
    """The YAML that a file has under that name."""
    (text,) = re.findall(rf'^ *{name} = r?"""(.*?)"""', path.read_text(), re.MULTILINE | re.DOTALL)
    return yaml.safe_load(text) or {}
