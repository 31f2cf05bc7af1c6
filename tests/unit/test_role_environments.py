# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No task has a password in its environment, which Ansible writes into the command line of a shell and shows with -vvv."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest

from support import sources

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml")])


def environments(tasks: Any) -> Iterator[str]:
    for task in tasks if isinstance(tasks, list) else []:
        if task.get("environment"):
            yield str(task["environment"])
        for part in ("block", "rescue", "always", "tasks"):
            yield from environments(task.get(part))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_password_is_in_the_environment_of_a_task(path: Path) -> None:
    for text in environments(sources.read(path)):
        assert "_parts.environment" not in text and "password" not in text.lower() and "_PWD" not in text, text
        assert "_environment" not in text.replace("_backup_environment", ""), f"what a user gives may hold a password: {text}"
