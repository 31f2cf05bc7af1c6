# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How tests wait: for what they wait for, not for a time that a busy machine overruns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

#: Seconds after which a test gives up on what is sure to come: enough for a machine with ten times as much to do.
PATIENCE = 300.0


def until(condition: Callable[[], object], what: str = "it", seconds: float = PATIENCE) -> None:
    """Wait until it is true; a test failure that names it when it does not come to that."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come within {seconds} s"
        time.sleep(0.05)


@dataclass(frozen=True)
class Gate:
    """Keeps the second revision of the project `slow` running until it is opened."""

    file: Path

    @property
    def environment(self) -> dict[str, str]:
        """For the process that migrates."""
        return {"SLOW_UNTIL": str(self.file)}

    def open(self) -> None:
        self.file.touch()
