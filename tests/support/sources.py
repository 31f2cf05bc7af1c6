# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the YAML files of roles and playbooks hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """Reads a text that Ansible takes as it is, without templating, as that text."""

    def unsafe(self, node: yaml.ScalarNode) -> str:
        return str(self.construct_scalar(node))


Loader.add_constructor("!unsafe", Loader.unsafe)


def read(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader)
