# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the YAML files of roles and playbooks hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from support.paths import ROOT


class Loader(yaml.SafeLoader):
    """Reads a text that Ansible takes as it is, without templating, as that text."""

    def unsafe(self, node: yaml.ScalarNode) -> str:
        return str(self.construct_scalar(node))


Loader.add_constructor("!unsafe", Loader.unsafe)


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader)


def variables(role: str) -> dict[str, Any]:
    """What a role has in its folder vars, in one file or in several of one subject each."""
    folder = ROOT / "roles" / role / "vars"
    files = sorted([*folder.glob("main.yml"), *folder.glob("main/*.yml")])
    found = [(name, value) for path in files for name, value in (read(path) or {}).items()]
    assert len(dict(found)) == len(found), f"{role}: a variable is in two files"
    return dict(found)
