# Copyright (c) 2026, dbops.alembic contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows filled in bounded batches: what the command answers, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.dbops.alembic.plugins.module_utils._backfill import fill
from ansible_collections.dbops.alembic.plugins.module_utils._errors import MigrationError

KNOWN = {"command": ["fill"], "chdir": "/srv", "virtualenv": None, "environment": {}, "pause": 0.5, "max_batches": 9, "slice": 0.0}


class Command:
    """Answers each run with the next of its answers; every run takes a second."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.now, self.slept, self.given = list(answers), 0.0, [], {}

    def run(self, command: list[str], **given: Any) -> tuple[int, str, str]:
        self.now, self.given = self.now + 1, given
        answer = self.answers.pop(0)
        return answer if isinstance(answer, tuple) else (0, f"filling\n{answer}\n", "a warning")

    def fill(self, **more: Any) -> dict[str, Any]:
        return fill({**KNOWN, **more}, self.run, lambda: self.now, self.slept.append)


def test_it_runs_until_nothing_is_left() -> None:
    command = Command(1000, 1000, 17, 0)
    assert command.fill() == {"changed": True, "rows": 2017, "batches": 3, "seconds": 4.0, "finished": True}
    assert command.slept == [0.5, 0.5, 0.5]


def test_nothing_to_fill_changes_nothing() -> None:
    assert Command(0).fill() == {"changed": False, "rows": 0, "batches": 0, "seconds": 1.0, "finished": True}


def test_a_slice_returns_in_between() -> None:
    command = Command(5, 5, 5, 0)
    assert command.fill(slice=2.0) == {"changed": True, "rows": 10, "batches": 2, "seconds": 2.0, "finished": False}


def test_the_environment_is_a_text_each_and_the_virtual_environment_comes_first() -> None:
    command = Command(0)
    command.fill(environment={"LIMIT": 5}, virtualenv="/srv/venv")
    assert command.given["environ_update"]["LIMIT"] == "5" and command.given["cwd"] == "/srv"
    assert command.given["environ_update"]["PATH"].startswith("/srv/venv/bin:")


@pytest.mark.parametrize(
    ("answers", "told", "rows"),
    [
        ([7, (3, "", "no such table")], "ended with status 3: no such table", 7),
        ([7, (3, "said on stdout", "")], "ended with status 3: said on stdout", 7),
        ([(0, "done", "")], "printed 'done' at last", 0),
        ([(0, "", "")], "printed '' at last", 0),
        ([(0, "-1", "")], "printed '-1' at last", 0),
        ([1] * 9, "filled rows 9 times", 9),
    ],
)
def test_what_fails_says_how_far_it_came(answers: list[Any], told: str, rows: int) -> None:
    with pytest.raises(MigrationError) as caught:
        Command(*answers).fill()
    assert told in caught.value.msg and caught.value.kind == "command_failed" and caught.value.hint
    assert caught.value.facts["rows"] == rows and caught.value.facts["finished"] is False
