# Copyright (c) 2026, dbops.alembic contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every play of the collection says for itself, since an operator's ansible.cfg may say otherwise for all plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from support.paths import ROOT

PLAYS = [
    pytest.param(play, id=f"{path.stem}: {play['name']}")
    for path in sorted((ROOT / "playbooks").rglob("*.yml"))
    for play in yaml.safe_load(Path(path).read_text())
    if "hosts" in play
]


@pytest.mark.parametrize("play", PLAYS)
def test_a_play_does_not_depend_on_the_configuration(play: dict[str, Any]) -> None:
    assert play["gather_facts"] is False
    assert play["strategy"] == "ansible.builtin.linear", "with another one, hosts would not wait for each other"
    assert isinstance(play["any_errors_fatal"], bool), "with any_errors_fatal a lost host would end a window in the middle"
    assert play["timeout"] == 0, "with task_timeout a long migration would be given up, and go on"
